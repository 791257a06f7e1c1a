# SPDX-License-Identifier: Apache-2.0
"""How much waits in the journals, and what was cut because that was too much."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.ids import AccountId, ConversationId, NetworkName, RemoteUserId, UserJid
from gateway.store.conversations import CONTACT, OF_NETWORK
from gateway.store.journal import OF_SHARED_ROOM
from gateway.store.writer import Connection, Transaction


@dataclass(frozen=True, slots=True)
class Waiting:
    """How much of an account waits in one direction."""

    account: AccountId
    rows: int
    size: int
    """Bytes of their payloads."""


def waiting_inbound(db: Connection, network: NetworkName) -> list[Waiting]:
    """What waits for the users of a network, by account."""
    rows = db.execute(
        f"SELECT coalesce(conversation.account, {OF_SHARED_ROOM}) AS whose, count(*),"
        " sum(length(inbound.payload)) FROM inbound"
        f" JOIN conversation ON conversation.id = inbound.conversation{OF_NETWORK}"
        " WHERE inbound.state < 2 AND coalesce(account.network, room.network) = ? GROUP BY whose",
        (network,),
    )
    return [Waiting(AccountId(account), count, size) for account, count, size in rows]


def waiting_outbound(db: Connection, network: NetworkName) -> dict[AccountId, int]:
    """How many commands wait for a network, by account."""
    rows = db.execute(
        "SELECT conversation.account, count(*) FROM outbound"
        " JOIN conversation ON conversation.id = outbound.conversation"
        " JOIN account ON account.id = conversation.account"
        " WHERE outbound.state = 0 AND account.network = ? GROUP BY conversation.account",
        (network,),
    )
    return {AccountId(account): count for account, count in rows}


def attempted_until(db: Connection, network: NetworkName) -> dict[AccountId, float]:
    """When a command that waits for a network was attempted last, or bytes of its file have
    flowed, by account."""
    rows = db.execute(
        "SELECT conversation.account, max(outbound.attempted_at) FROM outbound"
        " JOIN conversation ON conversation.id = outbound.conversation"
        " JOIN account ON account.id = conversation.account"
        " WHERE outbound.state = 0 AND outbound.attempted_at IS NOT NULL AND account.network = ?"
        " GROUP BY conversation.account",
        (network,),
    )
    return {AccountId(account): attempted_at for account, attempted_at in rows}


@dataclass(frozen=True, slots=True)
class Cut:
    """Messages of a conversation that could not be kept."""

    conversation: ConversationId
    user: UserJid
    contact: RemoteUserId
    messages: int


def add_cut(db: Transaction, conversation: ConversationId) -> None:
    """A message could not be kept."""
    db.execute(
        "INSERT INTO cut VALUES (?, 1) ON CONFLICT DO UPDATE SET messages = messages + 1",
        (conversation,),
    )


def take_cut(db: Transaction, account: AccountId) -> list[Cut]:
    """What was cut of an account. It is told now, so that it is forgotten here."""
    rows = db.execute(
        f"SELECT conversation.id, account.user, {CONTACT}, cut.messages FROM cut"
        " JOIN conversation ON conversation.id = cut.conversation"
        " JOIN account ON account.id = conversation.account WHERE account.id = ?",
        (account,),
    ).fetchall()
    cuts = [Cut(*row) for row in rows]
    db.executemany("DELETE FROM cut WHERE conversation = ?", [(c.conversation,) for c in cuts])
    return cuts


def accounts_with_cut(db: Connection, network: NetworkName) -> list[AccountId]:
    """Accounts of a network of which something was cut and not told yet."""
    rows = db.execute(
        "SELECT DISTINCT conversation.account FROM cut"
        " JOIN conversation ON conversation.id = cut.conversation"
        " JOIN account ON account.id = conversation.account WHERE account.network = ?",
        (network,),
    )
    return [AccountId(account) for (account,) in rows]


def count_open(db: Connection, account: AccountId) -> tuple[int, int]:
    """How many rows of an account wait, inbound and outbound."""
    counts = [
        db.execute(
            f"SELECT count(*) FROM conversation JOIN {table} INDEXED BY {table}_open"
            f" ON {table}.conversation = conversation.id AND {is_open} WHERE account = ?",
            (account,),
        ).fetchone()[0]
        for table, is_open in (
            ("inbound", "inbound.state < 2"),
            ("outbound", "outbound.state = 0"),
        )
    ]
    return counts[0], counts[1]
