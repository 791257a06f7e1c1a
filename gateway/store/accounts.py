# SPDX-License-Identifier: Apache-2.0
"""Accounts: who has linked what, with the cursor and the adapter's own state."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.errors import Forbidden
from gateway.ids import AccountId, NetworkName, RemoteUserId, UserJid
from gateway.store import avatars, sharing
from gateway.store.kinds import AccountKind
from gateway.store.writer import Connection, Transaction
from gateway.text.wording import tr


class AccountStatus(enum.StrEnum):
    """Whether the account may connect."""

    LINKED = "linked"
    EXPIRED = "expired"
    """The network no longer takes the credentials; the user has to log in again."""
    LOGGED_OUT = "logged-out"
    """The user logged out; contacts and conversations stay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRow:
    """One linked account, as stored."""

    id: AccountId
    network: NetworkName
    user: UserJid
    realm: str
    remote_id: RemoteUserId
    secret: bytes | None = field(repr=False)
    cursor: str | None
    status: AccountStatus
    settings: str
    """What the user has set, in the bridge's own form; empty if nothing."""
    language: str
    """That they spoke last; empty if they have spoken none."""
    gone_since: float | None
    """Since when their server has said that they have no account on it (REQ-461)."""
    is_suspended: bool
    kind: AccountKind


_COLUMNS = (
    "id, network, user, realm, remote_id, secret, cursor, status, settings, language,"
    " gone_since, suspended, kind"
)


def _row(values: tuple[object, ...]) -> AccountRow:
    return AccountRow(
        id=values[0],  # type: ignore[arg-type]
        network=values[1],  # type: ignore[arg-type]
        user=values[2],  # type: ignore[arg-type]
        realm=values[3],  # type: ignore[arg-type]
        remote_id=values[4],  # type: ignore[arg-type]
        secret=values[5],  # type: ignore[arg-type]
        cursor=values[6],  # type: ignore[arg-type]
        status=AccountStatus(str(values[7])),
        settings=str(values[8]),
        language=str(values[9]),
        gone_since=values[10],  # type: ignore[arg-type]
        is_suspended=bool(values[11]),
        kind=AccountKind(str(values[12])),
    )


def of_network(db: Connection, network: NetworkName) -> list[AccountRow]:
    """All accounts of a network, most recently active first."""
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM account WHERE network = ? ORDER BY active_at DESC", (network,)
    )
    return [_row(values) for values in rows]


def owner_of(
    db: Connection, network: NetworkName, realm: str, remote_id: RemoteUserId
) -> UserJid | None:
    """The user who has linked this identity, if anybody has.

    The same id in another realm is somebody else: only its own realm can prove it.
    """
    found = db.execute(
        "SELECT user FROM account WHERE network = ? AND realm = ? AND remote_id = ?",
        (network, realm, remote_id),
    ).fetchone()
    return UserJid(found[0]) if found else None


def add(
    db: Transaction,
    *,
    network: NetworkName,
    user: UserJid,
    realm: str,
    remote_id: RemoteUserId,
    now: float,
    kind: AccountKind = AccountKind.OWN,
) -> AccountId:
    """Link an identity; its secret is set next, since it is sealed for the new id.

    A user whose account is that identity already gets it back, with everything it has. They may
    have proved it in another realm this time, for example under another address of the
    homeserver: from now on that one counts, and `owner_of` must have been asked about it before.
    Raises `Forbidden` if the user has an account that is another identity.
    """
    made = db.execute(
        "INSERT INTO account"
        " (network, kind, user, realm, remote_id, status, created_at, active_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (network, kind, user) DO UPDATE"
        " SET realm = excluded.realm, active_at = excluded.active_at"
        " WHERE remote_id = excluded.remote_id",
        (network, kind, user, realm, remote_id, AccountStatus.LOGGED_OUT, now, now),
    )
    if made.rowcount == 0:
        raise Forbidden(
            tr(
                "You are linked with another account already. Send “unregister” "
                "first to link this one.",
            )
        )
    (account,) = db.execute(
        "SELECT id FROM account WHERE network = ? AND kind = ? AND user = ?", (network, kind, user)
    ).fetchone()
    return AccountId(account)


def house(db: Connection, network: NetworkName) -> AccountId | None:
    """The gateway's own account on a network, if it has ever had one."""
    found = db.execute(
        "SELECT id FROM account WHERE network = ? AND kind = ?", (network, AccountKind.HOUSE)
    ).fetchone()
    return None if found is None else AccountId(found[0])


def replace_identity(
    db: Transaction, account: AccountId, user: UserJid, realm: str, remote_id: RemoteUserId
) -> None:
    """An account is somebody else on the network, of whom nothing is known yet; if it is not the
    same."""
    changed = db.execute(
        "UPDATE account SET realm = ?, remote_id = ?, cursor = NULL"
        " WHERE id = ? AND (realm, remote_id) <> (?, ?)",
        (realm, remote_id, account, realm, remote_id),
    )
    if changed.rowcount:
        db.execute("DELETE FROM account_state WHERE account = ?", (account,))
    db.execute("UPDATE account SET user = ? WHERE id = ?", (user, account))


