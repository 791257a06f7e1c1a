# SPDX-License-Identifier: Apache-2.0
"""Albums: some files that were sent together. Each is a message in Telegram, and one here."""

from __future__ import annotations

import pytest

from gateway.errors import StoreUnavailable
from gateway.events import (
    RemoteRoomMessage,
    RemoteRoomReaction,
    RetractInRoom,
    SendRoomText,
)
from gateway.ids import RemoteMessageId, RemoteRoomId
from tests.contract.account import Running
from tests.peers.bot_api import Group, Message
from tests.unit.telegram.world import World

_ALBUM = "13000000000000007"


def _group(world: World) -> Group:
    group = world.telegram.groups.create("Tea", world.anna, world.bot)
    world.telegram.groups.promote(group, world.bot)
    return group


def _album(world: World, group: Group) -> list[Message]:
    """Three files, with words about them, which are those of the first."""
    return [
        world.anna.send_file(
            group, "document", f"{name}".encode(), name=name, caption=words, album=_ALBUM
        )
        for name, words in (("a.txt", "all mine"), ("b.txt", ""), ("c.txt", ""))
    ]


def _id(message: Message) -> RemoteMessageId:
    return RemoteMessageId(f"{message.chat.id}:{message.id}")


async def _told(world: World) -> list[RemoteRoomMessage]:
    await world.account.until(lambda: len(world.account.of(RemoteRoomMessage)) >= 3)
    return world.account.of(RemoteRoomMessage)


async def test_each_file_of_an_album_is_a_message_and_words_go_with_theirs(world: World) -> None:
    group = _group(world)
    sent = _album(world, group)
    async with world.running():
        told = await _told(world)
    assert [(each.id, each.body, [file.name for file in each.files]) for each in told] == [
        (_id(sent[0]), "all mine", ["a.txt"]),
        (_id(sent[1]), "", ["b.txt"]),
        (_id(sent[2]), "", ["c.txt"]),
    ]


async def test_what_is_said_about_one_is_about_that_one(world: World) -> None:
    """Answers, edits of the words, reactions, and taking one back; both ways."""
    group = _group(world)
    sent = _album(world, group)
    async with world.running() as session:
        await _told(world)
        world.anna.say(group, "this one", reply_to=sent[2])
        world.anna.edit(sent[0], "all yours")
        world.anna.react(sent[0], "👍")
        reacted = await world.account.first(RemoteRoomReaction)
        answer, edit = world.account.of(RemoteRoomMessage)[3:]
        assert (answer.reply_to, reacted.message) == (_id(sent[2]), _id(sent[0]))
        assert (edit.edits, edit.body, len(edit.files)) == (_id(sent[0]), "all yours", 1)
        room = RemoteRoomId(str(group.id))
        said = SendRoomText(room=room, body="nice", reply_to=_id(sent[1]))
        mine = await session.send(said, "k.1")
        assert group.seen.items[-1].reply_to is sent[1]
        assert mine.remote_id is not None
        await session.send(RetractInRoom(room=room, message=mine.remote_id), "k.2")
    assert "nice" not in group.texts


async def test_an_album_that_could_not_be_stored_comes_again_whole(world: World) -> None:
    """Nothing waits for its other parts, so nothing can get lost."""
    group = _group(world)
    running: Running = world.running()
    world.account.is_broken = True
    sent = _album(world, group)
    with pytest.raises(StoreUnavailable):
        await (await running.start())
    world.account.is_broken = False
    async with world.running():
        told = await _told(world)
    assert [each.id for each in told] == [_id(each) for each in sent]
