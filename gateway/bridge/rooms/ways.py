# SPDX-License-Identifier: Apache-2.0
"""Private messages (REQ-575): by which way what belongs to a chat reaches the user.

While the user has addressed somebody in a room last, their chat is that occupant's. Else it is the
puppet's. That is decided where a row is committed, and the row has it: a repetition goes the same
way, and so does what is said about the message. Nothing is seen in both windows.

Runs inside the writer's transaction.
"""

from __future__ import annotations

from msgspec import structs

from gateway.bridge.rooms.occupant_ids import occupant_id
from gateway.events import ChatCommand, Through
from gateway.ids import ConversationId, RemoteUserId, RoomId
from gateway.store import Transaction, conversations, members, rooms
from gateway.store.journal import OutboundRow
from gateway.store.rooms import RoomRow
from gateway.store.writer import Connection


def way_of(db: Connection, chat: ConversationId, contact: RemoteUserId) -> Through | None:
    """By which occupant what a contact does now is told; None if by their puppet."""
    return _occupant(db, rooms.through(db, chat), chat, contact)


def room_of(db: Connection, chat: ConversationId, contact: RemoteUserId) -> RoomId | None:
    """The room by an occupant of which what a contact says now is told; None if by their puppet.
    `MessageRow.through` keeps that."""
    room = rooms.through(db, chat)
    return None if room is None or _occupant(db, room, chat, contact) is None else room.id


def way_by(
    db: Connection,
    room: RoomId | None,
    chat: ConversationId,
    contact: RemoteUserId,
    *,
    own: bool = False,
) -> Through | None:
    """By which occupant what is said about a message of that way is told; None if by their puppet,
    as when nobody of the user is in that room any more.

    ``own``: it is said by the user with another app. In their name that is for all their devices,
    and so also told when none is in the room.
    """
    return None if room is None else _occupant(db, rooms.by_id(db, room), chat, contact, own=own)


def _occupant(
    db: Connection,
    room: RoomRow | None,
    chat: ConversationId,
    contact: RemoteUserId,
    *,
    own: bool = False,
) -> Through | None:
    member = members.find(db, room.id, contact) if room is not None else None
    account = conversations.account_of(db, chat)
    to = rooms.sessions(db, room.id, account) if room is not None and account is not None else ()
    if room is None or member is None or not (to or own):
        return None
    occupant = occupant_id(room.secret, contact)
    return Through(room=room.remote_id, nick=member.nick, occupant=occupant, to=to)


def addressed(row: OutboundRow) -> Through | None:
    """The occupant to whom a message was sent, if it was."""
    return row.command.through if isinstance(row.command, ChatCommand) else None


def way_back(db: Transaction, row: OutboundRow, sent: Through | None) -> Through | None:
    """By which occupant the user learns what became of a message: the one it was sent to."""
    room = rooms.find(db, row.account, sent.room) if sent is not None else None
    if sent is None or room is None:
        return sent
    to = rooms.sessions(db, room.id, row.account)
    occupant = occupant_id(room.secret, row.contact)
    return structs.replace(sent, occupant=occupant, to=to or (row.sender,))
