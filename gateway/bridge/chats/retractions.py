# SPDX-License-Identifier: Apache-2.0
"""What was taken back in chats (XEP-0424): nothing of it is kept, and it is told part by part. The
user may want to keep what others take back (REQ-428).

Runs inside the writer's transaction, as `gateway.bridge.inbound.inbound`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.bridge.chats import references
from gateway.bridge.chats.reactions import Reactions
from gateway.bridge.chats.telling import Telling, origin_of, quote
from gateway.bridge.inbound.rows import Committed, Rows
from gateway.bridge.inbound.wellformed import honest_time
from gateway.bridge.outbound.pieces import is_of_pieces
from gateway.bridge.rooms.ways import way_by
from gateway.events import (
    ChatRetraction,
    Notice,
    RemoteMessage,
    RemoteRetraction,
    Retract,
)
from gateway.ids import ConversationId, RemoteUserId, StanzaId
from gateway.store import (
    Transaction,
    chat_texts,
    conversations,
    files,
    held,
    journal,
    pieces,
    reactions,
    waiting_edits,
)
from gateway.store.conversations import MessageRow, Origin
from gateway.text.wording import tr

_TAKEN_BACK = tr("They have taken back a message.")
_EDIT_TAKEN_BACK = tr(
    "An edit was taken back, and the message says what it said before. "
    "Please look at it in another app of the network.",
)


@dataclass(frozen=True, slots=True)
class Retractions:
    """In the chats of one account."""

    rows: Rows
    own: RemoteUserId
    """The account itself."""
    telling: Telling
    reactions: Reactions
    are_honoured: Callable[[], bool]
    """The user lets people take back what they have said."""

    def retracted(
        self,
        db: Transaction,
        chat: ConversationId,
        event: RemoteRetraction,
        now: float,
        out: Committed,
    ) -> None:
        """A message, an edit or a reaction is no longer there. What is not known is nobody's."""
        if self.reactions.withdrawn(db, chat, event, now, out):
            return
        waited = held.release(db, chat, event.message)
        row = conversations.by_remote_id(db, chat, event.message)
        if row is None:
            if waited is not None:
                self._never_said(db, chat, event, now)
        elif row.about is not None and pieces.remove(db, row.about, event.message):
            self._piece_taken_back(db, chat, event, row, now, out)
        elif row.about is not None:
            self._edit_taken_back(db, chat, event, row, now, out)
        else:
            self._taken_back(db, chat, event, conversations.original(db, row), now, out)

    def _never_said(
        self, db: Transaction, chat: ConversationId, event: RemoteRetraction, now: float
    ) -> None:
        """It could not be read until it was taken back: from now on its id is known, and nothing
        is said under it when its key comes."""
        made = conversations.add_message(
            db,
            chat,
            stanza_id=StanzaId(""),  # nobody refers to it
            origin=origin_of(event),
            sent_at=honest_time(event.sent_at, now),
            remote_id=event.message,
            now=now,
        )
        if made is not None:
            chat_texts.take_back(db, chat, made)

    def _taken_back(
        self,
        db: Transaction,
        chat: ConversationId,
        event: RemoteRetraction,
        original: MessageRow,
        now: float,
        out: Committed,
    ) -> None:
        is_quiet = self._is_under_way(db, original)
        is_kept = original.origin is Origin.CONTACT and not event.own and not self.are_honoured()
        text = chat_texts.of(db, original.id)
        if original.remote_id is not None and not is_kept:
            files.drop(db, chat, original.remote_id)
        for part, row in enumerate(references.parts(db, chat, original)):
            if not chat_texts.take_back(db, chat, row.id):
                continue  # it is gone already
            waiting_edits.take(db, row.id)
            reactions.drop(db, row.id)
            if not (is_kept or is_quiet):
                self._tell(db, chat, event, row, part, now, out)
            elif is_kept and part == 0:
                excerpt = "" if text is None else text.excerpt
                self._annotate(db, chat, event, row, excerpt, now, out)

    def _piece_taken_back(
        self,
        db: Transaction,
        chat: ConversationId,
        event: RemoteRetraction,
        row: MessageRow,
        now: float,
        out: Committed,
    ) -> None:
        """In another app, of a text that is several messages there: it is taken for the whole,
        unless the user's own client is just taking that back, or making it shorter."""
        original = conversations.original(db, row)
        waiting = [command for _, command in journal.open_about(db, original.id, self.own)]
        if not any(is_of_pieces(command) for command in waiting):
            self._taken_back(db, chat, event, original, now, out)

    def _is_under_way(self, db: Transaction, row: MessageRow) -> bool:
        """The user's own client has wanted it, and knows."""
        waiting = journal.open_about(db, row.id, self.own)
        return any(isinstance(command, Retract) for _, command in waiting)

    def _tell(
        self,
        db: Transaction,
        chat: ConversationId,
        event: RemoteRetraction | RemoteMessage,
        row: MessageRow,
        part: int,
        now: float,
        out: Committed,
    ) -> None:
        if not row.stanza_id:
            return  # a client that has given it no name cannot be told
        is_own = row.origin is not Origin.CONTACT
        sid = self.rows.id(event.contact, "retraction", row.remote_id or "", part)
        conversations.add_message(
            db,
            chat,
            stanza_id=sid,
            origin=Origin.ELSEWHERE if is_own else Origin.CONTACT,
            sent_at=honest_time(event.sent_at, now),
            now=now,
            about=row.id,
        )
        told = ChatRetraction(
            id=sid,
            message=row.stanza_id,
            sent_at=honest_time(event.sent_at, now),
            own=is_own,
            of_client=row.origin is Origin.USER,
        )
        self.telling.about(db, chat, event.contact, row, told, now, out)

    def _annotate(
        self,
        db: Transaction,
        chat: ConversationId,
        event: RemoteRetraction,
        row: MessageRow,
        excerpt: str,
        now: float,
        out: Committed,
    ) -> None:
        """What the user keeps was taken back."""
        sid = self.rows.id(event.contact, "taken back", event.message)
        text = _TAKEN_BACK
        if above := quote(excerpt).rstrip("\n"):
            text = tr("They have taken back a message.\n{quote}", quote=above)
        self._notice(db, chat, event, row, sid, text, now, out)

    def _edit_taken_back(
        self,
        db: Transaction,
        chat: ConversationId,
        event: RemoteRetraction,
        row: MessageRow,
        now: float,
        out: Committed,
    ) -> None:
        """What was said before is not kept, so the user is told that it holds again: if the edit
        that they have seen last is no more, and none waits. One that waits is told nobody."""
        original = conversations.original(db, row)
        chat_texts.take_back(db, chat, row.id)
        waiting_edits.take_back(db, original.id, event.message)
        text = chat_texts.of(db, original.id)
        if text is None or text.edit is None or text.is_gone:
            return
        seen = conversations.by_remote_id(db, chat, text.edit)
        is_gone = seen is not None and chat_texts.is_gone(db, seen.id)
        if is_gone and waiting_edits.waiting(db, original.id) is None:
            chat_texts.unknown(db, original.id)
            sid = self.rows.id(event.contact, "edit taken back", event.message)
            self._notice(db, chat, event, original, sid, _EDIT_TAKEN_BACK, now, out)

    def _notice(
        self,
        db: Transaction,
        chat: ConversationId,
        event: RemoteRetraction,
        row: MessageRow,
        sid: StanzaId,
        text: str,
        now: float,
        out: Committed,
    ) -> None:
        way = way_by(db, row.through, chat, event.contact)
        told = Notice(id=sid, text=text, through=way)
        self.rows.add(db, event.contact, sid, told, now, out)

    def take_back_line(
        self,
        db: Transaction,
        chat: ConversationId,
        event: RemoteMessage,
        line: MessageRow,
        original: MessageRow,
        now: float,
        out: Committed,
    ) -> None:
        """What stood in place of something that is no message, but about one: that can be read
        now."""
        self._tell(db, chat, event, line, 0, now, out)
        conversations.set_about(db, line.id, original.id)
