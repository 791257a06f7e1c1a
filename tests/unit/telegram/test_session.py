# SPDX-License-Identifier: Apache-2.0
"""What a session knows of people and messages, so that it is not told again."""

from __future__ import annotations

import json

import pytest

from gateway.adapter import Contact
from gateway.errors import (
    BadLogin,
)
from gateway.events import (
    RemoteMessage,
    RemoteProfile,
    RemoteReaction,
    RemoteRetraction,
)
from tests.unit.telegram.world import World


@pytest.mark.parametrize("token", ["", "secret", "12:ab", "123456:/../getMe?" + "x" * 30])
async def test_what_is_no_token_is_not_even_asked_about(world: World, token: str) -> None:
    asked = len(world.telegram.asked.items)
    with pytest.raises(BadLogin, match="no token") as caught:
        await world.adapter.login().submit({"password": token})
    assert caught.value.field == "password"
    assert len(world.telegram.asked.items) == asked


async def test_a_name_is_told_once_and_when_it_changes(world: World) -> None:
    async with world.running():
        await world.account.text("/start")
        world.anna.say(world.bot, "hello")
        await world.account.text("hello")
        world.anna.first_name = "Anne"
        world.anna.say(world.bot, "it is me")
        await world.account.text("it is me")
    names = [event.name for event in world.account.of(RemoteProfile)]
    assert names == ["Anna Bauer", "Anne Bauer"]


async def test_an_edit_that_nobody_sees_is_none(world: World) -> None:
    """Such as when Telegram has fetched the preview of a link."""
    async with world.running():
        said = world.anna.say(world.bot, "see https://x.example")
        world.anna.change(said, said.content)
        world.anna.edit(said, "look")
        world.anna.change(said, said.content)
        world.anna.edit(said, "see https://x.example")
        world.anna.say(world.bot, "end")
        await world.account.text("end")
    edits = [event.body for event in world.account.of(RemoteMessage) if event.edits]
    assert edits == ["look", "see https://x.example"]


async def test_a_reaction_is_taken_back_in_another_session(world: World) -> None:
    async with world.running() as session:
        await world.account.text("/start")
        await session.send(world.text("hello"), "k.1")
        world.anna.react(world.chat.seen.items[0], "👍")
        made = await world.account.first(RemoteReaction)
    world.anna.react(world.chat.seen.items[0])
    async with world.running():
        gone = await world.account.first(RemoteRetraction)
    assert (gone.message, gone.contact) == (made.id, world.contact)


async def test_what_old_messages_have_is_known_again_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of which the state says nothing any more."""
    monkeypatch.setattr("adapters.telegram.reactions._MOST", 2)
    async with world.running() as session:
        await world.account.text("/start")
        for number in range(4):
            await session.send(world.text(f"text {number}"), f"k.{number}")
        said = world.chat.seen.items
        for message in said:
            world.anna.react(message, "👍")
        await world.account.until(lambda: len(world.account.made_reactions) == len(said))
    kept = [key for key in world.account.stored if key.startswith("reactions ")]
    assert [key.rpartition(":")[2] for key in kept] == [str(each.id) for each in said[-2:]]
    async with world.running():
        world.anna.react(said[0])
        world.anna.react(said[1], "🔥")
        await world.account.until(lambda: len(world.account.of(RemoteReaction)) == 5)
    gone = [event.message for event in world.account.of(RemoteRetraction)]
    assert gone == [event.id for event in world.account.of(RemoteReaction)[:2]]


async def test_two_names_at_once_end_with_the_last(world: World) -> None:
    """Although that is the one that was told before."""
    async with world.running():
        world.account.has_room.clear()
        await world.account.until(lambda: world.account.waits)
        for name in ("Anne", "Anna"):
            world.anna.first_name = name
            world.anna.say(world.bot, f"I am {name}")
        world.account.has_room.set()
        await world.account.text("I am Anna")
    names = [event.name for event in world.account.of(RemoteProfile)]
    assert names == ["Anna Bauer", "Anne Bauer", "Anna Bauer"]


async def test_a_server_older_than_the_library_knows_people(world: World) -> None:
    """What it says of them has less in it than the library wants."""
    chat = {"id": world.anna.id, "type": "private", "first_name": "Anna", "last_name": " Bauer"}
    answer = json.dumps({"ok": True, "result": chat}).encode()
    async with world.running() as session:
        world.telegram.faults.garble(answer, method="getChat")
        assert await session.find(world.contact) == Contact(name="Anna Bauer", avatar="")
