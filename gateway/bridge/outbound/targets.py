# SPDX-License-Identifier: Apache-2.0
"""What a command is about, as the network calls it. When a user wants something of their own
message, the network may not have that yet; it is known when the command's turn comes."""

from __future__ import annotations

from msgspec import structs

from gateway.events import (
    Command,
    React,
    ReactInRoom,
    Retract,
    RetractInRoom,
    SendRoomText,
    SendText,
)
from gateway.ids import RemoteMessageId
from gateway.store import chat_texts, conversations, rooms, texts
from gateway.store.journal import OutboundRow
from gateway.store.writer import Connection

LATER = RemoteMessageId("")
"""In a command that is committed: the id of its target, once there is one."""


def aimed(db: Connection, row: OutboundRow, command: Command) -> Command | None:
    """The command with that id. None if the network does not have what it is about."""
    known = _remote_id(db, row)
    match command:
        case (
            SendText(edits="")
            | React(message="")
            | Retract(message="")
            | SendRoomText(edits="")
            | ReactInRoom(message="")
            | RetractInRoom(message="")
        ):
            if known is None:
                return None
            field = "edits" if isinstance(command, SendText | SendRoomText) else "message"
            return structs.replace(command, **{field: known})
        case SendText(reply_to="") | SendRoomText(reply_to=""):
            return structs.replace(command, reply_to=known)  # without it is better than not at all
    return command


def is_done(db: Connection, row: OutboundRow, command: Command | None) -> bool:
    """Whether what is to be taken back is gone already. Clients do that once for each edit."""
    match command:
        case Retract():
            return _is_gone(db, row)
        case RetractInRoom():
            room = rooms.find(db, row.account, command.room)
            if room is None or row.target is None:
                return False
            return texts.is_gone(texts.first(db, room.id, row.target))
    return False


def is_too_late(db: Connection, row: OutboundRow, command: Command) -> bool:
    """Whether a message of a chat was taken back while something waited that changes it."""
    is_edit = isinstance(command, SendText) and command.edits is not None
    return (is_edit or isinstance(command, React)) and _is_gone(db, row)


def _is_gone(db: Connection, row: OutboundRow) -> bool:
    return row.target is not None and chat_texts.is_gone(db, row.target)


def _remote_id(db: Connection, row: OutboundRow) -> RemoteMessageId | None:
    target = None if row.target is None else conversations.message(db, row.target)
    return None if target is None else conversations.original(db, target).remote_id
