# SPDX-License-Identifier: Apache-2.0
"""What is said in chats: by contacts, by the user with other apps, and what cannot be read yet.

Runs inside the writer's transaction, as `gateway.bridge.inbound.inbound`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from msgspec import structs

from gateway.bridge.chats import attention, references
from gateway.bridge.chats.edits import Edits
from gateway.bridge.chats.parts import Parts
from gateway.bridge.chats.telling import Telling
from gateway.bridge.inbound.cut import cut
from gateway.bridge.inbound.rows import Committed, Rows
from gateway.bridge.inbound.unread import Unread
from gateway.bridge.outbound import pieces
from gateway.events import RemoteMessage, RemoteRetraction, RemoteUndecryptable
from gateway.ids import AccountId, ConversationId, RemoteMessageId, RemoteUserId
from gateway.store import (
    Transaction,
    conversations,
    files,
    held,
    journal,
    rooms,
)
from gateway.store.conversations import MessageRow, Origin
from gateway.store.held import Reaction, Released


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """In the chats of one account."""

    rows: Rows
    own: RemoteUserId
    """The account itself."""
    telling: Telling
    edits: Edits
    unread: Unread
    parts: Parts
    is_cutting: Callable[[AccountId], bool]
    """Messages of this account cannot be kept."""

    def message(
        self, db: Transaction, event: RemoteMessage, now: float, out: Committed
    ) -> Sequence[Reaction]:
        """A text of somebody, or what the user sent coming back. Returns the reactions to it that
        have waited for it."""
        chat, event = (
            self.rows.chat(db, event.contact),
            self.rows.readable(db, event, self.rows.language()),
        )
        waited = held.release(db, chat, event.id)
        reactions = () if waited is None else waited.reactions
        if event.own and self._is_echo(db, chat, event, now):
            return reactions
        event = attention.in_words(event, self.rows.language())
        line = None if waited is None else conversations.by_remote_id(db, chat, event.id)
        return (*reactions, *self._told(db, chat, event, line, now, out))

    def _told(
        self,
        db: Transaction,
        chat: ConversationId,
        event: RemoteMessage,
        line: MessageRow | None,
        now: float,
        out: Committed,
    ) -> Sequence[Reaction]:
        """``line``: that was given in its place. Returns the same of what it edits."""
        if line is None and self.is_cutting(self.rows.account):
            cut(db, chat, event.id)
            return ()
        if event.edits is not None:
            if self._shows_other_files(db, chat, event, now, out):
                return ()
            if self.edits.edited(db, chat, event, now, out, line):
                return ()
            waited = self._edits_what_is_held(db, chat, event, now, out)
            if waited is not None:
                return waited.reactions
        if line is not None:
            self.parts.say(db, chat, event, now, out, line=line)
        else:
            self._said(db, chat, event, now, out)
        return ()

    def _said(
        self,
        db: Transaction,
        chat: ConversationId,
        event: RemoteMessage,
        now: float,
        out: Committed,
        edit: RemoteMessageId | None = None,
    ) -> None:
        """``edit``: that has made it what it says."""
        if conversations.by_remote_id(db, chat, event.id) is not None:
            return
        self.edits.tell_all(db, chat, now, out)  # they were made before it
        self.parts.say(db, chat, event, now, out, edit=edit)
        if event.own:
            rooms.set_through(db, chat, None)

    def _shows_other_files(
        self,
        db: Transaction,
        chat: ConversationId,
        event: RemoteMessage,
        now: float,
        out: Committed,
    ) -> bool:
        """A message has other files from now on: no client corrects one, so it is taken back and
        said anew (REQ-425)."""
        original = references.found(db, chat, event.edits)
        if original is None or original.remote_id is None or not event.files:
            return False
        is_foreign = (original.origin is Origin.CONTACT) is event.own
        if is_foreign or files.are_known(db, chat, original.remote_id, event.files):
            return False
        gone = RemoteRetraction(
            contact=event.contact,
            id=event.id,
            message=original.remote_id,
            sent_at=event.sent_at,
            own=event.own,
        )
        self.edits.retractions.retracted(db, chat, gone, now, out)
        self._said(db, chat, structs.replace(event, edits=None), now, out)
        return True

    def _is_echo(
        self, db: Transaction, chat: ConversationId, event: RemoteMessage, now: float
    ) -> bool:
        """Our own send came back: learn its remote id, whoever was told first."""
        key = self.rows.sent_key(event.key)
        if key is None:
            return False
        if key.piece is not None:
            return pieces.came_back(db, chat, key, self.own, event, now)
        message = journal.echoed_message(db, chat, key.row, self.own, event.id)
        if message is not None:
            conversations.set_remote_id(db, message, event.id)
        return message is not None

    # --- what cannot be read yet ----------------------------------------------------------------

    def undecryptable(
        self, db: Transaction, event: RemoteUndecryptable, now: float, out: Committed
    ) -> None:
        """A message that cannot be read."""
        chat = self.rows.chat(db, event.contact)
        if self.is_cutting(self.rows.account):
            cut(db, chat, event.id)
        else:
            self.unread.keep(db, chat, event, now, out)

    def _edits_what_is_held(
        self,
        db: Transaction,
        chat: ConversationId,
        event: RemoteMessage,
        now: float,
        out: Committed,
    ) -> Released | None:
        """What nobody could read has another text, which can be read: that is the message, and
        what was said at first is of no interest any more. None if it is not so."""
        assert event.edits is not None
        if held.is_own(db, chat, event.edits) is not event.own:
            return None
        waited = held.release(db, chat, event.edits)
        said = structs.replace(event, id=event.edits, edits=None)
        self._said(db, chat, said, now, out, edit=event.id)
        original = references.found(db, chat, event.edits)
        if original is not None:
            self.edits.note(db, chat, event, original, now)
        return waited
