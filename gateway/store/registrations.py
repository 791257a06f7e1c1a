# SPDX-License-Identifier: Apache-2.0
"""Logins that were asked for in a form and are not carried out yet."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.ids import NetworkName, UserJid
from gateway.store.writer import Connection, Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationRow:
    """One of them, as stored."""

    user: UserJid
    secret: bytes = field(repr=False)
    """What the user typed, sealed."""
    asked_at: float


def of_network(db: Connection, network: NetworkName) -> list[RegistrationRow]:
    """All of a network."""
    rows = db.execute(
        "SELECT user, secret, asked_at FROM registration WHERE network = ? ORDER BY asked_at",
        (network,),
    )
    return [
        RegistrationRow(user=UserJid(user), secret=secret, asked_at=asked_at)
        for user, secret, asked_at in rows
    ]


def put(
    db: Transaction, network: NetworkName, user: UserJid, secret: bytes, asked_at: float
) -> None:
    """Store one, instead of an earlier one of that user."""
    db.execute(
        "INSERT OR REPLACE INTO registration VALUES (?, ?, ?, ?)",
        (network, user, secret, asked_at),
    )


def remove(db: Transaction, network: NetworkName, user: UserJid, secret: bytes) -> None:
    """Delete it, unless a later one has taken its place."""
    db.execute(
        "DELETE FROM registration WHERE network = ? AND user = ? AND secret = ?",
        (network, user, secret),
    )
