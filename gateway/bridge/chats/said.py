# SPDX-License-Identifier: Apache-2.0
"""All that is said in chats, and about what was said; each kind has a file of its own.

Runs inside the writer's transaction, as `gateway.bridge.inbound.inbound`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.bridge.accounts.settings import Settings
from gateway.bridge.chats.calls import Calls
from gateway.bridge.chats.edits import Edits
from gateway.bridge.chats.parts import Parts
from gateway.bridge.chats.reactions import Reactions
from gateway.bridge.chats.retractions import Retractions
from gateway.bridge.chats.speech import Speech
from gateway.bridge.chats.telling import Telling
from gateway.bridge.inbound.rows import Committed, Rows
from gateway.bridge.inbound.unread import Unread
from gateway.bridge.rooms.ways import way_by
from gateway.events import (
    Displayed,
    OwnDisplayed,
    RemoteCall,
    RemoteMessage,
    RemoteReaction,
    RemoteRead,
    RemoteRetraction,
)
from gateway.ids import AccountId, ConversationId, RemoteUserId
from gateway.store import Transaction, conversations
from gateway.store.held import Reaction


def what_is_said(
    rows: Rows,
    own: RemoteUserId,
    is_cutting: Callable[[AccountId], bool],
    settings: Callable[[], Settings],
) -> ChatsSaid:
    """In the chats of one account. ``own``: the account itself."""
    telling = Telling(rows, own)
    reactions = Reactions(rows, own, telling)
    retractions = Retractions(rows, own, telling, reactions, lambda: settings().honour_retractions)
    edits = Edits(rows, telling, retractions)
    speech = Speech(
        rows=rows,
        own=own,
        telling=telling,
        edits=edits,
        unread=Unread(rows, telling),
        parts=Parts(rows, telling),
        is_cutting=is_cutting,
    )
    return ChatsSaid(
        rows=rows,
        speech=speech,
        calls=Calls(rows, speech),
        edits=edits,
        reactions=reactions,
        retractions=retractions,
        shows_read_marks=lambda: settings().show_read_marks,
    )


@dataclass(frozen=True, slots=True)
class ChatsSaid:
    """In the chats of one account."""

    rows: Rows
    speech: Speech
    calls: Calls
    edits: Edits
    reactions: Reactions
    retractions: Retractions
    shows_read_marks: Callable[[], bool]
    """The user wants to see what contacts have read (REQ-417)."""

    def apply(
        self,
        db: Transaction,
        event: RemoteMessage | RemoteReaction | RemoteRetraction | RemoteCall | RemoteRead,
        now: float,
        out: Committed,
    ) -> None:
        """One event of the network."""
        if isinstance(event, RemoteMessage):
            for reaction in self.speech.message(db, event, now, out):
                self.apply_waiting(db, reaction, now, out)
            return
        if isinstance(event, RemoteCall):
            self.calls.happened(db, event, now, out)
            return
        chat = conversations.find_chat(db, self.rows.account, event.contact)
        if chat is None:
            return  # nothing was said there
        match event:
            case RemoteReaction():
                self.reactions.reacted(db, chat, event, now, out)
            case RemoteRetraction():
                self.retractions.retracted(db, chat, event, now, out)
            case RemoteRead():
                self._read(db, chat, event, now, out)

    def apply_waiting(self, db: Transaction, event: Reaction, now: float, out: Committed) -> None:
        """What was to be done when a message can be read, or there is a line in its place."""
        if isinstance(event, RemoteReaction):
            self.apply(db, event, now, out)

    def _read(
        self, db: Transaction, chat: ConversationId, event: RemoteRead, now: float, out: Committed
    ) -> None:
        """Up to a message, or up to when something was said about one."""
        seen = conversations.by_remote_id(db, chat, event.up_to)
        if seen is None:
            return
        newest_of = conversations.newest_of_contact if event.own else conversations.newest_of_user
        newest = newest_of(db, chat, seen.id)
        if newest is None or not conversations.advance_read(
            db, chat, newest.id, by_user=event.own
        ):
            return
        if not (event.own or self.shows_read_marks()):
            return
        sid = self.rows.id(event.contact, "read", str(event.own), event.up_to)
        through = way_by(db, newest.through, chat, event.contact, own=event.own)
        kind = OwnDisplayed if event.own else Displayed
        told = kind(id=sid, message=newest.stanza_id, through=through)
        self.rows.add(db, event.contact, sid, told, now, out)
