# SPDX-License-Identifier: Apache-2.0
"""Group commit: order, isolation of a guilty unit, a disk that is full, the end."""

from __future__ import annotations

import asyncio
import functools
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.errors import StoreUnavailable
from gateway.store import Store, Transaction
from gateway.store.writer import BatchConnection, Writer
from tests.unit.store import rows

MANY = 1000
_BLOB = 64 * 1024


def _insert(user: str) -> Callable[[Transaction], int]:
    """Something of one account: its row, a chat, a message."""

    def unit(db: Transaction) -> int:
        _, conversation = rows.chat(db, user)
        return rows.message(db, conversation, user)

    return unit


def _bulky(name: str, size: int) -> Callable[[Transaction], None]:
    def unit(db: Transaction) -> None:
        db.execute("INSERT INTO meta VALUES (?, ?)", (name, "x" * size))

    return unit


async def _pragma(store: Store, name: str, value: int | None = None) -> int:
    setting = "" if value is None else f" = {value}"
    return await store.write(
        lambda db: int((db.execute(f"PRAGMA {name}{setting}").fetchone() or (0,))[0])
    )


@contextmanager
def _commits(store: Store) -> Iterator[list[str]]:
    """All commits of the writer meanwhile. The writer must be idle at both ends."""
    commits: list[str] = []
    db = store._connection._conn
    db.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)
    try:
        yield commits
    finally:
        db.set_trace_callback(None)


def _users(store: Store) -> set[str]:
    return {user for (user,) in store.reader.execute("SELECT user FROM account")}


async def test_units_are_committed_in_the_order_of_their_submission(store: Store) -> None:
    told: list[int] = []
    written = [store.write(_insert(f"u{n}"), told.append) for n in range(MANY)]
    results = await asyncio.gather(*written)
    assert results == sorted(results)
    assert told == results
    stored = [sid for (sid,) in store.reader.execute("SELECT stanza_id FROM message ORDER BY id")]
    assert stored == [f"u{n}" for n in range(MANY)]


async def test_a_unit_sees_what_was_queued_before_it(store: Store) -> None:
    store.write(_insert("alice"))
    seen = store.write(lambda db: rows.count(db, "account"))
    assert await seen == 1


async def test_waiting_units_share_a_transaction(store: Store) -> None:
    await store.drain()
    runs = 0

    def counted(db: Transaction, user: str) -> None:
        nonlocal runs
        runs += 1
        rows.account(db, user)

    for n in range(100):
        store.write(functools.partial(counted, user=f"u{n}"))
    with _commits(store) as commits:
        await store.drain()
    assert rows.count(store.reader, "account") == 100
    assert runs == 100, "no unit had to be repeated"
    assert len(commits) == 1


async def test_only_the_guilty_units_fail(store: Store) -> None:
    """A broken constraint, an exception, a full disk and a cancelled caller, among 1,000 units."""
    await store.write(lambda db: rows.account(db, "taken"))
    limit = await _pragma(store, "max_page_count")
    await _pragma(store, "max_page_count", await _pragma(store, "page_count") + 200)

    def broken(db: Transaction) -> None:
        rows.account(db, "half")
        db.execute(
            "INSERT INTO account (network, user, realm, remote_id, status, created_at, active_at)"
            " VALUES ('net', 'taken', '', '', '', 0, 0)"
        )

    def raising(db: Transaction) -> None:
        rows.account(db, "half too")
        raise ValueError("this unit only")

    def huge(db: Transaction) -> None:
        rows.account(db, "half as well")
        _bulky("huge", 4_000_000)(db)

    guilty: dict[int, tuple[Callable[[Transaction], Any], type[Exception]]] = {
        100: (broken, sqlite3.IntegrityError),
        450: (huge, StoreUnavailable),
        451: (raising, ValueError),
        999: (broken, sqlite3.IntegrityError),
    }
    told: list[int] = []
    written: list[asyncio.Future[Any]] = []
    for n in range(MANY):
        unit = guilty[n][0] if n in guilty else _insert(f"u{n}")
        written.append(store.write(unit, lambda _, n=n: told.append(n)))  # type: ignore[misc]
    written[700].cancel()
    results = await asyncio.gather(*written, return_exceptions=True)
    failed = {n for n, result in enumerate(results) if isinstance(result, Exception)}
    assert failed == guilty.keys()
    for n, (_, kind) in guilty.items():
        assert isinstance(results[n], kind)
    assert isinstance(results[700], asyncio.CancelledError)
    expected = [n for n in range(MANY) if n not in guilty]
    assert told == expected
    assert _users(store) == {"taken"} | {f"u{n}" for n in expected}
    await _pragma(store, "max_page_count", limit)


