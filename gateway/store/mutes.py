# SPDX-License-Identifier: Apache-2.0
"""Until when chats and groups are muted on a network that itself knows no such end."""

from __future__ import annotations

from typing import NamedTuple

from gateway.ids import AccountId, NetworkName, RemoteRoomId, RemoteUserId
from gateway.store.writer import Connection, Transaction


class Conversation(NamedTuple):
    """One of the two."""

    contact: RemoteUserId | None = None
    room: RemoteRoomId | None = None


def put(db: Transaction, account: AccountId, muted: Conversation, until: float | None) -> None:
    """Muted until then; with None there is no end that the gateway would see to."""
    key = (account, muted.contact or "", muted.room or "")
    db.execute("DELETE FROM muted_until WHERE account = ? AND contact = ? AND room = ?", key)
    if until is not None:
        db.execute("INSERT INTO muted_until VALUES (?, ?, ?, ?)", (*key, until))


def until(db: Connection, account: AccountId, muted: Conversation) -> float | None:
    """Until when; None if nobody has said so."""
    found = db.execute(
        "SELECT until FROM muted_until WHERE account = ? AND contact = ? AND room = ?",
        (account, muted.contact or "", muted.room or ""),
    ).fetchone()
    return None if found is None else float(found[0])


def due(
    db: Connection, network: NetworkName, now: float, most: int
) -> list[tuple[AccountId, Conversation]]:
    """Whose time is over, the oldest first."""
    found = db.execute(
        "SELECT account, contact, room FROM muted_until"
        " JOIN account ON account.id = muted_until.account"
        " WHERE until <= ? AND network = ? ORDER BY until LIMIT ?",
        (now, network, most),
    )
    return [
        (AccountId(account), Conversation(contact or None, room or None))
        for account, contact, room in found
    ]


def are_any(db: Connection) -> bool:
    """Whether there is any."""
    return db.execute("SELECT 1 FROM muted_until WHERE until > 0 LIMIT 1").fetchone() is not None
