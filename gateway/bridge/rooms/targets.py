# SPDX-License-Identifier: Apache-2.0
"""What a command is about, as the network calls it. When a user wants something of their own
message, the network may not have that yet; it is known when the command's turn comes."""

from __future__ import annotations

from msgspec import structs

from gateway.events import Command, ReactInRoom, RetractInRoom, SendRoomText
from gateway.ids import RemoteMessageId
from gateway.store import conversations
from gateway.store.journal import OutboundRow
from gateway.store.writer import Connection

LATER = RemoteMessageId("")
"""In a command that is committed: the id of its target, once there is one."""


def aimed(db: Connection, row: OutboundRow, command: Command) -> Command | None:
    """The command with that id. None if the network does not have what it is about."""
    known = None if row.target is None else conversations.remote_id_of(db, row.target)
    match command:
        case SendRoomText(edits="") | ReactInRoom(message="") | RetractInRoom(message=""):
            if known is None:
                return None
            field = "edits" if isinstance(command, SendRoomText) else "message"
            return structs.replace(command, **{field: known})
        case SendRoomText(reply_to=""):
            return structs.replace(command, reply_to=known)  # without it is better than not at all
    return command
