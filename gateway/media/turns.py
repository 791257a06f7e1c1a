# SPDX-License-Identifier: Apache-2.0
"""So many at once, so many of them for one user, and everybody in turn."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """Who has a thousand files waits for them; who has one waits for one of each of the others."""

    def __init__(self, at_once: int, each: int) -> None:
        self._at_once = at_once
        self._each = each
        self._running: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        """The users in the order of their turns."""

    @asynccontextmanager
    async def turn(self, user: str) -> AsyncIterator[None]:
        """Wait for one, and have it for the length of the block."""
        mine = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(user, deque()).append(mine)
        self._next()
        try:
            await mine
            yield
        finally:
            if mine.cancelled():
                self._leave(user, mine)
            else:
                self._running[user] -= 1
                if not self._running[user]:
                    del self._running[user]
            self._next()

    def _leave(self, user: str, mine: asyncio.Future[None]) -> None:
        waiting = self._waiting.get(user, deque())
        if mine in waiting:
            waiting.remove(mine)
            if not waiting:
                del self._waiting[user]

    def _next(self) -> None:
        """Give away what is free."""
        while self._running.total() < self._at_once:
            free = (user for user in self._waiting if self._running[user] < self._each)
            user = next(free, None)
            if user is None:
                return
            waiting = self._waiting.pop(user)
            first = waiting.popleft()
            if waiting:
                self._waiting[user] = waiting
            if not first.cancelled():
                self._running[user] += 1
                first.set_result(None)
