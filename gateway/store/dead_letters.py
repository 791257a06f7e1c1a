# SPDX-License-Identifier: Apache-2.0
"""Rows that were given up: kept for a while, so that the admin can look, and try them again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from gateway.ids import NetworkName, RemoteUserId, RowId, UserJid
from gateway.store.conversations import CONTACT, OF_NETWORK
from gateway.store.journal import InboundState
from gateway.store.writer import Connection, Transaction

_UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A row of the inbound journal that never reached its user. Its content is not shown."""

    id: RowId
    network: NetworkName
    user: UserJid
    contact: RemoteUserId
    kind: str
    """What it is: ``ChatMessage``, ``Receipt``, …"""
    bounces: int
    committed_at: float
    given_up_at: float


def dead_letters(db: Connection) -> list[DeadLetter]:
    """All that are kept, in the order in which they were given up."""
    rows = db.execute(
        "SELECT inbound.id, coalesce(account.network, room.network), coalesce(account.user, ''),"
        f" {CONTACT}, inbound.payload,"
        " inbound.bounces, inbound.committed_at, inbound.changed_at FROM inbound"
        f" JOIN conversation ON conversation.id = inbound.conversation{OF_NETWORK}"
        " WHERE inbound.state >= 2 AND inbound.changed_at >= 0 AND inbound.state = ?"
        " ORDER BY inbound.changed_at, inbound.id",
        (InboundState.DEAD,),
    )
    return [
        DeadLetter(row, network, user, contact, _kind(payload), bounces, committed_at, given_up_at)
        for row, network, user, contact, payload, bounces, committed_at, given_up_at in rows
    ]


def retry(db: Transaction, rows: Iterable[RowId], now: float) -> int:
    """They wait for their users again. Returns how many did not."""
    return sum(
        db.execute(
            "UPDATE inbound SET state = 0, bounces = 0, changed_at = ? WHERE id = ? AND state = ?",
            (now, row, InboundState.DEAD),
        ).rowcount
        for row in rows
    )


def drop(db: Transaction, rows: Iterable[RowId]) -> int:
    """They are deleted. Returns how many."""
    return sum(
        db.execute(
            "DELETE FROM inbound WHERE id = ? AND state = ?", (row, InboundState.DEAD)
        ).rowcount
        for row in rows
    )


def _kind(payload: bytes) -> str:
    try:
        record = msgspec.msgpack.decode(payload)
    except msgspec.DecodeError:
        return _UNREADABLE
    return str(record.get("type", _UNREADABLE)) if isinstance(record, dict) else _UNREADABLE
