# SPDX-License-Identifier: Apache-2.0
"""What a user wants of the network, made durable before anything happens for it.

The unit decides, inside its transaction, whether a message is new, a repetition that only gets its
receipt again (REQ-911), or our own copy coming back (REQ-1006).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import structlog

from gateway.adapter import Capabilities, Clock
from gateway.bridge.accounts import Account
from gateway.bridge.addresses import Addresses
from gateway.bridge.outcome import receipt
from gateway.bridge.ports import XmppPort
from gateway.bridge.rows import Committed
from gateway.bridge.wanted import Declined, Incoming, Planned
from gateway.errors import StoreUnavailable
from gateway.events import FailureReason, MarkRead, SendText, Through
from gateway.ids import ConversationId, NetworkName, RemoteRoomId, RemoteUserId, StanzaId
from gateway.store import Store, Transaction, contacts, conversations, journal, members, rooms
from gateway.store.conversations import Origin
from gateway.store.journal import InboundRow, OutboundRow, OutboundState
from gateway.store.rooms import RoomRow

log = structlog.get_logger("intents")

_DOUBLES_S = 7 * 86400.0
"""How long a repeated message is known as one (REQ-911)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingText(Incoming):
    """A text for a contact."""

    body: str

    @property
    def content(self) -> str:
        """The text."""
        return self.body


@dataclass(frozen=True, slots=True)
class _Where:
    """The conversations that a message belongs to; in a chat they are the same."""

    queue: ConversationId
    """In which the command waits."""
    said_in: ConversationId
    """That has the message."""


_FULL = Declined(
    FailureReason.BUSY, "Too many of your messages wait for the network. Please try again later."
)
_NOT_THERE = Declined(FailureReason.NOT_FOUND, "You are not in this group any more.")


@dataclass(frozen=True, slots=True)
class _Readdressed:
    """A repetition of what still waits: its answer goes to where it came from now."""

    row: OutboundRow


_Decision = OutboundRow | InboundRow | _Readdressed | Declined | None
"""About a stanza. None: it is dropped, since it is our own copy or known already."""


