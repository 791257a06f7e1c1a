# SPDX-License-Identifier: Apache-2.0
"""The writer: it alone owns the write connection, and commits whatever waits, as one transaction.

A *unit* is a function of the open transaction. Units are committed in the order in which they
were submitted. There is no timer: while one group is being synced to disk the next one gathers. A
unit that raises costs the group its transaction but nobody else their data: the group is rolled
back and repeated with a savepoint for each unit, so that only the guilty one fails. Should that
transaction fail as a whole, each unit gets its own.

Whatever decides a write is looked up inside the unit. There it sees everything that was queued
before it, committed or not, and no second bookkeeping of queued keys is needed.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import aiosqlite
import structlog

from gateway.errors import StoreUnavailable

log = structlog.get_logger("store")

Connection = sqlite3.Connection
Transaction = sqlite3.Connection
T = TypeVar("T")

_GROUP_LIMIT = 500
"""Units in one transaction: bounds what is repeated when one of them fails."""

_NOT_THE_UNITS_FAULT = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_BUSY,
    # Linux makes a file system read-only after errors of its disk.
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
)


class BatchConnection(aiosqlite.Connection):
    """An aiosqlite connection that runs a whole function on its thread.

    One hop to the thread costs 63 to 300 µs, so a group of units takes one hop, not one per row.
    """

    async def _connect(self) -> aiosqlite.Connection:
        try:
            return await super()._connect()
        except BaseException:
            # It has told its thread to end, and that speaks to the loop once more.
            self._thread.join()
            raise

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``work`` on the connection's thread."""
        execute: Any = self._execute
        return cast("T", await execute(work, self._conn))

    def post(
        self, work: Callable[[sqlite3.Connection], T], then: Callable[[T | Exception], None]
    ) -> None:
        """Run ``work`` on the connection's thread, and ``then`` with its result on the loop.

        For the writer: to wait for a future would cost it another turn of the loop.
        """
        db, loop = self._conn, asyncio.get_running_loop()

        def on_thread() -> None:
            result: T | Exception
            try:
                result = work(db)
            except Exception as error:
                result = error
            except BaseException as error:  # whoever waits must not wait for ever
                result = RuntimeError(f"{type(error).__name__}: {error}")
            loop.call_soon_threadsafe(then, result)

        self._tx.put_nowait((None, on_thread))


@dataclass(slots=True)
class _Queued:
    unit: Callable[[Transaction], Any]
    then: Callable[[Any], None] | None
    done: asyncio.Future[Any]
    outside: bool = False
    """Between two transactions, not in one."""


class Writer:
    """Group commit. `submit` from the loop's thread only."""

    def __init__(self, connection: BatchConnection) -> None:
        self._connection = connection
        self._waiting: deque[_Queued] = deque()
        self._idle = asyncio.Event()
        self._idle.set()

    def submit(
        self, unit: Callable[[Transaction], T], then: Callable[[T], None] | None = None
    ) -> asyncio.Future[T]:
        """Queue a unit.

        ``then`` is called with its result right after the commit, in commit order, before anybody
        who awaits the future runs. The future may be cancelled or dropped: the unit is committed
        all the same. Its exceptions: `gateway.errors.StoreUnavailable`, or what the unit raised.
        """
        return self._queue(unit, then)

    def between(
        self, work: Callable[[Connection], T], then: Callable[[T], None] | None = None
    ) -> asyncio.Future[T]:
        """Queue what cannot be done in a transaction: after all units that were queued before."""
        return self._queue(work, then, outside=True)

    def _queue(
        self,
        unit: Callable[[Connection], T],
        then: Callable[[T], None] | None,
        *,
        outside: bool = False,
    ) -> asyncio.Future[T]:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        self._waiting.append(_Queued(unit, then, done, outside))
        if self._idle.is_set():
            self._idle.clear()
            loop.call_soon(self._next)  # and not now: who else wants to in this turn comes along
        return done

    def _next(self) -> None:
        """Commit what waits. Not a task: each await of one would be another turn of the loop."""
        if not self._waiting:
            self._idle.set()
            return
        group = self._next_group()
        units = [queued.unit for queued in group]
        work = _run_outside if group[0].outside else _commit
        try:
            self._connection.post(
                functools.partial(work, units=units),
                functools.partial(self._committed, group),
            )
        except Exception as error:  # the connection was closed
            self._committed(group, error)

    def _committed(self, group: Sequence[_Queued], results: list[Any] | Exception) -> None:
        if isinstance(results, Exception):  # whatever it is, it must not end everybody's writer
            results = [_Failed(results)] * len(group)
        for queued, result in zip(group, results, strict=True):
            _finish(queued, result)
        self._next()

    def _next_group(self) -> list[_Queued]:
        group = [self._waiting.popleft()]
        if not group[0].outside:
            while self._waiting and not self._waiting[0].outside and len(group) < _GROUP_LIMIT:
                group.append(self._waiting.popleft())
        return group

    async def drain(self) -> None:
        """Wait until everything submitted is committed or failed, with what follows from it."""
        while not self._idle.is_set():
            await self._idle.wait()


