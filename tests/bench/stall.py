# SPDX-License-Identifier: Apache-2.0
"""How long the loop stands still, with the disk and without."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from tests.bench import house
from tests.bench.measure import Figure, Group
from tests.bench.peer_process import Peers, peers

_CONVERSATIONS = 100
_COUNT = 1_500
_SLOW_COUNT = 300
"""So many take three rounds of all conversations."""
_TICK_S = 0.001
_DELAY_S = 1.0
_IDLE_S = 1.0
_GOAL_MS = 50.0


async def measure(directory: Path, repetitions: int) -> Group:
    """Messages in both directions, while commits take their normal time or a second."""
    await house.seed(directory, _CONVERSATIONS)
    idle, normal, delayed, slow = [], [], [], []
    async with peers(_CONVERSATIONS) as other, house.running(directory, other.ports):
        await other.up()
        await other.live(_CONVERSATIONS)
        for _ in range(repetitions):
            idle.append(await stall_ms(asyncio.sleep(_IDLE_S)))
            normal.append(await stall_ms(_traffic(other)))
            delaying = asyncio.create_task(asyncio.to_thread(_delay, house.database(directory)))
            await asyncio.sleep(0.1)
            delayed.append(await stall_ms(_traffic(other)))
            await delaying
            await other.answer_after(_DELAY_S)
            slow.append(await stall_ms(_traffic(other, _SLOW_COUNT)))
            await other.answer_after(0)
    return Group(
        title="Longest stall of the loop",
        note=(
            f"While {_COUNT:,} messages go each way in {_CONVERSATIONS} conversations; the wall "
            "time by which a timer of the loop came late, so what else runs here counts too. "
            "Delayed: the writer's thread waits 1 s for its transaction. Slow network: "
            f"{_SLOW_COUNT} messages each way."
        ),
        figures=[
            Figure(what="no messages", unit="ms", values=idle, less_is_better=True),
            Figure(what="messages", unit="ms", values=normal, goal=_GOAL_MS, less_is_better=True),
            Figure(
                what="messages, disk delayed by 1 s",
                unit="ms",
                values=delayed,
                goal=_GOAL_MS,
                less_is_better=True,
            ),
            Figure(
                what="messages, network answers after 1 s",
                unit="ms",
                values=slow,
                goal=_GOAL_MS,
                less_is_better=True,
            ),
        ],
    )


async def _traffic(other: Peers, count: int = _COUNT) -> None:
    await other.traffic(["in", "out"], count=count, conversations=_CONVERSATIONS)


async def stall_ms(work: Coroutine[Any, Any, object]) -> float:
    """The longest time by which the loop was late while it did this work."""
    task = asyncio.create_task(work)
    longest = 0.0
    while not task.done():
        before = time.perf_counter()
        await asyncio.sleep(_TICK_S)
        longest = max(longest, time.perf_counter() - before - _TICK_S)
    await task
    return longest * 1e3


def _delay(database: Path) -> None:
    """Hold the write lock: the writer's next transaction waits on its thread."""
    connection = sqlite3.connect(database, isolation_level=None, timeout=5)
    connection.execute("BEGIN IMMEDIATE")
    time.sleep(_DELAY_S)
    connection.execute("ROLLBACK")
    connection.close()
