# SPDX-License-Identifier: Apache-2.0
"""A message of a chat, in as many stanzas as it needs: its files one by one, and a long text.

Runs inside the writer's transaction, as `gateway.bridge.inbound.inbound`.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.bridge.chats import references, threads
from gateway.bridge.chats.telling import Part, Telling, origin_of
from gateway.bridge.files.told import in_parts
from gateway.bridge.inbound.rows import Committed, Rows
from gateway.bridge.inbound.wellformed import honest_time
from gateway.bridge.rooms.ways import room_of
from gateway.events import RemoteMessage
from gateway.ids import ConversationId, RemoteMessageId, RemoteUserId, RoomId, StanzaId
from gateway.store import Transaction, chat_texts, contacts, conversations
from gateway.store.conversations import MessageRow


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
        answered = references.found(db, chat, threads.answered(event))
        thread = threads.told(db, self.rows, chat, event.contact, event.thread)
        shared = self.rows.files.told(db, chat, event, now)
        is_newest = not shared and line is not None and self._is_newest(db, chat, line)
        through = None if event.own else room_of(db, chat, event.contact)
        through = through if line is None else line.through
        scope = () if line is None else ("readable",)
        for part, words in enumerate(in_parts(shared, event)):
            if part == len(shared) > 0:  # what is said of the files answers the first of them
                answered = references.found(db, chat, event.id)
            is_answer = part in (0, len(shared))
            sid = self.rows.id(event.contact, event.id, *scope, part)
            if part or line is None:
                message = self._added(db, chat, event, sid, part, now, line, through)
            else:
                message = _in_place(db, chat, line, sid, is_newest=is_newest)
            chat_texts.put(
                db,
                chat,
                message,
                words.body,
                words.spans,
                answers=answered.id if answered is not None and is_answer else None,
                edit=edit,
                thread=event.thread,
            )
            told = Part(
                id=sid,
                body=words.body,
                spans=words.spans,
                mentions=words.mentions,
                file=words.file,
                previews=words.previews,
                replaces=line if is_newest and not part else None,
                reply=self.telling.reply(db, answered, quotes=not part) if is_answer else None,
                nick="" if event.own else self._introduction(db, chat, event.contact),
                through=through,
                thread=thread,
                attention=event.attention and part == 0,
            )
            self.telling.text(db, chat, event, told, now, out)

    def _is_newest(self, db: Transaction, chat: ConversationId, line: MessageRow) -> bool:
        """Nothing was said after it. No client makes a file out of a line (REQ-446)."""
        newest = conversations.newest_from_network(db, chat)
        return newest is None or newest.id == line.id

    def _added(
        self,
        db: Transaction,
        chat: ConversationId,
        event: RemoteMessage,
        sid: StanzaId,
        part: int,
        now: float,
        line: MessageRow | None,
        through: RoomId | None,
    ) -> int:
        added = conversations.add_message(
            db,
            chat,
            stanza_id=sid,
            origin=origin_of(event) if line is None else line.origin,
            sent_at=honest_time(event.sent_at, now),
            remote_id=event.id,
            part=part,
            now=now,
            through=through,
        )
        assert added is not None, "none of its parts was there"
        return added

    def _introduction(self, db: Transaction, chat: ConversationId, contact: RemoteUserId) -> str:
        """The contact's name, once. Kept in the row, so that a repeated stanza is the same."""
        name = contacts.get(db, self.rows.account, contact).name
        return name if name and conversations.tell_once(db, chat, "name") else ""


def _in_place(
    db: Transaction, chat: ConversationId, line: MessageRow, sid: StanzaId, *, is_newest: bool
) -> int:
    conversations.add_alias(db, chat, sid, line.id)
    if not is_newest:
        conversations.set_stanza_id(db, line.id, sid)
    return line.id
