# SPDX-License-Identifier: Apache-2.0
"""The two journals. A row stays open until its fate is known for certain."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

import msgspec

from gateway.events import Command, Delivery, Failure
from gateway.ids import (
    AccountId,
    ConversationId,
    NetworkName,
    RemoteMessageId,
    RemoteUserId,
    RowId,
    StanzaId,
    UserJid,
)
from gateway.store.writer import Connection, Transaction

NO_STANZA = StanzaId("")
"""For commands that no stanza waits for."""

_RECENT = 10

T = TypeVar("T")

_encode = msgspec.msgpack.Encoder().encode
_deliveries = msgspec.msgpack.Decoder(Delivery)
_commands = msgspec.msgpack.Decoder(Command)


class InboundState(enum.IntEnum):
    """*Written* is not stored: it holds within one connection only."""

    COMMITTED = 0
    TAKEN_OVER = 1
    """Our server answered a barrier that was sent after it."""
    SETTLED = 2
    DEAD = 3
    """Given up, and said so."""


class OutboundState(enum.IntEnum):
    """The fate of a command."""

    COMMITTED = 0
    ACCEPTED = 2
    FAILED = 3


@dataclass(slots=True, kw_only=True, eq=False)
class InboundRow:
    """A stanza on its way to a user."""

    id: RowId
    account: AccountId
    conversation: ConversationId
    user: UserJid
    contact: RemoteUserId
    stanza_id: StanzaId
    delivery: Delivery | None
    """None if this version cannot read it."""
    committed_at: float
    state: InboundState = InboundState.COMMITTED
    resent: bool = False
    """May have been written before: it then carries when it was first sent (REQ-906)."""
    bounces: int = 0
    written_at: float = field(default=0.0)
    """Monotonic; of a row that comes from the store, when it last changed by the clock."""
    received: bool = False
    """A client of the user has said so."""
    size: int = 0
    """Bytes of its payload."""


@dataclass(slots=True, kw_only=True, eq=False)
class OutboundRow:
    """A command on its way to the network."""

    id: RowId
    account: AccountId
    conversation: ConversationId
    contact: RemoteUserId
    message: int | None
    stanza_id: StanzaId
    sender: str
    receipt: bool
    command: Command | None
    """None if this version cannot read it."""
    committed_at: float
    attempted_at: float | None = None
    deadline: float = 0.0
    """Monotonic; set by the actor that carries it out."""


def _decoded(decoder: msgspec.msgpack.Decoder[T], payload: bytes) -> T | None:
    try:
        return decoder.decode(payload)
    except msgspec.DecodeError:
        return None  # a damaged row becomes a dead letter; it must not hold up those behind it


def add_inbound(
    db: Transaction,
    *,
    account: AccountId,
    conversation: ConversationId,
    user: UserJid,
    contact: RemoteUserId,
    stanza_id: StanzaId,
    delivery: Delivery,
    now: float,
) -> InboundRow:
    """Append to the inbound journal."""
    payload = _encode(delivery)
    made = db.execute(
        "INSERT INTO inbound (conversation, stanza_id, payload, committed_at, changed_at)"
        " VALUES (?, ?, ?, ?, ?)",
        (conversation, stanza_id, payload, now, now),
    )
    assert made.lastrowid is not None
    return InboundRow(
        id=RowId(made.lastrowid),
        account=account,
        conversation=conversation,
        user=user,
        contact=contact,
        stanza_id=stanza_id,
        delivery=delivery,
        committed_at=now,
        size=len(payload),
    )


_INBOUND = (
    "inbound.id, conversation.account, inbound.conversation, account.user, conversation.contact,"
    " inbound.stanza_id, inbound.payload, inbound.committed_at, inbound.state, inbound.bounces,"
    " inbound.changed_at"
    " FROM inbound JOIN conversation ON conversation.id = inbound.conversation"
    " JOIN account ON account.id = conversation.account"
)


def _inbound(values: Sequence[object]) -> InboundRow:
    return InboundRow(
        id=values[0],  # type: ignore[arg-type]
        account=values[1],  # type: ignore[arg-type]
        conversation=values[2],  # type: ignore[arg-type]
        user=values[3],  # type: ignore[arg-type]
        contact=values[4],  # type: ignore[arg-type]
        stanza_id=values[5],  # type: ignore[arg-type]
        delivery=_decoded(_deliveries, values[6]),  # type: ignore[arg-type]
        committed_at=values[7],  # type: ignore[arg-type]
        state=InboundState(values[8]),  # type: ignore[arg-type]
        bounces=values[9],  # type: ignore[arg-type]
        written_at=values[10],  # type: ignore[arg-type]
        # It comes from the store, not from the hand that committed it: it may have been written.
        resent=True,
        size=len(values[6]),  # type: ignore[arg-type]
    )


def open_inbound(
    db: Connection, conversation: ConversationId, after: RowId, limit: int
) -> list[InboundRow]:
    """The next unsettled rows of a conversation, in order."""
    rows = db.execute(
        f"SELECT {_INBOUND} WHERE inbound.conversation = ? AND inbound.state < 2"
        " AND inbound.id > ? ORDER BY inbound.id LIMIT ?",
        (conversation, after, limit),
    )
    return [_inbound(values) for values in rows]


def recent_inbound(db: Connection, stanza_id: StanzaId) -> list[InboundRow]:
    """What can come back under this id, newest first, while its content is kept for that.

    Failures are left out: an error is never answered by one, and its id is the one that a client
    chose for its own message. It may be that of any message, by chance or on purpose.
    """
    rows = map(
        _inbound,
        db.execute(
            f"SELECT {_INBOUND} WHERE inbound.stanza_id = ? ORDER BY inbound.id DESC",
            (stanza_id,),
        ),
    )
    return list(islice((row for row in rows if not isinstance(row.delivery, Failure)), _RECENT))


def open_inbound_conversations(
    db: Connection, network: NetworkName
) -> list[tuple[AccountId, ConversationId]]:
    """Conversations of a network with unsettled rows."""
    rows = db.execute(
        "SELECT DISTINCT conversation.account, inbound.conversation FROM inbound"
        " JOIN conversation ON conversation.id = inbound.conversation"
        " JOIN account ON account.id = conversation.account"
        " WHERE inbound.state < 2 AND account.network = ?",
        (network,),
    )
    return [(AccountId(account), ConversationId(conversation)) for account, conversation in rows]


def set_inbound_state(
    db: Transaction, rows: Iterable[RowId], state: InboundState, now: float
) -> None:
    """Move rows from one open state to another."""
    db.executemany(
        "UPDATE inbound SET state = ?, changed_at = ? WHERE id = ?",
        [(state, now, row) for row in rows],
    )


def close_inbound(
    db: Transaction, rows: Iterable[InboundRow], state: InboundState, now: float
) -> list[InboundRow]:
    """Rows are settled or dead. Returns those that were open until now."""
    change = "UPDATE inbound SET state = ?, changed_at = ? WHERE id = ? AND state < 2"
    return [row for row in rows if db.execute(change, (state, now, row.id)).rowcount]


def bounce(db: Transaction, row: InboundRow, now: float) -> list[InboundRow]:
    """A row came back and is written again. Returns it if it was not open any longer."""
    found = db.execute("SELECT state FROM inbound WHERE id = ?", (row.id,)).fetchone()
    db.execute(
        "UPDATE inbound SET state = ?, bounces = bounces + 1, changed_at = ? WHERE id = ?",
        (InboundState.COMMITTED, now, row.id),
    )
    return [row] if found is not None and found[0] >= InboundState.SETTLED else []


def add_outbound(
    db: Transaction,
    *,
    account: AccountId,
    conversation: ConversationId,
    contact: RemoteUserId,
    command: Command,
    now: float,
    message: int | None = None,
    stanza_id: StanzaId = NO_STANZA,
    sender: str = "",
    digest: bytes = b"",
    receipt: bool = False,
) -> OutboundRow:
    """Append to the outbound journal."""
    made = db.execute(
        "INSERT INTO outbound (conversation, message, stanza_id, sender, digest, receipt, payload,"
        " committed_at, changed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (conversation, message, stanza_id, sender, digest, receipt, _encode(command), now, now),
    )
    assert made.lastrowid is not None
    return OutboundRow(
        id=RowId(made.lastrowid),
        account=account,
        conversation=conversation,
        contact=contact,
        message=message,
        stanza_id=stanza_id,
        sender=sender,
        receipt=receipt,
        command=command,
        committed_at=now,
    )


def open_outbound(
    db: Connection, conversation: ConversationId, after: RowId, limit: int
) -> list[OutboundRow]:
    """The next undecided rows of a conversation, in order."""
    rows = db.execute(
        "SELECT outbound.id, conversation.account, outbound.conversation, conversation.contact,"
        " outbound.message, outbound.stanza_id, outbound.sender, outbound.receipt,"
        " outbound.payload, outbound.committed_at, outbound.attempted_at"
        " FROM outbound JOIN conversation ON conversation.id = outbound.conversation"
        " WHERE outbound.conversation = ? AND outbound.state = 0 AND outbound.id > ?"
        " ORDER BY outbound.id LIMIT ?",
        (conversation, after, limit),
    )
    return [
        OutboundRow(
            id=values[0],
            account=values[1],
            conversation=values[2],
            contact=values[3],
            message=values[4],
            stanza_id=values[5],
            sender=values[6],
            receipt=bool(values[7]),
            command=_decoded(_commands, values[8]),
            committed_at=values[9],
            attempted_at=values[10],
        )
        for values in rows
    ]


def open_outbound_conversations(
    db: Connection, network: NetworkName
) -> list[tuple[AccountId, ConversationId]]:
    """Conversations of a network with undecided rows."""
    rows = db.execute(
        "SELECT DISTINCT conversation.account, outbound.conversation FROM outbound"
        " JOIN conversation ON conversation.id = outbound.conversation"
        " JOIN account ON account.id = conversation.account"
        " WHERE outbound.state = 0 AND account.network = ?",
        (network,),
    )
    return [(AccountId(account), ConversationId(conversation)) for account, conversation in rows]


@dataclass(frozen=True, slots=True)
class Earlier:
    """A row that came under the same stanza id."""

    id: RowId
    state: OutboundState
    digest: bytes


def earlier_outbound(
    db: Connection,
    conversation: ConversationId,
    stanza_id: StanzaId,
    origin_id: StanzaId | None,
    since: float,
) -> list[Earlier]:
    """Rows of the last days under a stanza's ids, newest first: the key for doubles (REQ-911)."""
    rows = db.execute(
        "SELECT id, state, digest FROM outbound WHERE conversation = ? AND stanza_id = ?"
        " AND committed_at >= ? UNION"
        " SELECT outbound.id, state, digest FROM alias"
        " JOIN outbound ON outbound.message = alias.message"
        " WHERE alias.conversation = ? AND alias.value = ? AND committed_at >= ?"
        " ORDER BY id DESC",
        (conversation, stanza_id, since, conversation, origin_id, since),
    )
    return [Earlier(RowId(row), OutboundState(state), digest) for row, state, digest in rows]


