# SPDX-License-Identifier: Apache-2.0
"""What goes wrong on the way, as a bot notices it."""

from __future__ import annotations

import asyncio
import math

import pytest
import telegram
from telegram.error import BadRequest, NetworkError, RetryAfter, TelegramError

from tests.peers.bot_api import Bot, BotApi, Group, Person, bad


async def test_too_many_in_one_chat(
    client: telegram.Bot, api: BotApi, anna: Person, bot: Bot, friends: Group
) -> None:
    anna.start(bot)
    fault = api.faults.too_many(7, chat=friends, times=2)
    for _ in range(2):
        with pytest.raises(RetryAfter) as raised:
            await client.send_message(friends.id, "one")
        assert int(raised.value._retry_after.total_seconds()) == 7
        await client.send_message(anna.id, "hello")
    await client.send_message(friends.id, "one")
    assert fault.hits == 2
    assert friends.texts[-1] == "one"


async def test_nothing_was_carried_out(client: telegram.Bot, api: BotApi, friends: Group) -> None:
    for make in (api.faults.cut, api.faults.fail, api.faults.garble):
        make(method="sendMessage")
        with pytest.raises(TelegramError):
            await client.send_message(friends.id, "one")
    assert "one" not in friends.texts
    read = [asked.method for asked in api.asked.items]
    assert read == ["getMe", "sendMessage", "sendMessage"], "the one that was cut was not"


async def test_it_was_carried_out_and_nobody_says_so(
    client: telegram.Bot, api: BotApi, friends: Group
) -> None:
    api.faults.cut(method="sendMessage", carried_out=True)
    with pytest.raises(NetworkError):
        await client.send_message(friends.id, "one")
    assert friends.texts[-1] == "one"
    assert api.done.items[-1].result["text"] == "one"


async def test_an_answer_that_takes_long(
    client: telegram.Bot, api: BotApi, friends: Group
) -> None:
    fault = api.faults.hold(method="sendMessage", carried_out=True)
    sending = asyncio.create_task(client.send_message(friends.id, "one"))
    await fault.reached()
    await friends.seen.wait_for(lambda message: message.text == "one")
    assert not sending.done()
    fault.let_go()
    assert (await sending).text == "one"


async def test_an_error_for_all_until_it_ends(client: telegram.Bot, api: BotApi) -> None:
    fault = api.faults.refuse(bad("CHAT_ADMIN_REQUIRED"), times=math.inf)
    for _ in range(3):
        with pytest.raises(BadRequest, match="Chat_admin_required"):
            await client.get_me()
    fault.end()
    await client.get_me()


async def test_nobody_listens(
    client: telegram.Bot, api: BotApi, bot: Bot, anna: Person, friends: Group
) -> None:
    poll = asyncio.create_task(client.get_updates(timeout=30))
    await bot.updates.polled()
    async with api.away():
        with pytest.raises(NetworkError):
            await poll
        with pytest.raises(NetworkError):
            await client.send_message(friends.id, "one")
        anna.say(friends, "meanwhile")
    assert (await client.send_message(friends.id, "one")).text == "one"
    assert len(await client.get_updates()) == 1


async def test_real_limits(client: telegram.Bot, api: BotApi, friends: Group) -> None:
    now = 1_000_000.0
    api.world.clock = lambda: now
    api.world.limits.group_per_minute = 2
    for text in ("one", "two"):
        await client.send_message(friends.id, text)
    with pytest.raises(RetryAfter):
        await client.send_message(friends.id, "three")
    now += 60
    await client.send_message(friends.id, "three")
    assert friends.texts[-3:] == ["one", "two", "three"]
