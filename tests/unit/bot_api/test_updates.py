# SPDX-License-Identifier: Apache-2.0
"""Asking for updates, as the vendor's server answers it."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
import telegram
from telegram import Update
from telegram.error import Conflict

from tests.peers.bot_api import Bot, BotApi, Group, Person


async def test_what_is_not_confirmed_comes_again(
    client: telegram.Bot, anna: Person, bot: Bot
) -> None:
    for text in ("one", "two", "three"):
        anna.say(bot, text)
    first, second = await client.get_updates(limit=2)
    assert (await client.get_updates(limit=1))[0].update_id == first.update_id
    assert second.update_id == first.update_id + 1
    (third,) = await client.get_updates(offset=second.update_id + 1)
    assert third.message is not None
    assert third.message.text == "three"
    assert [each.update_id for each in await client.get_updates()] == [third.update_id]


async def test_a_negative_offset_forgets_what_is_older(
    client: telegram.Bot, anna: Person, bot: Bot
) -> None:
    for text in ("one", "two", "three"):
        anna.say(bot, text)
    (last,) = await client.get_updates(offset=-1)
    assert last.message is not None
    assert last.message.text == "three"
    assert len(await client.get_updates()) == 1


async def test_waiting_for_updates(client: telegram.Bot, anna: Person, bot: Bot) -> None:
    poll = asyncio.create_task(client.get_updates(timeout=timedelta(seconds=30)))
    await bot.updates.polled()
    assert not poll.done()
    anna.say(bot, "hello")
    (update,) = await poll
    assert update.message is not None
    assert update.message.text == "hello"


async def test_there_is_one_poller(
    client: telegram.Bot, api: BotApi, anna: Person, bot: Bot
) -> None:
    first = asyncio.create_task(client.get_updates(timeout=30))
    await api.asked.wait_for(lambda asked: asked.method == "getUpdates")
    second = asyncio.create_task(client.get_updates(timeout=30))
    with pytest.raises(Conflict, match="terminated by other getUpdates request"):
        await first
    anna.say(bot, "hello")
    assert len(await second) == 1


async def test_a_webhook_excludes_polling(client: telegram.Bot, bot: Bot, anna: Person) -> None:
    bot.updates.webhook = "https://old.example.org/"
    anna.say(bot, "hello")
    assert (await client.get_webhook_info()).pending_update_count == 1
    with pytest.raises(Conflict, match="webhook is active"):
        await client.get_updates()
    assert await client.delete_webhook(drop_pending_updates=True)
    assert await client.get_updates() == ()


async def test_only_what_was_asked_for(
    client: telegram.Bot, api: BotApi, anna: Person, bot: Bot, friends: Group
) -> None:
    api.groups.promote(friends, bot)
    bob = api.person("Bob")
    api.groups.add(friends, bob)
    first = await client.get_updates()
    assert [kind(each) for each in first] == ["my_chat_member", "message"]
    offset = first[-1].update_id + 1
    await client.get_updates(offset=offset, allowed_updates=["chat_member"])
    api.groups.remove(friends, bob)
    (update,) = await client.get_updates()
    assert update.chat_member is not None
    assert update.chat_member.new_chat_member.status == "left"
    await client.get_updates(offset=offset + 1, allowed_updates=Update.ALL_TYPES)
    api.groups.add(friends, bob)
    assert [kind(each) for each in await client.get_updates()] == ["chat_member", "message"]


@pytest.mark.parametrize("distance", [-100_000, 100_000])
async def test_ids_begin_elsewhere_after_a_week(
    client: telegram.Bot, anna: Person, bot: Bot, distance: int
) -> None:
    anna.say(bot, "one")
    (old,) = await client.get_updates()
    offset = old.update_id + 1
    assert await client.get_updates(offset=offset) == ()
    bot.updates.draw_ids_anew(offset + distance)
    anna.say(bot, "two")
    (new,) = await client.get_updates(offset=offset)
    assert new.update_id == offset + distance


async def test_a_day_is_kept(client: telegram.Bot, anna: Person, bot: Bot) -> None:
    anna.say(bot, "one")
    assert len(bot.updates.expire()) == 1
    assert await client.get_updates() == ()


def kind(update: Update) -> str:
    """Which of its fields is there."""
    (found,) = update.to_dict().keys() - {"update_id"}
    return found
