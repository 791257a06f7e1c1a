# SPDX-License-Identifier: Apache-2.0
"""What became of a command, and the rows that tell it: the end of the outbound direction."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.adapter import Sent
from gateway.bridge.accounts import Account
from gateway.bridge.rooms.private import addressed, way_back
from gateway.bridge.rooms.said import Said
from gateway.bridge.rows import Committed
from gateway.bridge.splitting import brief
from gateway.errors import (
    AdapterError,
    AuthExpired,
    Forbidden,
    NotFound,
    RateLimited,
    TooLarge,
    Transient,
    Uncertain,
    Unsupported,
)
from gateway.events import (
    AcceptInvite,
    Delivery,
    Failure,
    FailureReason,
    Notice,
    Receipt,
    RetractInRoom,
    RoomCommand,
    SendText,
    Through,
)
from gateway.ids import NetworkName, StanzaId, stanza_id
from gateway.store import Transaction, conversations, journal
from gateway.store.journal import InboundRow, OutboundRow, OutboundState
from gateway.store.rooms import RoomRow
from gateway.text import is_clean

_LATE_S = 60.0
_QUOTED = 60


class Unreachable(Transient):
    """The link was down until the limit."""


class Unconfirmed(Transient):
    """The time is over, and nobody knows whether one of the attempts has arrived."""

    def __init__(self, failed: AdapterError) -> None:
        super().__init__(
            f"{failed.text} It may or may not have arrived; please check before you send it again."
        )
        self.failed = failed


REASONS: dict[type[AdapterError], FailureReason] = {
    RateLimited: FailureReason.RATE_LIMITED,
    Transient: FailureReason.NETWORK_ERROR,
    AuthExpired: FailureReason.UNREACHABLE,
    NotFound: FailureReason.NOT_FOUND,
    Forbidden: FailureReason.FORBIDDEN,
    TooLarge: FailureReason.TOO_LARGE,
    Unsupported: FailureReason.UNSUPPORTED,
    Uncertain: FailureReason.UNCERTAIN,
}


def usable(sent: object) -> Sent:
    """What `gateway.adapter.Session.send` returned, without ids that cannot be stored.

    Raises `TypeError` if it is no answer at all: then nobody knows what became of the command.
    """
    if not isinstance(sent, Sent):
        raise TypeError(f"send returned a {type(sent).__name__}")
    reactions = {
        emoji: id for emoji, id in dict(sent.reactions).items() if _is_id(emoji) and _is_id(id)
    }
    remote_id = sent.remote_id if _is_id(sent.remote_id) else None
    return Sent(remote_id=remote_id, reactions=reactions)


def _is_id(value: object) -> bool:
    return isinstance(value, str) and bool(value) and is_clean(value)


def settle(
    db: Transaction,
    network: NetworkName,
    account: Account,
    row: OutboundRow,
    outcome: Sent | AdapterError,
    now: float,
) -> Committed:
    """Store the outcome of a command together with the rows that tell it.

    What has come back has arrived, whatever became of the attempts.
    """
    if isinstance(outcome, AdapterError) and row.message is not None:
        echoed = conversations.remote_id_of(db, row.message)
        outcome = outcome if echoed is None else Sent(remote_id=echoed)
    place = _place(db, account, row)
    if isinstance(outcome, AdapterError) and place is not None and place.is_done(db, row):
        outcome = Sent()
    if isinstance(outcome, AdapterError):
        journal.settle_outbound(db, row.id, OutboundState.FAILED, now)
        committed = Committed(inbound=_told(db, network, account, row, outcome, now))
    else:
        journal.settle_outbound(db, row.id, OutboundState.ACCEPTED, now)
        if row.message is not None and outcome.remote_id is not None:
            conversations.set_remote_id(db, row.message, outcome.remote_id)
        told = [receipt(db, network, account, row, now, addressed(row))] if row.receipt else []
        committed = Committed(inbound=told)
    if place is not None:
        place.said.settled(db, place.room, row, outcome, now, committed)
    return committed


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a command of a room was to happen. What is said there is its own receipt (REQ-560)."""

    said: Said
    room: RoomRow

    def is_done(self, db: Transaction, row: OutboundRow) -> bool:
        is_retraction = isinstance(row.command, RetractInRoom)
        return is_retraction and self.said.retractions.is_done(db, self.room, row)


def _place(db: Transaction, account: Account, row: OutboundRow) -> _Place | None:
    if account.link is None or not isinstance(row.command, RoomCommand):
        return None
    intake = account.link.intake.rooms
    room = intake.room_rows.find(db, row.command.room)
    return None if room is None else _Place(intake.said, room)


def receipt(
    db: Transaction,
    network: NetworkName,
    account: Account,
    row: OutboundRow,
    now: float,
    sent: Through | None,
) -> InboundRow:
    """The row that tells the user that the network has the message. ``sent``: to whom, if that
    was an occupant."""
    sid = stanza_id(network, account.user, row.contact, "receipt", row.id)
    told = Receipt(id=sid, message=row.stanza_id, through=way_back(db, row, sent))
    return _add(db, account, row, sid, told, now)


def _told(
    db: Transaction,
    network: NetworkName,
    account: Account,
    row: OutboundRow,
    error: AdapterError,
    now: float,
) -> list[InboundRow]:
    """The error for the device that sent it, and a line for all where that is not enough."""
    rows = []
    text, through = brief(error.text), way_back(db, row, addressed(row))
    if row.sender:
        failure = Failure(
            message=row.stanza_id,
            to=row.sender,
            reason=_reason(error),
            text=text,
            through=through,
        )
        # Its own id, not that of its stanza: that one may be any message's, as often as a client
        # likes, and what comes back is looked up by it.
        sid = stanza_id(network, account.user, row.contact, "refused", row.id)
        rows.append(_add(db, account, row, sid, failure, now))
    line = _line(row, error, text, now)
    if line:
        sid = stanza_id(network, account.user, row.contact, "failed", row.id)
        told = Notice(id=sid, text=line, through=through)
        rows.append(_add(db, account, row, sid, told, now))
    return rows


def _line(row: OutboundRow, error: AdapterError, text: str, now: float) -> str:
    """No stanza waits for an invitation's answer; a device that sent long ago may be offline."""
    if isinstance(row.command, AcceptInvite):
        return f"The invitation could not be accepted: {text}"
    if isinstance(row.command, SendText) and now - row.committed_at > _LATE_S:
        body = row.command.body
        quoted = body if len(body) <= _QUOTED else f"{body[:_QUOTED]} …"
        is_unclear = isinstance(error, Uncertain | Unconfirmed)
        fate = "May not have arrived" if is_unclear else "Not delivered"
        return f"{fate}: “{quoted}”. {text}"
    return ""


def _reason(error: AdapterError) -> FailureReason:
    if isinstance(error, Unconfirmed):
        return _reason(error.failed)
    if isinstance(error, Unreachable):
        return FailureReason.UNREACHABLE
    matching = (reason for kind, reason in REASONS.items() if isinstance(error, kind))
    return next(matching, FailureReason.NETWORK_ERROR)


def _add(
    db: Transaction,
    account: Account,
    row: OutboundRow,
    sid: StanzaId,
    delivery: Delivery,
    now: float,
) -> InboundRow:
    return journal.add_inbound(
        db,
        account=account.id,
        conversation=row.conversation,
        user=account.user,
        contact=row.contact,
        stanza_id=sid,
        delivery=delivery,
        now=now,
    )
