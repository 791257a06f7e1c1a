# SPDX-License-Identifier: Apache-2.0
"""The last presence of contacts, as a snapshot; and which chats are recent and go first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gateway.events import Availability, Presence
from gateway.ids import AccountId, NetworkName, RemoteUserId
from gateway.store.writer import Connection, Transaction

Saved = tuple[AccountId, RemoteUserId, Presence]


def save(db: Transaction, rows: Iterable[Saved]) -> None:
    """Remember these. What belongs to accounts that were removed meanwhile is left out."""
    db.executemany(
        "INSERT OR REPLACE INTO contact_presence"
        " SELECT id, ?2, ?3, ?4, ?5 FROM account WHERE id = ?1",
        [
            (account, contact, state.availability, state.status, state.idle_since)
            for account, contact, state in rows
        ],
    )


def of_network(db: Connection, network: NetworkName) -> Iterator[Saved]:
    """All that is remembered for a network. For the start."""
    rows = db.execute(
        "SELECT account, p.remote_id, availability, p.status, idle_since"
        " FROM contact_presence p JOIN account a ON a.id = account WHERE network = ?",
        (network,),
    )
    for account, contact, availability, status, idle_since in rows:
        yield (
            AccountId(account),
            RemoteUserId(contact),
            Presence(
                availability=Availability(availability), status=status, idle_since=idle_since
            ),
        )


def recent_chats(
    db: Connection, network: NetworkName
) -> Iterator[tuple[AccountId, RemoteUserId, int]]:
    """Each chat with its newest message: larger is more recent. For the start."""
    rows = db.execute(
        "SELECT c.account, c.contact,"
        " (SELECT max(m.id) FROM message m WHERE m.conversation = c.id)"
        " FROM conversation c JOIN account a ON a.id = c.account WHERE a.network = ?",
        (network,),
    )
    for account, contact, newest in rows:
        if newest is not None:
            yield AccountId(account), RemoteUserId(contact), newest
