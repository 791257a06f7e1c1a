# SPDX-License-Identifier: Apache-2.0
"""Playing a cell: calm, fault, and what is left when everything has come to rest."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from tests.faults import act_gateway, judge, results
from tests.faults.cells import Cell
from tests.faults.people import Pair
from tests.faults.stage import HIT, Servers, Stage, stage

_PAUSE_S = 0.05
_CONTROL_PAUSE_S = 0.25
_CALM = 0.5
"""Part of the burst that comes before the fault; with it the time of the fault is compared."""
_SETTLE_S = 60.0
_SOAK_SETTLE_S = 300.0


async def play(
    cell: Cell, servers: Servers, directory: Path, count: int, *, is_soak: bool
) -> None:
    """Raises AssertionError with everything that is wrong. Counts are written in any case."""
    began = time.monotonic()
    async with stage(
        servers,
        directory,
        same_component=cell.kind == "matrix",
        is_soak=is_soak,
        has_files=cell.has_files,
        env=act_gateway.clock_env(directory) if cell.own_clock else None,
    ) as on:
        await _burst(cell, on, count)
        await on.settled(_SOAK_SETTLE_S if is_soak else _SETTLE_S, archived=cell.kind == "xmpp")
        ups = sum(entry.get("event") == "stream_up" for entry in on.of(HIT))
        expected = judge.Expectation(
            breaks=ups - 1 - on.planned,
            isolated=cell.isolated,
            archived=cell.kind == "xmpp",
            archive_is_lossy=cell.archive_is_lossy,
        )
        untouched = judge.Expectation(
            breaks=0 if cell.isolated else expected.breaks,
            isolated=cell.isolated,
            archived=expected.archived,
            archive_is_lossy=expected.archive_is_lossy,
        )
        hit, wrong = await judge.count(on, on.hit, expected)
        spared, more = await judge.count(on, on.control, untouched)
        control, even_more = judge.control(on, spared, expected)
        wrong += [f"control: {what}" for what in more] + even_more + _misses(cell, on)
        if on.files is not None:
            committed = on.hit.file in on.committed()
            wrong += await on.files.wrong(committed=committed, archived=expected.archived)
        results.write(
            results.Result(
                cell=cell.name,
                server=cell.server,
                fault=cell.fault,
                isolated=cell.isolated,
                passed=not wrong,
                is_soak=is_soak,
                breaks=expected.breaks,
                hit=hit,
                spared=spared,
                control=control,
                seconds=round(time.monotonic() - began, 1),
                load=round(os.getloadavg()[0], 1),
            )
        )
        assert not wrong, "\n".join([*wrong, on.gateway.log_tail()])


def _misses(cell: Cell, on: Stage) -> list[str]:
    """A fault that has hit nothing proves nothing."""
    spoilt = {"wire": on.wire.spoilt[HIT], "web": on.web.spoilt, "": 1}[cell.must_hit]
    return [] if spoilt else ["the fault has not hit anything"]


async def _burst(cell: Cell, on: Stage, count: int) -> None:
    over = asyncio.Event()
    if on.files is not None:
        await on.files.begin()
    async with asyncio.TaskGroup() as group:
        burst = [
            group.create_task(on.hit.alice_says(count, _PAUSE_S)),
            group.create_task(on.hit.bob_says(count, _PAUSE_S)),
        ]
        group.create_task(_control(on.control, over))
        await asyncio.sleep(count * _CALM * _PAUSE_S)
        if on.files is not None:
            await on.files.on_the_way()
        on.began = time.monotonic()
        await cell.act(on)
        on.ended = time.monotonic()
        if on.files is not None:
            on.files.go_on()
        await asyncio.wait(burst)
        over.set()


async def _control(pair: Pair, over: asyncio.Event) -> None:
    """Both ways, at a steady pace, from before the fault until after it."""
    async with asyncio.TaskGroup() as group:
        group.create_task(pair.alice_says_until(over, _CONTROL_PAUSE_S))
        group.create_task(pair.bob_says_until(over, _CONTROL_PAUSE_S))
