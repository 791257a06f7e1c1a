# SPDX-License-Identifier: Apache-2.0
"""Opening: migrations, the lock, durability."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.errors import DatabaseInUse, DatabaseTooNew, StoreUnavailable
from gateway.store import Store, conversations
from gateway.store import database as module
from tests.unit.store import rows

_STEPS = len(list(module._MIGRATIONS.glob("*.sql")))
_HOLD = """
import asyncio, sys
from pathlib import Path
from gateway.store import Store

async def main():
    store = await Store.open(Path(sys.argv[1]))
    await store.write(lambda db: db.execute("INSERT INTO meta VALUES ('held', 'yes')"))
    print("open", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def _schema(path: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT name, sql FROM sqlite_schema ORDER BY name").fetchall()


def _version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("PRAGMA user_version").fetchone()[0])


def _contents(path: Path) -> bytes:
    return path.read_bytes()


def _fill(path: Path, contents: bytes) -> None:
    path.write_bytes(contents)


async def _open_and_close(path: Path) -> str:
    store = await Store.open(path)
    await store.close()
    return store.instance


# --- migrations -------------------------------------------------------------------------------


async def test_a_database_is_made_from_nothing(tmp_path: Path) -> None:
    path = tmp_path / "new" / "directory" / "dragoman.db"
    await _open_and_close(path)
    assert _version(path) == _STEPS
    assert {"account", "address", "inbound", "outbound", "message", "alias"} <= {
        name for name, _ in _schema(path)
    }


async def test_opening_again_changes_nothing(database: Path) -> None:
    instance = await _open_and_close(database)
    before = _schema(database)
    assert await _open_and_close(database) == instance
    assert _schema(database) == before


async def test_two_databases_have_different_instances(tmp_path: Path) -> None:
    instances = {await _open_and_close(tmp_path / name) for name in ("a.db", "b.db")}
    assert len(instances) == 2
    assert all(len(instance) >= 16 for instance in instances)


async def test_a_newer_schema_is_refused_with_a_sentence(database: Path) -> None:
    await _open_and_close(database)
    with closing(sqlite3.connect(database)) as db:
        db.execute(f"PRAGMA user_version = {_STEPS + 1}")
    before = _contents(database)
    for _ in range(2):  # the refusal gives the lock up
        with pytest.raises(DatabaseTooNew, match=rf"schema {_STEPS + 1}.*knows {_STEPS}"):
            await Store.open(database)
    assert _contents(database) == before


async def _migrated(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sql: str
) -> None:
    """Open an existing database with one more migration."""
    await _open_and_close(database)
    steps = tmp_path / "migrations"
    shutil.copytree(module._MIGRATIONS, steps)
    (steps / f"{_STEPS + 1:04}_next.sql").write_text(sql)
    monkeypatch.setattr(module, "_MIGRATIONS", steps)
    await _open_and_close(database)


async def test_the_next_migration_runs_once(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _migrated(database, tmp_path, monkeypatch, "CREATE TABLE next (id INTEGER);")
    assert _version(database) == _STEPS + 1
    await _open_and_close(database)
    assert "next" in dict(_schema(database))


async def test_a_migration_that_fails_leaves_the_old_schema(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await Store.open(database)
    await store.write(lambda db: rows.account(db, "alice"))
    await store.close()
    before = _schema(database)
    with pytest.raises(StoreUnavailable, match=r"dragoman\.db"):
        await _migrated(
            database,
            tmp_path,
            monkeypatch,
            "CREATE TABLE next (id INTEGER);\nDELETE FROM account;\nSELECT nothing FROM nowhere;",
        )
    assert _schema(database) == before
    assert _version(database) == _STEPS
    monkeypatch.undo()
    store = await Store.open(database)
    assert rows.count(store.reader, "account") == 1
    await store.close()


async def test_what_is_no_database_is_refused(database: Path) -> None:
    _fill(database, b"a letter to my grandmother, " * 100)
    with pytest.raises(StoreUnavailable, match="not a database"):
        await Store.open(database)


async def test_a_path_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match="file"):
        await Store.open(tmp_path / "file" / "dragoman.db")


# --- the lock ---------------------------------------------------------------------------------


async def test_a_second_instance_is_refused_and_told_who_holds_it(database: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _HOLD, str(database), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"open\n"
        with pytest.raises(DatabaseInUse, match=rf"in use by .*\b{process.pid}\b"):
            await Store.open(database)
        process.send_signal(signal.SIGKILL)
        assert await process.wait() == -signal.SIGKILL
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    store = await Store.open(database)
    assert store.reader.execute("SELECT value FROM meta WHERE key = 'held'").fetchone() == ("yes",)
    await store.close()


async def test_the_same_process_is_refused_too(store: Store) -> None:
    with pytest.raises(DatabaseInUse, match=rf"\b{os.getpid()}\b"):
        await Store.open(store.path)


async def test_closing_gives_the_lock_up(database: Path) -> None:
    for _ in range(3):
        await _open_and_close(database)


# --- durability -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pragma", "value"), [("synchronous", 2), ("journal_mode", "wal"), ("foreign_keys", 1)]
)
async def test_a_commit_is_on_the_disk(store: Store, pragma: str, value: object) -> None:
    found = await store.write(lambda db: db.execute(f"PRAGMA {pragma}").fetchone())
    assert found == (value,)


async def test_the_reader_cannot_write(store: Store) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        store.reader.execute("DELETE FROM meta")


async def test_removing_an_account_removes_all_that_is_its_own(store: Store) -> None:
    def unit(db: sqlite3.Connection) -> None:
        for user in ("alice", "carol"):
            of, conversation = rows.chat(db, user)
            rows.message(db, conversation, f"m-{user}")
            conversations.tell_once(db, conversation, "name")
            rows.inbound(db, of, conversation, f"i-{user}")
            rows.outbound(db, of, conversation, f"o-{user}")
        db.execute("DELETE FROM account WHERE user = 'alice'")

    await store.write(unit)
    for table in ("account", "conversation", "told", "message", "alias", "inbound", "outbound"):
        assert rows.count(store.reader, table) == 1, table


_BODY = "what nobody else may read, " * 400


async def _say_and_unregister(store: Store) -> None:
    def say(db: sqlite3.Connection) -> None:
        of, conversation = rows.chat(db, "alice")
        rows.inbound(db, of, conversation, _BODY)
        rows.outbound(db, of, conversation, _BODY)

    await store.write(say)
    await store.checkpoint()
    assert _BODY.encode()[:50] in _contents(store.path)
    await store.write(lambda db: db.execute("UPDATE inbound SET bounces = 1"))
    await store.write(lambda db: db.execute("DELETE FROM account"))


def _holding_the_body(store: Store) -> list[str]:
    files = [store.path, store.path.with_name(f"{store.path.name}-wal")]
    return [file.name for file in files if b"nobody else may read" in _contents(file)]


async def test_nothing_of_a_removed_account_stays_in_the_files(store: Store) -> None:
    await _say_and_unregister(store)
    assert _holding_the_body(store), "or there is nothing to do for the checkpoint"
    await store.checkpoint()
    assert _holding_the_body(store) == []


async def test_a_checkpoint_comes_after_what_was_queued_before(store: Store) -> None:
    await _say_and_unregister(store)
    for n in range(3):
        store.write(lambda db, n=n: db.execute("INSERT INTO meta VALUES (?, '')", (f"x{n}",)))  # type: ignore[misc]
    await store.checkpoint()
    assert store.reader.execute("SELECT count(*) FROM meta WHERE value = ''").fetchone() == (3,)
    assert store.path.with_name(f"{store.path.name}-wal").stat().st_size == 0


async def test_a_checkpoint_that_cannot_be_is_logged_and_not_raised(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_CHECKPOINT_BUSY_S", 0.01)
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN")
        other.execute("SELECT * FROM meta").fetchall()
        await store.write(lambda db: rows.account(db, "alice"))
        with capture_logs() as logs:
            await store.checkpoint()
        assert [entry["event"] for entry in logs] == ["log_not_emptied"]
    timeout = await store.write(lambda db: db.execute("PRAGMA busy_timeout").fetchone())
    assert timeout == (5000,)
    with capture_logs() as logs:
        await store.checkpoint()
    assert logs == []
