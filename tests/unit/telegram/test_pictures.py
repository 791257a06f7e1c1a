# SPDX-License-Identifier: Apache-2.0
"""Pictures of people and of groups."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image

from adapters.telegram import pictures
from adapters.telegram.pictures import Faces
from gateway.errors import Forbidden, NotFound, Unsupported
from gateway.events import (
    RemoteMember,
    RemoteProfile,
    RemoteRoom,
    RemoteRoomMessage,
    SetRoomAvatar,
)
from gateway.ids import RemoteRoomId, RemoteUserId
from tests.peers.bot_api import Group, User, bad
from tests.unit.telegram.world import World, picture

_DAY_S = 86_400


def _id(user: User) -> RemoteUserId:
    return RemoteUserId(str(user.id))


def _room(group: Group) -> RemoteRoomId:
    return RemoteRoomId(str(group.id))


def _looks(world: World, user: User) -> int:
    asked = [each for each in world.telegram.asked.items if each.method == "getChat"]
    return len([each for each in asked if each.arguments["chat_id"] == user.id])


async def _heard(world: World, body: str) -> RemoteRoomMessage:
    return await world.account.first(RemoteRoomMessage, lambda event: event.body == body)


async def _pictured(world: World) -> RemoteProfile:
    """The first time that somebody has a picture."""
    return await world.account.first(RemoteProfile, lambda told: bool(told.avatar))


def _members(world: World, user: User) -> list[str]:
    """The pictures of somebody in groups, as they were told."""
    told = (event.member for event in world.account.of(RemoteMember))
    return [member.avatar for member in told if member.user == _id(user)]


async def test_somebody_who_writes_is_looked_at_once_a_day(world: World) -> None:
    """After what they say, and by the next sessions no more often."""
    world.anna.show(picture("red"))
    async with world.running() as session:
        shown = await _pictured(world)
        assert (shown.contact, shown.name) == (world.contact, "Anna Bauer")
        first, second = world.account.of(RemoteProfile)
        assert (first.avatar, second) == (None, shown)
        seen = Image.open(io.BytesIO(await session.avatar(shown.avatar or "")))
        assert seen.size == (640, 640)
        assert (await session.find(world.contact)).avatar == shown.avatar
    looks = _looks(world, world.anna)
    world.anna.show(picture("blue"))
    async with world.running() as session:
        world.anna.say(world.bot, "the same day")
        await world.account.text("the same day")
        assert world.account.of(RemoteProfile)[-1] == shown
        assert _looks(world, world.anna) == looks
        world.clock.ahead += _DAY_S
        world.anna.say(world.bot, "the next day")
        await world.account.until(
            lambda: world.account.of(RemoteProfile)[-1].avatar not in (None, shown.avatar)
        )
        with pytest.raises(NotFound):
            await session.avatar(shown.avatar or "")
        world.anna.photos.clear()
        world.clock.ahead += _DAY_S
        world.anna.say(world.bot, "and the next")
        await world.account.until(lambda: world.account.of(RemoteProfile)[-1].avatar == "")


async def test_whoever_has_no_picture_is_told_of_once(world: World) -> None:
    async with world.running():
        world.anna.say(world.bot, "one")
        await world.account.until(
            lambda: (
                [key for key in world.account.state() if key.startswith("picture ")]
                or _looks(world, world.anna)
            )
        )
        world.anna.say(world.bot, "two")
        await world.account.text("two")
    assert [each.avatar for each in world.account.of(RemoteProfile)] == [None]
    assert _looks(world, world.anna) == 1


async def test_people_in_groups_keep_their_pictures_over_restarts(world: World) -> None:
    """Although it is not kept who they are. Owners have theirs from the beginning."""
    carol, groups = world.telegram.person("Carol"), world.telegram.groups
    carol.show(picture("green"))
    group = groups.create("Tea", world.anna, world.bot, carol)
    async with world.running():
        carol.say(group, "one")
        await world.account.until(lambda: len(_members(world, carol)) == 2)
    async with world.running():
        carol.say(group, "two")
        await _heard(world, "two")
    before, looked, again = _members(world, carol)
    assert (before, looked) == ("", again)
    assert _looks(world, carol) == 1


async def test_who_rules_a_group_has_a_picture_there_from_its_beginning(world: World) -> None:
    """If it is known; and the bot does not look at itself."""
    world.anna.show(picture("red"))
    async with world.running():
        shown = await _pictured(world)
        world.telegram.groups.create("Tea", world.anna, world.bot)
        room = await world.account.first(RemoteRoom)
        assert {each.user: each.avatar for each in room.members or ()} == {
            _id(world.bot): "",
            world.contact: shown.avatar,
        }
        carol = world.telegram.person("Carol")
        carol.start(world.bot)
        await world.account.until(lambda: _looks(world, carol))
    assert _looks(world, world.bot) == 0


async def test_a_group_has_a_picture(world: World) -> None:
    """Whoever gives it one, or takes it away, says so; the message calls it otherwise."""
    groups = world.telegram.groups
    group = groups.create("Tea", world.anna, world.bot, is_super=True)
    async with world.running() as session:
        world.anna.say(group, "hello")
        await _heard(world, "hello")
        groups.picture(group, picture("red"))
        room = await world.account.first(RemoteRoom, lambda event: bool(event.avatar))
        assert (await session.avatar(room.avatar)).startswith(b"\xff\xd8")
        groups.promote(group, world.bot, "can_change_info")
        world.account.events.clear()
        await session.manage(
            SetRoomAvatar(room=_room(group), data=picture("blue"), media_type="image/png")
        )
        (other,) = [event for event in world.account.of(RemoteRoom) if event.avatar != room.avatar]
        assert (other.avatar, other.name) == (other.avatar or room.avatar, "Tea")
        await session.manage(SetRoomAvatar(room=_room(group)))
        assert world.account.of(RemoteRoom)[-1].avatar == ""
        await session.manage(SetRoomAvatar(room=_room(group)))
    assert len(world.account.of(RemoteRoomMessage)) == 0


async def test_what_is_no_picture_is_refused_in_words(world: World) -> None:
    group = world.telegram.groups.create("Tea", world.anna, world.bot, is_super=True)
    async with world.running() as session:
        action = SetRoomAvatar(room=_room(group), data=b"no picture", media_type="image/png")
        with pytest.raises(Forbidden, match="not the right"):
            await session.manage(action)
        world.telegram.groups.promote(group, world.bot, "can_change_info")
        with pytest.raises(Unsupported, match="does not take this picture"):
            await session.manage(action)


async def test_a_failure_of_a_look_loses_nobody(world: World, monkeypatch: Any) -> None:
    """Nor a picture that is known, if Telegram says nothing of them."""
    monkeypatch.setattr(pictures, "_REST_S", 0.05)
    world.anna.show(picture("red"))
    world.telegram.faults.fail(method="getChat")
    async with world.running():
        shown = await _pictured(world)
        assert _looks(world, world.anna) == 2
        world.telegram.faults.too_many(1, method="getChat", chat=world.chat)
        world.anna.show(picture("blue"))
        world.clock.ahead += _DAY_S
        world.anna.say(world.bot, "again")
        await world.account.until(
            lambda: world.account.of(RemoteProfile)[-1].avatar not in (None, shown.avatar)
        )
        other = world.account.of(RemoteProfile)[-1]
        world.clock.ahead += _DAY_S
        world.telegram.world.users[world.anna.id].photos.clear()
        refused = bad("chat not found")
        world.telegram.faults.refuse(refused, method="getChat", chat=world.chat)
        world.anna.say(world.bot, "and again")
        await world.account.text("and again")
        await world.account.until(lambda: _looks(world, world.anna) == 5)
        world.anna.say(world.bot, "still")
        await world.account.text("still")
    assert world.account.of(RemoteProfile)[-1] == other


def test_so_many_faces_are_remembered(monkeypatch: Any) -> None:
    """Those who were looked at last; of somebody who is forgotten all is news."""
    monkeypatch.setattr(pictures, "_MOST", 2)
    faces, stored = Faces({}), dict[str, str]()
    one, two, three = (RemoteUserId(str(each)) for each in (1, 2, 3))
    assert faces.learn(one, "1 a", 10)
    assert faces.learn(two, "", 11) is False
    assert faces.learn(one, "1 a", 12) is False
    assert faces.learn(three, "", 13)
    for key, value in faces.changes().items():
        stored.pop(key, None) if value is None else stored.update({key: value})
    assert stored == {"picture 1": "12 1 a", "picture 3": "13 "}
    again = Faces(stored)
    assert [again.seen(each) for each in (one, two, three)] == ["1 a", None, ""]
    assert [again.is_due(each, 14) for each in (one, two, three)] == [False, True, False]
    assert again.is_due(one, 12 + _DAY_S)
    assert again.is_due(one, 1)  # a clock that was wrong
    assert again.learn(two, "2 b", 15)
    assert again.seen(one) is None
