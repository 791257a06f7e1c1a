# SPDX-License-Identifier: Apache-2.0
"""What was done for contacts in their users' own contact lists (REQ-230, REQ-1008)."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from gateway.ids import AccountId, RemoteUserId
from gateway.store.writer import Connection, Transaction


class State(enum.IntEnum):
    """How a contact stands in the user's contact list."""

    WANTED = 0
    """To be put there."""
    ASKED = 1
    """The contact has asked, once, since nobody may write there; or is not to ask."""
    OURS = 2
    """We have put it there, and the user has not changed it."""
    THEIRS = 3
    """The user has put it there or changed it: it is left alone."""
    REMOVED = 4
    """The user has removed it, or the network has: never put there again by itself."""
    UNWANTED = 5
    """To be removed, if the user has not changed it."""
    INVITED = 6
    """The contact has invited the user, who has said nothing yet: nothing is done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One contact."""

    state: State = State.WANTED
    name: str = ""
    label: str = ""
    """Name and group as we have put them there last."""
    writing: str | None = None
    """A name that we may have put there: no answer has come yet."""
    asked_at: float | None = None
    """When the contact has asked to be added."""


_COLUMNS = "state, name, label, writing, asked_at"


def get(db: Connection, account: AccountId, contact: RemoteUserId) -> Row | None:
    """One contact, if anything was done for it."""
    found = db.execute(
        f"SELECT {_COLUMNS} FROM roster_item WHERE account = ? AND contact = ?",
        (account, contact),
    ).fetchone()
    return None if found is None else _row(*found)


def put(db: Transaction, account: AccountId, contact: RemoteUserId, row: Row) -> None:
    """Store one contact."""
    db.execute(
        f"INSERT OR REPLACE INTO roster_item (account, contact, {_COLUMNS})"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (account, contact, row.state, row.name, row.label, row.writing, row.asked_at),
    )


def all_of(db: Connection, account: AccountId) -> dict[RemoteUserId, Row]:
    """All contacts for whom anything was done."""
    found = db.execute(
        f"SELECT contact, {_COLUMNS} FROM roster_item WHERE account = ?", (account,)
    )
    return {RemoteUserId(contact): _row(*columns) for contact, *columns in found}


def new_chats(db: Connection, account: AccountId) -> list[RemoteUserId]:
    """Contacts with whom something was said, and for whom nothing was done."""
    found = db.execute(
        "SELECT contact FROM conversation WHERE account = ? AND contact <> ''"
        " AND EXISTS (SELECT 1 FROM message WHERE message.conversation = conversation.id)"
        " AND NOT EXISTS (SELECT 1 FROM roster_item WHERE roster_item.account ="
        " conversation.account AND roster_item.contact = conversation.contact"
        " AND roster_item.state <> ?)",
        (account, State.INVITED),
    )
    return [RemoteUserId(contact) for (contact,) in found]


def asked_since(db: Connection, account: AccountId, since: float) -> int:
    """How many contacts have asked since then."""
    found = db.execute(
        "SELECT count(*) FROM roster_item WHERE account = ? AND asked_at > ?", (account, since)
    ).fetchone()
    return int(found[0])


def unwant(db: Transaction, account: AccountId, contact: RemoteUserId) -> bool:
    """The network has the contact no longer. Returns whether something is to be done."""
    changed = db.execute(
        "UPDATE roster_item SET state = ? WHERE account = ? AND contact = ? AND state = ?",
        (State.UNWANTED, account, contact, State.OURS),
    )
    return changed.rowcount > 0


def is_ours(db: Connection, account: AccountId, contact: RemoteUserId) -> bool:
    """Whether the contact's name there is the one that we have put there."""
    row = get(db, account, contact)
    return row is not None and row.state is State.OURS


def _row(state: int, name: str, label: str, writing: str | None, asked_at: float | None) -> Row:
    return Row(state=State(state), name=name, label=label, writing=writing, asked_at=asked_at)
