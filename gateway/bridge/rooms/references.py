# SPDX-License-Identifier: Apache-2.0
"""Which message is meant: by an id of the network, or by one of the many that clients use.

It is always the first part of the message itself, be the id that of another part or of an edit
(REQ-564).
"""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import structs

from gateway.bridge.rooms import replies
from gateway.bridge.rooms.room_rows import RoomRows
from gateway.events import Reply
from gateway.ids import RemoteMessageId, StanzaId
from gateway.store import Transaction, conversations, texts
from gateway.store.conversations import MessageRow, Origin
from gateway.store.rooms import RoomRow
from gateway.store.writer import Connection


def meant(db: Connection, room: RoomRow, id: StanzaId) -> MessageRow | None:
    """By an id of a client. What is in the archive under an id is never another client's word."""
    known = texts.message_of(db, room.id, id)
    if known is None:
        found = conversations.by_alias(db, room.conversation, id)
    else:
        found = conversations.message(db, known)
    return None if found is None else _first_part(db, room, found)


def _first_part(db: Connection, room: RoomRow, row: MessageRow) -> MessageRow:
    if row.about is not None:
        return conversations.message(db, row.about) or row
    if row.part == 0 or row.remote_id is None:
        return row
    return next(iter(conversations.parts(db, room.conversation, row.remote_id)), row)


@dataclass(frozen=True, slots=True)
class References:
    """In the rooms of one account, inside the writer's transaction."""

    room_rows: RoomRows

    def archive_id(self, room: RoomRow, row: MessageRow) -> StanzaId:
        """The archive's id of a message, or of an edit. Numbers of messages come again when the
        newest is gone, as after the end of an account; what clients remember stays."""
        if row.origin is Origin.USER or row.remote_id is None:
            scope = (room.conversation, row.id, row.stanza_id)
            return self.room_rows.id(room, "archive", "own", *scope)
        return self.room_rows.id(room, "archive", row.remote_id, row.part)

    def archive_ids(self, room: RoomRow, edit: MessageRow) -> tuple[StanzaId, StanzaId]:
        """The same, and the one that it has if it could not be read at first."""
        late = (edit.remote_id or "", "readable", edit.part)
        return self.archive_id(room, edit), self.room_rows.id(room, "archive", *late)

    def original(self, db: Transaction, room: RoomRow, row: MessageRow) -> MessageRow:
        """The message itself, if this is an edit."""
        return meant(db, room, self.archive_id(room, row)) or _first_part(db, room, row)

    def find(
        self, db: Transaction, room: RoomRow, remote_id: RemoteMessageId
    ) -> MessageRow | None:
        """By an id of the network."""
        row = conversations.by_remote_id(db, room.conversation, remote_id)
        return None if row is None else self.original(db, room, row)

    def reply(
        self, db: Transaction, room: RoomRow, remote_id: RemoteMessageId | None
    ) -> Reply | None:
        """What is answered; None if it is not known."""
        target = None if remote_id is None else self.find(db, room, remote_id)
        return None if target is None else self._reply(db, room, target.id)

    def of_files(
        self, db: Transaction, room: RoomRow, remote_id: RemoteMessageId | None
    ) -> Reply | None:
        """What is said after the files of the same message answers the first of them."""
        reply = self.reply(db, room, remote_id)
        return None if reply is None else structs.replace(reply, quote="", is_caption=True)

    def same_reply(self, db: Transaction, room: RoomRow, reply: Reply | None) -> Reply | None:
        """The same for the edit of an answer."""
        known = None if reply is None else texts.message_of(db, room.id, reply.message)
        return reply if known is None else self._reply(db, room, known)

    def _reply(self, db: Transaction, room: RoomRow, target: int) -> Reply | None:
        first, last = texts.first(db, room.id, target), texts.last(db, room.id, target)
        if first is None or last is None:
            return None
        said = first.message
        return Reply(message=said.archive_id, nick=said.nick, quote=replies.quote(last.message))
