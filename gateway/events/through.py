# SPDX-License-Identifier: Apache-2.0
"""Private messages in rooms (XEP-0045 §7.5): chats that the user sees through an occupant."""

from __future__ import annotations

from gateway.events.record import Record
from gateway.ids import RemoteRoomId


class Through(Record, frozen=True, kw_only=True):
    """The occupant, who is the chat's contact. The network knows nothing of it."""

    room: RemoteRoomId
    nick: str
    occupant: str = ""
    """XEP-0421."""
    to: tuple[str, ...] = ()
    """Full JIDs of the user's sessions in the room."""
