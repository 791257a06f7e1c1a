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
from gateway.errors import StoreUnavailable
from gateway.events import Command, FailureReason, MarkRead, SendRoomText, SendText, Through
from gateway.ids import ConversationId, NetworkName, RemoteUserId, StanzaId
from gateway.store import Store, Transaction, contacts, conversations, journal, rooms
from gateway.store.conversations import Origin
from gateway.store.journal import InboundRow, OutboundRow, OutboundState
from gateway.store.rooms import RoomRow

log = structlog.get_logger("intents")

_DOUBLES_S = 7 * 86400.0
"""How long a repeated message is known as one (REQ-911)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingText:
    """A text of a user for a contact, as read from a stanza."""

    id: StanzaId
    origin_id: StanzaId | None
    sender: str
    """Full JID, as it came."""
    body: str
    receipt: bool
    """The sender asks for one."""
    through: Through | None = None
    """It was sent to an occupant."""


@dataclass(frozen=True, slots=True)
class _Full:
    """Too much waits for the network already."""


@dataclass(frozen=True, slots=True)
class _NotThere:
    """The account is not in the room any more."""


@dataclass(frozen=True, slots=True)
class _Readdressed:
    """A repetition of what still waits: its answer goes to where it came from now."""

    row: OutboundRow


_Decision = OutboundRow | InboundRow | _Readdressed | _Full | _NotThere | None
"""About a text. None: it is dropped, since it is our own copy or known already."""


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

        command = SendText(contact=contact, body=text.body, through=text.through)
        self._take(account, contact, text, chat, command)

    def send_room_text(self, account: Account, room: RoomRow, text: IncomingText) -> None:
        """Commit a text for a room; its reflection or the error follows."""

        def conversation(db: Transaction) -> ConversationId | None:
            is_member = rooms.member(db, room.id, account.remote_id) is not None
            return room.conversation if is_member else None

        command = SendRoomText(room=room.remote_id, body=text.body)
        self._take(account, RemoteUserId(room.remote_id), text, conversation, command)

    def _take(
        self,
        account: Account,
        contact: RemoteUserId,
        text: IncomingText,
        find: Callable[[Transaction], ConversationId | None],
        command: Command,
    ) -> None:
        if account.leaving:
            why = "Your account here is being deleted."
            self._refuse(contact, text, FailureReason.UNREGISTERED, why)
            return
        limit = self._capabilities.max_text_bytes
        if len(text.body.encode("utf-8", "surrogatepass")) > limit:
            why = f"Too long for the network: it takes {limit // 1000} kB of text."
            self._refuse(contact, text, FailureReason.TOO_LARGE, why)
            return
        now = self._clock.now()
        link = account.link
        attempted = (
            self._capabilities.idempotent_send and link is not None and link.session is not None
        )
        written = self._store.write(
            lambda db: self._text_unit(
                db, account, contact, text, find(db), command, now, attempted=attempted
            ),
            lambda row: self._text_decided(account, contact, text, row),
        )
        written.add_done_callback(lambda done: self._if_refused(done, contact, text))

    def _text_unit(
        self,
        db: Transaction,
        account: Account,
        contact: RemoteUserId,
        text: IncomingText,
        conversation: ConversationId | None,
        command: Command,
        now: float,
        *,
        attempted: bool,
    ) -> _Decision:
        if conversation is None:
            return _NotThere()
        known = conversations.by_alias(db, conversation, text.id) if text.id else None
        if known is not None and known.origin is Origin.ELSEWHERE:
            return None  # our own copy, sent in the user's name, comes back (REQ-1006)
        earlier = _earlier(db, conversation, text, now)
        if earlier is not None:
            again = self._repeated(db, account, text, conversation, contact, command, earlier, now)
            if again is None and isinstance(command, SendRoomText):
                again = _said_again(db, account, command, earlier, text.sender, now)
            return again
        if self._is_full(account):
            return _Full()
        if isinstance(command, SendText):
            self._note_way(db, account, conversation, command.through)
        return _new(db, account, contact, conversation, text, command, now, attempted=attempted)

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
            room = rooms.find(db, self._network, account.id, through.room)
        rooms.set_through(db, conversation, room.id if room is not None else None)

    def _repeated(
        self,
        db: Transaction,
        account: Account,
        text: IncomingText,
        conversation: ConversationId,
        contact: RemoteUserId,
        command: Command,
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
            command=command,
            committed_at=now,
        )
        if earlier.state is OutboundState.COMMITTED:
            journal.readdress(db, again)
            return _Readdressed(again)
        return receipt(db, self._network, account, again, now) if text.receipt else None

    def _text_decided(
        self, account: Account, contact: RemoteUserId, text: IncomingText, decision: _Decision
    ) -> None:
        match decision:
            case OutboundRow():
                self._send(account, decision)
            case InboundRow():
                self._deliver([decision])
            case _Readdressed():
                self._readdress(decision.row)
            case _NotThere():
                why = "You are not in this group any more."
                self._refuse(contact, text, FailureReason.NOT_FOUND, why)
            case _Full():
                self._refuse_for_now(
                    contact,
                    text,
                    "Too many of your messages wait for the network. Please try again later.",
                )

    def _if_refused(
        self, written: asyncio.Future[Any], contact: RemoteUserId, text: IncomingText
    ) -> None:
        error = None if written.cancelled() else written.exception()
        if error is None:
            return
        if not isinstance(error, StoreUnavailable):
            log.error("text_not_committed", exc_info=error)
        self._refuse_for_now(
            contact,
            text,
            "The gateway cannot store messages at the moment. Please try again later.",
        )

    def _refuse_for_now(self, contact: RemoteUserId, text: IncomingText, why: str) -> None:
        self._refuse(contact, text, FailureReason.BUSY, why)

    def _refuse(
        self, contact: RemoteUserId, text: IncomingText, reason: FailureReason, why: str
    ) -> None:
        self._port.refuse(contact, text.sender, text.id, reason, why, text.through)

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


def _said_again(
    db: Transaction,
    account: Account,
    command: SendRoomText,
    earlier: journal.Earlier,
    jid: str,
    now: float,
) -> InboundRow | None:
    """In a room the message itself is its receipt."""
    intake = account.link.intake.rooms if account.link is not None else None
    room = intake.room_rows.find(db, command.room) if intake is not None else None
    if intake is None or room is None or earlier.message is None:
        return None
    committed = Committed()
    intake.speech.say_again(db, room, earlier.message, jid, now, committed)
    return next(iter(committed.inbound), None)


def _digest(body: str) -> bytes:
    """Tells a repeated message from another one under a reused id (REQ-911)."""
    return hashlib.blake2b(body.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _new(
    db: Transaction,
    account: Account,
    contact: RemoteUserId,
    conversation: ConversationId,
    text: IncomingText,
    command: Command,
    now: float,
    *,
    attempted: bool,
) -> OutboundRow:
    """A text that nobody has sent before. It accepts an invitation that waited."""
    known_contact = contacts.get(db, account.id, contact)
    if known_contact.invited:
        contacts.put(db, account.id, contact, replace(known_contact, invited=False))
    message = conversations.add_message(
        db,
        conversation,
        stanza_id=text.id,
        origin=Origin.USER,
        sent_at=now,
        aliases=() if text.origin_id is None else (text.origin_id,),
    )
    return journal.add_outbound(
        db,
        account=account.id,
        conversation=conversation,
        contact=contact,
        message=message,
        stanza_id=text.id,
        sender=text.sender,
        digest=_digest(text.body),
        receipt=text.receipt,
        attempted=attempted,
        command=command,
        now=now,
    )


def _earlier(
    db: Transaction, conversation: ConversationId, text: IncomingText, now: float
) -> journal.Earlier | None:
    """The row that this message repeats, unless the network has refused that one."""
    if not text.id:
        return None
    content = _digest(text.body)
    since = now - _DOUBLES_S
    for row in journal.earlier_outbound(db, conversation, text.id, text.origin_id, since):
        if row.digest == content and row.state is not OutboundState.FAILED:
            return row
    return None
