# SPDX-License-Identifier: Apache-2.0
"""A message of a chat, in as many stanzas as it needs: its files one by one, and a long text.

Runs inside the writer's transaction, as `gateway.bridge.inbound.inbound`.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.bridge.chats import references, threads
from gateway.bridge.chats.telling import Part, Telling, origin_of
from gateway.bridge.files.told import Words, in_parts
from gateway.bridge.inbound.rows import Committed, Rows
from gateway.bridge.inbound.wellformed import honest_time
from gateway.bridge.rooms.ways import room_of
from gateway.events import RemoteMessage
from gateway.ids import ConversationId, RemoteMessageId, RemoteUserId, RoomId, StanzaId
from gateway.store import Transaction, chat_texts, contacts, conversations
from gateway.store.conversations import MessageRow


@dataclass(frozen=True, slots=True, kw_only=True)
class _Message:
    """One that is being told, in the unit that does it."""

    db: Transaction
    chat: ConversationId
    event: RemoteMessage
    now: float
    edit: RemoteMessageId | None
    """As in `Parts.say`, as the next one."""
    line: MessageRow | None
    corrects: MessageRow | None
    """The line, if its first part corrects that."""
    files: int
    """So many of its parts, the first ones."""
    thread: str
    through: RoomId | None
    """As in `Part`."""

    def answered(self, part: int) -> MessageRow | None:
        """What a part answers: what is said of files, the first of these (REQ-443)."""
        if part == self.files > 0:
            return references.found(self.db, self.chat, self.event.id)
        return None if part else references.found(self.db, self.chat, threads.answered(self.event))

    def stored(self, sid: StanzaId, part: int) -> int:
        """The row of a part, which clients call this from now on."""
        if self.line is not None and part == 0:
            conversations.add_alias(self.db, self.chat, sid, self.line.id)
            if self.corrects is None:
                conversations.set_stanza_id(self.db, self.line.id, sid)
            return self.line.id
        added = conversations.add_message(
            self.db,
            self.chat,
            stanza_id=sid,
            origin=origin_of(self.event) if self.line is None else self.line.origin,
            sent_at=honest_time(self.event.sent_at, self.now),
            remote_id=self.event.id,
            part=part,
            now=self.now,
            through=self.through,
        )
        assert added is not None, "none of its parts was there"
        return added


@dataclass(frozen=True, slots=True)
class Parts:
    """In the chats of one account."""

    rows: Rows
    telling: Telling

    def say(
        self,
        db: Transaction,
        chat: ConversationId,
        event: RemoteMessage,
        now: float,
        out: Committed,
        *,
        edit: RemoteMessageId | None = None,
        line: MessageRow | None = None,
    ) -> None:
        """A message that is not known yet. ``edit``: that has made it what it says.

        ``line``: that the user was given in its place, since nobody could read it. While nothing
        came after that line it is corrected (XEP-0308 §3); else the message comes as one that is
        late.
        """
        shared = self.rows.files.told(db, chat, event, now)
        message = _Message(
            db=db,
            chat=chat,
            event=event,
            now=now,
            edit=edit,
            line=line,
            corrects=None if shared else _if_newest(db, chat, line),
            files=len(shared),
            thread=threads.told(db, self.rows, chat, event.contact, event.thread),
            through=_through(db, chat, event) if line is None else line.through,
        )
        for part, words in enumerate(in_parts(shared, event)):
            self.telling.text(db, chat, event, self._part(message, part, words), now, out)

    def _part(self, said: _Message, part: int, words: Words) -> Part:
        """One of a message, stored."""
        db, event = said.db, said.event
        answered = said.answered(part)
        scope = () if said.line is None else ("readable",)
        sid = self.rows.id(event.contact, event.id, *scope, part)
        chat_texts.put(
            db,
            said.chat,
            said.stored(sid, part),
            words.body,
            words.spans,
            answers=None if answered is None else answered.id,
            edit=said.edit,
            thread=event.thread,
        )
        return Part(
            id=sid,
            body=words.body,
            spans=words.spans,
            mentions=words.mentions,
            file=words.file,
            previews=words.previews,
            replaces=None if part else said.corrects,
            reply=self.telling.reply(db, answered, quotes=not part),
            nick="" if event.own or part else self._introduction(db, said.chat, event.contact),
            through=said.through,
            thread=said.thread,
            attention=event.attention and not part,
        )

    def _introduction(self, db: Transaction, chat: ConversationId, contact: RemoteUserId) -> str:
        """The contact's name, once. Kept in the row, so that a repeated stanza is the same."""
        name = contacts.get(db, self.rows.account, contact).name
        return name if name and conversations.tell_once(db, chat, "name") else ""


def _if_newest(
    db: Transaction, chat: ConversationId, line: MessageRow | None
) -> MessageRow | None:
    """A line, if nothing was said after it. No client makes a file of one (REQ-446)."""
    newest = None if line is None else conversations.newest_from_network(db, chat)
    return line if newest is None or line is None or newest.id == line.id else None


def _through(db: Transaction, chat: ConversationId, event: RemoteMessage) -> RoomId | None:
    return None if event.own else room_of(db, chat, event.contact)