def readdress(db: Transaction, row: OutboundRow) -> None:
    """The message came again: its answer goes to this device, under this id."""
    db.execute(
        "UPDATE outbound SET sender = ?, stanza_id = ?, receipt = ? WHERE id = ?",
        (row.sender, row.stanza_id, row.receipt, row.id),
    )


def echoed_message(
    db: Connection, conversation: ConversationId, row: RowId, remote_id: RemoteMessageId
) -> int | None:
    """The message of an outbound row, if ``remote_id`` can be its echo.

    A forwarded copy may carry the key as well: it has another conversation or another id.
    """
    found = db.execute(
        "SELECT message.id FROM outbound JOIN message ON message.id = outbound.message"
        " WHERE outbound.id = ? AND outbound.conversation = ?"
        " AND coalesce(message.remote_id, ?) = ?",
        (row, conversation, remote_id, remote_id),
    ).fetchone()
    return found[0] if found else None


def mark_attempted(db: Transaction, row: RowId, now: float | None) -> None:
    """From here on a crash leaves the row's fate unclear, on a network without keys.

    None takes that back: the network certainly does not have it.
    """
    db.execute("UPDATE outbound SET attempted_at = ? WHERE id = ?", (now, row))


def settle_outbound(db: Transaction, row: RowId, state: OutboundState, now: float) -> None:
    """The fate of a command is known. Its content is dropped, its key stays for doubles."""
    db.execute(
        "UPDATE outbound SET state = ?, changed_at = ?, payload = NULL WHERE id = ?",
        (state, now, row),
    )
