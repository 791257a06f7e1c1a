# SPDX-License-Identifier: Apache-2.0
"""Every statement of `gateway.store` that any test runs is asked how SQLite would find its rows.

What looks through a whole table that grows with use is a failure of the test that ran it: it is
fast enough there, and not with a million messages.
"""

from __future__ import annotations

import re
import sqlite3
import sys
from collections.abc import Iterable
from functools import cache
from typing import Any

from gateway.store.database import migrate

_SMALL = {"meta", "account", "approval", "sqlite_sequence"}
"""Nothing grows in them but by people; the last has a row for each of some tables."""
_OPEN_ROWS = re.compile(
    r"^SCAN \w+ USING (COVERING )?INDEX (inbound_open|outbound_open|archived_awaited)$"
)
"""As much work as rows wait, at a start."""
_AT_A_START = {"cut", "untold", "waiting_edit"}
"""Empty, but for conversations of which something was cut, people of whom something happened, and
edits that came within the last seconds, and that was not told yet."""

_connect = sqlite3.connect
_new: set[str] = set()
_known: set[str] = set()


class _Recording(sqlite3.Connection):
    """Notes what the store executes; what a test looks up for itself is its own affair."""

    def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
        self._note(sql)
        return super().execute(sql, *arguments)

    def executemany(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
        self._note(sql)
        return super().executemany(sql, *arguments)

    @staticmethod
    def _note(sql: str) -> None:
        caller = sys._getframe(2).f_globals.get("__name__", "")
        if sql not in _known and caller.startswith("gateway.store"):
            _new.add(sql)


def record() -> None:
    """From now on every connection notes what the store executes."""

    def connect(*arguments: Any, **options: Any) -> sqlite3.Connection:
        made: sqlite3.Connection = _connect(*arguments, **{"factory": _Recording, **options})
        return made

    sqlite3.connect = connect  # type: ignore[assignment]


def check() -> None:
    """Raises `AssertionError` if a statement since the last call looks through a whole table."""
    if not _new:
        return
    statements = set(_new)
    _new.clear()
    _known.update(statements)
    bad = [f"{step}\n  {sql}" for sql in sorted(statements) for step in scans(sql)]
    assert not bad, "these look through whole tables:\n" + "\n".join(bad)


def scans(sql: str) -> Iterable[str]:
    """The steps of a statement's plan that look through a table that grows."""
    if not sql.startswith(("SELECT", "INSERT", "UPDATE", "DELETE")):
        return []
    plan = _empty().execute(f"EXPLAIN QUERY PLAN {sql}", (None,) * sql.count("?")).fetchall()
    steps = [step for *_, step in plan if step.startswith("SCAN ")]
    return [
        step
        for step in steps
        if step.split()[1] not in _SMALL | _AT_A_START and not _OPEN_ROWS.match(step)
    ]


@cache
def _empty() -> sqlite3.Connection:
    """A database with our tables and nothing in them."""
    db = _connect(":memory:", isolation_level=None, check_same_thread=False)
    migrate(db)
    return db
