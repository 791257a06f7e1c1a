# SPDX-License-Identifier: Apache-2.0
"""What is said in rooms by members, and what cannot be read yet.

Runs inside the writer's transaction, as `gateway.bridge.rooms.intake`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from msgspec import structs

from gateway.bridge.files.told import Files, mark
from gateway.bridge.inbound.rows import Committed
from gateway.bridge.inbound.unread import line, storable
from gateway.bridge.inbound.wellformed import honest_time
from gateway.bridge.rooms import addressing, mentions, replies, threads
from gateway.bridge.rooms.edits import Edits
from gateway.bridge.rooms.references import References
from gateway.bridge.rooms.reflections import Reflections
from gateway.bridge.rooms.room_rows import RoomRows
from gateway.bridge.splitting import brief
from gateway.events import (
    RemoteRoomMessage,
    RemoteRoomRetraction,
    RemoteUndecryptable,
    Reply,
    RoomMessage,
)
from gateway.locale import in_language
from gateway.store import Transaction, archive, conversations, files, held, sharing, texts
from gateway.store.archive import Archived
from gateway.store.conversations import MessageRow, Origin
from gateway.store.held import Reaction, Released
from gateway.store.rooms import RoomRow

_LATE_S = 60.0
"""Clocks of homeservers are that much apart, and sessions tell what is said within that time."""


@dataclass(frozen=True, slots=True)
class Speech:
    """In the rooms of one account."""

    room_rows: RoomRows
    references: References
    edits: Edits
    reflections: Reflections

    def message(
        self,
        db: Transaction,
        room: RoomRow,
        event: RemoteRoomMessage,
        now: float,
        out: Committed,
    ) -> Sequence[Reaction]:
        """A text of somebody, or what a user sent coming back. Returns the reactions to it that
        have waited for it."""
        event = self.room_rows.rows.readable(db, event, self.room_rows.language(room))
        if self.reflections.is_echo(db, room, event, now, out):
            return ()
        if self.room_rows.rows.is_of_house:
            event = addressing.naming_virtual(db, room, event)
        waited = held.release(db, room.conversation, event.id)
        if waited is None and event.edits is not None:
            waited = self._edits_what_is_held(db, room, event, now, out)
            if waited is not None:
                return waited.reactions
        came_at = None if waited is None else waited.kept_since
        reactions = () if waited is None else waited.reactions
        self.room_rows.told_late(db, room, came_at)
        if came_at is not None:
            shown = conversations.by_remote_id(db, room.conversation, event.id)
            if shown is not None:
                self._readable(db, room, event, shown, came_at, now, out)
                return reactions
        else:
            came_at = _long_ago(room, event, now)
        if self._shows_other_files(db, room, event, now, out):
            event = structs.replace(event, edits=None)
        if event.edits is None or not self.edits.edited(
            db, room, event, now, out, came_at=came_at
        ):
            self._said(db, room, event, came_at, now, out)
        return reactions

    def _said(
        self,
        db: Transaction,
        room: RoomRow,
        event: RemoteRoomMessage,
        came_at: float | None,
        now: float,
        out: Committed,
    ) -> None:
        rows = self.room_rows
        if there := conversations.parts(db, room.conversation, event.id):
            # Most of what comes in a room that many share: another account was told it.
            for known in there:
                archive_id = rows.id(room, "archive", event.id, known.part)
                rows.told_again(db, room, archive_id, came_at)
            return
        self.edits.tell_before(db, room, event.sender, event.reply_to, now, out)
        speaker, origin = rows.speaker(db, room, event.sender), rows.origin(event.sender)
        sent_at = honest_time(event.sent_at, now)
        reply, told = self._parts(db, room, event, rows.rows.files, now)
        for part, (body, named, styled, file, previews) in enumerate(told):
            if part:
                reply = self._of_files(db, room, event, *told[part - 1 : part + 1])
            sid = rows.id(room, event.id, part)
            stored = rows.add_part(db, room, sid, event.id, sent_at, now, origin=origin, part=part)
            assert stored is not None, "none of its parts was there"
            said = RoomMessage(
                id=sid,
                archive_id=rows.id(room, "archive", event.id, part),
                **speaker,
                body=body,
                sent_at=sent_at,
                reply=reply,
                mentions=named,
                thread=threads.id_of(room, event.thread),
                spans=styled,
                file=file,
                previews=previews,
            )
            rows.say(db, room, event.sender, said, now, out, stored, came_at=came_at)

    def _parts(
        self,
        db: Transaction,
        room: RoomRow,
        event: RemoteRoomMessage,
        way: Files,
        now: float,
    ) -> tuple[Reply | None, list[mentions.Part]]:
        """What a message answers, and what it says: its files, and its words."""
        reply = self.references.reply(db, room, threads.answered(event))
        shared = way.told(db, room.conversation, event, now)
        told = [mentions.Part(mark(file), file=file) for file in shared]
        if event.body or not told:
            users = self.room_rows.users(db, room)
            told += mentions.parts(db, room, users, event, None if told else reply)
        return reply, told

    def _of_files(
        self,
        db: Transaction,
        room: RoomRow,
        event: RemoteRoomMessage,
        before: mentions.Part,
        part: mentions.Part,
    ) -> Reply | None:
        """What is said after files answers the first of them (REQ-443)."""
        is_of_files = before.file is not None and part.file is None
        return self.references.of_files(db, room, event.id) if is_of_files else None

    def _shows_other_files(
        self,
        db: Transaction,
        room: RoomRow,
        event: RemoteRoomMessage,
        now: float,
        out: Committed,
    ) -> bool:
        """A message has other files from now on: no client corrects one, so it is taken back and
        said anew (REQ-425)."""
        if event.edits is None or not event.files:
            return False
        text = self.edits.text(db, room, event.edits)
        if text is None or text.is_gone or text.sender != event.sender:
            return False
        if files.are_known(db, room.conversation, event.edits, event.files):
            return False
        gone = RemoteRoomRetraction(
            room=event.room,
            id=event.id,
            message=event.edits,
            by=event.sender,
            sent_at=event.sent_at,
        )
        self.edits.retractions.retracted(db, room, gone, now, out)
        return True

    # --- what cannot be read yet ----------------------------------------------------------------

    def _edits_what_is_held(
        self,
        db: Transaction,
        room: RoomRow,
        event: RemoteRoomMessage,
        now: float,
        out: Committed,
    ) -> Released | None:
        """What nobody could read has another text, which can be read: that is the message, and
        what was said at first is of no interest any more. None if it is not so."""
        assert event.edits is not None
        conversation = room.conversation
        if conversations.by_remote_id(db, conversation, event.edits) is not None:
            return None
        if held.sender_of(db, conversation, event.edits) != event.sender:
            return None
        waited = held.release(db, conversation, event.edits)
        if waited is not None:
            self.room_rows.told_late(db, room, waited.kept_since)
            said = structs.replace(event, id=event.edits, edits=None)
            self._said(db, room, said, waited.kept_since, now, out)
            self.edits.note(db, room, event, now)
        return waited

    def keep(
        self, db: Transaction, event: RemoteUndecryptable, now: float, out: Committed
    ) -> None:
        """A message that cannot be read."""
        room = self.room_rows.find(db, event.room) if event.room is not None else None
        if room is None:
            return
        if conversations.by_remote_id(db, room.conversation, event.id) is None:
            self.room_rows.told_late(db, room, held.kept_since(db, room.conversation, event.id))
            held.hold(db, room.conversation, storable(event, now), now)
            out.held |= bool(event.needs)

    def stand_in(
        self,
        db: Transaction,
        room: RoomRow,
        event: RemoteUndecryptable,
        reason: str,
        now: float,
        out: Committed,
    ) -> None:
        """One line in its place, by who has said it. The archive has the message in the place of
        that when it can be read, so it is for those who were in when it came."""
        came_at = held.kept_since(db, room.conversation, event.id)
        sid = self.room_rows.id(room, event.id, 0)
        origin = Origin.ELSEWHERE if event.own else Origin.CONTACT
        made = self.room_rows.add_part(db, room, sid, event.id, event.sent_at, now, origin=origin)
        if made is None:
            return
        said = RoomMessage(
            id=sid,
            archive_id=self.room_rows.id(room, "archive", event.id, 0),
            **self.room_rows.speaker(db, room, event.contact),
            body=in_language(line(reason), self.room_rows.language(room)),
            sent_at=event.sent_at,
        )
        self.room_rows.say(db, room, event.contact, said, now, out, made, came_at=came_at)

    def _readable(
        self,
        db: Transaction,
        room: RoomRow,
        event: RemoteRoomMessage,
        before: MessageRow,
        came_at: float,
        now: float,
        out: Committed,
    ) -> None:
        """The line in its place is corrected while nothing came after it (XEP-0308 §3); else the
        message comes as one that is late. In the archive the line becomes the message. If it is an
        edit, that is told of what it edits, and the line is taken back."""
        shown = archive.get(db, room.id, self.room_rows.id(room, "archive", event.id, 0))
        if shown is not None and archive.is_fetched(db, shown):
            self._readable_in_past(db, room, event, shown, now)
            return
        if event.edits is not None and self.edits.edited(
            db, room, event, now, out, before, came_at=came_at
        ):
            return
        is_newest = shown is not None and shown.id == archive.newest(db, room.id)
        sent_at = honest_time(event.sent_at, now)
        thread = threads.id_of(room, event.thread)
        reply, told = self._parts(db, room, event, self.room_rows.rows.files, now)
        is_newest &= told[0].file is None  # no client makes a file out of a line (REQ-446)
        for part, (body, named, styled, file, previews) in enumerate(told):
            if part:
                reply = self._of_files(db, room, event, *told[part - 1 : part + 1])
            said = RoomMessage(
                id=self.room_rows.id(room, event.id, "readable", part),
                archive_id=self.room_rows.id(room, "archive", event.id, "readable", part),
                **self.room_rows.speaker(db, room, event.sender),
                body=body,
                sent_at=sent_at,
                replaces=before.stanza_id if is_newest and not part else None,
                reply=reply,
                mentions=named,
                thread=thread,
                spans=styled,
                file=file,
                previews=previews,
            )
            if shown is not None and not part:
                _rewrite(db, room, shown.message, said)
            conversations.add_alias(db, room.conversation, said.id, before.id)
            self.room_rows.say(db, room, event.sender, said, now, out, before.id, came_at=came_at)

    def _readable_in_past(
        self,
        db: Transaction,
        room: RoomRow,
        event: RemoteRoomMessage,
        line: Archived,
        now: float,
    ) -> None:
        """Nobody was told of the line but who asked for the archive: there it becomes the
        message, and it is all that it can become. As all that is told to nobody now, its files are
        not uploaded: with the keys of a backup there may be thousands."""
        edited = None if event.edits is None else self.edits.text(db, room, event.edits)
        if edited is not None and (edited.is_gone or edited.sender != event.sender):
            return
        past = replace(self.room_rows.rows.files, uploads=False)
        event = past.readable(event)
        reply, (first, *rest) = self._parts(db, room, event, past, now)
        body, named, styled, file, previews = first
        if file is not None and event.body:
            file = structs.replace(file, description=brief(event.body))
        readable = structs.replace(
            line.message,
            body=f"{body}…" if rest else body,
            replaces=None if edited is None else edited.first.id,
            reply=reply,
            mentions=named,
            thread=threads.id_of(room, event.thread) if edited is None else edited.first.thread,
            spans=styled,
            file=file,
            previews=previews,
        )
        archive.rewrite(db, room.id, replies.with_quote(readable, ""))
        if room.is_shared:
            sharing.owe_alone(db, self.room_rows.rows.account, line.id)
        if edited is not None:
            texts.link(db, room.id, line.message.archive_id, edited.message)


def _long_ago(room: RoomRow, event: RemoteRoomMessage, now: float) -> float | None:
    """When it was said, if a session that was away tells it. Others may have come in since, and
    their sessions were faster."""
    sent_at = honest_time(event.sent_at, now)
    return sent_at if room.is_shared and now - sent_at > _LATE_S else None


def _rewrite(db: Transaction, room: RoomRow, line: RoomMessage, said: RoomMessage) -> None:
    """What the archive has as a line that stands in for it is the message from now on."""
    readable = structs.replace(
        line,
        body=said.body,
        reply=said.reply,
        mentions=said.mentions,
        thread=said.thread,
        spans=said.spans,
        file=said.file,
        previews=said.previews,
    )
    archive.rewrite(db, room.id, replies.with_quote(readable, ""))