class _Failed:
    __slots__ = ("error",)

    def __init__(self, error: Exception) -> None:
        self.error = error


def _finish(queued: _Queued, result: Any) -> None:
    if isinstance(result, _Failed):
        with contextlib.suppress(OSError):  # the log may be on the same full disk
            log.warning("unit_failed", error=type(result.error).__name__)
        if not queued.done.done():
            error = result.error
            if isinstance(error, StopIteration):  # no future takes it
                error = RuntimeError("the unit raised StopIteration")
            queued.done.set_exception(error)
            queued.done.exception()  # callers that only use ``then`` drop the future: no complaint
        return
    if queued.then is not None:
        try:
            queued.then(result)
        except Exception:
            with contextlib.suppress(OSError):
                log.exception("unit_callback_failed")
    if not queued.done.done():
        queued.done.set_result(result)


class _GroupLost(Exception):
    """The whole transaction failed, and not one unit in it."""

    def __init__(self, error: Exception) -> None:
        self.error = error


class _NotBegun(_GroupLost):
    """There was no transaction at all, perhaps after a long wait for somebody else's."""


def _run_outside(
    db: sqlite3.Connection, units: Sequence[Callable[[Connection], Any]]
) -> list[Any]:
    (work,) = units
    try:
        return [work(db)]
    except Exception as error:
        return [_failed(error)]


def _commit(db: sqlite3.Connection, units: Sequence[Callable[[Transaction], Any]]) -> list[Any]:
    """Commit all units at once, or all but the guilty ones, or if that fails each alone.

    On the connection's thread.
    """
    if len(units) > 1:
        for attempt in (_run_all, _run_innocent):
            try:
                return _commit_group(db, units, attempt)
            except _NotBegun as lost:  # it would be the same for each, one wait after the other
                return [_failed(lost.error)] * len(units)
            except _GroupLost:
                break
            except Exception:
                continue
    return [_commit_alone(db, unit) for unit in units]


def _commit_group(
    db: sqlite3.Connection,
    units: Sequence[Callable[[Transaction], Any]],
    attempt: Callable[[Transaction, Sequence[Callable[[Transaction], Any]]], list[Any]],
) -> list[Any]:
    try:
        db.execute("BEGIN IMMEDIATE")
    except sqlite3.Error as error:
        raise _NotBegun(error) from error
    try:
        results = attempt(db, units)
        try:
            db.execute("COMMIT")
        except sqlite3.Error as error:
            raise _GroupLost(error) from error
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    return results


def _run_all(db: Transaction, units: Sequence[Callable[[Transaction], Any]]) -> list[Any]:
    return [unit(db) for unit in units]


def _run_innocent(db: Transaction, units: Sequence[Callable[[Transaction], Any]]) -> list[Any]:
    """Run all units, and take back what the failing ones did."""
    results: list[Any] = []
    for unit in units:
        db.execute("SAVEPOINT unit")
        try:
            results.append(unit(db))
        except Exception as error:
            if not db.in_transaction:
                # SQLite gave all of it up, as it may when the disk is full.
                raise _GroupLost(error) from error
            db.execute("ROLLBACK TO unit")
            results.append(_failed(error))
        db.execute("RELEASE unit")
    return results


def _commit_alone(db: sqlite3.Connection, unit: Callable[[Transaction], Any]) -> Any:
    try:
        return _commit_group(db, [unit], _run_all)[0]
    except _GroupLost as lost:
        return _failed(lost.error)
    except Exception as error:
        return _failed(error)


def is_unavailable(error: Exception) -> bool:
    """Whether the disk or somebody else's lock is to blame, and not who wanted to write."""
    return (
        isinstance(error, sqlite3.OperationalError)
        and (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _NOT_THE_UNITS_FAULT
    )


def _failed(error: Exception) -> _Failed:
    if is_unavailable(error):
        unavailable = StoreUnavailable("the database cannot be written")
        unavailable.__cause__ = error
        return _Failed(unavailable)
    return _Failed(error)
