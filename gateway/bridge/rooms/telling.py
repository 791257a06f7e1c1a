# SPDX-License-Identifier: Apache-2.0
"""When sessions are told who has come, has changed or has gone (REQ-554).

At once, if that is few; else so many a second to each session, whatever rooms it is in. What waits
is in the store, once for each person, so a restart loses nothing of it. While our server takes
nothing nothing is made into rows: what is told then is what is so then.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence

import structlog

from gateway.bridge.ground import Ground
from gateway.bridge.ports import XmppPort
from gateway.bridge.rooms.crowd import Telling
from gateway.events import RoomPresences
from gateway.ids import NetworkName, RoomId
from gateway.store import Transaction, rooms, untold
from gateway.store.journal import InboundRow

log = structlog.get_logger("rooms")

A_SECOND = 50
"""Presences to one session in any second, beside those of a join."""
_SECOND_S = 1.0
_TICK_S = 0.1
_MAY_BE_LOST_S = 30.0
"""As long as our server may take to say that it has what was written."""


class Pace:
    """How much sessions were told in the last second. Nothing is kept of others."""

    def __init__(self) -> None:
        self._told: deque[tuple[float, tuple[str, ...], int]] = deque()
        self._of: dict[str, int] = {}
        self.last = float("-inf")
        """When anything was told last."""

    def left(self, sessions: Iterable[str], now: float) -> int:
        """How many more all of these may be told."""
        while self._told and self._told[0][0] <= now - _SECOND_S:
            _, to, number = self._told.popleft()
            for jid in to:
                self._of[jid] -= number
                if not self._of[jid]:
                    del self._of[jid]
        return A_SECOND - max((self._of.get(jid, 0) for jid in sessions), default=0)

    def told(self, sessions: tuple[str, ...], number: int, now: float) -> None:
        """These are told so many now."""
        self.last = now
        self._told.append((now, sessions, number))
        for jid in sessions:
            self._of[jid] = self._of.get(jid, 0) + number


class Crowds:
    """All rooms of one network."""

    def __init__(self, ground: Ground, deliver: Callable[[list[InboundRow]], None]) -> None:
        self._network = ground.network
        self._store = ground.store
        self._clock = ground.clock
        self._tasks = ground.tasks
        self._persist = ground.persist
        self._deliver = deliver
        self._port: XmppPort
        self._pace = Pace()
        self._waiting: dict[RoomId, None] = {}
        """Rooms in which something is untold; they take turns."""
        self._running: asyncio.Task[None] | None = None
        self._rests_until = float("-inf")

    def attach(self, port: XmppPort) -> None:
        """Connect to the XMPP side."""
        self._port = port

    def load(self) -> None:
        """What an earlier process did not get to tell."""
        self._waiting.update(dict.fromkeys(untold.places(self._store.reader, self._network)))

    def came(self, places: Iterable[RoomId]) -> None:
        """In these rooms there is something to tell."""
        self._waiting.update(dict.fromkeys(places))
        self._run()

    def committed(self, rows: Sequence[InboundRow]) -> None:
        """What was told at once counts too."""
        for row in rows:
            if isinstance(row.delivery, RoomPresences):
                told = row.delivery
                self._pace.told(told.to, len(told.presences), self._clock.monotonic())

    def stream_lost(self) -> None:
        """What was told just before is written again as soon as there is a stream."""
        now = self._clock.monotonic()
        if now - self._pace.last < _MAY_BE_LOST_S:
            self._rests_until = float("inf")

    def stream_up(self) -> None:
        """What waited for the stream is told."""
        if self._rests_until == float("inf"):
            self._rests_until = self._clock.monotonic() + _SECOND_S
        self._run()

    def _run(self) -> None:
        if self._running is None and self._waiting and self._port.is_up():
            self._running = self._tasks.spawn(self._tell_all(), "crowds")

    async def _tell_all(self) -> None:
        try:
            while self._waiting and self._port.is_up():
                if not await self._round() and self._waiting:
                    await self._clock.sleep(_TICK_S)
        finally:
            self._running = None

    async def _round(self) -> bool:
        """A turn for each room. False if all have to wait."""
        was_told = False
        for room in tuple(self._waiting):
            if not self._port.has_room() or self._clock.monotonic() < self._rests_until:
                break
            was_told |= await self._turn(room)
        return was_told

    async def _turn(self, room: RoomId) -> bool:
        sessions = rooms.occupants(self._store.reader, room)
        most = self._pace.left(sessions, self._clock.monotonic())
        if most <= 0:
            return False
        del self._waiting[room]  # before it is looked into: more may come meanwhile
        now = self._clock.now()
        try:
            _, number, is_left = await self._persist.write(
                lambda db: _tell(db, self._network, room, most, now),
                lambda told: self._told(sessions, *told),
            )
        except Exception:  # the others have the same task
            log.exception("presence_not_told", room=room)
            return False
        if is_left:
            self._waiting[room] = None
        return bool(number)

    def _told(
        self, sessions: tuple[str, ...], rows: list[InboundRow], number: int, is_left: bool
    ) -> None:
        if number:
            self._pace.told(sessions, number, self._clock.monotonic())
        self._deliver(rows)


def _tell(
    db: Transaction, network: NetworkName, number: RoomId, most: int, now: float
) -> tuple[list[InboundRow], int, bool]:
    """Rows, the number of presences in them, and whether that was not all."""
    room, is_left = rooms.by_id(db, number), False
    if room is None:
        return [], 0, False
    telling = Telling(db, room)
    for one in untold.first(db, number, most + 1):
        group = telling.of(one)
        # A long chain of people who take each other's nicks is told as one, in its own second.
        if len(telling) + len(group) > most and (len(telling) or most < A_SECOND):
            is_left = True
            break
        telling.take(group)
    return telling.rows(network, now), len(telling), is_left
