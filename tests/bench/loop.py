# SPDX-License-Identifier: Apache-2.0
"""The loop's own time per message: the whole gateway, its journal on disk, peers elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench import house
from tests.bench.measure import Figure, Group, settle_garbage
from tests.bench.peer_process import Peers, peers

_ACCOUNTS = 100
_GOAL_MS = 0.3
_WARM_UP = 300


@dataclass(frozen=True, slots=True)
class _Case:
    direction: str
    what: str
    count: int
    conversations: int
    window: int = 1


_CASES = (
    _Case("in", "1 chat, one at a time", 400, 1),
    _Case("in", "1 chat, backlog", 800, 1, 200),
    _Case("in", "100 chats", 2000, 100),
    _Case("out", "1 chat, one at a time", 200, 1),
    _Case("out", "1 chat, backlog", 400, 1, 200),
    _Case("out", "100 chats", 1200, 100),
)


@dataclass(slots=True)
class _Times:
    """Per message and repetition."""

    loop_ms: list[float] = field(default_factory=list)
    others_ms: list[float] = field(default_factory=list)
    per_s: list[float] = field(default_factory=list)


async def measure(directory: Path, repetitions: int) -> Group:
    """Loop time, the writer's time and throughput of each case."""
    await house.seed(directory, _ACCOUNTS)
    figures: list[Figure] = []
    async with peers(_ACCOUNTS) as other, house.running(directory, other.ports):
        await other.up()
        await other.live(_ACCOUNTS)
        for case in _CASES:
            figures += _figures(case, await _times(other, case, repetitions))
    return Group(
        title="Loop time per 1:1 message",
        note=(
            "CPU of the loop's thread; beside it that of all other threads, which is the "
            "writer's. The whole gateway with the journal on disk (synchronous = FULL); XMPP "
            "server and network are another process. Out includes the network's echo and our "
            "receipt; in and out include settling. Backlog: 200 wait. 100 chats are of 100 "
            "accounts, one message each at a time."
        ),
        figures=figures,
    )


async def _times(other: Peers, case: _Case, repetitions: int) -> _Times:
    times = _Times()
    shape = {"conversations": case.conversations, "window": case.window}
    await other.traffic([case.direction], count=_WARM_UP, **shape)
    settle_garbage()
    for _ in range(repetitions):
        loop, process = time.thread_time(), time.process_time()
        seconds = await other.traffic([case.direction], count=case.count, **shape)
        loop, process = time.thread_time() - loop, time.process_time() - process
        times.loop_ms.append(loop / case.count * 1e3)
        times.others_ms.append((process - loop) / case.count * 1e3)
        times.per_s.append(case.count / seconds)
    return times


def _figures(case: _Case, times: _Times) -> Sequence[Figure]:
    name = f"{case.direction}, {case.what}"
    return (
        Figure(
            what=f"{name}: loop",
            unit="ms",
            values=times.loop_ms,
            goal=_GOAL_MS,
            less_is_better=True,
        ),
        Figure(what=f"{name}: writer", unit="ms", values=times.others_ms, less_is_better=True),
        Figure(what=f"{name}: throughput", unit="/s", values=times.per_s),
    )
