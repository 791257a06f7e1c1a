# SPDX-License-Identifier: Apache-2.0
"""Whose own chats come here: of whoever has proved that the Telegram account is the user's."""

import asyncio

import pytest

from adapters.telegram.connected import Connected
from adapters.telegram.ids import address_of, contact_at
from gateway.errors import Forbidden, RateLimited, Transient
from gateway.events import RemoteMessage, RemoteNotice
from gateway.ids import RemoteUserId
from gateway.tasks import SystemClock
from tests.peers.bot_api import bad
from tests.unit.telegram.own_chats import ALL, code_of, connected, prove
from tests.unit.telegram.world import World

_DAY_S = 86_400


def _told(world: World) -> list[str]:
    """All that the gateway itself has said, but for what is lost when tests leap over a day."""
    notices = world.account.of(RemoteNotice)
    assert {notice.contact for notice in notices} <= {None}
    return [notice.text for notice in notices if not notice.id.startswith("gap")]


async def test_own_chats_come_when_the_account_is_proved(world: World) -> None:
    own = connected(world, *ALL)
    own.bob.say(own.chat, "before")
    async with world.running():
        await own.prove()
        own.bob.say(own.chat, "hi")
        own.alice.say(own.chat, "hello")
        await world.account.text("hello")
    said = [(m.contact, m.body, m.own) for m in world.account.of(RemoteMessage)]
    assert said == [
        (world.contact, "/start", False),
        (own.contact, "hi", False),
        (own.contact, "hello", True),
    ]
    question, standing = _told(world)
    assert "If it is not you, do nothing" in question
    assert standing.endswith("are here from now on.")


async def test_what_is_not_allowed_is_said_with_the_proof(world: World) -> None:
    own = connected(world)
    async with world.running():
        await own.prove()
    standing = _told(world)[-1]
    for missing in ("you can only read", "mark messages as read", "delete messages"):
        assert missing in standing


async def test_nothing_of_a_stranger_comes_here(world: World) -> None:
    """Not even when the user has an own account here, nor what the stranger deletes."""
    own = connected(world, *ALL)
    mallory = world.telegram.person("Mallory", username="mal")
    other = world.telegram.world.connect(mallory, world.bot, *ALL).chat(own.bob)
    async with world.running():
        await own.prove()
        for _ in range(2):
            said = mallory.say(other, "poison")
            mallory.edit(said, "poison!")
            mallory.delete(said)
            own.bob.say(other, "to Mallory")
        world.anna.say(world.bot, "end")
        await world.account.text("end")
    assert world.account.texts() == ["/start", "end"]
    assert any(f"Mallory, @mal ({mallory.id}) has connected" in text for text in _told(world))


async def test_five_wrong_codes_make_the_right_one_void(world: World) -> None:
    own = connected(world, *ALL)
    async with world.running():
        code = await code_of(world, own.alice)
        wrong = f"{(int(code) + 1) % 10**8:08}"
        for _ in range(7):
            own.alice.say(world.bot, f"/own {wrong}")
        own.alice.say(world.bot, f"/own {code}")
        own.bob.say(own.chat, "hi")
        world.anna.say(world.bot, "end")
        await world.account.text("end")
        assert world.account.texts() == ["/start", "end"]
        tried = [text for text in _told(world) if "wrong code" in text]
        assert len(tried) == 5
        assert "24 hours" in tried[-1]
        # On the next day there is another one.
        own.connection.change(*ALL)
        world.clock.ahead += _DAY_S
        own.connection.change(*ALL)
        await world.account.until(lambda: sum("/own " in text for text in _told(world)) == 2)
        assert await code_of(world, own.alice) != code
        await own.prove()


async def test_a_stranger_is_told_of_once_a_day(world: World) -> None:
    own = connected(world, *ALL)
    async with world.running():
        code = await code_of(world, own.alice)
        for _ in range(5):
            own.connection.change(is_enabled=False)
            own.connection.change(*ALL)
        world.anna.say(world.bot, "end")
        await world.account.text("end")
        assert len(_told(world)) == 1
        world.clock.ahead += _DAY_S
        own.connection.change(*ALL)
        await world.account.until(lambda: len(_told(world)) == 2)
        assert await code_of(world, own.alice) == code


