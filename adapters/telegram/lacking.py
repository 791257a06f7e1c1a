# SPDX-License-Identifier: Apache-2.0
"""What a bot is not told of a group that it does not administer. No I/O.

Bot API, "Update", ``message_reaction`` and ``chat_member``;
https://core.telegram.org/bots/features#privacy-mode.
"""

from __future__ import annotations

from collections.abc import Iterator

from gateway.events import RemoteRoomNotice
from gateway.ids import RemoteMessageId, RemoteRoomId
from gateway.text.wording import tr

_PRIVACY = tr(
    "Your bot is in privacy mode: of this group it is told only commands, what answers it "
    "and what names it. To hear all, send /setprivacy to @BotFather, turn it off, and put "
    "the bot out of the group and into it again; or make it an administrator of the group."
)
_PRIVACY_OF_HOUSE = tr(
    "The bot is in privacy mode: of this group it carries only commands, what answers it and what "
    "names it. Make it an administrator of the group; or let whoever has made it turn privacy "
    "mode off (/setprivacy at @BotFather), and put it out of the group and into it again."
)
_NO_RIGHTS = tr(
    "The bot is no administrator of this group, so it is not told of reactions, nor of all who "
    "come and go. Make it one to have these; it needs no right beyond those that an administrator "
    "has in any case."
)


def lacking(room: RemoteRoomId, *, hears_all: bool, is_house: bool) -> Iterator[RemoteRoomNotice]:
    """What a room is told of it, once. Whoever has linked a bot of their own is spared the smaller
    part. ``hears_all``: it is not in privacy mode; ``is_house``: it is that of the gateway."""
    if not hears_all:
        yield _line(room, "privacy", _PRIVACY_OF_HOUSE if is_house else _PRIVACY)
    elif is_house:
        yield _line(room, "rights", _NO_RIGHTS)


def _line(room: RemoteRoomId, what: str, text: str) -> RemoteRoomNotice:
    return RemoteRoomNotice(room=room, id=RemoteMessageId(f"{room}/{what}"), text=text)