class Intents:
    """Takes what users send to the contacts of one network."""

    def __init__(
        self,
        network: NetworkName,
        capabilities: Capabilities,
        store: Store,
        addresses: Addresses,
        clock: Clock,
        *,
        send: Callable[[Account, OutboundRow], None],
        is_full: Callable[[Account], bool],
        readdress: Callable[[OutboundRow], None],
        deliver: Callable[[list[InboundRow]], None],
    ) -> None:
        self._network = network
        self._capabilities = capabilities
        self._store = store
        self._addresses = addresses
        self._clock = clock
        self._send = send
        self._is_full = is_full
        self._readdress = readdress
        self._deliver = deliver
        self._port: XmppPort

    def attach(self, port: XmppPort) -> None:
        """Connect to the XMPP side."""
        self._port = port

    def send_text(self, account: Account, contact: RemoteUserId, text: IncomingText) -> None:
        """Commit a text; the receipt or the error follows."""

        def chat(db: Transaction) -> ConversationId:
            found = conversations.find_chat(db, account.id, contact)
            if found is None:
                self._addresses.assign(db, contact)
                found = conversations.chat(db, account.id, contact)
            return found

        def where(db: Transaction) -> _Where:
            return _Where(chat(db), chat(db))

        def plan(db: Transaction) -> Planned:
            self._note_way(db, account, chat(db), text.through)
            return Planned(SendText(contact=contact, body=text.body, through=text.through))

        self._take(account, contact, text, where, plan)

    def in_room(
        self,
        account: Account,
        room: RoomRow,
        wanted: Incoming,
        plan: Callable[[Transaction], Planned | Declined],
    ) -> None:
        """Commit what is wanted in a room; its reflection or the error follows."""

        def where(db: Transaction) -> _Where | None:
            if members.find(db, room.id, account.remote_id) is None:
                return None
            return _Where(rooms.queue(db, room, account.id), room.conversation)

        contact = RemoteUserId(room.remote_id)
        self._take(account, contact, wanted, where, plan, is_room=True)

    def _take(
        self,
        account: Account,
        contact: RemoteUserId,
        wanted: Incoming,
        find: Callable[[Transaction], _Where | None],
        plan: Callable[[Transaction], Planned | Declined],
        *,
        is_room: bool = False,
    ) -> None:
        if (declined := self._declined(account, wanted)) is not None:
            self._refuse(contact, wanted, declined.reason, declined.text)
            return
        now = self._clock.now()
        is_live = account.link is not None and account.link.session is not None
        attempted = self._capabilities.idempotent_send and is_live

        def unit(db: Transaction) -> _Decision:
            where = find(db)
            if where is None:
                return _NOT_THERE
            if not is_room and _is_our_copy(db, where.said_in, wanted):
                return None  # sent in the user's name, it comes back (REQ-1006)
            earlier = _earlier(db, where, wanted, now)
            if earlier is not None:
                return self._again(
                    db, account, wanted, where.queue, contact, earlier, now, is_room=is_room
                )
            if self._is_full(account):
                return _FULL
            planned = plan(db)
            if isinstance(planned, Declined):
                return planned
            return _new(db, account, contact, where, wanted, planned, now, attempted=attempted)

        written = self._store.write(
            unit, lambda decision: self._decided(account, contact, wanted, decision)
        )
        written.add_done_callback(lambda done: self._if_refused(done, contact, wanted))

    def _declined(self, account: Account, wanted: Incoming) -> Declined | None:
        """What is not even looked up."""
        if account.leaving:
            return Declined(FailureReason.UNREGISTERED, "Your account here is being deleted.")
        limit = self._capabilities.max_text_bytes
        if len(wanted.content.encode("utf-8", "surrogatepass")) > limit:
            said = f"Too long for the network: it takes {limit // 1000} kB of text."
            return Declined(FailureReason.TOO_LARGE, said)
        return None

    def _again(
        self,
        db: Transaction,
        account: Account,
        wanted: Incoming,
        conversation: ConversationId,
        contact: RemoteUserId,
        earlier: journal.Earlier,
        now: float,
        *,
        is_room: bool,
    ) -> InboundRow | _Readdressed | None:
        again = self._repeated(db, account, wanted, conversation, contact, earlier, now)
        if again is None and is_room:
            room = RemoteRoomId(contact)
            return _said_again(db, account, room, earlier, wanted, now)
        return again

    def _note_way(
        self,
        db: Transaction,
        account: Account,
        conversation: ConversationId,
        through: Through | None,
    ) -> None:
        """Answers come by the way by which the user has written last (REQ-575)."""
        room = None
        if through is not None:
            room = rooms.find(db, account.id, through.room)
        rooms.set_through(db, conversation, room.id if room is not None else None)

    def _repeated(
        self,
        db: Transaction,
        account: Account,
        text: Incoming,
        conversation: ConversationId,
        contact: RemoteUserId,
        earlier: journal.Earlier,
        now: float,
    ) -> InboundRow | _Readdressed | None:
        """A message came again: nothing is sent, but its answer goes to where it came from now."""
        again = OutboundRow(
            id=earlier.id,
            account=account.id,
            conversation=conversation,
            contact=contact,
            message=None,
            stanza_id=text.id,
            sender=text.sender,
            receipt=text.receipt,
            command=None,
            committed_at=now,
        )
        if earlier.state is OutboundState.COMMITTED:
            journal.readdress(db, again)
            return _Readdressed(again)
        if not text.receipt:
            return None
        return receipt(db, self._network, account, again, now, text.through)

    def _decided(
        self, account: Account, contact: RemoteUserId, wanted: Incoming, decision: _Decision
    ) -> None:
        match decision:
            case OutboundRow():
                self._send(account, decision)
            case InboundRow():
                self._deliver([decision])
            case _Readdressed():
                self._readdress(decision.row)
            case Declined():
                self._refuse(contact, wanted, decision.reason, decision.text)

    def _if_refused(
        self, written: asyncio.Future[Any], contact: RemoteUserId, wanted: Incoming
    ) -> None:
        error = None if written.cancelled() else written.exception()
        if error is None:
            return
        if not isinstance(error, StoreUnavailable):
            log.error("text_not_committed", exc_info=error)
        why = "The gateway cannot store messages at the moment. Please try again later."
        self._refuse(contact, wanted, FailureReason.BUSY, why)

    def _refuse(
        self, contact: RemoteUserId, wanted: Incoming, reason: FailureReason, why: str
    ) -> None:
        self._port.refuse(contact, wanted.sender, wanted.id, reason, why, wanted.through)

    def displayed(self, account: Account, contact: RemoteUserId, message: StanzaId) -> None:
        """The user has read everything up to a message (REQ-414)."""
        if not self._capabilities.read_marks or not account.settings.send_read_marks:
            return
        now = self._clock.now()

        def unit(db: Transaction) -> OutboundRow | None:
            conversation = conversations.find_chat(db, account.id, contact)
            if conversation is None:
                return None
            seen = conversations.by_alias(db, conversation, message)
            if seen is None:
                return None
            newest = conversations.newest_of_contact(db, conversation, seen.id)
            if (
                newest is None
                or newest.remote_id is None
                or not conversations.advance_read(db, conversation, newest.id, by_user=True)
            ):
                return None
            return journal.add_outbound(
                db,
                account=account.id,
                conversation=conversation,
                contact=contact,
                command=MarkRead(contact=contact, up_to=newest.remote_id),
                now=now,
            )

        def committed(row: OutboundRow | None) -> None:
            if row is not None:
                self._send(account, row)

        self._store.write(unit, committed)


