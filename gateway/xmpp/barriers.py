# SPDX-License-Identifier: Apache-2.0
"""The barrier: which rows were taken over by our own server (REQ-903).

XEP-0114 has no acknowledgements. After at most 200 rows or 2 s a ping goes to our own server; its
answer proves that everything written before it was taken over.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from gateway.adapter import Clock
from gateway.store.journal import InboundRow
from gateway.tasks import Tasks

WINDOW = 500
"""Rows that may be written without a proof that they were taken over."""
BARRIER_ROWS = 200
BARRIER_S = 2.0
BARRIER_LIMIT_S = 30.0
_LATE_S = 1.0
"""A timer that fires so much later has slept with the process, or with the machine."""
_GRACE_S = 10.0
"""After such a sleep: what waits in the socket may be the answer."""


@dataclass(frozen=True, slots=True)
class _Barrier:
    id: str
    rows: int
    """How many rows of the window its answer proves, after those of earlier barriers."""
    sent_at: float


class Barriers:
    """Rows without a proof, and the pings that shall prove them. Begins anew with `reset`."""

    def __init__(
        self, ping: Callable[[], str], overdue: Callable[[], None], clock: Clock, tasks: Tasks
    ) -> None:
        self._ping = ping
        """Writes one and returns its id."""
        self._overdue = overdue
        self._clock = clock
        self._tasks = tasks
        self._window: deque[InboundRow] = deque()
        self._sent: deque[_Barrier] = deque()
        self._unbarriered = 0
        self._timer: asyncio.Task[None] | None = None
        self._watch: asyncio.Task[None] | None = None
        self.all_proved = asyncio.Event()

    @property
    def has_room(self) -> bool:
        """Another row may be written."""
        return len(self._window) < WINDOW

    @property
    def unproved(self) -> int:
        """How many rows were written and not yet taken over."""
        return len(self._window)

    @property
    def is_waiting(self) -> bool:
        """A ping is not answered yet."""
        return bool(self._sent)

    def written(self, row: InboundRow) -> None:
        """A row was written."""
        self._window.append(row)
        self._unbarriered += 1
        if self._unbarriered >= BARRIER_ROWS:
            self.send()
        elif self._timer is None:
            self._timer = self._tasks.spawn(self._send_soon(), "barrier timer")

    def send(self) -> None:
        """Ask now."""
        self.all_proved.clear()
        barrier = self._ping()
        self._sent.append(_Barrier(barrier, self._unbarriered, self._clock.monotonic()))
        self._unbarriered = 0
        if self._watch is None:
            self._watch = self._tasks.spawn(self._watch_oldest(), "barrier limit")

    def knows(self, barrier: str) -> bool:
        """Whether this is the id of a ping that waits for its answer."""
        return any(sent.id == barrier for sent in self._sent)

    def answered(self, barrier: str) -> list[InboundRow]:
        """The rows that this proves; since answers come in order, those of earlier pings too."""
        proved = 0
        while self._sent:
            oldest = self._sent.popleft()
            proved += oldest.rows
            if oldest.id == barrier:
                break
        rows = [self._window.popleft() for _ in range(proved)]
        if not self._window:
            self.all_proved.set()
        return rows

    def reset(self) -> None:
        """The connection is gone, and proves nothing any more."""
        self._window.clear()
        self._sent.clear()
        self._unbarriered = 0

    async def _send_soon(self) -> None:
        await self._clock.sleep(BARRIER_S)
        self._timer = None
        if self._unbarriered:
            self.send()

    async def _watch_oldest(self) -> None:
        while self._sent:
            oldest = self._sent[0]
            due = oldest.sent_at + BARRIER_LIMIT_S
            await self._clock.sleep(due - self._clock.monotonic())
            if self._is_oldest(oldest) and self._clock.monotonic() - due > _LATE_S:
                await self._clock.sleep(_GRACE_S)
            if self._is_oldest(oldest):
                self._overdue()
                break
        self._watch = None

    def _is_oldest(self, barrier: _Barrier) -> bool:
        return bool(self._sent) and self._sent[0] is barrier