async def test_a_guilty_unit_costs_its_group_no_second_transaction(store: Store) -> None:
    runs = 0

    def counted(db: Transaction, user: str) -> None:
        nonlocal runs
        runs += 1
        rows.account(db, user)

    def raising(db: Transaction) -> None:
        rows.account(db, "half")
        raise ValueError("this unit only")

    await store.drain()
    written: list[asyncio.Future[None]] = []
    for n in range(100):
        unit = raising if n in (0, 50) else functools.partial(counted, user=f"u{n}")
        written.append(store.write(unit))
    with _commits(store) as commits:
        results = await asyncio.gather(*written, return_exceptions=True)
    assert [n for n, result in enumerate(results) if result is not None] == [0, 50]
    assert _users(store) == {f"u{n}" for n in range(100) if n not in (0, 50)}
    assert len(commits) == 1
    assert runs <= 2 * 98


async def test_what_is_queued_between_transactions_keeps_its_place(store: Store) -> None:
    seen: list[tuple[int, bool]] = []
    users = ["a", "b", "", "c", "", "d"]

    def look(db: Transaction) -> None:
        seen.append((rows.count(db, "account"), db.in_transaction))

    for user in users:
        if user:
            store.write(_insert(user))
        else:
            store._writer.between(look)
    await store.drain()
    assert seen == [(2, False), (3, False)]
    assert _users(store) == set("abcd")


async def test_a_failure_between_transactions_is_its_callers(store: Store) -> None:
    failing = store._writer.between(lambda db: db.execute("SELECT 1 FROM nowhere"))
    after = store.write(_insert("alice"))
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        await failing
    assert await after == 1


async def test_a_full_disk_fails_every_unit_and_leaves_nothing_behind(store: Store) -> None:
    await store.write(_bulky("before", _BLOB))
    limit = await _pragma(store, "max_page_count")
    pages = await _pragma(store, "page_count")
    assert await _pragma(store, "max_page_count", pages) == pages
    before = rows.count(store.reader, "meta")
    told: list[object] = []
    written = [store.write(_bulky(f"b{n}", _BLOB), told.append) for n in range(50)]
    results = await asyncio.gather(*written, return_exceptions=True)
    assert {type(result) for result in results} == {StoreUnavailable}
    assert told == []
    assert rows.count(store.reader, "meta") == before
    # The next unit finds a connection without an open transaction, and room.
    await _pragma(store, "max_page_count", limit)
    await store.write(_bulky("after", _BLOB))
    assert rows.count(store.reader, "meta") == before + 1


async def test_a_file_system_that_became_read_only_is_nobodys_fault(store: Store) -> None:
    await store._connection.run(lambda db: db.execute("PRAGMA query_only = ON"))
    with pytest.raises(StoreUnavailable):
        await store.write(_insert("alice"))
    await store._connection.run(lambda db: db.execute("PRAGMA query_only = OFF"))
    await store.write(_insert("alice"))
    assert _users(store) == {"alice"}


async def test_somebody_elses_lock_is_waited_for_once_for_all_who_wait(store: Store) -> None:
    """Not once for each unit: what comes would be refused minutes later only."""
    await store._connection.run(lambda db: db.execute("PRAGMA busy_timeout = 50"))
    begun: list[str] = []

    def trace(statement: str) -> None:
        if statement.startswith("BEGIN"):
            begun.append(statement)

    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    await store._connection.run(lambda db: db.set_trace_callback(trace))
    written = [store.write(_insert(f"u{n}")) for n in range(41)]
    results = await asyncio.gather(*written, return_exceptions=True)
    other.execute("ROLLBACK")
    other.close()
    assert {type(result) for result in results} == {StoreUnavailable}
    assert len(begun) <= 2  # the first may be on its own
    await store.write(_insert("after"))
    assert _users(store) == {"after"}


@pytest.mark.parametrize("group", [1, 3])
@pytest.mark.parametrize(
    "code",
    [
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_IOERR_WRITE,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
    ],
)
async def test_what_the_disk_says_in_the_middle_of_a_unit_is_nobodys_fault(
    store: Store, code: int, group: int
) -> None:
    """The extended codes too. It is worth another try, and no mistake of the unit."""

    def unit(db: Transaction) -> None:
        error = sqlite3.OperationalError("of the disk")
        error.sqlite_errorcode = code
        raise error

    written = [store.write(unit) for _ in range(group)]
    results = await asyncio.gather(*written, return_exceptions=True)
    assert {type(result) for result in results} == {StoreUnavailable}


async def test_a_mistake_in_a_statement_is_the_units_fault(store: Store) -> None:
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        await store.write(lambda db: db.execute("DELETE FROM missing"))


async def test_a_commit_that_fails_costs_its_unit_only(store: Store) -> None:
    """A deferred constraint is checked by COMMIT itself, which then leaves a transaction open."""

    def dangling(db: Transaction) -> None:
        db.execute("PRAGMA defer_foreign_keys = ON")
        db.execute("INSERT INTO conversation (account, contact) VALUES (4711, 'bob')")

    written: list[asyncio.Future[Any]] = [
        store.write(_insert("before")),
        store.write(dangling),
        store.write(_insert("after")),
    ]
    results = await asyncio.gather(*written, return_exceptions=True)
    assert [type(result) for result in results] == [int, sqlite3.IntegrityError, int]
    assert _users(store) == {"before", "after"}


