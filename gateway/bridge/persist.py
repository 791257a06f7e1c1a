# SPDX-License-Identifier: Apache-2.0
"""Writes that must happen, though perhaps nobody waits: tried again until the disk takes them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from gateway.adapter import Clock
from gateway.errors import StoreUnavailable
from gateway.store import Store, Transaction
from gateway.tasks import Tasks

_AGAIN_S = 5.0
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Waiting:
    unit: Callable[[Transaction], Any]
    then: Callable[[Any], None] | None
    stored: asyncio.Future[Any]


class Persist:
    """Hands units to the store, and again while it is unavailable.

    In order, but for one thing: units that are with the store already when an earlier one fails
    may be committed before it. So they look at what is there: what is settled stays so.
    """

    def __init__(self, store: Store, clock: Clock, tasks: Tasks) -> None:
        self._store = store
        self._clock = clock
        self._tasks = tasks
        self._waiting: deque[_Waiting] = deque()
        """What the disk did not take; nothing that comes later may overtake it."""

    def write(
        self, unit: Callable[[Transaction], T], then: Callable[[T], None] | None = None
    ) -> asyncio.Future[T]:
        """Commit a unit; ``then`` is called once, right after the commit.

        The future has its result, or what the unit raised.
        """
        stored: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        waiting = _Waiting(unit, then, stored)
        if self._waiting:
            self._waiting.append(waiting)
        else:
            written = self._store.write(unit, then)
            written.add_done_callback(lambda done: self._written(waiting, done))
        return stored

    def _written(self, waiting: _Waiting, done: asyncio.Future[Any]) -> None:
        if done.cancelled():
            return
        if isinstance(done.exception(), StoreUnavailable):
            self._waiting.append(waiting)
            if len(self._waiting) == 1:
                self._tasks.spawn(self._try_again(), "write again")
        else:
            _pass_on(done, waiting.stored)

    async def _try_again(self) -> None:
        while self._waiting:
            await self._clock.sleep(_AGAIN_S)
            while self._waiting:
                waiting = self._waiting[0]
                written = self._store.write(waiting.unit, waiting.then)
                await asyncio.wait([written])
                if isinstance(written.exception(), StoreUnavailable):
                    break
                self._waiting.popleft()
                _pass_on(written, waiting.stored)


def _pass_on(done: asyncio.Future[Any], stored: asyncio.Future[Any]) -> None:
    if stored.done():
        return
    error = done.exception()
    if error is None:
        stored.set_result(done.result())
    else:
        stored.set_exception(error)
        stored.exception()  # perhaps nobody waits; the writer has logged it
