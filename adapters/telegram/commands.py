# SPDX-License-Identifier: Apache-2.0
"""What people in groups want of the gateway's own bot. No I/O.

Bot API, "BotCommand": ``/link CODE``, or ``/link@name_of_the_bot CODE`` where there are several.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from adapters.telegram.looking import Raw
from gateway.events import Departure
from gateway.ids import RemoteUserId

LINK, UNLINK = "link", "unlink"
START = "start"
"""What apps send when somebody puts a bot into a group by a link: ``t.me/bot?startgroup=CODE``."""
VERDICTS: Final = {
    "kick": Departure.KICKED,
    "ban": Departure.BANNED,
    "unban": Departure.LEFT,
}
"""On whoever has said what they answer."""
_WRITTEN = re.compile(r"/([a-z_0-9]{1,32})(?:@([a-z_0-9]{1,32}))?(?:\s+(.*))?", re.I | re.S)


@dataclass(frozen=True, slots=True)
class Command:
    """One of them."""

    chat: int
    message: int
    sender: int
    """Who wants it. Administrators may speak as the group, and people as a channel of theirs."""
    name: str
    of: str
    """The bot that is named; empty if none is."""
    said: str
    """What stands behind it."""
    answered: int | None
    """What the bot itself has said, if this answers that."""

    @property
    def is_anonymous(self) -> bool:
        """Whether it comes from an administrator who speaks as the group."""
        return self.sender == self.chat

    @property
    def is_ours_unnamed(self) -> bool:
        """Whether it counts where no bot is named: others have commands, too."""
        is_verdict = self.name in VERDICTS and self.answered is not None
        return self.name in (LINK, UNLINK) or is_verdict


def command_in(message: Raw, own: RemoteUserId) -> Command | None:
    """What somebody wants; None if a message is nothing like that, or comes from elsewhere.
    ``own``: the bot. Raises `KeyError` and the like of what is no message."""
    found = _WRITTEN.fullmatch(message.get("text") or "")
    if found is None or "forward_origin" in message or "via_bot" in message:
        return None
    answered: Raw = message.get("reply_to_message") or {}
    is_own = str((answered.get("from") or {}).get("id")) == own
    return Command(
        chat=_number(message["chat"]["id"]),
        message=_number(message["message_id"]),
        sender=_number((message.get("sender_chat") or message["from"])["id"]),
        name=found[1].lower(),
        of=(found[2] or "").lower(),
        said=(found[3] or "").strip(),
        answered=_number(answered["message_id"]) if is_own else None,
    )


def _number(id: object) -> int:
    if not isinstance(id, int):
        raise TypeError("no number")
    return id