def set_realm_of_virtuals(db: Transaction, network: NetworkName, realm: str) -> None:
    """Those for whom the house speaks are in the groups in which it is."""
    db.execute(
        "UPDATE account SET realm = ? WHERE network = ? AND kind = ?",
        (realm, network, AccountKind.VIRTUAL),
    )


def remote_id(db: Connection, account: AccountId) -> RemoteUserId | None:
    """Who an account is on the network."""
    found = db.execute("SELECT remote_id FROM account WHERE id = ?", (account,)).fetchone()
    return None if found is None else RemoteUserId(found[0])


def exists(db: Connection, account: AccountId) -> bool:
    """Whether it was not removed."""
    return db.execute("SELECT 1 FROM account WHERE id = ?", (account,)).fetchone() is not None


def get(db: Connection, account: AccountId) -> AccountRow:
    """One account, which must exist."""
    found = db.execute(f"SELECT {_COLUMNS} FROM account WHERE id = ?", (account,)).fetchone()
    return _row(found)


def set_secret(
    db: Transaction, account: AccountId, secret: bytes | None, status: AccountStatus
) -> None:
    """Replace the sealed secret together with the status that follows from it."""
    db.execute("UPDATE account SET secret = ?, status = ? WHERE id = ?", (secret, status, account))


def set_status(db: Transaction, account: AccountId, status: AccountStatus) -> None:
    """Change whether the account may connect."""
    db.execute("UPDATE account SET status = ? WHERE id = ?", (status, account))


def set_active(db: Transaction, account: AccountId, now: float) -> None:
    """Its user does something."""
    db.execute("UPDATE account SET active_at = ? WHERE id = ?", (now, account))


def set_language(db: Transaction, account: AccountId, language: str) -> None:
    """Remember which language the user speaks."""
    db.execute("UPDATE account SET language = ? WHERE id = ?", (language, account))


def set_gone(
    db: Transaction, account: AccountId, since: float | None, *, is_suspended: bool
) -> None:
    """Remember since when the user's server has said that they have no account on it."""
    db.execute(
        "UPDATE account SET gone_since = ?, suspended = ? WHERE id = ?",
        (since, is_suspended, account),
    )


def expire(db: Transaction, account: AccountId, secret: bytes | None) -> bool:
    """The network no longer takes what is in this sealed secret. False if it is not the account's
    any more: the user has logged in again since, or has logged out."""
    return (
        db.execute(
            "UPDATE account SET status = ? WHERE id = ? AND secret = ?",
            (AccountStatus.EXPIRED, account, secret),
        ).rowcount
        == 1
    )


def settings(db: Connection, account: AccountId) -> str:
    """What the user has set. Raises `LookupError` if the account was removed meanwhile."""
    found = db.execute("SELECT settings FROM account WHERE id = ?", (account,)).fetchone()
    if found is None:
        raise LookupError(f"account {account}")
    return str(found[0])


def set_settings(db: Transaction, account: AccountId, stored: str) -> None:
    """Replace what the user has set."""
    db.execute("UPDATE account SET settings = ? WHERE id = ?", (stored, account))


def set_cursor(db: Transaction, account: AccountId, cursor: str, now: float) -> None:
    """Remember up to where the network's events are ours."""
    db.execute("UPDATE account SET cursor = ?, active_at = ? WHERE id = ?", (cursor, now, account))


def remove(db: Transaction, account: AccountId) -> tuple[int, int]:
    """Delete the account and all that belongs to it, also rooms that nobody else shares. Returns
    how many rows waited in these, and their bytes."""
    avatars.forget(db, account)
    sharing.forget_fetched(db, account)
    db.execute("DELETE FROM account WHERE id = ?", (account,))
    return sharing.sweep(db)


def any_secret(db: Connection) -> bool:
    """Whether the database holds a secret, so that the key file must exist."""
    return (
        db.execute(
            "SELECT 1 FROM account WHERE secret IS NOT NULL UNION ALL"
            " SELECT 1 FROM registration WHERE network > '' LIMIT 1"
        ).fetchone()
        is not None
    )


def state(db: Connection, account: AccountId) -> dict[str, str]:
    """The adapter's own key-value store of the account."""
    return dict(
        db.execute("SELECT key, value FROM account_state WHERE account = ?", (account,)).fetchall()
    )


def change_state(db: Transaction, account: AccountId, changes: Mapping[str, str | None]) -> None:
    """Set keys, and delete those whose value is None."""
    db.executemany(
        "DELETE FROM account_state WHERE account = ? AND key = ?",
        [(account, key) for key, value in changes.items() if value is None],
    )
    db.executemany(
        "INSERT OR REPLACE INTO account_state VALUES (?, ?, ?)",
        [(account, key, value) for key, value in changes.items() if value is not None],
    )
