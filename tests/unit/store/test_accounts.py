# SPDX-License-Identifier: Apache-2.0
"""Who has linked what."""

from __future__ import annotations

import sqlite3

import pytest

from gateway.errors import Forbidden
from gateway.ids import AccountId, RemoteUserId, UserJid
from gateway.store import Store, Transaction, accounts
from gateway.store.accounts import AccountStatus
from tests.unit.store.rows import NETWORK

ALICE = UserJid("alice@example.org")
CAROL = UserJid("carol@example.org")
IDENTITY = RemoteUserId("@a:example.org")


def _add(
    db: Transaction, user: UserJid, realm: str, remote_id: RemoteUserId = IDENTITY
) -> AccountId:
    return accounts.add(db, network=NETWORK, user=user, realm=realm, remote_id=remote_id, now=0)


async def test_an_identity_proved_in_another_realm_stays_the_same_account(store: Store) -> None:
    def link(db: Transaction) -> AccountId:
        account = _add(db, ALICE, "https://old.example")
        accounts.set_secret(db, account, b"sealed", AccountStatus.LINKED)
        accounts.set_cursor(db, account, "cursor", 1)
        return account

    before = await store.write(link)
    assert await store.write(lambda db: _add(db, ALICE, "https://new.example")) == before
    (row,) = accounts.of_network(store.reader, NETWORK)
    assert (row.realm, row.cursor) == ("https://new.example", "cursor")
    owners = [
        accounts.owner_of(store.reader, NETWORK, f"https://{realm}.example", IDENTITY)
        for realm in ("old", "new")
    ]
    assert owners == [None, ALICE]


async def test_nobody_moves_into_a_realm_where_the_identity_is_another_users(
    store: Store,
) -> None:
    await store.write(lambda db: _add(db, ALICE, "https://a.example"))
    await store.write(lambda db: _add(db, CAROL, "https://b.example"))
    with pytest.raises(sqlite3.IntegrityError):
        await store.write(lambda db: _add(db, CAROL, "https://a.example"))
    assert accounts.owner_of(store.reader, NETWORK, "https://a.example", IDENTITY) == ALICE
    assert accounts.owner_of(store.reader, NETWORK, "https://b.example", IDENTITY) == CAROL


async def test_a_second_identity_is_refused_with_a_sentence(store: Store) -> None:
    await store.write(lambda db: _add(db, ALICE, "realm"))
    with pytest.raises(Forbidden, match="unregister"):
        await store.write(lambda db: _add(db, ALICE, "realm", RemoteUserId("@b:example.org")))


async def test_a_row_does_not_show_its_secret(store: Store) -> None:
    def unit(db: Transaction) -> str:
        account = _add(db, ALICE, "realm")
        accounts.set_secret(db, account, b"sealed token", AccountStatus.LINKED)
        return repr(accounts.get(db, account))

    assert "token" not in await store.write(unit)


async def test_settings_belong_to_one_account_and_end_with_it(store: Store) -> None:
    alice = await store.write(lambda db: _add(db, ALICE, "https://a.example"))
    carol = await store.write(
        lambda db: _add(db, CAROL, "https://a.example", RemoteUserId("@c:example.org"))
    )
    await store.write(lambda db: accounts.set_settings(db, alice, "{}"))
    assert accounts.settings(store.reader, alice) == "{}"
    assert accounts.settings(store.reader, carol) == ""
    await store.write(lambda db: accounts.remove(db, alice))
    with pytest.raises(LookupError):
        accounts.settings(store.reader, alice)
