# SPDX-License-Identifier: Apache-2.0
"""What an adapter keeps for an account and nobody else may read. Sealed by whoever calls."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.ids import AccountId
from gateway.store.writer import Connection, Transaction


def get(db: Connection, account: AccountId, key: str) -> bytes | None:
    """One value, sealed."""
    found = db.execute(
        "SELECT value FROM account_sealed WHERE account = ? AND key = ?", (account, key)
    ).fetchone()
    return None if found is None else bytes(found[0])


def change(db: Transaction, account: AccountId, changes: Mapping[str, bytes | None]) -> None:
    """Set keys, and delete those whose value is None."""
    db.executemany(
        "DELETE FROM account_sealed WHERE account = ? AND key = ?",
        [(account, key) for key, value in changes.items() if value is None],
    )
    db.executemany(
        "INSERT INTO account_sealed (account, key, value) VALUES (?, ?, ?)"
        " ON CONFLICT (account, key) DO UPDATE SET value = excluded.value",
        [(account, key, value) for key, value in changes.items() if value is not None],
    )


def drop(db: Transaction, account: AccountId) -> None:
    """Forget all of an account."""
    db.execute("DELETE FROM account_sealed WHERE account = ?", (account,))
