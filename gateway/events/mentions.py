# SPDX-License-Identifier: Apache-2.0
"""Who is named in a text, and where in it. Places are code points, the end is not part of it."""

from __future__ import annotations

from gateway.events.record import Record
from gateway.ids import RemoteUserId


class Mention(Record, frozen=True, kw_only=True):
    """Somebody who is named in a text."""

    user: RemoteUserId | None = None
    """None: everybody in a room."""
    begin: int = 0
    end: int = 0
    """Equal if no part of the text names them."""
    notify: bool = True
    """They are to be told. False if they were by an earlier text of the message, or shall not."""


class RoomMention(Record, frozen=True, kw_only=True):
    """The same, as those in the room see it (XEP-0372, XEP-0513)."""

    nick: str = ""
    """Empty: everybody there."""
    occupant: str = ""
    """XEP-0421."""
    begin: int = 0
    end: int = 0
    notify: bool = True


class ChatMention(Record, frozen=True, kw_only=True):
    """The same, as the user sees it in a chat."""

    jid: str
    """Bare: of the user, or of whom stands for a person of the network."""
    begin: int = 0
    end: int = 0
    notify: bool = True
