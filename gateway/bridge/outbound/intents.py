# SPDX-License-Identifier: Apache-2.0
"""What a user wants of the network, made durable before anything happens for it.

The unit decides, inside its transaction, whether a message is new, or a repetition that only gets
its receipt again (REQ-911).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import structlog

from gateway.bridge.accounts import Account
from gateway.bridge.ground import Ground
from gateway.bridge.inbound.rows import Committed
from gateway.bridge.outbound.outbound import Outbound
from gateway.bridge.outbound.outcome import receipt
from gateway.bridge.outbound.pieces import longest
from gateway.bridge.outbound.wanted import Declined, Incoming, IncomingText, Planned, too_much
from gateway.bridge.ports import XmppPort
from gateway.errors import StoreUnavailable
from gateway.events import FailureReason, SendText, Through
from gateway.ids import ConversationId, RemoteRoomId, RemoteUserId, StanzaId
from gateway.store import (
    Transaction,
    chat_texts,
    contacts,
    conversations,
    journal,
    members,
    rooms,
)
from gateway.store.conversations import Origin
from gateway.store.journal import InboundRow, OutboundRow, OutboundState
from gateway.store.rooms import RoomRow
from gateway.text.wording import tr

log = structlog.get_logger("intents")

_DOUBLES_S = 7 * 86400.0
"""How long a repeated message is known as one (REQ-911)."""


@dataclass(frozen=True, slots=True)
class _Where:
    """The conversations that a message belongs to; in a chat they are the same."""

    queue: ConversationId
    """In which the command waits."""
    said_in: ConversationId
    """That has the message."""


_FULL = Declined(
    FailureReason.BUSY,
    tr("Too many of your messages wait for the network. Please try again later."),
)
_NOTHING_SAID = Declined(FailureReason.NOT_FOUND, tr("There is no such message in this chat."))
_NOT_THERE = Declined(FailureReason.NOT_FOUND, tr("You are not in this group any more."))


@dataclass(frozen=True, slots=True)
class _Readdressed:
    """A repetition of what still waits: its answer goes to where it came from now."""

    row: OutboundRow


_Decision = OutboundRow | InboundRow | _Readdressed | Declined | None
"""About a stanza. None: it is dropped, since it is known already."""


class Intents:
    """Takes what users send to the contacts of one network."""

    def __init__(
        self,
        ground: Ground,
        outbound: Outbound,
        deliver: Callable[[list[InboundRow]], None],
    ) -> None:
        self._network = ground.network
        self._capabilities = ground.adapter.capabilities
        self._store = ground.store
        self._addresses = ground.addresses
        self._clock = ground.clock
        self._outbound = outbound
        self._deliver = deliver
        self._port: XmppPort

    def attach(self, port: XmppPort) -> None:
        """Connect to the XMPP side."""
        self._port = port

    def in_chat(
        self,
        account: Account,
        contact: RemoteUserId,
        wanted: Incoming,
        plan: Callable[[Transaction, ConversationId], Planned | Declined],
    ) -> None:
        """Commit what is wanted in a chat; the receipt or the error follows. A text begins it."""
        begins = isinstance(wanted, IncomingText)

        def where(db: Transaction) -> _Where | Declined:
            found = conversations.find_chat(db, account.id, contact)
            if found is None and not begins:
                return _NOTHING_SAID
            if found is None:
                self._addresses.assign(db, contact)
                found = conversations.chat(db, account.id, contact)
            return _Where(found, found)

        def planned(db: Transaction, where: _Where) -> Planned | Declined:
            made = plan(db, where.said_in)
            if isinstance(made, Planned):
                self._note_way(db, account, where.said_in, wanted.through)
            return made

        self._take(account, contact, wanted, where, planned)

    def in_room(
        self,
        account: Account,
        room: RoomRow,
        wanted: Incoming,
        plan: Callable[[Transaction], Planned | Declined],
    ) -> None:
        """Commit what is wanted in a room; its reflection or the error follows."""

        def where(db: Transaction) -> _Where | Declined:
            if members.find(db, room.id, account.remote_id) is None:
                return _NOT_THERE
            return _Where(rooms.queue(db, room, account.id), room.conversation)

        contact = RemoteUserId(room.remote_id)
        self._take(account, contact, wanted, where, lambda db, _: plan(db), is_room=True)

    def _take(
        self,
        account: Account,
        contact: RemoteUserId,
        wanted: Incoming,
        find: Callable[[Transaction], _Where | Declined],
        plan: Callable[[Transaction, _Where], Planned | Declined],
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
            if isinstance(where, Declined):
                return where
            earlier = _earlier(db, where, wanted, now)
            if earlier is not None:
                return self._again(
                    db, account, wanted, where.queue, contact, earlier, now, is_room=is_room
                )
            if self._outbound.is_full(account):
                return _FULL
            planned = plan(db, where)
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
            return Declined(FailureReason.UNREGISTERED, tr("Your account here is being deleted."))
        return too_much(wanted, longest(self._capabilities))

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
                self._outbound.offer(account, decision)
            case InboundRow():
                self._deliver([decision])
            case _Readdressed():
                self._outbound.readdress(decision.row)
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
        why = tr(
            "The gateway cannot store messages at the moment. Please try again later.",
        )
        self._refuse(contact, wanted, FailureReason.BUSY, why)

    def _refuse(
        self, contact: RemoteUserId, wanted: Incoming, reason: FailureReason, why: str
    ) -> None:
        self._port.refuse(contact, wanted.sender, wanted.id, reason, why, wanted.through)


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
    reflections = intake.said.speech.reflections
    reflections.say_again(db, room, earlier.message, wanted.sender, body, now, committed)
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
    """What nobody has sent before."""
    message = _said(db, account, contact, where, wanted, planned, now)
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


def _said(
    db: Transaction,
    account: Account,
    contact: RemoteUserId,
    where: _Where,
    wanted: Incoming,
    planned: Planned,
    now: float,
) -> int:
    """The message of it, with all by which it may be meant. A text accepts an invitation that
    waited."""
    text = planned.command if isinstance(planned.command, SendText) else None
    known_contact = contacts.get(db, account.id, contact)
    if text is not None and known_contact.invited:
        contacts.put(db, account.id, contact, replace(known_contact, invited=False))
    way = rooms.through(db, where.said_in)
    message = conversations.add_message(
        db,
        where.said_in,
        stanza_id=wanted.id,
        origin=Origin.USER,
        sent_at=now,
        aliases=() if wanted.origin_id is None else (wanted.origin_id,),
        about=planned.about,
        through=None if way is None else way.id,
    )
    assert message is not None, "the network has no id of it yet"
    if wanted.hint is not None:
        conversations.add_hint(db, where.said_in, wanted.hint, message)
    if text is not None and planned.about is None:
        answers = planned.target if text.reply_to is not None else None
        chat_texts.put(
            db,
            where.said_in,
            message,
            text.body,
            text.spans,
            answers=answers,
            thread=text.thread,
        )
    if planned.is_edit and planned.target is not None:
        for alias in {wanted.id, wanted.origin_id or wanted.id} - {""}:
            conversations.add_alias(db, where.said_in, StanzaId(alias), planned.target)
    return message


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