class _FailingCommits(sqlite3.Connection):
    """Answers COMMIT with an I/O error, as often as it is told to."""

    failures = 0

    def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
        if sql == "COMMIT" and self.failures:
            self.failures -= 1
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
            raise error
        return super().execute(sql, *arguments)


@asynccontextmanager
async def _failing(path: Path) -> AsyncIterator[tuple[Writer, _FailingCommits]]:
    made: list[_FailingCommits] = []

    def connect() -> sqlite3.Connection:
        db = _FailingCommits(path, isolation_level=None, check_same_thread=False)
        db.execute("CREATE TABLE item (name TEXT UNIQUE)")
        made.append(db)
        return db

    connection = BatchConnection(connect, iter_chunk_size=64)
    await connection
    writer = Writer(connection)
    try:
        yield writer, made[0]
    finally:
        await connection.close()


def _item(name: str) -> Callable[[Transaction], str]:
    def unit(db: Transaction) -> str:
        db.execute("INSERT INTO item VALUES (?)", (name,))
        return name

    return unit


async def test_a_commit_without_a_disk_is_rolled_back(database: Path) -> None:
    async with _failing(database) as (writer, db):
        db.failures = 4  # the group, and then each of three alone
        written = [writer.submit(_item(name)) for name in "abc"]
        results = await asyncio.gather(*written, return_exceptions=True)
        assert [type(result) for result in results] == [StoreUnavailable] * 3
        again = [writer.submit(_item(name)) for name in "abc"]
        assert await asyncio.gather(*again) == ["a", "b", "c"]


async def test_a_group_whose_commit_fails_once_is_repeated(database: Path) -> None:
    async with _failing(database) as (writer, db):
        db.failures = 1
        assert await asyncio.gather(*map(writer.submit, map(_item, "abc"))) == ["a", "b", "c"]


async def test_callbacks_come_in_commit_order_and_before_those_who_wait(store: Store) -> None:
    seen: list[str] = []

    async def waits(n: int) -> None:
        await store.write(_insert(f"u{n}"), lambda _: seen.append(f"then {n}"))
        seen.append(f"awaited {n}")

    await asyncio.gather(*(waits(n) for n in range(3)))
    assert seen == ["then 0", "then 1", "then 2", "awaited 0", "awaited 1", "awaited 2"]


async def test_a_callback_that_raises_disturbs_nobody(store: Store) -> None:
    told: list[int] = []

    def bad(_: int) -> None:
        raise RuntimeError("a mistake of the caller")

    with capture_logs() as logs:
        first = store.write(_insert("a"), bad)
        second = store.write(_insert("b"), told.append)
        assert await first == 1
        assert await second == 2
    assert told == [2]
    assert [entry["event"] for entry in logs] == ["unit_callback_failed"]


async def test_the_unit_of_a_cancelled_caller_is_committed(store: Store) -> None:
    told: list[int] = []

    async def caller() -> None:
        await store.write(_insert("alice"), told.append)

    task = asyncio.ensure_future(caller())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await store.drain()
    assert told == [1]
    assert _users(store) == {"alice"}
    await store.write(_insert("next"))


async def test_a_dropped_failure_is_logged_and_not_raised_anywhere(store: Store) -> None:
    with capture_logs() as logs:
        store.write(lambda db: db.execute("INSERT INTO nowhere VALUES (1)"))
        await store.drain()
    assert [entry["event"] for entry in logs] == ["unit_failed"]


async def test_the_reader_sees_a_commit_as_soon_as_it_is_told(store: Store) -> None:
    seen: list[set[str]] = []
    await store.write(_insert("alice"), lambda _: seen.append(_users(store)))
    assert seen == [{"alice"}]


async def test_closing_commits_what_is_queued_and_what_follows_from_it(database: Path) -> None:
    store = await Store.open(database)

    async def chain() -> None:
        for n in range(5):
            await store.write(_insert(f"chain{n}"))

    chained = asyncio.ensure_future(chain())
    for n in range(600):
        store.write(_insert(f"u{n}"))
    await asyncio.sleep(0)
    await store.close()
    await chained
    again = await Store.open(database)
    try:
        expected = {f"u{n}" for n in range(600)} | {f"chain{n}" for n in range(5)}
        assert _users(again) == expected
    finally:
        await again.close()


@pytest.mark.parametrize("error", [StopIteration(), ValueError("no")])
async def test_whatever_a_unit_raises_the_writer_goes_on(
    store: Store, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    def unit(_: Transaction) -> None:
        raise error

    # The log lies on the same disk.
    monkeypatch.setattr("gateway.store.writer.log.warning", full, raising=False)
    with pytest.raises((RuntimeError, ValueError)):
        await store.write(unit)
    await store.write(_insert("next"))
    assert _users(store) == {"next"}
