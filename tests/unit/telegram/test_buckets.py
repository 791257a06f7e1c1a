# SPDX-License-Identifier: Apache-2.0
"""When a bot may say something: a few at once, then one a second, and who is asked to wait waits
alone."""

import asyncio

import pytest

from adapters.telegram.buckets import Buckets
from adapters.telegram.errors import spoken
from gateway.errors import RateLimited
from tests.clock import VirtualClock


async def _times(buckets: Buckets, clock: VirtualClock, chats: list[str]) -> list[float]:
    """When each of these has its turn."""
    times: dict[int, float] = {}

    async def take(number: int, chat: str) -> None:
        await buckets.turn(chat)
        times[number] = round(clock.monotonic(), 3)

    tasks = [asyncio.create_task(take(number, chat)) for number, chat in enumerate(chats)]
    await clock.advance(100)
    await asyncio.gather(*tasks)
    return [times[number] for number in range(len(chats))]


async def test_a_chat_has_a_burst_and_then_one_a_second() -> None:
    clock = VirtualClock()
    assert await _times(Buckets(clock), clock, ["7"] * 8) == [0, 0, 0, 0, 0, 1, 2, 3]


async def test_a_group_has_twenty_in_a_minute() -> None:
    clock = VirtualClock()
    times = await _times(Buckets(clock), clock, ["-7"] * 24)
    assert len([at for at in times if at <= 60]) == 20
    assert times[-1] == 76


async def test_all_chats_together_have_thirty_a_second() -> None:
    clock = VirtualClock()
    times = await _times(Buckets(clock), clock, [str(number) for number in range(60)])
    assert times[:30] == [0] * 30
    assert times[-1] == 1.0
    assert times == sorted(times)


async def test_who_has_to_wait_waits_alone() -> None:
    clock = VirtualClock()
    buckets = Buckets(clock)
    buckets.pause("7", 40)
    buckets.pause("7", 5)  # which ends no longer one
    await buckets.turn("8")
    with pytest.raises(RateLimited, match="40 seconds") as caught:
        await buckets.turn("7")
    assert caught.value.retry_after_s == 40
    await clock.advance(40)
    await buckets.turn("7")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.2, "1 second"),
        (40, "40 seconds"),
        (600, "10 minutes"),
        (7200, "2 hours"),
        (300_000, "3 days"),
    ],
)
def test_times_are_spoken(seconds: float, said: str) -> None:
    assert spoken(seconds) == said