def _is_our_copy(db: Transaction, conversation: ConversationId, wanted: Incoming) -> bool:
    known = conversations.by_alias(db, conversation, wanted.id) if wanted.id else None
    return known is not None and known.origin is Origin.ELSEWHERE


def _said_again(
    db: Transaction,
    account: Account,
    remote_id: RemoteRoomId,
    earlier: journal.Earlier,
    wanted: Incoming,
    now: float,
) -> InboundRow | None:
    """In a room the message itself is its receipt."""
    intake = account.link.intake.rooms if account.link is not None else None
    room = intake.room_rows.find(db, remote_id) if intake is not None else None
    if intake is None or room is None or earlier.message is None:
        return None
    committed = Committed()
    body = wanted.body if isinstance(wanted, IncomingText) else ""
    intake.said.speech.say_again(db, room, earlier.message, wanted.sender, body, now, committed)
    return next(iter(committed.inbound), None)


def _digest(wanted: Incoming) -> bytes:
    """Tells a repeated message from another one under a reused id (REQ-911)."""
    content = wanted.content.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(content, digest_size=16).digest()


def _new(
    db: Transaction,
    account: Account,
    contact: RemoteUserId,
    where: _Where,
    wanted: Incoming,
    planned: Planned,
    now: float,
    *,
    attempted: bool,
) -> OutboundRow:
    """What nobody has sent before. A text accepts an invitation that waited."""
    known_contact = contacts.get(db, account.id, contact)
    if known_contact.invited:
        contacts.put(db, account.id, contact, replace(known_contact, invited=False))
    message = conversations.add_message(
        db,
        where.said_in,
        stanza_id=wanted.id,
        origin=Origin.USER,
        sent_at=now,
        aliases=() if wanted.origin_id is None else (wanted.origin_id,),
    )
    if planned.is_edit and planned.target is not None:
        for alias in {wanted.id, wanted.origin_id or wanted.id} - {""}:
            conversations.add_alias(db, where.said_in, StanzaId(alias), planned.target)
    return journal.add_outbound(
        db,
        account=account.id,
        conversation=where.queue,
        contact=contact,
        message=message,
        stanza_id=wanted.id,
        sender=wanted.sender,
        digest=_digest(wanted),
        receipt=wanted.receipt,
        attempted=attempted,
        target=planned.target,
        origin_id=wanted.origin_id or "",
        command=planned.command,
        now=now,
    )


def _earlier(
    db: Transaction, where: _Where, wanted: Incoming, now: float
) -> journal.Earlier | None:
    """The row that this message repeats, unless the network has refused that one."""
    if not wanted.id:
        return None
    content = _digest(wanted)
    since = now - _DOUBLES_S
    for row in journal.earlier_outbound(
        db, where.queue, where.said_in, wanted.id, wanted.origin_id, since
    ):
        if row.digest == content and row.state is not OutboundState.FAILED:
            return row
    return None
