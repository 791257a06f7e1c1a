# SPDX-License-Identifier: Apache-2.0
"""The watchdog of the outbound direction: warns of slow attempts, ends hung ones, and wakes actors
whose row has waited for too long.

It looks only at attempts that run, and at reminders that are due: a hundred thousand conversations
that wait for a network cost nothing while they wait.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

import structlog

from gateway.adapter import Clock
from gateway.bridge.outbound.actors import Actor, Limits
from gateway.ids import NetworkName

_EVERY_S = 1.0
_DEAF_S = 10.0
"""How long an attempt may take to notice that it was ended."""


class Watchdog:
    """Watches all actors of one network."""

    def __init__(
        self, network: NetworkName, clock: Clock, limits: Limits, replace: Callable[[Actor], None]
    ) -> None:
        self._log = structlog.get_logger("outbound").bind(network=network)
        self._clock = clock
        self._limits = limits
        self._replace = replace
        """Called for an actor that hangs in an attempt that cannot be ended."""
        self._attempts: dict[Actor, None] = {}
        """Those that run, in the order in which they began."""
        self._reminders: list[tuple[float, int, Actor]] = []
        self._numbers = itertools.count()

    def began(self, actor: Actor) -> None:
        """An attempt of the actor begins."""
        actor.attempt_at, actor.warned, actor.overdue = self._clock.monotonic(), False, False
        self._attempts[actor] = None

    def moved(self, actor: Actor) -> None:
        """Bytes of a file flow: the time begins anew."""
        if actor.attempt_at is not None:
            actor.attempt_at = self._clock.monotonic()

    def ended(self, actor: Actor) -> None:
        """It is over, whatever came of it."""
        self._attempts.pop(actor, None)
        actor.attempt_at = None
        actor.overdue = False

    def remind(self, actor: Actor, deadline: float) -> None:
        """Wake the actor at this time; once, however often it is asked for."""
        if actor.reminder_at != deadline:
            actor.reminder_at = deadline
            heapq.heappush(self._reminders, (deadline, next(self._numbers), actor))

    async def run(self) -> None:
        """Watch for ever."""
        while True:
            await self._clock.sleep(_EVERY_S)
            self.look()

    def look(self) -> None:
        """Look once."""
        now = self._clock.monotonic()
        while self._reminders and self._reminders[0][0] <= now:
            _, _, actor = heapq.heappop(self._reminders)
            actor.wake.set()
        for actor in tuple(self._attempts):
            try:
                self._check(actor, now)
            except Exception:  # all conversations of the network have this one watchdog
                self._log.exception("watchdog_failed", **actor.where)

    def _check(self, actor: Actor, now: float) -> None:
        if actor.attempt_at is None:
            return  # it ended just now
        running_s = now - actor.attempt_at
        if running_s >= self._limits.warning_s and not actor.warned:
            actor.warned = True
            self._log.warning("slow_send", **actor.where, seconds=round(running_s))
        if running_s >= self._limits.attempt_s and actor.task is not None and not actor.overdue:
            actor.overdue = True
            actor.task.cancel()
        if running_s >= self._limits.attempt_s + _DEAF_S and not actor.gone:
            self._log.warning("send_left_behind", **actor.where)
            self._replace(actor)
