# SPDX-License-Identifier: Apache-2.0
"""Messages of users that are several on the network, because they are too long for one: what that
calls each of them, in order."""

from __future__ import annotations

from gateway.ids import RemoteMessageId
from gateway.store.conversations import remote_id_of
from gateway.store.writer import Connection, Transaction


def of(db: Connection, message: int) -> list[RemoteMessageId]:
    """All that the network has of a message; one, for most."""
    found = db.execute("SELECT remote_id FROM piece WHERE message = ? ORDER BY number", (message,))
    several = [RemoteMessageId(remote_id) for (remote_id,) in found]
    whole = None if several else remote_id_of(db, message)
    return several if whole is None else [whole]


def add(db: Transaction, message: int, remote_id: RemoteMessageId) -> None:
    """One more."""
    there = of(db, message)
    if remote_id not in there:
        is_first = len(there) == 1 and not _has_rows(db, message)
        for each in [*there, remote_id] if is_first else [remote_id]:
            db.execute(
                "INSERT INTO piece SELECT ?, coalesce(max(number), -1) + 1, ? FROM piece"
                " WHERE message = ?",
                (message, each, message),
            )


def remove(db: Transaction, message: int, remote_id: RemoteMessageId) -> bool:
    """One less, which may leave none. False if it is none of them."""
    gone = db.execute(
        "DELETE FROM piece WHERE message = ? AND remote_id = ?", (message, remote_id)
    )
    return gone.rowcount == 1


def _has_rows(db: Connection, message: int) -> bool:
    return db.execute("SELECT 1 FROM piece WHERE message = ?", (message,)).fetchone() is not None
