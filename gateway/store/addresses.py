# SPDX-License-Identifier: Apache-2.0
"""The bijection between remote ids and localparts, per network (REQ-261)."""

from __future__ import annotations

from gateway.ids import NetworkName, RemoteUserId
from gateway.store.writer import Connection, Transaction


def localpart_of(db: Connection, network: NetworkName, remote_id: RemoteUserId) -> str | None:
    """The localpart assigned to a contact, if one is."""
    found = db.execute(
        "SELECT localpart FROM address WHERE network = ? AND remote_id = ?", (network, remote_id)
    ).fetchone()
    return found[0] if found else None


def remote_of(db: Connection, network: NetworkName, localpart: str) -> RemoteUserId | None:
    """The contact to whom a localpart is assigned, if it is."""
    found = db.execute(
        "SELECT remote_id FROM address WHERE network = ? AND localpart = ?", (network, localpart)
    ).fetchone()
    return found[0] if found else None


def assign(db: Transaction, network: NetworkName, remote_id: RemoteUserId, localpart: str) -> None:
    """Assign a localpart for ever. Does nothing if the contact has one."""
    db.execute(
        "INSERT OR IGNORE INTO address (network, localpart, remote_id) VALUES (?, ?, ?)",
        (network, localpart, remote_id),
    )
