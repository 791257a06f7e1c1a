# SPDX-License-Identifier: Apache-2.0
"""What users say in rooms with XMPP clients, as it comes back to all sessions there (REQ-560).

Runs inside the writer's transaction, as `gateway.bridge.rooms.intake`.
"""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import structs

from gateway.bridge.inbound.rows import Committed
from gateway.bridge.outbound import pieces
from gateway.bridge.quotes import above
from gateway.bridge.rooms import enclosures, mentions, replies, threads
from gateway.bridge.rooms.edits import Edits, Text
from gateway.bridge.rooms.references import References
from gateway.bridge.rooms.room_rows import RoomRows
from gateway.events import (
    RemoteRoomMessage,
    Reply,
    RoomMessage,
    SendRoomText,
)
from gateway.ids import RemoteUserId
from gateway.store import Transaction, archive, conversations, journal
from gateway.store.rooms import RoomRow
from gateway.text import clean


@dataclass(frozen=True, slots=True)
class Reflections:
    """In the rooms of one account."""

    room_rows: RoomRows
    references: References
    edits: Edits

    def is_echo(
        self,
        db: Transaction,
        room: RoomRow,
        event: RemoteRoomMessage,
        now: float,
        out: Committed,
    ) -> bool:
        """What a user sent by XMPP came back: it is reflected, if it was not when it was accepted
        (REQ-560)."""
        key = self.room_rows.rows.sent_key(event.key)
        if key is None:
            return False
        if key.piece is not None:  # all of it is reflected when the last one is there
            return pieces.came_back(db, room.conversation, key, event.sender, event, now)
        message = journal.echoed_message(db, room.conversation, key.row, event.sender, event.id)
        if message is None:
            return False
        conversations.set_remote_id(db, message, event.id)
        sent = journal.command_of(db, key.row)
        author = sent.author if isinstance(sent, SendRoomText) else None
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
            shown=sent.shown if isinstance(sent, SendRoomText) else "",
        )
        sender = event.sender if author is None else author.user
        self.reflect(db, room, message, sender, command, now, out)
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
        about = command.edits or command.reply_to
        self.edits.tell_before(db, room, sender, about, now, out)
        edited = None if command.edits is None else self.edits.text(db, room, command.edits)
        body = clean(command.shown or command.body)
        named = mentions.in_whole(command.mentions, command.body, body)
        said = RoomMessage(
            id=stored.stanza_id or self.room_rows.id(room, "own", message),
            archive_id=self.references.archive_id(room, stored),
            **self.room_rows.speaker(db, room, sender),
            body=body,
            sent_at=now,
            origin_id=journal.origin_id(db, message),
            replaces=None if edited is None else edited.first.id,
            reply=self._own_reply(db, room, command, edited),
            mentions=mentions.noted(db, room, body, named),
            thread=_own_thread(room, command) if edited is None else edited.first.thread,
            enclosed=enclosures.in_text(command.enclosed, body),
            as_written=True,
        )
        of = message if edited is None else edited.message
        self.room_rows.say(db, room, sender, said, now, out, of)
        if edited is None:
            self.edits.retractions.reactions.came_before(db, room, message, now, out)

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
            again = replies.with_quote(said.message, above(body, said.message.body))
            addressed = structs.replace(again, to=(to,))
            self.room_rows.tell(db, room, addressed.id, addressed, now, out)


def _own_thread(room: RoomRow, command: SendRoomText) -> str:
    return threads.id_of(room, command.thread) or command.own_thread
