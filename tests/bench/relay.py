# SPDX-License-Identifier: Apache-2.0
"""A busy group that is linked for people without an account: the gateway's own account is in it,
and speaks for all of them."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import sys
import time
from dataclasses import replace
from pathlib import Path

from tests.bench import house
from tests.bench.measure import Figure, settle_garbage
from tests.bench.memory import resident_mib
from tests.bench.peer_process import Peers, peers

MEMBERS, PEOPLE = 5_000, 100
_COUNT = 100
_PASSING = 1_000
_STRANGER = 10_000
_MOST = 2
"""Repetitions of what takes long."""
_GOAL_MS = 10.0
_GOAL_FIRST_S, _GOAL_AGAIN_S = 0.3, 0.1


async def measure(directory: Path, repetitions: int) -> list[Figure]:
    """The figures of such a group."""
    figures = await _spoken(directory / "relay", repetitions)
    return figures + await _grown(directory / "relay-memory", min(repetitions, _MOST))


async def _spoken(directory: Path, repetitions: int) -> list[Figure]:
    directory.mkdir()  # noqa: ASYNC240 - nothing else runs here
    await house.seed_portal(directory)
    told: dict[bool, list[float]] = {False: [], True: []}
    first: list[float] = []
    again: list[float] = []
    async with (
        peers(1) as other,
        house.running(directory, replace(other.ports, has_relay=True)),
    ):
        await fill(other, PEOPLE)
        for by_xmpp, values in told.items():
            await other.speak(_COUNT // 5, PEOPLE, by_xmpp=by_xmpp)
            settle_garbage()
            for _ in range(repetitions):
                loop = time.thread_time()
                await other.speak(_COUNT, PEOPLE, by_xmpp=by_xmpp)
                values.append((time.thread_time() - loop) / _COUNT * 1e3)
        for repetition in range(repetitions):
            settle_garbage()
            for values in (first, again):
                values.append(await other.visit(_STRANGER + repetition))
                await other.leave(_STRANGER + repetition)
    return [
        Figure(
            what=f"relay, {PEOPLE} people: inbound message: loop",
            unit="ms",
            values=told[False],
            goal=_GOAL_MS,
            less_is_better=True,
        ),
        Figure(
            what="relay: message of one of them, reflected to all: loop",
            unit="ms",
            values=told[True],
            less_is_better=True,
        ),
        Figure(
            what=f"relay, {MEMBERS:,} members: join, first",
            unit="s",
            values=first,
            goal=_GOAL_FIRST_S,
            less_is_better=True,
        ),
        Figure(
            what="relay: again", unit="s", values=again, goal=_GOAL_AGAIN_S, less_is_better=True
        ),
    ]


async def fill(other: Peers, people: int) -> None:
    """The group is told of, and so many people come, one after the other."""
    await other.up()
    await other.live(1)
    await other.link(MEMBERS)
    for number in range(people):
        await other.visit(number)


async def _grown(directory: Path, repetitions: int) -> list[Figure]:
    """What a process and its database grow by."""
    directory.mkdir()  # noqa: ASYNC240 - nothing else runs here
    staying, passing, stored = [], [], []
    for repetition in range(repetitions):
        at = directory / str(repetition)
        at.mkdir()
        await house.seed_portal(at)
        async with peers(1) as other:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "tests.bench.starting", str(at)),
                *(str(other.ports.xmpp), str(other.ports.network), "relay"),
            )
            try:
                await fill(other, 0)
                empty = resident_mib(process.pid)
                for number in range(PEOPLE):
                    await other.visit(number)
                full = resident_mib(process.pid)
                staying.append(full - empty)
                for number in range(1, PEOPLE):
                    await other.leave(number)
                before = _size(at)
                for number in range(_STRANGER, _STRANGER + _PASSING):
                    await other.visit(number)
                    await other.leave(number)
                passing.append(resident_mib(process.pid) - full)
                stored.append(_size(at) - before)
            finally:
                process.send_signal(signal.SIGTERM)
                await process.wait()
    return [
        Figure(
            what=f"relay: growth of memory with {PEOPLE} people",
            unit="MiB",
            values=staying,
            less_is_better=True,
        ),
        Figure(
            what=f"relay: with {_PASSING:,} who came and left",
            unit="MiB",
            values=passing,
            less_is_better=True,
        ),
        Figure(
            what=f"relay: growth of the database with {_PASSING:,} who came and left",
            unit="MB",
            values=stored,
            less_is_better=True,
        ),
    ]


def _size(directory: Path) -> float:
    """MB of the database, with what is still in its log."""
    db = sqlite3.connect(f"file:{house.database(directory)}?mode=ro", uri=True)
    try:
        ((pages,),), ((size,),) = db.execute("PRAGMA page_count"), db.execute("PRAGMA page_size")
    finally:
        db.close()
    return float(pages * size / 1e6)
