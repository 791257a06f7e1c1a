# SPDX-License-Identifier: Apache-2.0
"""Fetching: what is durable before it is forgotten, two who fetch, numbers that begin anew, and
answers that never come."""

from __future__ import annotations

import asyncio
import json
import math
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest

from adapters.telegram.inbound import Inbound
from adapters.telegram.request import SharedRequest
from gateway.errors import (
    RateLimited,
    Transient,
)
from gateway.events import (
    RemoteMessage,
    RemoteNotice,
    RemoteUnreadable,
)
from tests.unit.telegram.world import Clock, World

_WEEK_S = 7 * 86_400


class _Impatient(Clock):
    """Waits for nothing."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


async def test_what_waits_is_told_and_confirmed_only_after_its_commit(world: World) -> None:
    world.anna.say(world.bot, "first")
    world.account.is_broken = True
    running = world.running()
    await asyncio.wait({await running.start()})
    assert [len(world.bot.updates.waiting), world.account.events] == [2, []]
    world.account.is_broken = False
    async with world.running():
        world.anna.say(world.bot, "second")
        after = world.bot.updates.waiting[-1]["update_id"] + 1
        await world.account.text("second")
        await world.telegram.asked.wait_for(lambda each: each.arguments.get("offset") == after)
    assert world.account.texts() == ["/start", "first", "second"]


async def test_events_of_a_batch_keep_their_order(world: World) -> None:
    for number in range(150):
        world.anna.say(world.bot, str(number))
    async with world.running():
        await world.account.text("149")
    bodies = [event.body for event in world.account.of(RemoteMessage)]
    assert bodies == ["/start", *map(str, range(150))]


async def test_numbers_begin_anew_after_a_silent_week(world: World) -> None:
    """While the session goes on, and when it starts again: whatever they are then."""
    running = world.running()
    task = await running.start()
    await world.account.text("/start")
    polls = len(world.polls())
    asked = world.telegram.asked
    await asked.wait_for(lambda _: len(world.polls()) > polls and not world.bot.updates.waiting)
    world.clock.ahead += _WEEK_S
    await asked.wait_for(lambda each: "offset" not in each.arguments, since=asked.mark())
    world.bot.updates.draw_ids_anew(5)
    world.anna.say(world.bot, "after a week")
    await world.account.text("after a week")
    await asked.wait_for(lambda each: each.arguments.get("offset") == 6)
    async with world.telegram.away():
        await asyncio.wait({task})
    world.clock.ahead += _WEEK_S
    world.bot.updates.draw_ids_anew(1)
    world.anna.say(world.bot, "after two")
    async with world.running():
        await world.account.text("after two")
    assert world.account.texts() == ["/start", "after a week", "after two"]


async def test_what_nobody_has_fetched_for_a_day_is_told_to_be_lost(world: World) -> None:
    """Once, and not of a gateway that had nothing to fetch."""
    async with world.running():
        await world.account.text("/start")
    world.clock.ahead += 23 * 3600
    polls = len(world.polls())
    async with world.running():  # nothing is there, and the time of that is stored
        await world.telegram.asked.wait_for(lambda _: len(world.polls()) > polls + 1)
    world.clock.ahead += 23 * 3600
    async with world.running():
        world.anna.say(world.bot, "after a day of silence")
        await world.account.text("after a day of silence")
    assert world.account.of(RemoteNotice) == []
    world.clock.ahead += 30 * 3600
    for _ in range(2):
        async with world.running():
            await world.account.first(RemoteNotice)
    (notice,) = world.account.of(RemoteNotice)
    assert notice.contact is None
    assert "for 30 hours" in notice.text


async def test_a_batch_leaves_turns_to_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long ones take milliseconds each, and all of them would hold up everybody."""
    turns, at = 0, []

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    events = Inbound.events

    def noted(*about: Any) -> list[Any]:
        at.append(turns)
        return events(*about)

    monkeypatch.setattr(Inbound, "events", noted)
    for number in range(5):
        world.anna.say(world.bot, str(number))
    task = asyncio.create_task(others())
    async with world.running():
        await world.account.text("4")
    task.cancel()
    assert len(at) == len(set(at)) == 6


