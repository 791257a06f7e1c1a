# SPDX-License-Identifier: Apache-2.0
"""Presence goes out in waves: paced for each user, in turns between users.

What waits for one user has an order, and each thing waits once. A user gets at most 200 stanzas a
second (REQ-315), the whole network 4,000. What was written shortly before the stream broke may be
lost and is written again: nobody acknowledges presence.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field

import structlog

from gateway.adapter import Clock
from gateway.bridge.ports import XmppPort
from gateway.ids import UserJid
from gateway.tasks import Tasks

log = structlog.get_logger("presence")

_USER_BURST = 20.0
_USER_RATE = 180.0
"""Together at most 200 in any second."""
_ALL_BURST = 1000.0
_ALL_RATE = 3000.0
_TURN = 20
"""Stanzas for one user before the next one has a turn."""
_ROUND = 200
"""Things that are looked at before the loop can do something else."""
_PART = 200
"""Things that are prepared before the loop can do something else."""
_TICK_S = 0.05
_DOUBT_S = 90.0
"""A dead connection is noticed after 60 s at the latest (REQ-914)."""
_REMEMBERED = 20_000


@dataclass(slots=True, eq=False)
class Item:
    """One thing to tell a user."""

    key: Hashable
    """Nothing waits twice under one key."""
    write: Callable[[bool], int]
    """Writes what is true then, and returns how many stanzas that took. The argument says whether
    it has been written before and may be lost."""
    is_state: bool = True
    """Of no use to somebody who is not there."""
    lost: bool = False
    """It has been written, and that may have been in vain."""


class _Bucket:
    """Tokens, one for each stanza."""

    __slots__ = ("_at", "_burst", "_rate", "left")

    def __init__(self, burst: float, rate: float, now: float) -> None:
        self.left = self._burst = burst
        self._rate = rate
        self._at = now

    def refill(self, now: float) -> None:
        self.left = min(self._burst, self.left + (now - self._at) * self._rate)
        self._at = now


@dataclass(slots=True, eq=False)
class _Queue:
    """What waits for one user."""

    user: UserJid
    bucket: _Bucket
    heap: list[tuple[float, int, Item]] = field(default_factory=list)
    items: dict[Hashable, Item] = field(default_factory=dict)
    has_turn: bool = False
    paused: bool = False
    failing: bool = False
    """Its last item could not be written."""


class Waves:
    """The waves of one network."""

    def __init__(self, clock: Clock, tasks: Tasks, *, is_user: Callable[[UserJid], bool]) -> None:
        """``is_user`` tells who has an account: nothing is remembered of others."""
        self._clock = clock
        self._tasks = tasks
        self._is_user = is_user
        self._port: XmppPort
        self._queues: dict[UserJid, _Queue] = {}
        self._turns: deque[_Queue] = deque()
        self._all = _Bucket(_ALL_BURST, _ALL_RATE, clock.monotonic())
        self._numbers = itertools.count()
        self._written: deque[tuple[float, UserJid, Item]] = deque(maxlen=_REMEMBERED)
        self._running: asyncio.Task[None] | None = None
        self._sources: deque[tuple[UserJid, Iterator[tuple[Item, float]]]] = deque()
        self._feeding: asyncio.Task[None] | None = None
        self.paused: set[UserJid] = set()
        """Users whose server says that they cannot be reached (REQ-320)."""

    def attach(self, port: XmppPort) -> None:
        """Connect to the XMPP side."""
        self._port = port

    def add(self, user: UserJid, item: Item, rank: float) -> None:
        """Tell the user when it is their turn; what has a lower ``rank`` goes first."""
        queue = self._queue(user)
        waiting = queue.items.get(item.key)
        if waiting is not None:
            waiting.lost |= item.lost
            return
        queue.items[item.key] = item
        heapq.heappush(queue.heap, (rank, next(self._numbers), item))
        self._enqueue(queue)
        self._run()

    def now(self, user: UserJid, item: Item) -> None:
        """Tell the user at once, if the stream can carry it: an answer that nobody floods with."""
        if self._may_write() and user not in self.paused:
            self._write(self._queue(user), item)
        else:
            self.add(user, item, float("-inf"))

    def begin(self, user: UserJid, items: Iterator[tuple[Item, float]]) -> None:
        """`feed`, but what may be written now is written before whatever the caller says next."""
        if not self._take_part(user, items):
            self.feed(user, items)
        left = _ROUND
        while left > 0 and self._may_write() and self._turns and (looked_at := self._round()):
            left -= looked_at

    def feed(self, user: UserJid, items: Iterator[tuple[Item, float]]) -> None:
        """Add many items, with their ranks, in parts: rosters have thousands.

        One user comes after the other: a homeserver that is away concerns all of its users.
        """
        self._sources.append((user, items))
        if self._feeding is None:
            self._feeding = self._tasks.spawn(self._feed_all(), "presence waves")

    def clear(self, user: UserJid) -> list[Item]:
        """The user is not there: what is state is of no use any more. Returns that."""
        queue = self._queues.get(user)
        if queue is None:
            return []
        dropped = [item for item in queue.items.values() if item.is_state]
        queue.heap = [entry for entry in queue.heap if not entry[2].is_state]
        heapq.heapify(queue.heap)
        queue.items = {item.key: item for _, _, item in queue.heap}
        return dropped

    def pause(self, user: UserJid) -> None:
        """Write nothing to the user until `resume`."""
        self.paused.add(user)
        self._queue(user).paused = True

    def resume(self, user: UserJid) -> None:
        """The user can be reached again."""
        self.paused.discard(user)
        queue = self._queue(user)
        queue.paused = False
        self._enqueue(queue)
        self._run()

    def stream_up(self) -> None:
        """What waited for the stream goes out."""
        self._run()

    def stream_lost(self) -> None:
        """What was just written may be lost."""
        since = self._clock.monotonic() - _DOUBT_S
        written, self._written = self._written, deque(maxlen=_REMEMBERED)
        for at, user, item in written:
            if at >= since:
                item.lost = True
                self.add(user, item, float("-inf"))

    def forget(self, user: UserJid) -> None:
        """The account was removed; what has to be said for that still waits."""
        self.clear(user)
        self.resume(user)

    # --- what is still to be added ---------------------------------------------------------------

    async def _feed_all(self) -> None:
        try:
            while self._sources:
                user, items = self._sources.popleft()
                if not self._take_part(user, items):
                    self._sources.append((user, items))
                await self._clock.sleep(0)
        finally:
            self._feeding = None

    def _take_part(self, user: UserJid, items: Iterator[tuple[Item, float]]) -> bool:
        """Returns whether that was all."""
        try:
            for _ in range(_PART):
                item, rank = next(items)
                self.add(user, item, rank)
        except StopIteration:
            return True
        except Exception:  # this is the only one that feeds
            log.exception("presence_not_told")
            return True
        return False

    # --- the pump --------------------------------------------------------------------------------

    def _queue(self, user: UserJid) -> _Queue:
        queue = self._queues.get(user)
        if queue is None:
            bucket = _Bucket(_USER_BURST, _USER_RATE, self._clock.monotonic())
            queue = self._queues[user] = _Queue(user, bucket)
        return queue

    def _enqueue(self, queue: _Queue) -> None:
        if not queue.heap:
            if not queue.has_turn and not self._is_user(queue.user):
                self._queues.pop(queue.user, None)
        elif not queue.has_turn and not queue.paused:
            queue.has_turn = True
            self._turns.append(queue)

    def _may_write(self) -> bool:
        return self._port.has_room()

    def _run(self) -> None:
        if self._running is None and self._turns:
            self._running = self._tasks.spawn(self._pump(), "presence")

    async def _pump(self) -> None:
        try:
            while self._turns and self._port.is_up():
                busy = self._may_write() and self._round() > 0
                await self._clock.sleep(0 if busy else _TICK_S)
        finally:
            self._running = None

    def _round(self) -> int:
        """One turn for each user, as far as the bounds allow. 0 if all have to wait."""
        now = self._clock.monotonic()
        self._all.refill(now)
        looked_at = 0
        for _ in range(len(self._turns)):
            if looked_at >= _ROUND or self._all.left < 1:
                break
            queue = self._turns.popleft()
            queue.has_turn = False
            queue.bucket.refill(now)
            try:
                looked_at += self._turn(queue)
            finally:
                self._enqueue(queue)
        return looked_at

    def _turn(self, queue: _Queue) -> int:
        looked_at = 0
        while (
            queue.heap
            and not queue.paused
            and looked_at < _TURN
            and queue.bucket.left >= 1
            and self._all.left >= 1
        ):
            _, _, item = heapq.heappop(queue.heap)
            del queue.items[item.key]
            self._write(queue, item)
            looked_at += 1
        return looked_at

    def _write(self, queue: _Queue, item: Item) -> None:
        try:
            stanzas = item.write(item.lost)
        except Exception:  # all users of the network have this one pump
            if not queue.failing:  # a roster of thousands is no reason for as many tracebacks
                log.exception("presence_not_told")
            queue.failing = True
            return
        queue.failing = False
        item.lost = False
        if stanzas:
            queue.bucket.left -= stanzas
            self._all.left -= stanzas
            now = self._clock.monotonic()
            while self._written and self._written[0][0] < now - _DOUBT_S:
                self._written.popleft()
            self._written.append((now, queue.user, item))