async def test_the_code_counts_in_the_chat_with_the_bot_alone(world: World) -> None:
    """And from the account that has connected it, in whatever session that is."""
    own = connected(world, *ALL)
    async with world.running():
        code = await code_of(world, own.alice)
        world.anna.say(world.bot, f"/own {code}")
        group = world.telegram.groups.create("Tea", own.alice, world.bot)
        own.alice.say(group, f"/own {code}")
        own.alice.say(own.chat, f"/own {code}")
        own.bob.say(own.chat, "hi")
        world.anna.say(world.bot, "end")
        await world.account.text("end")
    assert world.account.texts() == ["/start", f"/own {code}", "end"]
    async with world.running():
        own.alice.say(world.bot, f"/own@relay_bot {code[:4]} {code[4:]}")
        own.bob.say(own.chat, "hi again")
        await world.account.text("hi again")
        own.alice.say(world.bot, f"/own {code}")  # which needs nobody
        own.alice.say(world.bot, "note")
        await world.account.text("note")
    assert world.account.texts()[3:] == ["hi again", "note"]


async def test_it_is_known_in_the_next_session(world: World) -> None:
    own = connected(world, *ALL)
    async with world.running():
        await own.prove()
    own.bob.say(own.chat, "hi")
    async with world.running() as session:
        await world.account.text("hi")
        await session.send(own.text("hello"), "k.1")
    assert [message.text for message in own.chat.seen.items] == ["hello"]
    assert len(_told(world)) == 2


async def test_another_account_takes_the_place_of_the_first(world: World) -> None:
    """Messages have the same numbers there, and are others."""
    own = connected(world, *ALL)
    other = world.telegram.person("Alice at work")
    work = world.telegram.world.connect(other, world.bot, *ALL).chat(own.bob)
    async with world.running() as session:
        await own.prove()
        first = own.bob.say(own.chat, "to the first")
        await world.account.text("to the first")
        await prove(world, other)
        second = own.bob.say(work, "to the second")
        own.bob.say(own.chat, "to the first again")
        said = await world.account.text("to the second")
        assert first.id == second.id
        assert said.contact == own.contact
        assert said.id != own.id(first)
        await session.send(own.text("answer", reply_to=own.id(first)), "k.1")
        world.anna.say(world.bot, "end")
        await world.account.text("end")
    (answer,) = work.seen.items
    assert (answer.text, answer.reply_to) == ("answer", None)
    assert "to the first again" not in world.account.texts()


# --- what Telegram has not told ---------------------------------------------------------------


async def test_a_connection_from_before_the_link_is_asked_about(world: World) -> None:
    own = connected(world, *ALL)
    world.bot.updates.expire()
    own.bob.say(own.chat, "lost on nobody")
    async with world.running():
        await own.prove()
        own.bob.say(own.chat, "hi")
        await world.account.text("hi")
    asked = [each for each in world.telegram.asked.items if each.method == "getBusinessConnection"]
    assert len(asked) == 1
    assert world.account.texts() == ["hi"]


async def test_what_is_said_waits_for_what_the_connection_is(world: World) -> None:
    own = connected(world, *ALL)
    async with world.running():
        await own.prove()
    again = world.telegram.world.connect(own.alice, world.bot, *ALL).chat(own.bob)
    world.bot.updates.expire()
    own.bob.say(again, "hi")
    world.telegram.faults.fail(500, method="getBusinessConnection")
    running = world.running()
    await asyncio.wait({await running.start()})
    assert running.task is not None
    with pytest.raises(Transient, match="500"):
        running.task.result()
    assert "hi" not in world.account.texts()
    async with world.running() as session:
        await world.account.text("hi")
        await session.send(own.text("hello"), "k.1")
    assert [message.text for message in again.seen.items] == ["hello"]


async def test_a_connection_that_telegram_does_not_know_is_nobodys(world: World) -> None:
    own = connected(world, *ALL)
    world.bot.updates.expire()
    world.telegram.faults.refuse(
        bad("business connection not found"), method="getBusinessConnection"
    )
    async with world.running():
        for _ in range(3):
            own.bob.say(own.chat, "hi")
        world.anna.say(world.bot, "end")
        await world.account.text("end")
    assert world.account.texts() == ["end"]
    asked = [each for each in world.telegram.asked.items if each.method == "getBusinessConnection"]
    assert len(asked) == 1