async def test_two_who_fetch_are_told_of(world: World) -> None:
    running = world.running()
    task = await running.start()
    elsewhere = f"{world.telegram.url}/bot{world.bot.token}/getUpdates"
    async with aiohttp.ClientSession() as http:
        while not task.done():
            async with http.get(elsewhere, params={"timeout": "1"}):
                pass
    with pytest.raises(Transient, match="Another program"):
        task.result()
    notices = world.account.of(RemoteNotice)
    assert [(each.contact, each.text) for each in notices] == [(None, str(task.exception()))]


async def test_a_pause_in_fetching_does_not_end_the_session(world: World) -> None:
    async with world.running() as session:
        fault = world.telegram.faults.too_many(1, method="getUpdates")
        await fault.reached()
        await session.send(world.text("meanwhile"), "k.1")
        world.anna.say(world.bot, "later")
        await world.account.text("later")


async def test_a_webhook_is_told_of_as_such(world: World) -> None:
    world.bot.updates.webhook = "https://bots.example/hook"
    running = world.running()
    task = await running.start()
    await asyncio.wait({task})
    (notice,) = world.account.of(RemoteNotice)
    assert "a webhook" in notice.text
    assert str(task.exception()) == notice.text


async def test_pauses_without_end_are_told(world: World) -> None:
    """Each of them is short enough to say nothing of it."""
    world.account.clock = _Impatient()
    fault = world.telegram.faults.too_many(25, method="getUpdates", times=math.inf)
    running = world.running()
    await asyncio.wait({await running.start()})
    assert running.task is not None
    assert isinstance(running.task.exception(), RateLimited)
    assert fault.hits == 3


@pytest.mark.parametrize("fault", ["fail", "garble", "cut"])
async def test_a_server_in_trouble_is_tried_again(world: World, fault: str) -> None:
    getattr(world.telegram.faults, fault)(method="getUpdates")
    running = world.running()
    await asyncio.wait({await running.start()})
    assert running.task is not None
    assert isinstance(running.task.exception(), Transient)
    async with world.running():
        await world.account.text("/start")


async def test_what_nobody_can_read_is_kept_and_what_comes_after_it_too(world: World) -> None:
    broken = {"update_id": 1, "message": {"message_id": "x", "chat": "nobody"}}
    whole = {**world.bot.updates.waiting[0], "update_id": 2}
    answer = json.dumps({"ok": True, "result": [broken, whole]}).encode()
    world.telegram.faults.garble(answer, method="getUpdates")
    async with world.running():
        kept = await world.account.first(RemoteUnreadable)
        await world.account.text("/start")
    assert (kept.contact, json.loads(kept.content)) == (None, broken)


async def test_an_answer_without_end_is_not_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not silent, so that nothing else would end it."""
    monkeypatch.setattr(SharedRequest, "whole_s", 0.5)
    monkeypatch.setattr("adapters.telegram.polling._SPARE_S", 0.5)
    fault = world.telegram.faults.drip(method="getUpdates")
    running = world.running()
    await asyncio.wait({await running.start()})
    assert running.task is not None
    assert isinstance(running.task.exception(), Transient)
    assert fault.hits == 1


async def test_an_answer_is_parsed_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long one takes 20 ms each time."""
    parsed: list[bytes] = []

    def loads(body: bytes) -> Any:
        parsed.append(body)
        return json.loads(body)

    monkeypatch.setattr(
        "adapters.telegram.request.json", SimpleNamespace(loads=loads, dumps=json.dumps)
    )
    async with world.running() as session:
        await world.account.text("/start")
        parsed.clear()
        await session.send(world.text("hello"), "k.1")
    assert len([body for body in parsed if b'"hello"' in body]) == 1
