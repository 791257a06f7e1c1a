# SPDX-License-Identifier: Apache-2.0
"""What the network was told last of how a user is called and looks."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.ids import AccountId
from gateway.store.writer import Connection, Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnProfile:
    """Both are empty until something was told."""

    name: str = ""
    picture: str = ""
    """What it is called on XMPP: SHA-1 of it, in hex."""


def get(db: Connection, account: AccountId) -> OwnProfile:
    """That of an account."""
    found = db.execute(
        "SELECT name, picture FROM own_profile WHERE account = ?", (account,)
    ).fetchone()
    return OwnProfile() if found is None else OwnProfile(name=found[0], picture=found[1])


def put(db: Transaction, account: AccountId, told: OwnProfile) -> None:
    """Replace it, unless the account is gone."""
    db.execute(
        "INSERT INTO own_profile (account, name, picture)"
        " SELECT id, ?, ? FROM account WHERE id = ?"
        " ON CONFLICT DO UPDATE SET name = excluded.name, picture = excluded.picture",
        (told.name, told.picture, account),
    )