async def test_a_pause_before_a_connection_is_known_ends_no_session(world: World) -> None:
    """Strangers make connections, and the user goes on meanwhile. A long one is told."""
    own = connected(world, *ALL)
    world.bot.updates.expire()
    short = world.telegram.faults.too_many(1, method="getBusinessConnection")
    async with world.running() as session:
        own.bob.say(own.chat, "hi")
        world.anna.say(world.bot, "end")
        await short.reached()
        await session.send(world.text("hello"), "k.1")
        await world.account.text("end")
    again = world.telegram.world.connect(own.alice, world.bot, *ALL).chat(own.bob)
    world.bot.updates.expire()
    world.telegram.faults.too_many(100, method="getBusinessConnection")
    task = await world.running().start()
    own.bob.say(again, "hi")
    with pytest.raises(RateLimited):
        await asyncio.wait_for(task, 10)


# --- what changes -----------------------------------------------------------------------------


async def test_what_changes_is_told_once(world: World) -> None:
    own = connected(world, *ALL)
    async with world.running() as session:
        await own.prove()
        own.bob.say(own.chat, "hi")
        own.connection.change("can_read_messages", "can_delete_all_messages")
        own.connection.change("can_read_messages", "can_delete_all_messages", "can_edit_bio")
        await world.account.until(lambda: len(_told(world)) == 3)
        assert "you can only read" in _told(world)[-1]
        with pytest.raises(Forbidden, match="not allowed"):
            await session.send(own.text("hello"), "k.1")
        assert not any(each.method == "sendMessage" for each in world.telegram.asked.items)
        for _ in range(2):
            own.connection.change(is_enabled=False)
        await world.account.until(lambda: len(_told(world)) == 4)
        assert "not connected" in _told(world)[-1]
        with pytest.raises(Forbidden, match="not connected"):
            await session.send(own.text("hello"), "k.2")
        own.connection.change(*ALL)
        await world.account.until(lambda: len(_told(world)) == 5)
        await session.send(own.text("hello"), "k.3")
        world.anna.say(world.bot, "end")
        await world.account.text("end")
    assert len(_told(world)) == 5
    assert [message.text for message in own.chat.seen.items] == ["hello"]


async def test_a_connection_that_was_replaced_ends_nothing(world: World) -> None:
    own = connected(world, *ALL)
    async with world.running() as session:
        await own.prove()
        again = world.telegram.world.connect(own.alice, world.bot, *ALL).chat(own.bob)
        own.connection.change(is_enabled=False)
        own.bob.say(again, "hi")
        await world.account.text("hi")
        await session.send(own.text("hello"), "k.1")
    assert [message.text for message in again.seen.items] == ["hello"]
    assert not any("not connected" in text for text in _told(world))


@pytest.mark.parametrize("name", ["can_delete_outgoing_messages", "can_delete_sent_messages"])
def test_a_right_has_two_names(name: str) -> None:
    """One in the documents, and one in the server."""
    connections = Connected({}, SystemClock())
    user = {"id": 7, "is_bot": False, "first_name": "Alice"}
    about = {"id": "c", "user": user, "is_enabled": True, "rights": {name: True}}
    (question,) = connections.changed(about, 1)
    assert isinstance(question, RemoteNotice)
    code = question.text.partition("/own ")[2][:8]
    proof = {"message_id": 1, "from": user, "chat": {"id": 7}, "text": f"/own {code}"}
    assert connections.is_proof(proof)
    (standing,) = connections.proved(proof)
    assert isinstance(standing, RemoteNotice)
    assert "delete" not in standing.text


def test_those_who_wait_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.telegram.connected._MOST_ASKED", 20)
    connections = Connected({}, SystemClock())
    for number in range(1, 30):
        user = {"id": number, "is_bot": False, "first_name": "X"}
        list(connections.changed({"id": f"c{number}", "user": user, "is_enabled": True}, number))
    changes = connections.changes()
    assert len([value for value in changes.values() if value is not None]) == 20
    assert changes["own? 1"] is None


# --- addresses --------------------------------------------------------------------------------


def test_who_writes_to_the_bot_and_to_the_user_has_two_addresses() -> None:
    both = [RemoteUserId("7000000014"), RemoteUserId("me.7000000014")]
    assert [address_of(each) for each in both] == ["7000000014", "me.7000000014"]
    assert [contact_at(address) for address in both] == both
    for none in ("me.", "me.0", "me.-5", "me.07", "ME.7", "me.7 ", "me.7.7", "me.x"):
        assert contact_at(none) is None
