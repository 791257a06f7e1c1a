# SPDX-License-Identifier: Apache-2.0
"""A clock that stands still until a test moves it, and a way to know that nothing more happens."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Awaitable, Callable

START = 1_767_225_600.0
"""2026-01-01T00:00:00Z, when every test begins."""
_QUIET_TURNS = 3
_GRACE_S = 0.001
"""Real time in which the kernel hands bytes over from one of our sockets to the other."""


async def idle() -> bool:
    """Give the loop turns until nobody else wants one. False if nobody wanted any."""
    ready = vars(asyncio.get_running_loop())["_ready"]
    quiet, busy = 0, False
    while quiet < _QUIET_TURNS:
        await asyncio.sleep(0)
        if ready:
            quiet, busy = 0, True
        else:
            quiet += 1
    return busy


async def _nothing_to_drain() -> bool:
    return False


class VirtualClock:
    """A `gateway.adapter.Clock`. Time passes in `advance` only."""

    def __init__(self, start: float = START, passed: float = 0.0) -> None:
        self._start = start
        self._passed = passed
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()
        self._drain: Callable[[], Awaitable[bool]] = _nothing_to_drain

    def now(self) -> float:
        """Seconds since the epoch, UTC."""
        return self._start + self._passed

    def monotonic(self) -> float:
        """Seconds since the test began."""
        return self._passed

    def set_by(self, seconds: float) -> None:
        """Somebody sets the clock of the machine; what is measured goes on as before."""
        self._start += seconds

    async def sleep(self, seconds: float) -> None:
        """Wait for `advance`."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._passed + seconds, next(self._numbers), woken))
        await woken

    def watch(self, drain: Callable[[], Awaitable[bool]]) -> None:
        """Wait for another thread too: ``drain`` tells whether there was anything to wait for."""
        self._drain = drain

    async def settle(self) -> None:
        """Let everything happen that can happen without time passing."""
        while True:
            await self._turns()
            await asyncio.sleep(_GRACE_S)
            if not await self._turns():
                return

    async def _turns(self) -> bool:
        busy = False
        while True:
            busy = await idle() or busy
            if not await self._drain():
                return busy
            busy = True

    async def advance(self, seconds: float) -> None:
        """Let time pass: wake the sleepers in order, each after what the last one has caused."""
        await self.settle()
        end = self._passed + seconds
        while self.wake_next(end):
            await self._turns()
        await self.settle()

    def wake_next(self, end: float) -> bool:
        """Let time pass until the next sleeper wakes. False if it is ``end`` before that."""
        while self._sleepers and self._sleepers[0][0] <= end:
            at, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                self._passed = max(self._passed, at)
                woken.set_result(None)
                return True
        self._passed = end
        return False

    async def leap(self, seconds: float) -> None:
        """Let time pass at once, as it does for a machine that sleeps."""
        self._passed += seconds
        await self.advance(0)
