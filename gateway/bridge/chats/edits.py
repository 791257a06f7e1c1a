# SPDX-License-Identifier: Apache-2.0
"""Edits of what was said in chats (REQ-420 to REQ-423): each corrects the message itself, never
another edit. Who edits again and again is told of once in a while, and in the end.

Runs inside the writer's transaction, as `gateway.bridge.inbound.inbound`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest

import structlog

from gateway.bridge.chats import references, threads
from gateway.bridge.chats.retractions import Retractions
from gateway.bridge.chats.telling import Part, Telling, origin_of
from gateway.bridge.files.told import Words, in_parts
from gateway.bridge.inbound.rows import Committed, Rows
from gateway.bridge.inbound.wellformed import honest_time
from gateway.events import RemoteMessage, RemoteRoomMessage
from gateway.ids import ConversationId, StanzaId
from gateway.store import (
    Transaction,
    chat_texts,
    conversations,
    files,
    held,
    pieces,
    waiting_edits,
)
from gateway.store.chat_texts import ChatText
from gateway.store.conversations import MessageRow, Origin

log = structlog.get_logger("chats")

QUIET_S = 3.0
"""An edit that comes sooner after another one waits until no more come for so long,"""
LONGEST_S = 15.0
"""but not longer than this."""
PACE_S = 60.0
"""How something stands that goes on is told once in this time at most (REQ-453)."""
_AT_ONCE = 50
_NOTHING_MORE = "…"
"""What a part of a long message says that the edited one has no more."""


def waits(event: RemoteMessage | RemoteRoomMessage) -> dict[str, float]:
    """How long an edit waits for the next one, as `waiting_edits.put` has it."""
    if event.is_ongoing:
        return {"quiet_s": PACE_S, "longest_s": PACE_S}
    return {"quiet_s": QUIET_S, "longest_s": LONGEST_S}


@dataclass(frozen=True, slots=True)
class Edits:
    """In the chats of one account."""

    rows: Rows
    telling: Telling
    retractions: Retractions

    def edited(
        self,
        db: Transaction,
        chat: ConversationId,
        event: RemoteMessage,
        now: float,
        out: Committed,
        line: MessageRow | None = None,
    ) -> bool:
        """A message has another text. False if it is not known, or the text is only that of one of
        its pieces, changed in another app: then that is a message. One that comes later than a
        newer one, because nobody could read it, is not told.

        ``line``: that was given in place of the edit, while nobody could read it.
        """
        original = references.found(db, chat, event.edits)
        if original is None:
            return False
        is_foreign = (original.origin is Origin.CONTACT) is event.own
        if is_foreign or chat_texts.is_gone(db, original.id):
            log.debug("edit_ignored", conversation=chat, is_foreign=is_foreign)
            if line is not None:
                self.retractions.take_back_line(db, chat, event, line, original, now, out)
            return True
        if len(pieces.of(db, original.id)) > 1:
            return False
        if original.remote_id is not None:  # what it was before is of no interest any more
            held.release(db, chat, original.remote_id)
        if line is not None:
            self.retractions.take_back_line(db, chat, event, line, original, now, out)
        elif not self.note(db, chat, event, original, now):
            return True
        text = chat_texts.of(db, original.id)
        if self._is_overtaken(db, chat, event, original, text, now):
            return True
        limits = waits(event)
        is_again = text is not None and 0 <= now - text.edited_at < limits["quiet_s"]
        chat_texts.edited(db, chat, original.id, now)
        if line is None and (is_again or waiting_edits.waiting(db, original.id)):
            waiting_edits.put(db, chat, original.id, event, now, **limits)
            out.edits_wait = True
        else:
            waiting_edits.take(db, original.id)
            self._tell(db, chat, original, event, now, out, is_late=line is not None)
        return True

    def _is_overtaken(
        self,
        db: Transaction,
        chat: ConversationId,
        event: RemoteMessage,
        original: MessageRow,
        text: ChatText | None,
        now: float,
    ) -> bool:
        """Another edit was made later, and is told or waits. Of two of the same time the one that
        comes last counts: not every network has finer times than seconds."""
        waiting = waiting_edits.waiting(db, original.id)
        newest = None if text is None else text.edit
        if waiting is not None:
            newest = waiting.id
        made_at = None if newest is None else conversations.sent_at(db, chat, newest)
        return made_at is not None and honest_time(event.sent_at, now) < made_at

    def note(
        self,
        db: Transaction,
        chat: ConversationId,
        event: RemoteMessage,
        original: MessageRow,
        now: float,
    ) -> bool:
        """Its own id is known from now on: whatever names it means the message. False if it was
        known."""
        made = conversations.add_message(
            db,
            chat,
            stanza_id=self.rows.id(event.contact, event.id, 0),
            origin=origin_of(event),
            sent_at=honest_time(event.sent_at, now),
            remote_id=event.id,
            now=now,
            about=original.id,
        )
        return made is not None

    def tell_all(self, db: Transaction, chat: ConversationId, now: float, out: Committed) -> None:
        """Those of a chat that wait. Of too many for one unit the rest come when it is time."""
        for message in waiting_edits.of(db, chat, _AT_ONCE):
            self.tell_waiting(db, chat, message, now, out)

    def tell_waiting(
        self, db: Transaction, chat: ConversationId, message: int, now: float, out: Committed
    ) -> None:
        """The last one of a message that waits, if one does."""
        event = waiting_edits.take(db, message)
        original = conversations.message(db, message)
        is_there = original is not None and not chat_texts.is_gone(db, message)
        if isinstance(event, RemoteMessage) and original is not None and is_there:
            self._tell(db, chat, original, event, now, out)

    def _tell(
        self,
        db: Transaction,
        chat: ConversationId,
        original: MessageRow,
        event: RemoteMessage,
        now: float,
        out: Committed,
        *,
        is_late: bool = False,
    ) -> None:
        """Part by part. What does not change the text is not said (REQ-421), nor how something
        stands of which nobody talks any more."""
        newest = conversations.newest_from_network(db, chat) if event.is_ongoing else None
        if newest is not None and newest.remote_id != original.remote_id:
            return
        scope = ("readable",) if is_late else ()
        first = self._first_text(db, chat, original, event)
        before = references.parts(db, chat, original)[first:]
        answered = original if first else self._answered(db, chat, original, event)
        text = chat_texts.of(db, original.id)
        root = None if text is None else text.thread
        thread = threads.told(db, self.rows, chat, event.contact, root)
        told = in_parts((), event)
        for part, (old, new) in enumerate(zip_longest(before, told), first):
            words = new if new and new.body else Words(_NOTHING_MORE)
            body, spans = words.body, words.spans
            known = None if old is None else chat_texts.of(db, old.id)
            if known is not None and known.digest == chat_texts.digest(body, spans):
                chat_texts.put(db, chat, known.message, body, spans, edit=event.id)
                continue
            sid = self.rows.id(event.contact, event.id, *scope, part)
            message = self._named(db, chat, event, sid, part, original, old, now)
            chat_texts.put(db, chat, message, body, spans, edit=event.id)
            said = Part(
                id=sid,
                body=body,
                spans=spans,
                replaces=old,
                reply=None if part > first else self.telling.reply(db, answered, quotes=not first),
                through=original.through,
                thread=thread,
                mentions=words.mentions,
                previews=words.previews,
            )
            self.telling.text(db, chat, event, said, now, out)

    def _first_text(
        self,
        db: Transaction,
        chat: ConversationId,
        original: MessageRow,
        event: RemoteMessage,
    ) -> int:
        """The first part that an edit may change: files stay what they are."""
        if original.remote_id is None:
            return 0
        number = files.count(db, chat, original.remote_id)
        if number:
            chat_texts.set_edit(db, original.id, event.id)
        return number

    def _answered(
        self,
        db: Transaction,
        chat: ConversationId,
        original: MessageRow,
        event: RemoteMessage,
    ) -> MessageRow | None:
        """What the message answers: an edit does not change that (REQ-420)."""
        text = chat_texts.of(db, original.id)
        if text is not None and text.answers is not None:
            return conversations.message(db, text.answers)
        return references.found(db, chat, event.reply_to)

    def _named(
        self,
        db: Transaction,
        chat: ConversationId,
        event: RemoteMessage,
        sid: StanzaId,
        part: int,
        original: MessageRow,
        old: MessageRow | None,
        now: float,
    ) -> int:
        """The part of the message that this stanza is about: also when clients name the stanza
        from now on. That may be one that the message has not had until now."""
        made = conversations.add_message(
            db,
            chat,
            stanza_id=sid,
            origin=origin_of(event),
            sent_at=honest_time(event.sent_at, now),
            remote_id=original.remote_id if old is None else event.id,
            part=part,
            now=now,
            about=None if old is None else old.id,
            through=original.through,
        )
        if made is None:  # the edit's own id is one of its first part already
            row = conversations.by_remote_id(db, chat, event.id) or original
            conversations.add_alias(db, chat, sid, row.id)
        return made if old is None and made is not None else (old or original).id
