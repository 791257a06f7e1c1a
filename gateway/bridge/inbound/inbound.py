# SPDX-License-Identifier: Apache-2.0
"""From remote events to rows of the inbound journal: the unit that makes them durable.

Runs inside the writer's transaction, so every look-up sees whatever was committed or queued
before, and a repeated event finds its own first copy.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog

from gateway.bridge.chats.said import ChatsSaid
from gateway.bridge.contacts.asking import has_asked_enough
from gateway.bridge.inbound.rows import Committed, Rows
from gateway.bridge.inbound.wellformed import must_be_whole
from gateway.bridge.portals.portals import heard
from gateway.bridge.rooms.intake import RoomIntake
from gateway.bridge.rooms.lines import not_fetched
from gateway.bridge.splitting import one_line
from gateway.events import (
    AcceptInvite,
    GatewayNotice,
    RemoteCall,
    RemoteContactGone,
    RemoteEvent,
    RemoteGap,
    RemoteIgnored,
    RemoteInvite,
    RemoteInviteGone,
    RemoteMessage,
    RemoteNotice,
    RemoteProfile,
    RemoteReaction,
    RemoteRead,
    RemoteRetraction,
    RemoteRoomEvent,
    RemoteUndecryptable,
    RemoteUnreadable,
    SubscriptionRequest,
    Unavailable,
    Unsubscribed,
)
from gateway.ids import ConversationId, RemoteUserId
from gateway.store import (
    Transaction,
    contacts,
    conversations,
    dead_events,
    held,
    journal,
    portals,
    roster,
    sharing,
)
from gateway.store.contacts import Subscription
from gateway.store.conversations import GATEWAY
from gateway.store.writer import is_unavailable
from gateway.text import clean
from gateway.text.wording import tr

log = structlog.get_logger("inbound")

DEAD_LETTER = tr(
    "Something arrived for you that the gateway could not store. Please look "
    "for it in another app of the network.",
)
DEAD_LETTERS = (
    "{number} messages arrived for you that the gateway could not store. "
    "Please look for them in another app of the network."
)
UNREADABLE = tr(
    "A message arrived that the gateway could not read. Please look for it "
    "in another app of the network.",
)
_OF_CONTACTS = (
    RemoteMessage,
    RemoteReaction,
    RemoteRetraction,
    RemoteCall,
    RemoteRead,
    RemoteInvite,
    RemoteUndecryptable,
)
"""What is not told of somebody whom the user has blocked."""
_LOGGED = 3
"""Dead letters of one unit that are logged with their traceback."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """Turns one account's events into rows."""

    rows: Rows
    rooms: RoomIntake
    chats: ChatsSaid
    auto_accept: bool

    def unit(self, db: Transaction, events: Sequence[RemoteEvent], now: float) -> Committed:
        """Apply events in order."""
        committed = Committed()
        for event in events:
            self._apply(db, event, now, committed)
        return committed

    def unit_by_unit(
        self, db: Transaction, events: Sequence[RemoteEvent], now: float
    ) -> Committed:
        """The same after a failure: one line tells of all that cannot be stored."""
        committed = Committed()
        letters: list[str] = []
        for event in events:
            one = Committed()
            db.execute("SAVEPOINT event")
            try:
                self._apply(db, event, now, one)
            except Exception as error:
                if is_unavailable(error):
                    raise  # no event's fault: the network keeps them all until there is room
                # Whatever it is, it belongs to this event alone.
                db.execute("ROLLBACK TO event")
                reason = f"{type(error).__name__}: {error}"
                letters.append(f"e{dead_events.add(db, self.rows.account, event, reason, now)}")
                if len(letters) <= _LOGGED:
                    self._log_letter(event, letters[-1], exc_info=True)
                one = Committed()
            db.execute("RELEASE event")
            committed.add(one)
        if more := letters[_LOGGED:]:
            self._log_letter(None, f"{more[0]} to {more[-1]}", number=len(more))
        if bad := len(letters):
            sid = self.rows.id("dead-letter", uuid.uuid4().hex)
            text = DEAD_LETTER if bad == 1 else DEAD_LETTERS.format(number=bad)
            self.rows.add(db, GATEWAY, sid, GatewayNotice(id=sid, text=text), now, committed)
        return committed

    def _log_letter(self, event: object, letter: str, **more: object) -> None:
        """``letter`` is what ``dragoman dead-letters`` calls it."""
        kind = {} if event is None else {"kind": type(event).__name__}
        log.error(
            "dead_letter",
            network=self.rows.network,
            account=self.rows.account,
            letter=letter,
            **kind,
            **more,
        )

    def _apply(self, db: Transaction, event: RemoteEvent, now: float, out: Committed) -> None:
        must_be_whole(event)
        if self.rows.is_of_house:
            counts = heard(db, self.rows.network, event)
            if counts is None:
                return
            event = counts
        if not self._is_unheard(db, event):
            self._apply_heard(db, event, now, out)

    def _is_unheard(self, db: Transaction, event: RemoteEvent) -> bool:
        """The user has blocked whoever it is of."""
        return (
            isinstance(event, _OF_CONTACTS)
            and not getattr(event, "own", False)
            and sharing.is_ignored(db, self.rows.account, event.contact)
        )

    def _apply_heard(
        self, db: Transaction, event: RemoteEvent, now: float, out: Committed
    ) -> None:
        if isinstance(event, RemoteRoomEvent):
            self.rooms.apply(db, event, now, out)
            return
        match event:
            case (
                RemoteMessage()
                | RemoteReaction()
                | RemoteRetraction()
                | RemoteCall()
                | RemoteRead()
            ):
                self.chats.apply(db, event, now, out)
            case RemoteUndecryptable() if event.room is not None:
                self.rooms.said.speech.keep(db, event, now, out)
            case RemoteUndecryptable():
                self.chats.speech.undecryptable(db, event, now, out)
            case RemoteUnreadable():
                self._unreadable(db, event, now, out)
            case RemoteNotice():
                self._notice(db, event, now, out)
            case RemoteGap():
                self._gap(db, event, now, out)
            case RemoteIgnored():
                sharing.ignore(db, self.rows.account, event.users)
                out.blocked = event.users
            case _:
                self._apply_to_contact(db, event, now, out)

    def _apply_to_contact(
        self,
        db: Transaction,
        event: RemoteInvite | RemoteInviteGone | RemoteContactGone | RemoteProfile,
        now: float,
        out: Committed,
    ) -> None:
        match event:
            case RemoteInvite():
                self._invite(db, event, now, out)
            case RemoteInviteGone():
                self.rows.change(db, event.contact, invited=False)
            case RemoteContactGone():
                self._contact_gone(db, event, now, out)
            case RemoteProfile():
                name = one_line(event.name)
                if self.rows.profile(db, event.contact, name, event.avatar, out):
                    out.listed |= roster.is_ours(db, self.rows.account, event.contact)

    def stand_in(
        self,
        db: Transaction,
        conversation: ConversationId,
        event: RemoteUndecryptable,
        now: float,
    ) -> Committed:
        """One line in place of a message that still cannot be read, if there is none yet."""
        out = Committed()
        reason = held.tell(db, conversation, event.id)
        if reason is not None and event.room is not None:
            self.rooms.stand_in(db, event, reason, now, out)
        elif reason is not None:
            self.chats.speech.unread.stand_in(db, conversation, event, reason, now, out)
            for reaction in held.take_reactions(db, conversation, event.id):
                self.chats.apply_waiting(db, reaction, now, out)
        return out

    def _unreadable(
        self, db: Transaction, event: RemoteUnreadable, now: float, out: Committed
    ) -> None:
        letter = dead_events.add(db, self.rows.account, event, event.reason, now, event.id)
        if letter is None:
            return
        self._log_letter(event, f"e{letter}", reason=event.reason)
        if event.room is not None:
            self.rooms.line(db, event.room, f"unreadable {event.id}", UNREADABLE, now, out)
            return
        if event.contact is None:
            sid = self.rows.id("unreadable", event.id)
            self.rows.add(db, GATEWAY, sid, GatewayNotice(id=sid, text=UNREADABLE), now, out)
            return
        sid = self.rows.id(event.contact, event.id, "unreadable")
        self.rows.line(db, event.contact, sid, UNREADABLE, now, out)

    def _notice(self, db: Transaction, event: RemoteNotice, now: float, out: Committed) -> None:
        contact = GATEWAY if event.contact is None else event.contact
        conversation, notice = self.rows.chat(db, contact), f"notice {event.id}"
        if not conversations.tell_once(db, conversation, notice, until_pruned_at=now):
            return
        sid, text = self.rows.id(contact, "notice", event.id), clean(event.text)
        if contact:
            self.rows.line(db, contact, sid, text, now, out)
        else:
            self.rows.add(db, contact, sid, GatewayNotice(id=sid, text=text), now, out)
        if self.rows.is_of_house:  # what has happened to it has happened to all of these
            for portal in portals.of_network(db, self.rows.network):
                self.rooms.line(db, portal.room, notice, text, now, out)

    def _invite(self, db: Transaction, event: RemoteInvite, now: float, out: Committed) -> None:
        contact = contacts.get(db, self.rows.account, event.contact)
        if contact.invited:
            return
        conversation = self.rows.chat(db, event.contact)
        if self.auto_accept or contact.from_user is Subscription.GRANTED:
            accept = AcceptInvite(contact=event.contact)
            out.outbound.append(
                journal.add_outbound(
                    db,
                    account=self.rows.account,
                    conversation=conversation,
                    contact=event.contact,
                    command=accept,
                    now=now,
                )
            )
            return
        asks = self._asks(db, event.contact, contact, now)
        if asks:
            contact = replace(contact, from_user=Subscription.ASKED)
        self.rows.put(db, event.contact, replace(contact, invited=True))
        sid = self.rows.id(event.contact, "invite", event.id)
        if asks:
            request = SubscriptionRequest(name=contact.name)
            self.rows.add(db, event.contact, self.rows.id(sid, "request"), request, now, out)
        elif contact.from_user is Subscription.REFUSED and not conversations.tell_once(
            db, conversation, "invites again", until_pruned_at=now
        ):
            return
        name = contact.name or event.contact
        text = tr("{name} wants to talk with you. Answer to begin.", name=name)
        if contact.from_user is Subscription.ASKED:
            text = tr(
                "{name} wants to talk with you. Accept the contact request or answer to begin.",
                name=name,
            )
        self.rows.line(db, event.contact, sid, text, now, out)

    def _asks(
        self, db: Transaction, contact: RemoteUserId, known: contacts.ContactRow, now: float
    ) -> bool:
        """Whether the contact asks to be added: once, ever (REQ-231), and few in an hour, since
        on an open network anybody may invite (REQ-234)."""
        account = self.rows.account
        if known.from_user is not Subscription.NONE or has_asked_enough(db, account, now):
            return False
        row = roster.get(db, account, contact) or roster.Row(state=roster.State.INVITED)
        roster.put(db, account, contact, replace(row, asked_at=now))
        return True

    def _contact_gone(
        self, db: Transaction, event: RemoteContactGone, now: float, out: Committed
    ) -> None:
        """REQ-309. A user who never saw them is told nothing, nor twice; the name stays."""
        contact = contacts.get(db, self.rows.account, event.contact)
        if contact.to_user is not Subscription.GRANTED:
            return
        # The user may have added them again since: an event that comes twice does not end that.
        conversation, gone = self.rows.chat(db, event.contact), f"gone {event.id}"
        if not conversations.tell_once(db, conversation, gone, until_pruned_at=now):
            return
        self.rows.put(db, event.contact, replace(contact, to_user=Subscription.REFUSED))
        out.listed |= roster.unwant(db, self.rows.account, event.contact)
        for delivery in (Unavailable(), Unsubscribed()):
            sid = self.rows.id(event.contact, event.id, type(delivery).__name__)
            self.rows.add(db, event.contact, sid, delivery, now, out)

    def _gap(self, db: Transaction, event: RemoteGap, now: float, out: Committed) -> None:
        conversation = self.rows.chat(db, event.contact)
        if not conversations.tell_once(db, conversation, f"gap {event.id}", until_pruned_at=now):
            return
        sid = self.rows.id(event.contact, "gap", event.id)
        text = not_fetched(event.about)
        self.rows.line(db, event.contact, sid, text, now, out)
