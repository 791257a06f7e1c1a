# SPDX-License-Identifier: Apache-2.0
"""The watchdog of the outbound direction looks at what runs and at what is due, and at no more."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from gateway.bridge.accounts import Account
from gateway.bridge.outbound.actors import Actor, Limits
from gateway.bridge.outbound.watchdog import Watchdog
from gateway.ids import ConversationId, NetworkName
from tests.clock import VirtualClock

_NAMES = ("attempt_at", "pending", "wake", "task", "gone", "overdue", "warned")


class _Noted(Actor):
    """An actor that notes who looks at it."""

    looks = 0

    def __getattribute__(self, name: str) -> Any:
        if name in _NAMES:
            _Noted.looks += 1
        return super().__getattribute__(name)


class _Box:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.replaced: list[Actor] = []
        self.dog = Watchdog(NetworkName("net"), self.clock, Limits(), self.replaced.append)

    def actor(self, number: int) -> Actor:
        return _Noted(cast("Account", SimpleNamespace(id=1)), ConversationId(number))

    async def look_after(self, seconds: float) -> int:
        """How often an actor was looked at."""
        await self.clock.advance(seconds)
        before = _Noted.looks
        self.dog.look()
        return _Noted.looks - before


async def test_what_waits_costs_nothing() -> None:
    box = _Box()
    waiting = [box.actor(number) for number in range(1000)]
    for actor in waiting:
        box.dog.remind(actor, 600.0 + box.clock.monotonic())
    box.dog.began(box.actor(-1))
    assert await box.look_after(1) < 10
    assert await box.look_after(10) < 10


async def test_who_waits_is_woken_at_its_time_and_once() -> None:
    box = _Box()
    now = box.clock.monotonic()
    first, second = box.actor(1), box.actor(2)
    for _ in range(3):
        box.dog.remind(second, now + 20)
        box.dog.remind(first, now + 10)
    await box.look_after(10)
    assert (first.wake.is_set(), second.wake.is_set()) == (True, False)
    first.wake.clear()
    await box.look_after(10)
    assert (first.wake.is_set(), second.wake.is_set()) == (False, True)
    assert box.dog._reminders == []


async def test_who_waits_for_another_row_is_woken_again() -> None:
    box = _Box()
    now = box.clock.monotonic()
    actor = box.actor(1)
    box.dog.remind(actor, now + 10)
    await box.look_after(10)
    actor.wake.clear()
    box.dog.remind(actor, now + 20)
    await box.look_after(10)
    assert actor.wake.is_set()


async def test_an_attempt_that_is_over_is_not_watched() -> None:
    box = _Box()
    hung, ended = box.actor(1), box.actor(2)
    box.dog.began(hung)
    box.dog.began(ended)
    box.dog.ended(ended)
    await box.look_after(131)
    assert box.replaced == [hung]
