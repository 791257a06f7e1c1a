# SPDX-License-Identifier: Apache-2.0
"""What people in chats react with. Whenever that changes, all that somebody reacts with to the
message is told (XEP-0444 §3.2); of the user only in their own name (REQ-433).

Runs inside the writer's transaction, as `gateway.bridge.inbound.inbound`.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from msgspec import structs

from gateway.bridge.chats import references
from gateway.bridge.chats.telling import Telling, name_of
from gateway.bridge.emoji import MOST, each_once
from gateway.bridge.inbound.rows import Committed, Rows
from gateway.bridge.inbound.wellformed import honest_time
from gateway.events import ChatReactions, React, RemoteReaction, RemoteRetraction
from gateway.ids import ConversationId, RemoteUserId, StanzaId
from gateway.store import Transaction, chat_texts, conversations, held, journal, reactions
from gateway.store.conversations import MessageRow, Origin
from gateway.store.journal import OutboundRow
from gateway.text import clean

log = structlog.get_logger("chats")

_LONGEST = 200
"""Characters by which a network may call a picture of its own."""


@dataclass(frozen=True, slots=True)
class Reactions:
    """In the chats of one account."""

    rows: Rows
    own: RemoteUserId
    """The account itself."""
    telling: Telling

    def reacted(
        self,
        db: Transaction,
        chat: ConversationId,
        event: RemoteReaction,
        now: float,
        out: Committed,
    ) -> None:
        """One emoji more."""
        target, emoji = references.found(db, chat, event.message), clean(event.emoji[:_LONGEST])
        if target is None:
            held.react(db, chat, structs.replace(event, emoji=emoji), event.message)
        if target is None or not emoji or chat_texts.is_gone(db, target.id):
            return
        sender = self.own if event.own else event.contact
        before = reactions.emoji_of(db, target.id, sender)
        if len(before) >= MOST:
            log.debug("reaction_ignored", conversation=chat)
            return
        sid = self.rows.id(event.contact, "reaction", event.id)
        if self._is_new(db, chat, event, sid, target, now, own=event.own) and reactions.add(
            db, target.id, sender, emoji, event.id
        ):
            self._tell(db, chat, event, sid, target, before, now, out, own=event.own)

    def withdrawn(
        self,
        db: Transaction,
        chat: ConversationId,
        event: RemoteRetraction,
        now: float,
        out: Committed,
    ) -> bool:
        """One emoji less, whoever has removed it. False if what was taken back is none."""
        reaction = reactions.find(db, chat, event.message)
        if reaction is None:
            held.take_back_reaction(db, chat, event.message)
        target = None if reaction is None else conversations.message(db, reaction.message)
        if reaction is None or target is None:
            return False
        before = reactions.emoji_of(db, target.id, reaction.sender)
        reactions.remove(db, reaction)
        sid = self.rows.id(event.contact, "reaction", f"without {event.message}")
        own = reaction.sender == self.own
        if self._is_new(db, chat, event, sid, target, now, own=own):
            self._tell(db, chat, event, sid, target, before, now, out, own=own)
        return True

    def _is_new(
        self,
        db: Transaction,
        chat: ConversationId,
        event: RemoteReaction | RemoteRetraction,
        sid: StanzaId,
        target: MessageRow,
        now: float,
        *,
        own: bool,
    ) -> bool:
        """It is known from now on, also when it comes back from the user's server (REQ-1006)."""
        made = conversations.add_message(
            db,
            chat,
            stanza_id=sid,
            origin=Origin.ELSEWHERE if own else Origin.CONTACT,
            sent_at=honest_time(event.sent_at, now),
            remote_id=event.id,
            now=now,
            about=target.id,
        )
        return made is not None

    def _tell(
        self,
        db: Transaction,
        chat: ConversationId,
        event: RemoteReaction | RemoteRetraction,
        sid: StanzaId,
        target: MessageRow,
        before: tuple[str, ...],
        now: float,
        out: Committed,
        *,
        own: bool,
    ) -> None:
        sender = self.own if own else event.contact
        if own and self._is_under_way(db, target.id):
            return  # the user's client knows what it wants
        emoji, name = each_once(reactions.emoji_of(db, target.id, sender)), name_of(db, target)
        if not name or set(emoji) == set(each_once(before)):
            return
        told = ChatReactions(
            id=sid,
            message=name,
            emoji=emoji,
            sent_at=honest_time(event.sent_at, now),
            own=own,
        )
        self.telling.about(db, chat, event.contact, target, told, now, out)

    def refused(self, db: Transaction, row: OutboundRow, now: float, out: Committed) -> None:
        """The network does not have what the user has wanted: their clients are told how it still
        is, since one of them shows something else (REQ-432)."""
        target = None if row.target is None else conversations.message(db, row.target)
        name = "" if target is None else name_of(db, target)
        if target is None or not name or chat_texts.is_gone(db, target.id):
            return
        if self._is_under_way(db, target.id):
            return  # something else is wanted by now
        sid = self.rows.id(row.contact, "reactions still", row.id)
        conversations.add_message(  # it comes back from the user's server (REQ-1006)
            db,
            row.conversation,
            stanza_id=sid,
            origin=Origin.ELSEWHERE,
            sent_at=now,
            about=target.id,
        )
        emoji = each_once(reactions.emoji_of(db, target.id, self.own))
        told = ChatReactions(id=sid, message=StanzaId(name), emoji=emoji, sent_at=now, own=True)
        self.telling.about(db, row.conversation, row.contact, target, told, now, out)

    def _is_under_way(self, db: Transaction, message: int) -> bool:
        waiting = journal.open_about(db, message, self.own)
        return any(isinstance(command, React) for _, command in waiting)
