# SPDX-License-Identifier: Apache-2.0
"""What is said in rooms: by members, by users with XMPP clients, and what cannot be read yet.

Runs inside the writer's transaction, as `gateway.bridge.rooms.intake`.
"""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import structs

from gateway.bridge.rooms import enclosures, mentions, replies, threads
from gateway.bridge.rooms.edits import Edits, Text
from gateway.bridge.rooms.references import References
from gateway.bridge.rooms.room_rows import RoomRows
from gateway.bridge.rows import Committed
from gateway.bridge.unread import line, storable
from gateway.bridge.wellformed import honest_time
from gateway.events import (
    RemoteRoomMessage,
    RemoteUndecryptable,
    Reply,
    RoomMessage,
    SendRoomText,
)
from gateway.ids import RemoteUserId
from gateway.store import Transaction, archive, conversations, held, journal, sharing, texts
from gateway.store.archive import Archived
from gateway.store.conversations import MessageRow, Origin
from gateway.store.rooms import RoomRow
from gateway.text import clean

_LATE_S = 60.0
"""Clocks of homeservers are that much apart, and sessions tell what is said within that time."""


@dataclass(frozen=True, slots=True)
class Speech:
    """In the rooms of one account."""

    room_rows: RoomRows
    references: References
    edits: Edits

    def message(
        self,
        db: Transaction,
        room: RoomRow,
        event: RemoteRoomMessage,
        now: float,
        out: Committed,
    ) -> None:
        """A text of somebody, or what a user sent coming back."""
        if self._is_echo(db, room, event, now, out):
            return
        came_at = held.release(db, room.conversation, event.id)
        self.room_rows.told_late(db, room, came_at)
        if came_at is not None:
            shown = conversations.by_remote_id(db, room.conversation, event.id)
            if shown is not None:
                self._readable(db, room, event, shown, came_at, now, out)
                return
        else:
            came_at = _long_ago(room, event, now)
        if event.edits is None or not self.edits.edited(
            db, room, event, now, out, came_at=came_at
        ):
            self._said(db, room, event, came_at, now, out)

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
        if conversations.by_remote_id(db, room.conversation, event.id) is not None:
            # Most of what comes in a room that many share: another account was told it.
            archive_id = rows.id(room, "archive", event.id, 0)
            rows.told_again(db, room, archive_id, came_at)
            return
        speaker, origin = rows.speaker(db, room, event.sender), rows.origin(event.sender)
        sent_at = honest_time(event.sent_at, now)
        reply, told = self._parts(db, room, event)
        for part, (body, named) in enumerate(told):
            sid = rows.id(room, event.id, part)
            stored = rows.add_part(db, room, sid, event.id, sent_at, now, origin=origin, part=part)
            assert stored is not None, "none of its parts was there"
            said = RoomMessage(
                id=sid,
                archive_id=rows.id(room, "archive", event.id, part),
                **speaker,
                body=body,
                sent_at=sent_at,
                reply=None if part else reply,
                mentions=named,
                thread=threads.id_of(room, event.thread),
            )
            rows.say(db, room, event.sender, said, now, out, stored, came_at=came_at)

    def _parts(
        self, db: Transaction, room: RoomRow, event: RemoteRoomMessage
    ) -> tuple[Reply | None, list[mentions.Part]]:
        """What a message answers, and its words."""
        reply = self.references.reply(db, room, threads.answered(event))
        users = self.room_rows.users(db, room)
        return reply, mentions.parts(db, room, users, event, reply)

    # --- what cannot be read yet ----------------------------------------------------------------

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
        self, db: Transaction, event: RemoteUndecryptable, reason: str, now: float, out: Committed
    ) -> None:
        """One line in its place, by who has said it. The archive has the message in the place of
        that when it can be read, so it is for those who were in when it came."""
        room = self.room_rows.find(db, event.room) if event.room is not None else None
        if room is None:
            return
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
            body=line(reason),
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
            self._readable_in_past(db, room, event, shown)
            return
        if event.edits is not None and self.edits.edited(
            db, room, event, now, out, before, came_at=came_at
        ):
            return
        is_newest = shown is not None and shown.id == archive.newest(db, room.id)
        sent_at = honest_time(event.sent_at, now)
        thread = threads.id_of(room, event.thread)
        answered, told = self._parts(db, room, event)
        for part, (body, named) in enumerate(told):
            reply = None if part else answered
            if shown is not None and not part:
                readable = structs.replace(
                    shown.message, body=body, reply=reply, mentions=named, thread=thread
                )
                archive.rewrite(db, room.id, replies.with_quote(readable, ""))
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
            )
            conversations.add_alias(db, room.conversation, said.id, before.id)
            self.room_rows.say(db, room, event.sender, said, now, out, before.id, came_at=came_at)

    def _readable_in_past(
        self, db: Transaction, room: RoomRow, event: RemoteRoomMessage, line: Archived
    ) -> None:
        """Nobody was told of the line but who asked for the archive: there it becomes the
        message, and it is all that it can become."""
        edited = None if event.edits is None else self.edits.text(db, room, event.edits)
        if edited is not None and (edited.is_gone or edited.sender != event.sender):
            return
        reply, ((body, named), *rest) = self._parts(db, room, event)
        readable = structs.replace(
            line.message,
            body=f"{body}…" if rest else body,
            replaces=None if edited is None else edited.first.id,
            reply=reply,
            mentions=named,
            thread=threads.id_of(room, event.thread) if edited is None else edited.first.thread,
        )
        archive.rewrite(db, room.id, replies.with_quote(readable, ""))
        if room.is_shared:
            sharing.owe_alone(db, self.room_rows.rows.account, line.id)
        if edited is not None:
            texts.link(db, room.id, line.message.archive_id, edited.message)

    # --- what the user says ---------------------------------------------------------------------

    def _is_echo(
        self,
        db: Transaction,
        room: RoomRow,
        event: RemoteRoomMessage,
        now: float,
        out: Committed,
    ) -> bool:
        """What a user sent by XMPP came back: it is reflected, if it was not when it was accepted
        (REQ-560)."""
        row = self.room_rows.rows.sent_row(event.key)
        if row is None:
            return False
        message = journal.echoed_message(db, room.conversation, row, event.sender, event.id)
        if message is None:
            return False
        conversations.set_remote_id(db, message, event.id)
        sent = journal.command_of(db, row)
        command = SendRoomText(
            room=event.room,
            body=event.body,
            reply_to=event.reply_to,
            quote=sent.quote if isinstance(sent, SendRoomText) else "",
            edits=event.edits,
            mentions=sent.mentions if isinstance(sent, SendRoomText) else (),
            thread=event.thread,
            own_thread=sent.own_thread if isinstance(sent, SendRoomText) else "",
            enclosed=sent.enclosed if isinstance(sent, SendRoomText) else (),
        )
        self.reflect(db, room, message, event.sender, command, now, out)
        return True

    def reflect(
        self,
        db: Transaction,
        room: RoomRow,
        message: int,
        sender: RemoteUserId,
        command: SendRoomText,
        now: float,
        out: Committed,
    ) -> None:
        """The network has what a user said: all sessions are told, that of the user too, under
        the id that its client gave it (REQ-560). Once, whoever comes first."""
        stored = conversations.message(db, message)
        if stored is None:
            return
        edited = None if command.edits is None else self.edits.text(db, room, command.edits)
        body = clean(command.body)
        said = RoomMessage(
            id=stored.stanza_id or self.room_rows.id(room, "own", message),
            archive_id=self.references.archive_id(room, stored),
            **self.room_rows.speaker(db, room, sender),
            body=body,
            sent_at=now,
            origin_id=journal.origin_id(db, message),
            replaces=None if edited is None else edited.first.id,
            reply=self._own_reply(db, room, command, edited),
            mentions=mentions.noted(db, room, body, command.mentions),
            thread=_own_thread(room, command) if edited is None else edited.first.thread,
            enclosed=enclosures.in_text(command.enclosed, body),
        )
        of = message if edited is None else edited.message
        self.room_rows.say(db, room, sender, said, now, out, of)

    def _own_reply(
        self, db: Transaction, room: RoomRow, command: SendRoomText, edited: Text | None
    ) -> Reply | None:
        """With the quote of the user's own client: Converse.js cuts off as much as it has put
        there, whatever comes back."""
        reply = self.references.reply(db, room, command.reply_to)
        if reply is None and edited is not None:
            reply = self.references.same_reply(db, room, edited.first.reply)
        return None if reply is None else structs.replace(reply, quote=command.quote)

    def say_again(
        self,
        db: Transaction,
        room: RoomRow,
        message: int,
        to: str,
        body: str,
        now: float,
        out: Committed,
    ) -> None:
        """A session has sent again what was reflected already: it has not seen that (REQ-911).
        ``body``: as it came, with what it quotes."""
        stored = conversations.message(db, message)
        if stored is None:
            return
        said = archive.get(db, room.id, self.references.archive_id(room, stored))
        if said is not None and said.message.tombstone is None:
            again = replies.with_quote(said.message, replies.above(body, said.message.body))
            addressed = structs.replace(again, to=(to,))
            self.room_rows.tell(db, room, addressed.id, addressed, now, out)


def _own_thread(room: RoomRow, command: SendRoomText) -> str:
    return threads.id_of(room, command.thread) or command.own_thread


def _long_ago(room: RoomRow, event: RemoteRoomMessage, now: float) -> float | None:
    """When it was said, if a session that was away tells it. Others may have come in since, and
    their sessions were faster."""
    sent_at = honest_time(event.sent_at, now)
    return sent_at if room.is_shared and now - sent_at > _LATE_S else None
