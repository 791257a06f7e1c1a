# SPDX-License-Identifier: Apache-2.0
"""Polls of others, which are told once more when they are closed."""

from __future__ import annotations

import pytest

from adapters.telegram import polls
from adapters.telegram.polls import Polls
from gateway.events import RemoteNotice, RemoteRoomMessage, RemoteRoomNotice
from tests.unit.telegram.world import World

_RESULT = "📊 Tea?\n• yes: 3\n• no: 1\nThis poll is closed."


async def test_a_poll_that_is_closed_is_told_where_it_was(world: World) -> None:
    """Also by another session; in a group in its topic, and in a chat."""
    groups = world.telegram.groups
    group = groups.create("Tea", world.anna, world.bot, is_forum=True)
    async with world.running():
        topic = groups.open_topic(group, "Green")
        in_group = world.anna.ask(group, "Tea?", "yes", "no", topic=topic)
        in_chat = world.anna.ask(world.bot, "Tea?", "yes", "no")
        asked = await world.account.text("📊 Tea?\n• yes\n• no")
    async with world.running():
        world.anna.close_poll(in_group, 3, 1)
        world.anna.close_poll(in_chat, 3, 1)
        told = await world.account.first(RemoteNotice)
    line = world.account.of(RemoteRoomNotice)[-1]
    assert (line.id, line.text) == (f"{group.id}:{in_group.id}/closed", _RESULT)
    assert line.thread == f"{group.id}:{topic}"
    assert (told.contact, told.id) == (world.contact, f"{asked.id}/closed")
    assert told.text == _RESULT
    assert not Polls(world.account.state())._places


async def test_what_is_not_closed_or_not_known_is_told_by_nobody(world: World) -> None:
    group = world.telegram.groups.create("Tea", world.anna)
    unseen = world.anna.ask(group, "Before?", "yes", "no")
    world.telegram.groups.add(group, world.bot, by=world.anna)
    async with world.running():
        asked = world.anna.ask(group, "Tea?", "yes", "no")
        world.telegram.world.tell_poll(asked)
        world.anna.close_poll(unseen, 1, 0)
        world.anna.close_poll(asked, 3, 1)
        world.telegram.world.tell_poll(asked)
        world.anna.say(group, "end")
        await world.account.first(RemoteRoomMessage, lambda event: event.body == "end")
    assert [each.text for each in world.account.of(RemoteRoomNotice)] == [_RESULT]


async def test_only_so_many_polls_are_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polls, "_MOST", 2)
    async with world.running():
        for number in range(3):
            world.anna.ask(world.bot, f"{number}?", "yes", "no")
        await world.account.text("📊 2?\n• yes\n• no")
    kept = sorted(place.message for place in Polls(world.account.state())._places.values())
    first = world.chat.next_message_id - 2
    assert kept == [f"{world.anna.id}:{number}" for number in (first, first + 1)]
