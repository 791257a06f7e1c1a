# SPDX-License-Identifier: Apache-2.0
"""Databases of every released schema are taken over, with all that lives in them."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest

from gateway.ids import ConversationId, NetworkName, RowId
from gateway.store import Store, accounts, journal
from gateway.store.database import migrate
from gateway.store.secrets import SecretBox
from tests.unit.store import freeze

_CHANGELOG = Path(__file__).parents[3] / "CHANGELOG.md"
_EVERY_SCHEMA = pytest.mark.parametrize("schema", freeze.released())


def test_every_released_migration_is_frozen() -> None:
    """At a release each migration has its dump. Until then the newest ones need none."""
    numbers = [int(path.name.partition("_")[0]) for path in freeze.migrations()]
    assert numbers == list(range(1, len(numbers) + 1))
    newest = re.search(r"^## (.*)$", _CHANGELOG.read_text(), re.MULTILINE)
    assert newest is not None
    if not newest[1].startswith("Unreleased"):
        assert freeze.dump_of(numbers[-1]).exists(), "run: python -m tests.unit.store.freeze"
    assert freeze.released(), "the first schema is released"


@_EVERY_SCHEMA
def test_a_released_migration_is_never_edited(schema: int) -> None:
    now = {path.name: freeze.digest(path) for path in freeze.migrations()[:schema]}
    assert freeze.digests(schema) == now


@pytest.mark.parametrize("schema", sorted({*freeze.released(), len(freeze.migrations())}))
def test_every_table_and_state_is_alive_in_a_dump(schema: int) -> None:
    """Also in that of the schema that is not released yet: its author adds what is new."""
    db = sqlite3.connect(":memory:")
    db.executescript(freeze.freeze(schema))
    tables = [
        name
        for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        if not name.startswith("sqlite_")
    ]
    empty = [name for name in tables if not db.execute(f"SELECT 1 FROM {name}").fetchone()]
    assert not empty, f"tests/unit/store/freeze.py fills nothing into {empty}"
    for table, states in (("inbound", {0, 1, 2, 3}), ("outbound", {0, 2, 3})):
        assert {state for (state,) in db.execute(f"SELECT state FROM {table}")} == states
    statuses = {status for (status,) in db.execute("SELECT status FROM account")}
    assert statuses == set(accounts.AccountStatus)


def _schema(db: sqlite3.Connection) -> list[tuple[str, ...]]:
    """Tables, indexes and columns, however they came to be."""
    found = [
        (table, *map(str, column))
        for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        for column in db.execute(f"PRAGMA table_xinfo({table})")
    ]
    return sorted(found) + sorted(
        (name, table)
        for name, table in db.execute(
            "SELECT name, tbl_name FROM sqlite_master WHERE type = 'index'"
        )
    )


@_EVERY_SCHEMA
async def test_it_is_migrated_whole(schema: int, tmp_path: Path) -> None:
    path = tmp_path / "dragoman.db"
    freeze.restore(schema, path)
    before = sqlite3.connect(path)
    counts = {
        table: before.execute(f"SELECT count(*) FROM {table}").fetchone()
        for (table,) in before.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    }
    before.close()
    store = await Store.open(path)
    fresh = sqlite3.connect(tmp_path / "fresh.db", isolation_level=None)
    migrate(fresh)
    try:
        assert _schema(store.reader) == _schema(fresh)
        assert store.reader.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert store.reader.execute("PRAGMA foreign_key_check").fetchall() == []
        for table, count in counts.items():
            assert store.reader.execute(f"SELECT count(*) FROM {table}").fetchone() == count
        assert store.instance == freeze.INSTANCE
    finally:
        fresh.close()
        await store.close()


@_EVERY_SCHEMA
async def test_all_rows_and_secrets_can_still_be_read(schema: int, tmp_path: Path) -> None:
    path = tmp_path / "dragoman.db"
    freeze.restore(schema, path)
    store = await Store.open(path)
    try:
        box = SecretBox.load(path.with_name("dragoman.db.key"), has_secrets=True)
        for account in accounts.of_network(store.reader, NetworkName("net")):
            if account.secret is not None:
                box.open(account.secret, f"account {account.id}")
        inbound = [
            row
            for chat in (1, 2)
            for row in journal.open_inbound(store.reader, ConversationId(chat), RowId(0), 100)
        ]
        outbound = journal.open_outbound(store.reader, ConversationId(1), RowId(0), 100)
        assert len(inbound) == 10
        assert len(outbound) == 4
        assert all(row.delivery is not None for row in inbound)
        assert all(row.command is not None for row in outbound)
    finally:
        await store.close()
