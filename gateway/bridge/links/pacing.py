# SPDX-License-Identifier: Apache-2.0
"""How often an account may try to connect, and how many of them at once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from gateway.adapter import Clock
from gateway.tasks import Tasks

_FIRST_S = 2.0
_LONGEST_S = 600.0
_SHORTEST_S = 0.5
"""Full jitter would also allow no wait at all."""
HEALTHY_S = 60.0
"""A session that lives as long as this has nothing to do with the failures before it."""
_TRIPS_AT = 5
_HANDED_ON_S = 2.0
"""How long a start counts against the cap: a network that does not answer costs us nothing, and
must not keep the accounts of others from starting."""


class Breaker:
    """The back-off of one account: 2 s to 10 min with full jitter.

    It trips after several sessions in a row that were live, but not for a minute. From then on
    another success is not believed, and not told to anybody, before it has lasted that long. A
    network that could not be reached for long is believed at once when it is back.
    """

    def __init__(self) -> None:
        self.failures = 0
        """In a row."""
        self._short = 0
        """Sessions in a row that were live for less than a minute."""

    @property
    def is_tripped(self) -> bool:
        """Whether the next session is on probation."""
        return self._short >= _TRIPS_AT

    @property
    def is_notable(self) -> bool:
        """Whether this failure is worth a line in the log: the 1st, 2nd, 3rd, 4th, 8th, 16th …"""
        return self.failures < _TRIPS_AT or self.failures.bit_count() == 1

    def failed(self, lived_s: float | None) -> None:
        """A session ended that was live for so long, or never."""
        is_healthy = lived_s is not None and lived_s >= HEALTHY_S
        self.failures = 1 if is_healthy else self.failures + 1
        if is_healthy:
            self._short = 0
        elif lived_s is not None:
            self._short += 1

    def wait_s(self) -> float:
        """How long to wait before the next attempt."""
        ceiling = min(_FIRST_S * 2 ** min(self.failures - 1, 20), _LONGEST_S)
        return random.uniform(_SHORTEST_S, ceiling)


class StartGate:
    """Bounds how many sessions of a network start at once.

    Those that try again have a cap of their own: an account that never came up yet does not wait
    behind a thousand that fail again and again.
    """

    def __init__(self, clock: Clock, tasks: Tasks, at_once: int) -> None:
        self._clock = clock
        self._tasks = tasks
        self._first, self._again = asyncio.Semaphore(at_once), asyncio.Semaphore(at_once)

    async def enter(self, *, again: bool) -> Callable[[], None]:
        """Wait for a turn. Returns what ends it, which may be called more than once."""
        lane = self._again if again else self._first
        await lane.acquire()
        over = False

        def leave() -> None:
            nonlocal over
            if not over:
                over = True
                lane.release()
                timer.cancel()

        async def hand_on() -> None:
            await self._clock.sleep(_HANDED_ON_S)
            leave()

        timer = self._tasks.spawn(hand_on(), "start")
        return leave
