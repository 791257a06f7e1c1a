# SPDX-License-Identifier: Apache-2.0
"""Edits of what was said in rooms (REQ-565): each corrects the message itself, never another edit.

Runs inside the writer's transaction, as `gateway.bridge.rooms.intake`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest

import structlog

from gateway.bridge.chats.edits import waits
from gateway.bridge.inbound.rows import Committed
from gateway.bridge.inbound.wellformed import honest_time
from gateway.bridge.rooms import mentions
from gateway.bridge.rooms.references import References
from gateway.bridge.rooms.retractions import Retractions
from gateway.bridge.rooms.room_rows import RoomRows
from gateway.events import RemoteRoomMessage, RoomMessage
from gateway.ids import RemoteMessageId, RemoteUserId
from gateway.store import Transaction, conversations, files, held, pieces, texts, waiting_edits
from gateway.store.conversations import MessageRow
from gateway.store.rooms import RoomRow

log = structlog.get_logger("rooms")

_AT_ONCE = 50
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
        return Text(row, first.sender, first.message, last.message, texts.is_gone(first))

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
        """A message has another text. False if it is not known, or the text is only that of one of
        its pieces, changed in another app: then that is a message.

        ``stand_in``: the line that was given in place of the edit, while nobody could read it.
        ``came_at``: when it came, if it could not be read then.
        """
        text = self.text(db, room, event.edits) if event.edits is not None else None
        if text is None:
            return False
        if text.is_gone or text.sender != event.sender:
            log.debug("edit_ignored", room=room.id, is_gone=text.is_gone)
            return True
        if len(pieces.of(db, text.message)) > 1:
            return False
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
        is_late = stand_in is not None
        if is_late or came_at is not None or not self._waits(db, room, event, text, now, out):
            self._forget_older(db, event, text)
            self._tell(db, room, event, text, is_late, now, out, came_at)
        return True

    def note(self, db: Transaction, room: RoomRow, event: RemoteRoomMessage, now: float) -> None:
        """A message came with the text that an edit has given it: that one's id means it too."""
        text = self.text(db, room, event.edits) if event.edits is not None else None
        if text is not None and self._is_new(db, room, event, now):
            archive_id = self.room_rows.id(room, "archive", event.id, 0)
            conversations.add_alias(db, room.conversation, archive_id, text.message)

    # --- what is edited again and again ---------------------------------------------------------

    def _waits(
        self,
        db: Transaction,
        room: RoomRow,
        event: RemoteRoomMessage,
        text: Text,
        now: float,
        out: Committed,
    ) -> bool:
        """Who edits again and again is told of once in a while, and in the end (REQ-423)."""
        if self.room_rows.is_past:
            return False
        edited_at, limits = texts.edited_at(db, room.id, text.message), waits(event)
        is_again = edited_at is not None and 0 <= now - edited_at < limits["quiet_s"]
        if not is_again and waiting_edits.waiting(db, text.message) is None:
            return False
        waiting_edits.put(db, room.conversation, text.message, event, now, **limits)
        archive_id = self.room_rows.id(room, "archive", event.id, 0)
        conversations.add_alias(db, room.conversation, archive_id, text.message)
        out.edits_wait = True
        return True

    def _forget_older(self, db: Transaction, event: RemoteRoomMessage, text: Text) -> None:
        """What waits is of no interest any more, unless it was made after this one."""
        waiting = waiting_edits.waiting(db, text.message)
        if waiting is not None and waiting.sent_at <= event.sent_at and not self.room_rows.is_past:
            waiting_edits.take(db, text.message)

    def tell_before(
        self,
        db: Transaction,
        room: RoomRow,
        sender: RemoteUserId,
        about: RemoteMessageId | None,
        now: float,
        out: Committed,
    ) -> None:
        """Before somebody says something, perhaps about a message: that one's edit that waits, and
        those of who says it, were made before."""
        if self.room_rows.is_past:
            return
        meant = None if about is None else self.references.find(db, room, about)
        for message in waiting_edits.of(db, room.conversation, _AT_ONCE):
            waiting = waiting_edits.waiting(db, message)
            is_theirs = isinstance(waiting, RemoteRoomMessage) and waiting.sender == sender
            if is_theirs or (meant is not None and meant.id == message):
                self.tell_waiting(db, room, message, now, out)

    def tell_waiting(
        self, db: Transaction, room: RoomRow, message: int, now: float, out: Committed
    ) -> None:
        """The last edit of a message that waits, if one does. Who has come in since may not see
        it, where the room hides its past."""
        came_at = waiting_edits.since(db, message) if room.is_shared else None
        event, row = waiting_edits.take(db, message), conversations.message(db, message)
        text = None if row is None else self._text(db, room, row)
        if isinstance(event, RemoteRoomMessage) and text is not None and not text.is_gone:
            self._tell(db, room, event, text, False, now, out, came_at)

    # --- what is told ---------------------------------------------------------------------------

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
        """Part by part. What does not change the text is not said (REQ-421), nor how something
        stands of which its sender talks no more."""
        scope = ("readable",) if late else ()
        first = 0  # files stay what they are
        if text.row.remote_id is not None:
            first = files.count(db, room.conversation, text.row.remote_id)
        before = [text, *self._other_parts(db, room, text)][first:]
        last = (before or [text])[-1] or text
        if event.is_ongoing and texts.has_said_more(db, room.id, event.sender, last.message):
            return
        if first:
            reply = self.references.of_files(db, room, text.row.remote_id)
        else:
            reply = self.references.same_reply(db, room, text.first.reply)
        told = mentions.parts(db, room, self.room_rows.users(db, room), event, reply)
        for part, (old, new) in enumerate(zip_longest(before, told), first):
            words = new if new and new.words else mentions.Part(_NOTHING_MORE)
            shown, styled = words.words, words.spans
            if old is not None and (old.last.body, old.last.spans) == (shown, styled):
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
                reply=None if part > first else reply,
                mentions=words.mentions,
                previews=words.previews,
                thread=text.first.thread,
                spans=styled,
            )
            of = self._one_more(db, room, text, said, part) if old is None else old.message
            conversations.add_alias(db, room.conversation, said.id, of)
            self.room_rows.say(db, room, event.sender, said, now, out, of, came_at=came_at)
