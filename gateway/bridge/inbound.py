# SPDX-License-Identifier: Apache-2.0
"""From remote events to rows of the inbound journal: the unit that makes them durable.

Runs inside the writer's transaction, so every look-up sees whatever was committed or queued
before, and a repeated event finds its own first copy.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import structlog

from gateway.bridge.cut import cut
from gateway.bridge.rooms.intake import RoomIntake
from gateway.bridge.rooms.private import way_of
from gateway.bridge.rows import Committed, Rows
from gateway.bridge.splitting import one_line, split_text
from gateway.bridge.unread import Unread
from gateway.bridge.wellformed import honest_time, must_be_whole
from gateway.events import (
    AcceptInvite,
    ChatMessage,
    Delivery,
    Displayed,
    GatewayNotice,
    Notice,
    OwnDisplayed,
    OwnMessage,
    RemoteContactGone,
    RemoteEvent,
    RemoteGap,
    RemoteIgnored,
    RemoteInvite,
    RemoteInviteGone,
    RemoteMessage,
    RemoteNotice,
    RemoteProfile,
    RemoteRead,
    RemoteRoomEvent,
    RemoteUndecryptable,
    RemoteUnreadable,
    SubscriptionRequest,
    Unavailable,
    Unsubscribed,
)
from gateway.ids import (
    AccountId,
    ConversationId,
    RemoteUserId,
)
from gateway.store import (
    Transaction,
    contacts,
    conversations,
    dead_events,
    held,
    journal,
    rooms,
    sharing,
)
from gateway.store.contacts import Subscription
from gateway.store.conversations import GATEWAY, Origin
from gateway.store.writer import is_unavailable
from gateway.text import clean

log = structlog.get_logger("inbound")

_NOT_FETCHED = "earlier messages were not fetched. Please read them in another app of the network."
DEAD_LETTER = (
    "Something arrived for you that the gateway could not store. "
    "Please look for it in another app of the network."
)
DEAD_LETTERS = (
    "{number} messages arrived for you that the gateway could not store. "
    "Please look for them in another app of the network."
)
UNREADABLE = (
    "A message arrived that the gateway could not read. "
    "Please look for it in another app of the network."
)
_LOGGED = 3
"""Dead letters of one unit that are logged with their traceback."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """Turns one account's events into rows."""

    rows: Rows
    rooms: RoomIntake
    unread: Unread
    auto_accept: bool
    is_cutting: Callable[[AccountId], bool]
    """Messages of this account cannot be kept."""

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
        if isinstance(event, RemoteRoomEvent):
            self.rooms.apply(db, event, now, out)
            return
        match event:
            case RemoteMessage():
                self._message(db, event, now, out)
            case RemoteRead():
                self._read(db, event, now, out)
            case RemoteUndecryptable():
                self._undecryptable(db, event, now, out)
            case RemoteUnreadable():
                self._unreadable(db, event, now, out)
            case RemoteNotice():
                self._notice(db, event, now, out)
            case RemoteGap():
                self._gap(db, event, now, out)
            case RemoteIgnored():
                sharing.ignore(db, self.rows.account, event.users)
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
                self.rows.change(db, event.contact, name=one_line(event.name))

    def _message(self, db: Transaction, event: RemoteMessage, now: float, out: Committed) -> None:
        conversation = self.rows.chat(db, event.contact)
        if event.own and self._is_echo(db, conversation, event):
            held.release(db, conversation, event.id)
            return
        if held.release(db, conversation, event.id) is not None:
            line = conversations.by_remote_id(db, conversation, event.id)
            if line is not None:
                self.unread.replace(db, conversation, event, line, now, out)
                return
        if self.is_cutting(self.rows.account):
            cut(db, conversation, event.id)
            return
        origin = Origin.ELSEWHERE if event.own else Origin.CONTACT
        sent_at = honest_time(event.sent_at, now)
        through = way_of(db, conversation, event.contact)
        for part, body in enumerate(split_text(clean(event.body))):
            sid = self.rows.id(event.contact, event.id, part)
            stored = conversations.add_message(
                db,
                conversation,
                stanza_id=sid,
                origin=origin,
                sent_at=sent_at,
                remote_id=event.id,
                part=part,
                now=now,
            )
            if stored is None:
                return
            if event.own:
                rooms.set_through(db, conversation, None)
            told: Delivery = OwnMessage(id=sid, body=body, sent_at=sent_at)
            if not event.own:
                nick = self._introduction(db, conversation, event.contact)
                told = ChatMessage(id=sid, body=body, sent_at=sent_at, nick=nick, through=through)
            self.rows.add(db, event.contact, sid, told, now, out)

    def _introduction(
        self, db: Transaction, conversation: ConversationId, contact: RemoteUserId
    ) -> str:
        """The contact's name, once. Kept in the row, so that a repeated stanza is the same."""
        name = contacts.get(db, self.rows.account, contact).name
        return name if name and conversations.tell_once(db, conversation, "name") else ""

    def _is_echo(
        self, db: Transaction, conversation: ConversationId, event: RemoteMessage
    ) -> bool:
        """Our own send came back: learn its remote id, whoever was told first."""
        row = self.rows.sent_row(event.key)
        if row is None:
            return False
        own = self.rooms.room_rows.own
        message = journal.echoed_message(db, conversation, row, own, event.id)
        if message is not None:
            conversations.set_remote_id(db, message, event.id)
        return message is not None

    def _read(self, db: Transaction, event: RemoteRead, now: float, out: Committed) -> None:
        conversation = conversations.find_chat(db, self.rows.account, event.contact)
        if conversation is None:
            return
        seen = conversations.by_remote_id(db, conversation, event.up_to)
        if seen is None:
            return
        newest = (conversations.newest_of_contact if event.own else conversations.newest_of_user)(
            db, conversation, seen.id
        )
        if newest is None or not conversations.advance_read(
            db, conversation, newest.id, by_user=event.own
        ):
            return
        sid = self.rows.id(event.contact, "read", str(event.own), event.up_to)
        told = (
            OwnDisplayed(id=sid, message=newest.stanza_id)
            if event.own
            else Displayed(
                id=sid,
                message=newest.stanza_id,
                through=way_of(db, conversation, event.contact),
            )
        )
        self.rows.add(db, event.contact, sid, told, now, out)

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
            self.rooms.said.speech.stand_in(db, event, reason, now, out)
        elif reason is not None:
            self.unread.stand_in(db, conversation, event, reason, now, out)
        return out

    def _undecryptable(
        self, db: Transaction, event: RemoteUndecryptable, now: float, out: Committed
    ) -> None:
        if event.room is not None:
            self.rooms.said.speech.keep(db, event, now, out)
            return
        conversation = self.rows.chat(db, event.contact)
        if self.is_cutting(self.rows.account):
            cut(db, conversation, event.id)
        else:
            self.unread.keep(db, conversation, event, now, out)

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
        sid = self.rows.id(event.contact, event.id, "unreadable")
        self.rows.add(db, event.contact, sid, Notice(id=sid, text=UNREADABLE), now, out)

    def _notice(self, db: Transaction, event: RemoteNotice, now: float, out: Committed) -> None:
        contact = GATEWAY if event.contact is None else event.contact
        conversation, notice = self.rows.chat(db, contact), f"notice {event.id}"
        if not conversations.tell_once(db, conversation, notice, until_pruned_at=now):
            return
        sid, text = self.rows.id(contact, "notice", event.id), clean(event.text)
        kind = Notice if contact else GatewayNotice
        self.rows.add(db, contact, sid, kind(id=sid, text=text), now, out)

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
        self.rows.put(
            db, event.contact, replace(contact, invited=True, from_user=Subscription.ASKED)
        )
        sid = self.rows.id(event.contact, "invite", event.id)
        name = contact.name or event.contact
        request = SubscriptionRequest(name=contact.name)
        self.rows.add(db, event.contact, self.rows.id(sid, "request"), request, now, out)
        text = f"{name} wants to talk with you. Accept the contact request or answer to begin."
        self.rows.add(db, event.contact, sid, Notice(id=sid, text=text), now, out)

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
        for delivery in (Unavailable(), Unsubscribed()):
            sid = self.rows.id(event.contact, event.id, type(delivery).__name__)
            self.rows.add(db, event.contact, sid, delivery, now, out)

    def _gap(self, db: Transaction, event: RemoteGap, now: float, out: Committed) -> None:
        conversation = self.rows.chat(db, event.contact)
        if not conversations.tell_once(db, conversation, f"gap {event.id}", until_pruned_at=now):
            return
        about = "" if event.about is None else f"about {event.about} "
        sid = self.rows.id(event.contact, "gap", event.id)
        text = f"{about}{_NOT_FETCHED}"
        self.rows.add(db, event.contact, sid, Notice(id=sid, text=text), now, out)
