# SPDX-License-Identifier: Apache-2.0
"""Topics as threads (REQ-578)."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.telegram import topics
from adapters.telegram.topics import Topics
from gateway.errors import AdapterError, Forbidden, NotFound, Uncertain
from gateway.events import (
    FileKind,
    RemoteMessage,
    RemoteRoomMessage,
    RemoteRoomNotice,
    SendRoomText,
    SentFile,
)
from gateway.ids import RemoteMessageId, RemoteRoomId
from tests.peers.bot_api import Group
from tests.unit.telegram.world import World

_URL = "https://files.example/1"


def _forum(world: World) -> Group:
    return world.telegram.groups.create("Tea", world.anna, world.bot, is_forum=True)


def _id(group: Group, message: int) -> RemoteMessageId:
    return RemoteMessageId(f"{group.id}:{message}")


def _text(group: Group, body: str, **about: Any) -> SendRoomText:
    return SendRoomText(room=RemoteRoomId(str(group.id)), body=body, **about)


async def _heard(world: World, body: str) -> RemoteRoomMessage:
    return await world.account.first(RemoteRoomMessage, lambda event: event.body == body)


def _notices(world: World) -> list[tuple[str, RemoteMessageId | None]]:
    return [(each.text, each.thread) for each in world.account.of(RemoteRoomNotice)]


async def test_what_is_said_in_a_topic_is_in_its_thread(world: World) -> None:
    """And is shown as an answer to what has named it last; an answer is what it is."""
    group, groups = _forum(world), world.telegram.groups
    async with world.running():
        topic = groups.open_topic(group, "Green")
        world.anna.say(group, "in it", topic=topic)
        said = await _heard(world, "in it")
        groups.rename_topic(group, topic, "Black\ntea")
        renamed = max(group.messages)
        world.anna.say(group, "still", topic=topic)
        still = await _heard(world, "still")
        answered = group.messages[int(said.id.partition(":")[2])]
        world.anna.say(group, "yes", reply_to=answered)
        answer = await _heard(world, "yes")
        world.anna.say(group, "elsewhere")
        elsewhere = await _heard(world, "elsewhere")
    root = _id(group, topic)
    assert (said.thread, said.thread_after, said.reply_to) == (root, root, None)
    assert (still.thread, still.thread_after) == (root, _id(group, renamed))
    assert (answer.thread, answer.reply_to) == (root, said.id)
    assert (elsewhere.thread, elsewhere.thread_after) == (None, None)
    assert _notices(world) == [
        ("Topic “Green”, opened by Anna Bauer.", root),
        ("Topic “Black tea”, until now “Green”.", root),
    ]


async def test_an_answer_outside_of_topics_is_in_no_thread(world: World) -> None:
    """Although Telegram says with which message the answers began."""
    group = world.telegram.groups.create("Tea", world.anna, world.bot, is_super=True)
    async with world.running():
        first = world.anna.say(group, "one")
        answer = world.anna.say(group, "two", reply_to=first)
        assert answer.json()["message_thread_id"] == first.id
        heard = await _heard(world, "two")
    assert (heard.thread, heard.reply_to) == (None, _id(group, first.id))


async def test_a_topic_of_before_the_bot_is_named_once(world: World) -> None:
    """Also by the next session, and after a rename that is known no more."""
    groups = world.telegram.groups
    group = groups.create("Tea", world.anna, is_forum=True)
    topic = groups.open_topic(group, "Green")
    groups.add(group, world.bot, by=world.anna)
    async with world.running():
        world.anna.say(group, "one", topic=topic)
        one = await _heard(world, "one")
        world.anna.say(group, "two", topic=topic)
        await _heard(world, "two")
    async with world.running():
        world.anna.say(group, "three", topic=topic)
        three = await _heard(world, "three")
    root = _id(group, topic)
    assert (one.thread_after, three.thread_after) == (root, root)
    assert _notices(world) == [("Topic “Green”.", root)]


async def test_what_happens_to_topics_is_told(world: World) -> None:
    group, groups = _forum(world), world.telegram.groups
    async with world.running():
        topic = groups.open_topic(group, "Green", by=world.anna)
        groups.close_topic(group, topic)
        groups.close_topic(group, topic, again=True)
        groups.pin(world.anna.say(group, "in it", topic=topic))
        groups.close_topic(group, None)
        groups.close_topic(group, None, again=True)
        groups.hide_general(group)
        groups.hide_general(group, again=True)
        groups.rename_general(group, "All")
        world.anna.say(group, "end")
        await _heard(world, "end")
    root = _id(group, topic)
    assert _notices(world)[1:] == [
        ("Anna Bauer has closed the topic “Green”.", root),
        ("Anna Bauer has opened the topic “Green” again.", root),
        ("Anna Bauer has pinned a message.", root),
        ("Anna Bauer has closed the general topic.", None),
        ("Anna Bauer has opened the general topic again.", None),
        ("Anna Bauer has hidden the general topic.", None),
        ("Anna Bauer shows the general topic again.", None),
        ("The general topic is called “All” now.", None),
    ]


async def test_what_the_user_says_goes_into_the_topic(world: World) -> None:
    """Words, answers and files; an answer to its line answers nothing."""
    group = _forum(world)
    async with world.running() as session:
        topic = world.telegram.groups.open_topic(group, "Green")
        said = world.anna.say(group, "in it", topic=topic)
        root, first = _id(group, topic), _id(group, said.id)
        await session.send(_text(group, "words", thread=root), "k.1")
        await session.send(_text(group, "answer", thread=root, reply_to=first), "k.2")
        await session.send(_text(group, "to the line", thread=root, reply_to=root), "k.3")
        world.account.files[_URL] = b"data"
        file = SentFile(url=_URL, name="x.bin", kind=FileKind.FILE, media_type="")
        await session.send(_text(group, "file", thread=root, file=file), "k.4")
        await session.send(_text(group, "elsewhere"), "k.5")
    sent = [(each.text, each.thread_id, each.reply_to) for each in group.seen.items]
    assert sent == [
        ("words", topic, None),
        ("answer", topic, said),
        ("to the line", topic, None),
        ("file", topic, None),
        ("elsewhere", None, None),
    ]


async def _refused(world: World, group: Group, topic: int, **about: Any) -> AdapterError:
    async with world.running() as session:
        with pytest.raises(AdapterError) as caught:
            await session.send(_text(group, "hello", thread=_id(group, topic), **about), "k.1")
    return caught.value


async def test_a_topic_that_is_closed_or_gone_is_said_so(world: World) -> None:
    group, groups = _forum(world), world.telegram.groups
    topic = groups.open_topic(group, "Green")
    groups.close_topic(group, topic)
    error = await _refused(world, group, topic)
    assert (type(error), error.text) == (Forbidden, "This topic of the group is closed.")
    groups.delete_topic(group, topic)
    error = await _refused(world, group, topic)
    assert type(error) is NotFound
    assert error.text == "This topic is not there any more: it was deleted."


async def test_nobody_knows_what_became_of_it_in_a_topic(world: World) -> None:
    group = _forum(world)
    topic = world.telegram.groups.open_topic(group, "Green")
    world.telegram.faults.cut(carried_out=True, method="sendMessage")
    assert type(await _refused(world, group, topic)) is Uncertain
    assert [each.thread_id for each in group.seen.items] == [topic]


async def test_topics_of_a_chat_are_threads_too(world: World) -> None:
    world.bot.has_topics = True
    async with world.running() as session:
        topic = world.anna.open_topic(world.bot, "Green")
        world.anna.say(world.bot, "in it", topic=topic)
        said = await world.account.text("in it")
        await session.send(world.text("there too", thread=said.thread), "k.1")
    root = f"{world.anna.id}:{topic}"
    opened = await world.account.first(RemoteMessage, lambda event: event.id == root)
    assert opened.body == "Topic “Green”, opened by Anna Bauer."
    assert {(each.thread, each.thread_after) for each in (opened, said)} == {(root, root)}
    assert [each.thread_id for each in world.chat.seen.items] == [topic]


async def test_only_so_many_names_are_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topics, "_MOST", 2)
    group = _forum(world)
    async with world.running():
        for name in ("Green", "Black", "White"):
            world.telegram.groups.open_topic(group, name)
        world.anna.say(group, "end")
        await _heard(world, "end")
    known = Topics(world.account.state())._topics.values()
    assert {each.name for each in known} == {"Black", "White"}
