# SPDX-License-Identifier: Apache-2.0
"""Commands on their way to the network: open until their fate is known for certain."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from gateway.events import Command
from gateway.ids import (
    AccountId,
    ConversationId,
    NetworkName,
    RemoteMessageId,
    RemoteUserId,
    RowId,
    StanzaId,
)
from gateway.store.conversations import CONTACT
from gateway.store.journal import payload
from gateway.store.kinds import AccountKind
from gateway.store.writer import Connection, Transaction

NO_STANZA = StanzaId("")
"""For commands that no stanza waits for."""


class OutboundState(enum.IntEnum):
    """The fate of a command."""

    COMMITTED = 0
    ACCEPTED = 2
    FAILED = 3


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
    target: int | None = None
    """The message that it is about."""
    inherited: bool = False
    """It may have been attempted by whoever had it before: another process, an actor that hung."""
    deadline: float = 0.0
    """Monotonic; set by the actor that carries it out."""


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
    attempted: bool = False,
    target: int | None = None,
    origin_id: str = "",
) -> OutboundRow:
    """Append to the outbound journal. ``attempted``: it is going to be at once, so that no unit of
    its own has to say so."""
    attempted_at = now if attempted else None
    said = (conversation, message, stanza_id, sender, digest, receipt, payload.encode(command))
    made = db.execute(
        "INSERT INTO outbound (conversation, message, stanza_id, sender, digest, receipt, payload,"
        " attempted_at, committed_at, changed_at, target, origin_id)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*said, attempted_at, now, now, target, origin_id),
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
        attempted_at=attempted_at,
        target=target,
    )


def open_outbound(
    db: Connection, conversation: ConversationId, after: RowId, limit: int
) -> list[OutboundRow]:
    """The next undecided rows of a conversation, in order."""
    rows = db.execute(
        f"SELECT outbound.id, conversation.account, outbound.conversation, {CONTACT},"
        " outbound.message, outbound.stanza_id, outbound.sender, outbound.receipt,"
        " outbound.payload, outbound.committed_at, outbound.attempted_at, outbound.target"
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
            command=payload.command(values[8]),
            committed_at=values[9],
            attempted_at=values[10],
            target=values[11],
        )
        for values in rows
    ]


def is_open(db: Connection, row: RowId) -> bool:
    """Whether the fate of a command is still unknown."""
    found = db.execute("SELECT 1 FROM outbound WHERE id = ? AND state = 0", (row,))
    return found.fetchone() is not None


def open_about(
    db: Connection, target: int, sender: RemoteUserId
) -> list[tuple[int | None, Command]]:
    """Somebody's undecided commands that are about a message, each with the message that it
    makes."""
    found = db.execute(
        "SELECT outbound.message, outbound.payload FROM outbound"
        " JOIN conversation ON conversation.id = outbound.conversation"
        " JOIN account ON account.id = conversation.account"
        " WHERE outbound.target = ? AND outbound.state = 0 AND account.remote_id = ?"
        " ORDER BY outbound.id",
        (target, sender),
    )
    return [
        (message, command)
        for message, encoded in found
        if (command := payload.command(encoded)) is not None
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
    message: int | None


def earlier_outbound(
    db: Connection,
    queue: ConversationId,
    said_in: ConversationId,
    stanza_id: StanzaId,
    origin_id: StanzaId | None,
    since: float,
) -> list[Earlier]:
    """Rows of the last days under a stanza's ids, newest first: the key for doubles (REQ-911).
    ``said_in``: the conversation that has the messages of those that wait in ``queue``."""
    rows = db.execute(
        "SELECT id, state, digest, message FROM outbound WHERE conversation = ? AND stanza_id = ?"
        " AND committed_at >= ? UNION"
        " SELECT outbound.id, state, digest, outbound.message FROM alias"
        " JOIN outbound ON outbound.message = alias.message"
        " WHERE alias.conversation = ? AND alias.value = ? AND outbound.conversation = ?"
        " AND committed_at >= ? ORDER BY id DESC",
        (queue, stanza_id, since, said_in, origin_id, queue, since),
    )
    return [
        Earlier(RowId(row), OutboundState(state), digest, message)
        for row, state, digest, message in rows
    ]


def is_sent_by(db: Connection, message: int, account: AccountId) -> bool:
    """Whether a user of an account has sent a message by XMPP."""
    found = db.execute(
        "SELECT 1 FROM outbound JOIN conversation ON conversation.id = outbound.conversation"
        " WHERE outbound.message = ? AND conversation.account = ?",
        (message, account),
    )
    return found.fetchone() is not None


def command_of(db: Connection, row: RowId) -> Command | None:
    """What an undecided row wants; None if there is no such row, or this version cannot read
    it."""
    found = db.execute(
        "SELECT payload FROM outbound WHERE id = ? AND state = 0", (row,)
    ).fetchone()
    return None if found is None else payload.command(found[0])


def is_undecided(db: Connection, message: int) -> bool:
    """Whether a message of a user is still on its way to the network."""
    found = db.execute("SELECT 1 FROM outbound WHERE message = ? AND state = 0", (message,))
    return found.fetchone() is not None


def origin_id(db: Connection, message: int) -> str:
    """What the client that has sent a message calls it beside its id (XEP-0359 §3.1)."""
    found = db.execute("SELECT origin_id FROM outbound WHERE message = ?", (message,)).fetchone()
    return str(found[0]) if found else ""


def readdress(db: Transaction, row: OutboundRow) -> None:
    """The message came again: its answer goes to this device, under this id."""
    db.execute(
        "UPDATE outbound SET sender = ?, stanza_id = ?, receipt = ? WHERE id = ?",
        (row.sender, row.stanza_id, row.receipt, row.id),
    )


_IS_BY = (
    f"? IN (account.remote_id, CASE account.kind WHEN '{AccountKind.VIRTUAL}' THEN"
    " (SELECT house.remote_id FROM account AS house"
    f" WHERE house.network = account.network AND house.kind = '{AccountKind.HOUSE}') END)"
)
"""SQL: whether a row is of whom the network names as its sender. Others speak by the house."""


def echoed_message(
    db: Connection,
    conversation: ConversationId,
    row: RowId,
    sender: RemoteUserId,
    remote_id: RemoteMessageId,
) -> int | None:
    """The message of an outbound row of a sender, if ``remote_id`` can be its echo, whoever is
    told of it first.

    A forwarded copy may carry the key as well: it has another conversation or another id.
    """
    found = db.execute(
        "SELECT message.id FROM outbound JOIN message ON message.id = outbound.message"
        " JOIN conversation ON conversation.id = outbound.conversation"
        " JOIN account ON account.id = conversation.account"
        f" WHERE outbound.id = ? AND message.conversation = ? AND {_IS_BY}"
        " AND coalesce(message.remote_id, ?) = ?",
        (row, conversation, sender, remote_id, remote_id),
    ).fetchone()
    return found[0] if found else None


def sent_by(
    db: Connection, row: RowId, conversation: ConversationId, sender: RemoteUserId
) -> tuple[int, int | None] | None:
    """The message of a sender's outbound row, and which it is about; None if that row is none of
    a message in this conversation."""
    found = db.execute(
        "SELECT message.id, outbound.target FROM outbound"
        " JOIN message ON message.id = outbound.message"
        " JOIN conversation ON conversation.id = outbound.conversation"
        " JOIN account ON account.id = conversation.account"
        f" WHERE outbound.id = ? AND message.conversation = ? AND {_IS_BY}",
        (row, conversation, sender),
    ).fetchone()
    return None if found is None else (found[0], found[1])


def pieces_done(db: Connection, row: RowId) -> int:
    """How many pieces of its text the network has."""
    found = db.execute("SELECT done FROM outbound WHERE id = ?", (row,)).fetchone()
    return 0 if found is None else int(found[0])


def set_pieces_done(db: Transaction, row: RowId, done: int) -> None:
    """It has so many, or more."""
    db.execute("UPDATE outbound SET done = max(done, ?) WHERE id = ?", (done, row))


def mark_attempted(db: Transaction, row: RowId, now: float | None) -> None:
    """From here on a crash leaves the row's fate unclear.

    None takes that back: the network certainly does not have it.
    """
    db.execute("UPDATE outbound SET attempted_at = ? WHERE id = ?", (now, row))


def say_otherwise(db: Transaction, row: RowId, command: Command) -> None:
    """From here on an undecided row wants this instead."""
    db.execute(
        "UPDATE outbound SET payload = ? WHERE id = ? AND state = 0",
        (payload.encode(command), row),
    )


def settle_outbound(db: Transaction, row: RowId, state: OutboundState, now: float) -> None:
    """The fate of a command is known. Its content is dropped, its key stays for doubles."""
    db.execute(
        "UPDATE outbound SET state = ?, changed_at = ?, payload = NULL WHERE id = ?",
        (state, now, row),
    )
