# SPDX-License-Identifier: Apache-2.0
"""The secrets of an account: sealed, and bound to the account and the key."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.bridge.links.sealed import Sealed
from gateway.errors import SecretUnreadable
from gateway.ids import AccountId
from gateway.store import Store, Transaction, sealed
from gateway.store.secrets import SecretBox
from tests.unit.store import rows

BOX = SecretBox(bytes(32))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await Store.open(tmp_path / "dragoman.db")
    yield opened
    await opened.close()


async def _put(store: Store, account: AccountId, **values: bytes | None) -> None:
    changes = Sealed(store, BOX, account).seal(values)
    await store.write(lambda db: sealed.change(db, account, changes))


async def test_what_is_kept_comes_back_and_is_not_readable_in_the_database(
    store: Store,
) -> None:
    account = await store.write(lambda db: rows.account(db, "alice"))
    await _put(store, account, key=b"a very secret key", other=b"x")
    await _put(store, account, key=b"another secret key", other=None)
    mine = Sealed(store, BOX, account)
    assert (mine.get("key"), mine.get("other"), mine.get("third")) == (
        b"another secret key",
        None,
        None,
    )
    (value,) = store.reader.execute("SELECT value FROM account_sealed").fetchone()
    assert b"secret" not in value


async def test_a_value_does_not_open_in_another_place(store: Store) -> None:
    def unit(db: Transaction) -> tuple[AccountId, AccountId]:
        return rows.account(db, "alice"), rows.account(db, "eve")

    alice, eve = await store.write(unit)
    await _put(store, alice, key=b"secret")
    value = sealed.get(store.reader, alice, "key")
    await store.write(lambda db: sealed.change(db, eve, {"key": value}))
    await store.write(lambda db: sealed.change(db, alice, {"other": value}))
    for account, key in ((eve, "key"), (alice, "other")):
        with pytest.raises(SecretUnreadable):
            Sealed(store, BOX, account).get(key)
    with pytest.raises(SecretUnreadable):
        Sealed(store, SecretBox(b"1" * 32), alice).get("key")
