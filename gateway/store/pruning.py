# SPDX-License-Identifier: Apache-2.0
"""Retention: what is too old goes, a few rows at a time so that no unit waits for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import structlog

from gateway.errors import StoreUnavailable
from gateway.store import avatars
from gateway.store.database import Store
from gateway.store.writer import Transaction

log = structlog.get_logger("pruning")

_BATCH = 50
"""1 ms of the processor with a million messages, and less than 15 ms on a machine that has far too
much to do; 500 took up to 170 ms there, for which everybody else's commit waits."""
_EVERY_S = 300.0
_BETWEEN_BATCHES_S = 0.1
_BOUNCES_S = 15 * 60.0
"""How long the content of a delivered row is kept for a bounce (REQ-905)."""
_JUMP_S = 7 * 86400.0
_DOUBT_S = 86400.0
"""How long a clock that jumped so far ahead may be put right before it is believed."""
_PICTURES_S = 86400.0
"""How often each is looked for whether anybody still has it."""
_DOUBLES_S = 7 * 86400.0
"""How long a sent message is known by its id (REQ-911)."""


class _Clock(Protocol):
    def now(self) -> float: ...
    def monotonic(self) -> float: ...
    async def sleep(self, seconds: float) -> None: ...


Forget = Callable[[float, int], Awaitable[int]]
"""Forgets at most so many of those who were not seen since then. Returns how many."""


class Pruning:
    """Prunes the whole store, for ever."""

    def __init__(
        self,
        store: Store,
        clock: _Clock,
        *,
        alias_retention_s: float,
        dead_letters_s: float,
        files_s: float,
        people: Sequence[Forget] = (),
    ) -> None:
        """``people``: of what is in memory as well, each network's own."""
        self._store = store
        self._clock = clock
        self._people = tuple(people)
        self._people_s = alias_retention_s
        self._offset_s = clock.now() - clock.monotonic()
        self._doubt_until: float | None = None
        self._rules: tuple[tuple[Callable[[Transaction, float], int], float], ...] = (
            (prune_inbound, _BOUNCES_S),
            (prune_dead_letters, dead_letters_s),
            (prune_dead_events, dead_letters_s),
            (prune_outbound, _DOUBLES_S),
            (prune_messages, alias_retention_s),
            (prune_archived, alias_retention_s),
            (prune_held, alias_retention_s),
            (prune_told, alias_retention_s),
            (prune_files, files_s),
            (prune_avatars, _PICTURES_S),
        )

    async def run(self) -> None:
        """Prune every few minutes."""
        while True:
            await self._clock.sleep(_EVERY_S)
            if self._doubts_clock():
                continue
            try:
                await self.once()
            except StoreUnavailable as error:
                log.warning("pruning_postponed", reason=str(error))
            except Exception:  # without this the disk would fill until the next start
                log.exception("pruning_failed")

    def _doubts_clock(self) -> bool:
        """A clock that is wrong by years must not cost what is kept for a year."""
        now = self._clock.monotonic()
        offset_s = self._clock.now() - now
        if offset_s - self._offset_s <= _JUMP_S:
            self._offset_s, self._doubt_until = offset_s, None
            return False
        if self._doubt_until is None:
            log.warning("clock_jumped", days=round((offset_s - self._offset_s) / 86400))
            self._doubt_until = now + _DOUBT_S
        if now < self._doubt_until:
            return True
        self._offset_s, self._doubt_until = offset_s, None
        return False

    async def once(self) -> None:
        """Prune all that is too old now."""
        for rule, age_s in self._rules:
            before = self._clock.now() - age_s
            while await self._store.write(lambda db: rule(db, before)) == _BATCH:  # noqa: B023
                await self._clock.sleep(_BETWEEN_BATCHES_S)
        for forget in self._people:
            while await forget(self._clock.now() - self._people_s, _BATCH) == _BATCH:
                await self._clock.sleep(_BETWEEN_BATCHES_S)


def prune_inbound(db: Transaction, before: float) -> int:
    """Drop settled rows. Returns how many."""
    return db.execute(
        "DELETE FROM inbound WHERE id IN"
        " (SELECT id FROM inbound WHERE state >= 2 AND state = 2 AND changed_at < ? LIMIT ?)",
        (before, _BATCH),
    ).rowcount


def prune_dead_letters(db: Transaction, before: float) -> int:
    """Drop rows that were given up. Returns how many."""
    return db.execute(
        "DELETE FROM inbound WHERE id IN"
        " (SELECT id FROM inbound WHERE state >= 2 AND state = 3 AND changed_at < ? LIMIT ?)",
        (before, _BATCH),
    ).rowcount


def prune_dead_events(db: Transaction, before: float) -> int:
    """Drop events that could not be stored or read. Returns how many."""
    return db.execute(
        "DELETE FROM dead_event WHERE id IN"
        " (SELECT id FROM dead_event WHERE stored_at < ? LIMIT ?)",
        (before, _BATCH),
    ).rowcount


def prune_outbound(db: Transaction, before: float) -> int:
    """Drop settled rows. Returns how many."""
    return db.execute(
        "DELETE FROM outbound WHERE id IN"
        " (SELECT id FROM outbound WHERE state > 0 AND changed_at < ? LIMIT ?)",
        (before, _BATCH),
    ).rowcount


def prune_messages(db: Transaction, before: float) -> int:
    """Drop messages with their aliases and reactions. Returns how many."""
    return db.execute(
        "DELETE FROM message WHERE id IN (SELECT id FROM message WHERE stored_at < ? LIMIT ?)",
        (before, _BATCH),
    ).rowcount


def prune_archived(db: Transaction, before: float) -> int:
    """Drop what was said in rooms. Returns how much."""
    return db.execute(
        "DELETE FROM archived WHERE id IN (SELECT id FROM archived WHERE stored_at < ? LIMIT ?)",
        (before, _BATCH),
    ).rowcount


def prune_held(db: Transaction, before: float) -> int:
    """Drop events that nobody could ever read. Returns how many."""
    return db.execute(
        "DELETE FROM held WHERE rowid IN (SELECT rowid FROM held WHERE stored_at < ? LIMIT ?)",
        (before, _BATCH),
    ).rowcount


def prune_told(db: Transaction, before: float) -> int:
    """Forget gaps that were told of. Returns how many.

    Of all other notices a conversation has one each, and they are told once for ever.
    """
    return db.execute(
        "DELETE FROM told WHERE (conversation, notice) IN"
        " (SELECT conversation, notice FROM told WHERE told_at > 0 AND told_at < ? LIMIT ?)",
        (before, _BATCH),
    ).rowcount


def prune_files(db: Transaction, before: float) -> int:
    """Forget files of the network: their addresses work no longer. Returns how many."""
    return db.execute(
        "DELETE FROM file WHERE id IN (SELECT id FROM file WHERE stored_at < ? LIMIT ?)",
        (before, _BATCH),
    ).rowcount


def prune_avatars(db: Transaction, before: float) -> int:
    """Drop pictures that nobody has any more. Returns at how many it has looked."""
    return avatars.prune(db, before, before + _PICTURES_S, _BATCH)
