# SPDX-License-Identifier: Apache-2.0
"""What became of a command, and the rows that tell it: the end of the outbound direction."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.adapter import Sent
from gateway.bridge.accounts import Account
from gateway.bridge.accounts.languages import told_in
from gateway.bridge.chats.settled import accepted
from gateway.bridge.inbound.rows import Committed
from gateway.bridge.outbound.targets import is_done
from gateway.bridge.rooms.said import Said
from gateway.bridge.rooms.ways import addressed, way_back
from gateway.bridge.splitting import brief
from gateway.errors import (
    AdapterError,
    AuthExpired,
    FetchError,
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
    ChatCommand,
    Command,
    Delivery,
    Failure,
    FailureReason,
    Notice,
    React,
    Receipt,
    Retract,
    RetractInRoom,
    RoomCommand,
    SendRoomText,
    SendText,
    Through,
)
from gateway.ids import NetworkName, StanzaId, stanza_id
from gateway.locale import said_in
from gateway.media.names import name_in, safe_name
from gateway.store import Transaction, conversations, journal
from gateway.store.journal import InboundRow, OutboundRow, OutboundState
from gateway.store.rooms import RoomRow
from gateway.text import is_clean
from gateway.text.wording import tr

_LATE_S = 60.0
_QUOTED = 60


class Unreachable(Transient):
    """The link was down until the limit."""


class Unconfirmed(Transient):
    """The time is over, and nobody knows whether one of the attempts has arrived."""

    def __init__(self, failed: AdapterError) -> None:
        super().__init__(
            tr(
                "{text} It may or may not have arrived; please check before you send it again.",
                text=failed.text,
            )
        )
        self.failed = failed


class Incomplete(AdapterError):
    """Of a text that is several messages on the network, some of what was to be done is done."""

    def __init__(self, command: Command | None, done: int, of: int, failed: AdapterError) -> None:
        if isinstance(command, Retract | RetractInRoom):
            text = tr("Of its {of} parts {done} were taken back. {text}")
        elif isinstance(command, SendText | SendRoomText) and command.edits is not None:
            text = tr("Of its {of} parts {done} were changed. {text}")
        elif isinstance(command, SendText | SendRoomText) and command.files:
            text = tr("Of its {of} parts {done} arrived. {text}")
        else:
            text = tr("It had to be cut into {of} parts, of which {done} arrived. {text}")
        super().__init__(text.format(of=of, done=done, text=failed.text))
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

    What has come back has arrived, whatever became of the attempts; but one piece of a text says
    nothing of the others.
    """
    is_whole = journal.pieces_done(db, row.id) == 0
    if isinstance(outcome, AdapterError) and row.message is not None and is_whole:
        echoed = conversations.remote_id_of(db, row.message)
        outcome = outcome if echoed is None else Sent(remote_id=echoed)
    place = _place(db, account, row)
    if isinstance(outcome, AdapterError) and is_done(db, row, row.command):
        outcome = Sent()
    if isinstance(outcome, AdapterError):
        journal.settle_outbound(db, row.id, OutboundState.FAILED, now)
        committed = Committed(inbound=_told(db, network, account, row, outcome, now))
        if isinstance(row.command, React) and account.link is not None:
            account.link.intake.chats.reactions.refused(db, row, now, committed)
    else:
        journal.settle_outbound(db, row.id, OutboundState.ACCEPTED, now)
        if row.message is not None and outcome.remote_id is not None:
            conversations.set_remote_id(db, row.message, outcome.remote_id)
        if isinstance(row.command, ChatCommand):
            accepted(db, account.remote_id, row, outcome, now)
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
    said = said_in(error.text, account.language)
    through = way_back(db, row, addressed(row))
    if row.sender:
        failure = Failure(
            message=row.stanza_id,
            to=row.sender,
            reason=_refusal(row.command, error),
            text=brief(said.text),
            language=said.tag,
            through=through,
        )
        # Its own id, not that of its stanza: that one may be any message's, as often as a client
        # likes, and what comes back is looked up by it.
        sid = stanza_id(network, account.user, row.contact, "refused", row.id)
        rows.append(_add(db, account, row, sid, failure, now))
    line = _line(row, error, brief(said.text), now)
    if line:
        sid = stanza_id(network, account.user, row.contact, "failed", row.id)
        told = Notice(id=sid, text=line, through=through)
        rows.append(_add(db, account, row, sid, told, now))
    return rows


def _line(row: OutboundRow, error: AdapterError, text: str, now: float) -> str:
    """No stanza waits for an invitation's answer; a device that sent long ago may be offline."""
    command = row.command
    if isinstance(command, AcceptInvite):
        return tr("The invitation could not be accepted: {text}", text=text)
    if not isinstance(command, ChatCommand) or now - row.committed_at <= _LATE_S:
        return ""
    failed = error.failed if isinstance(error, Incomplete) else error
    is_unclear = isinstance(failed, Uncertain | Unconfirmed)
    if isinstance(command, SendText):
        sent = tr("Not delivered: “{quoted}”. {text}")
        if is_unclear:
            sent = tr("May not have arrived: “{quoted}”. {text}")
        return sent.format(quoted=_short(_quoted(command)), text=text)
    if isinstance(command, Retract):
        taken = tr("A message was not taken back. {text}")
        if is_unclear:
            taken = tr("A message may not have been taken back. {text}")
        return taken.format(text=text)
    if not command.emoji:
        gone = tr("Your reaction was not removed. {text}")
        if is_unclear:
            gone = tr("Your reaction may not have been removed. {text}")
        return gone.format(text=text)
    reacted = tr("Your reaction did not arrive: {what}. {text}")
    if is_unclear:
        reacted = tr("Your reaction may not have arrived: {what}. {text}")
    return reacted.format(what=" ".join(command.emoji), text=text)


def _quoted(command: SendText) -> str:
    """A file by its name, if nothing is said about it."""
    if command.body or command.file is None:
        return command.body
    return safe_name(command.file.name or name_in(command.file.url))


def _short(body: str) -> str:
    return body if len(body) <= _QUOTED else f"{body[:_QUOTED]} …"


def _refusal(command: Command | None, error: AdapterError) -> FailureReason:
    """Which error tells the client what to show again: reactions that are refused are not
    acceptable (XEP-0444 §3.3), and what may not be taken back is forbidden (REQ-427)."""
    if isinstance(command, React) and isinstance(error, Forbidden):
        return FailureReason.UNSUPPORTED
    if isinstance(command, Retract) and isinstance(error, Unsupported):
        return FailureReason.FORBIDDEN
    return _reason(error)


def _reason(error: AdapterError) -> FailureReason:
    if isinstance(error, Unconfirmed | Incomplete):
        return _reason(error.failed)
    if isinstance(error, Unreachable):
        return FailureReason.UNREACHABLE
    if isinstance(error, FetchError) and not isinstance(error, Transient):
        return FailureReason.UNSUPPORTED  # it says nothing of the contact (REQ-449)
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
        delivery=told_in(delivery, account.language),
        now=now,
    )
