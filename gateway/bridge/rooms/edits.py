# SPDX-License-Identifier: Apache-2.0
"""Edits of what was said in rooms (REQ-565): each corrects the message itself, never another edit.

Runs inside the writer's transaction, as `gateway.bridge.rooms.intake`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest

import structlog

from gateway.bridge.rooms import mentions
from gateway.bridge.rooms.references import References, is_gone
from gateway.bridge.rooms.retractions import Retractions
from gateway.bridge.rooms.room_rows import RoomRows
from gateway.bridge.rows import Committed
from gateway.bridge.wellformed import honest_time
from gateway.events import RemoteRoomMessage, RoomMessage
from gateway.ids import RemoteMessageId, RemoteUserId
from gateway.store import Transaction, conversations, held, texts
from gateway.store.conversations import MessageRow
from gateway.store.rooms import RoomRow

log = structlog.get_logger("rooms")

_NOTHING_MORE = "…"
"""What a part of a long message says that the edited one has no more."""


@dataclass(frozen=True, slots=True)
class Text:
    """A message with a text that can be edited."""

    row: MessageRow
    sender: RemoteUserId
    first: RoomMessage
    last: RoomMessage
    """With its edits."""
    is_gone: bool

    @property
    def message(self) -> int:
        """Its row."""
        return self.row.id


@dataclass(frozen=True, slots=True)
class Edits:
    """In the rooms of one account."""

    room_rows: RoomRows
    references: References
    retractions: Retractions

    def text(self, db: Transaction, room: RoomRow, remote_id: RemoteMessageId) -> Text | None:
        """What the network means by an id, if it has a text."""
        row = self.references.find(db, room, remote_id)
        return None if row is None else self._text(db, room, row)

    def _text(self, db: Transaction, room: RoomRow, row: MessageRow) -> Text | None:
        first, last = texts.first(db, room.id, row.id), texts.last(db, room.id, row.id)
        if first is None or last is None:
            return None
        return Text(row, first.sender, first.message, last.message, is_gone(first))

    def edited(
        self,
        db: Transaction,
        room: RoomRow,
        event: RemoteRoomMessage,
        now: float,
        out: Committed,
        stand_in: MessageRow | None = None,
        *,
        came_at: float | None = None,
    ) -> bool:
        """A message has another text. False if it is not known: then that text is a message.

        ``stand_in``: the line that was given in place of the edit, while nobody could read it.
        ``came_at``: when it came, if it could not be read then.
        """
        text = self.text(db, room, event.edits) if event.edits is not None else None
        if text is None:
            return False
        if text.is_gone or text.sender != event.sender:
            log.debug("edit_ignored", room=room.id, is_gone=text.is_gone)
            return True
        if text.row.remote_id is not None:  # what it was before is of no interest any more
            held.release(db, room.conversation, text.row.remote_id)
        if stand_in is not None:
            line = self.references.archive_id(room, stand_in)
            self.retractions.take_back(db, room, stand_in, event.sender, "", now, out)
            texts.link(db, room.id, line, text.message)
        elif not self._is_new(db, room, event, now):
            archive_id = self.room_rows.id(room, "archive", event.id, 0)
            self.room_rows.told_again(db, room, archive_id, came_at)
            return True
        self._tell(db, room, event, text, stand_in is not None, now, out, came_at)
        return True

    def _other_parts(self, db: Transaction, room: RoomRow, text: Text) -> list[Text | None]:
        """After the first one."""
        if text.row.remote_id is None:
            return []
        rows = conversations.parts(db, room.conversation, text.row.remote_id)[1:]
        return [self._text(db, room, row) for row in rows]

    def _one_more(
        self, db: Transaction, room: RoomRow, text: Text, said: RoomMessage, part: int
    ) -> int:
        """A part that the message has not had until now."""
        origin, at = self.room_rows.origin(text.sender), said.sent_at
        of = text.row.remote_id
        made = self.room_rows.add_part(db, room, said.id, of, at, at, origin=origin, part=part)
        return text.message if made is None else made

    def _is_new(
        self, db: Transaction, room: RoomRow, event: RemoteRoomMessage, now: float
    ) -> bool:
        """Its own id is known from now on: reactions and read marks may name it."""
        sid, at = self.room_rows.id(room, event.id, 0), honest_time(event.sent_at, now)
        origin = self.room_rows.origin(event.sender)
        made = self.room_rows.add_part(db, room, sid, event.id, at, now, origin=origin)
        return made is not None

    def _tell(
        self,
        db: Transaction,
        room: RoomRow,
        event: RemoteRoomMessage,
        text: Text,
        late: bool,
        now: float,
        out: Committed,
        came_at: float | None,
    ) -> None:
        """Part by part. What does not change the text is not said (REQ-421)."""
        scope = ("readable",) if late else ()
        before = [text, *self._other_parts(db, room, text)]
        reply = self.references.same_reply(db, room, text.first.reply)
        told = mentions.parts(db, room, self.room_rows.users(db, room), event, reply)
        for part, (old, new) in enumerate(zip_longest(before, told)):
            shown, named = new if new and new[0] else (_NOTHING_MORE, ())
            if old is not None and old.last.body == shown:
                unsaid = self.room_rows.id(room, "archive", event.id, part)
                conversations.add_alias(db, room.conversation, unsaid, old.message)
                continue
            said = RoomMessage(
                id=self.room_rows.id(room, event.id, *scope, part),
                archive_id=self.room_rows.id(room, "archive", event.id, *scope, part),
                **self.room_rows.speaker(db, room, event.sender),
                body=shown,
                sent_at=honest_time(event.sent_at, now),
                replaces=None if old is None else old.first.id,
                reply=None if part else reply,
                mentions=named,
                thread=text.first.thread,
            )
            of = self._one_more(db, room, text, said, part) if old is None else old.message
            conversations.add_alias(db, room.conversation, said.id, of)
            self.room_rows.say(db, room, event.sender, said, now, out, of, came_at=came_at)
