# SPDX-License-Identifier: Apache-2.0
"""What is kept for a year outlives a clock that is wrong for a while."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import cast

import pytest
from structlog.testing import capture_logs

from gateway.store import Store
from gateway.store.pruning import Pruning
from tests.clock import VirtualClock

HOUR, YEAR = 3600, 365 * 86_400


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def pruned(clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When something was pruned."""
    times: list[float] = []

    async def once(_: Pruning) -> None:
        times.append(clock.now())

    monkeypatch.setattr(Pruning, "once", once)
    return times


async def test_a_clock_that_jumps_ahead_is_believed_after_a_day(
    clock: VirtualClock, pruned: list[float]
) -> None:
    pruning = Pruning(
        cast("Store", None),
        clock,
        alias_retention_s=400 * 86_400,
        dead_letters_s=30 * 86_400,
        files_s=30 * 86_400,
    )
    running = asyncio.create_task(pruning.run())
    await clock.advance(HOUR)
    assert len(pruned) == 12
    with capture_logs() as logs:
        clock.set_by(3 * YEAR)
        await clock.advance(12 * HOUR)
    assert [(log["event"], log["days"]) for log in logs] == [("clock_jumped", 1095)]
    assert len(pruned) == 12
    clock.set_by(-3 * YEAR)  # it was put right
    await clock.advance(HOUR)
    assert len(pruned) == 24
    clock.set_by(3 * YEAR)
    await clock.advance(25 * HOUR)
    assert pruned[-1] > clock.now() - HOUR, "it was right after all"
    before = len(pruned)
    await clock.advance(HOUR)
    assert len(pruned) == before + 12
    running.cancel()


@pytest.mark.parametrize("jump", [-3 * YEAR, -2 * HOUR, 2 * HOUR, 6 * 24 * HOUR])
async def test_other_jumps_change_nothing(
    clock: VirtualClock, pruned: list[float], jump: int
) -> None:
    pruning = Pruning(
        cast("Store", None),
        clock,
        alias_retention_s=400 * 86_400,
        dead_letters_s=30 * 86_400,
        files_s=30 * 86_400,
    )
    running = asyncio.create_task(pruning.run())
    clock.set_by(jump)
    await clock.advance(HOUR)
    assert len(pruned) == 12
    running.cancel()


async def test_pruning_goes_on_whatever_it_raises(
    clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[float] = []

    async def once(_: Pruning) -> None:
        tried.append(clock.now())
        raise sqlite3.DatabaseError("a page is damaged")

    monkeypatch.setattr(Pruning, "once", once)
    pruning = Pruning(
        cast("Store", None), clock, alias_retention_s=YEAR, dead_letters_s=YEAR, files_s=YEAR
    )
    with capture_logs() as logs:
        running = asyncio.ensure_future(pruning.run())
        await clock.advance(HOUR)
        running.cancel()
    assert len(tried) == 12
    assert {log["event"] for log in logs} == {"pruning_failed"}
