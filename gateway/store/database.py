# SPDX-License-Identifier: Apache-2.0
"""Opening, migrating, locking and closing the database file."""

from __future__ import annotations

import asyncio
import fcntl
import os
import secrets
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import structlog

from gateway.errors import DatabaseInUse, DatabaseTooNew, StoreUnavailable
from gateway.store.writer import BatchConnection, Connection, Transaction, Writer

log = structlog.get_logger("store")

_MIGRATIONS = Path(__file__).parent / "migrations"
_BUSY_S = 5.0
_CHECKPOINT_BUSY_S = 0.5
"""How long all units wait at most because somebody else reads the database."""
T = TypeVar("T")


class Store:
    """The open database. One per process; create with `Store.open`."""

    def __init__(self, path: Path, lock: int, connection: BatchConnection) -> None:
        self.path = path
        self._lock = lock
        self._connection = connection
        self._writer = Writer(connection)
        self.reader = _connect(path, read_only=True)
        """For indexed point reads on the loop's thread (3 µs each). Never for pages or scans."""
        self.instance = _meta(self.reader, "instance")
        """Unguessable name of this database; part of what we leave on other networks."""

    @classmethod
    async def open(cls, path: Path) -> Store:
        """Lock, create or migrate, and open.

        Raises `DatabaseInUse`, `DatabaseTooNew`, `StoreUnavailable`.
        """
        lock = _lock(path)
        try:
            connection = BatchConnection(lambda: _connect(path), iter_chunk_size=64)
            await connection
            try:
                await connection.run(migrate)
                return cls(path, lock, connection)
            except BaseException:
                await connection.close()
                raise
        except BaseException as error:
            os.close(lock)
            if isinstance(error, sqlite3.Error):
                raise StoreUnavailable(f"{path}: {error}") from error
            raise

    def write(
        self, unit: Callable[[Transaction], T], then: Callable[[T], None] | None = None
    ) -> asyncio.Future[T]:
        """Queue a unit for the writer; see `Writer.submit`."""
        return self._writer.submit(unit, then)

    async def checkpoint(self) -> None:
        """Empty the write-ahead log, after all that was queued before.

        What was deleted is overwritten in the database file, but the log still has it. A failure
        is logged and not raised; the log is then overwritten as it is used again, and removed when
        the store is closed.
        """
        await self._writer.between(_checkpoint, _log_checkpoint)

    async def drain(self) -> None:
        """Wait until everything queued so far is committed or failed."""
        await self._writer.drain()

    async def close(self) -> None:
        """Commit what is queued, close the connections, give up the lock."""
        await self.drain()
        self.reader.close()
        # The thread of aiosqlite is not a daemon: without this the process would never end.
        await self._connection.close()
        os.close(self._lock)


def _connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    mode = "ro" if read_only else "rwc"
    if not read_only:
        # Texts under way are in it; SQLite gives its journal the same mode.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    db = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
        timeout=_BUSY_S,
    )
    if not read_only:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA foreign_keys = ON")
        # What is deleted is overwritten: unregistering promises that nothing stays.
        db.execute("PRAGMA secure_delete = ON")
    return db


def migrate(db: sqlite3.Connection) -> None:
    """Bring the schema up to date, in one transaction: all of it, or nothing.

    Raises `DatabaseTooNew` if a newer version has been here.
    """
    steps = sorted(_MIGRATIONS.glob("*.sql"))
    (have,) = db.execute("PRAGMA user_version").fetchone()
    if have > len(steps):
        raise DatabaseTooNew(
            f"The database has schema {have}, this version knows {len(steps)}. "
            "Run the version that wrote it, or a newer one; or restore an older copy."
        )
    if have < len(steps):
        script = "\n".join(step.read_text() for step in steps[have:])
        version = f"PRAGMA user_version = {len(steps)}"
        # A table that is made anew is dropped first, and that must not take along what refers to
        # it (https://www.sqlite.org/lang_altertable.html, "Making Other Kinds Of Table Schema
        # Changes").
        (enforced,) = db.execute("PRAGMA foreign_keys").fetchone()
        db.execute("PRAGMA foreign_keys = OFF")
        db.executescript(f"BEGIN IMMEDIATE;\n{script}\n{version};\nCOMMIT;")
        db.execute(f"PRAGMA foreign_keys = {enforced}")
    db.execute("INSERT OR IGNORE INTO meta VALUES ('instance', ?)", (secrets.token_hex(8),))


def _checkpoint(db: Connection) -> str:
    """Returns why the log could not be emptied, or nothing."""
    try:
        db.execute(f"PRAGMA busy_timeout = {_CHECKPOINT_BUSY_S * 1000:.0f}")
        try:
            busy, *_ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            db.execute(f"PRAGMA busy_timeout = {_BUSY_S * 1000:.0f}")
    except sqlite3.Error as error:
        return str(error)
    return "somebody else reads the database" if busy else ""


def _log_checkpoint(reason: str) -> None:
    if reason:
        log.warning("log_not_emptied", reason=reason)


def _meta(db: sqlite3.Connection, key: str) -> str:
    (value,) = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return str(value)


def _lock(database: Path) -> int:
    """Hold ``<database>.lock`` for as long as the process lives."""
    path = database.with_name(database.name + ".lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreUnavailable(f"{path}: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.read(lock, 200).decode(errors="replace") or "another process"
        os.close(lock)
        raise DatabaseInUse(f"{database} is in use by {holder}") from None
    os.ftruncate(lock, 0)
    os.write(lock, f"process {os.getpid()} on {socket.gethostname()}".encode())
    return lock
