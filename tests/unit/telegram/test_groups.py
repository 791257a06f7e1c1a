# SPDX-License-Identifier: Apache-2.0
"""Groups that a bot is in, as rooms."""

from typing import Any

import pytest

from adapters.telegram import buckets, looking
from adapters.telegram.groups import Groups
from adapters.telegram.pictures import Faces
from gateway.adapter import Session
from gateway.errors import AdapterError, Forbidden, NotFound
from gateway.events import (
    Affiliation,
    Departure,
    Member,
    ReactInRoom,
    RemoteMember,
    RemoteMemberGone,
    RemoteNotice,
    RemoteRoom,
    RemoteRoomMessage,
    RemoteRoomMoved,
    RemoteRoomNotice,
    RemoteRoomReaction,
    RemoteRoomRetraction,
    RetractInRoom,
    SendRoomText,
)
from gateway.ids import RemoteRoomId, RemoteUserId
from tests.peers.bot_api import Group, User, bad, forbidden
from tests.unit.telegram.world import World


def _room(group: Group) -> RemoteRoomId:
    return RemoteRoomId(str(group.id))


def _id(user: User) -> RemoteUserId:
    return RemoteUserId(str(user.id))


def _text(room: RemoteRoomId, body: str, **about: Any) -> SendRoomText:
    return SendRoomText(room=room, body=body, **about)


async def _heard(world: World, body: str) -> RemoteRoomMessage:
    return await world.account.first(RemoteRoomMessage, lambda event: event.body == body)


async def test_what_a_group_is_and_who_rules_it(world: World) -> None:
    carol, doris = world.telegram.person("Carol"), world.telegram.person("Doris")
    groups = world.telegram.groups
    group = groups.create("Tea", world.anna, carol, doris, is_super=True)
    group.description, group.username = "All about it", "teatime"
    groups.promote(group, carol, title="cook")
    groups.add(group, world.bot, by=world.anna)
    async with world.running():
        doris.say(group, "hello")
        heard = await _heard(world, "hello")
    (room,) = world.account.of(RemoteRoom)
    assert room == RemoteRoom(
        room=_room(group),
        name="Tea",
        topic="All about it",
        is_private=False,
        is_listed=True,
        shows_past=True,
        is_new=True,
        may=(),
        people=4,
        members=(
            Member(user=_id(world.bot), name="Relay"),
            Member(user=_id(world.anna), name="Anna Bauer", affiliation=Affiliation.OWNER),
            Member(user=_id(carol), name="Carol", affiliation=Affiliation.ADMIN, title="cook"),
        ),
    )
    assert world.account.of(RemoteMember) == [
        RemoteMember(room=_room(group), member=Member(user=_id(doris), name="Doris"))
    ]
    assert (heard.room, heard.sender) == (_room(group), _id(doris))
    assert not world.account.of(RemoteNotice)


async def test_what_is_known_is_not_told_again(world: World) -> None:
    """Neither by the next session, for which administrators are still what they were, even if it
    cannot ask."""
    group = world.telegram.groups.create("Tea", world.anna, world.bot)
    async with world.running():
        world.anna.say(group, "one")
        await _heard(world, "one")
    told = len(world.account.events)
    world.telegram.faults.fail(method="getChatAdministrators", times=0)
    async with world.running():
        world.anna.say(group, "two")
        await _heard(world, "two")
    assert [type(event) for event in world.account.events[told:]] == [RemoteRoomMessage]


async def test_a_group_of_which_nothing_can_be_learned_is_a_room_all_the_same(
    world: World,
) -> None:
    world.telegram.faults.fail(method="getChat", times=0)
    group = world.telegram.groups.create("Tea", world.anna, world.bot)
    async with world.running():
        world.anna.say(group, "hello")
        await _heard(world, "hello")
    (room,) = world.account.of(RemoteRoom)
    assert (room.name, [each.user for each in room.members or ()]) == ("Tea", [_id(world.bot)])
    users = {event.member.user: event.member.name for event in world.account.of(RemoteMember)}
    assert users == {_id(world.bot): "Relay", _id(world.anna): "Anna Bauer"}


def test_a_name_that_is_none_is_no_error() -> None:
    """An update that raised would come again for ever."""
    assert looking.named({"title": 1.5, "first_name": ["Anna"], "last_name": "Bauer"}) == "Bauer"


async def test_one_group_more_than_are_known_is_not_all_of_them_anew(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is two requests, for which all wait."""
    monkeypatch.setattr(looking, "_MOST_GROUPS", 3)
    groups = [
        world.telegram.groups.create(f"Tea {number}", world.anna, world.bot) for number in range(4)
    ]
    async with world.running():
        for group in groups:
            world.anna.say(group, "hello")
        await world.account.until(lambda: len(world.account.of(RemoteRoomMessage)) == 4)
        world.telegram.asked.items.clear()
        for group in groups[1:]:
            world.anna.say(group, "again")
        await world.account.until(lambda: len(world.account.of(RemoteRoomMessage)) == 7)
    assert not [
        each for each in world.telegram.asked.items if each.method == "getChatAdministrators"
    ]


async def test_who_does_not_answer_is_left_alone_for_a_minute(world: World) -> None:
    """Of none of the groups anything is asked, since what is said waits for it."""
    world.telegram.faults.fail(method="getChat", times=0)
    first, second = (
        world.telegram.groups.create(name, world.anna, world.bot) for name in ("Tea", "Coffee")
    )
    async with world.running():
        world.anna.say(second, "one")
        await _heard(world, "one")
        asked = [
            each.arguments["chat_id"]
            for each in world.telegram.asked.items
            if each.method == "getChat"
        ]
        assert len([chat for chat in asked if chat < 0]) == 1
        world.telegram.faults.end()
        world.clock.ahead += 61
        for group in (first, second):
            world.anna.say(group, f"in {group.title}")
            await _heard(world, f"in {group.title}")
    owners = {
        event.room
        for event in world.account.of(RemoteMember)
        if event.member.affiliation is Affiliation.OWNER
    }
    assert owners == {_room(first), _room(second)}


async def test_what_nobody_has_said(world: World) -> None:
    """A message that is pinned is a line of the room, which says which one it is."""
    group = world.telegram.groups.create("Tea", world.anna, world.bot)
    async with world.running():
        said = world.anna.say(group, "tea at five")
        world.telegram.groups.pin(said)
        notice = await world.account.first(RemoteRoomNotice)
        world.telegram.groups.rename(group, "Coffee")
        await world.account.first(RemoteRoom, lambda room: room.name == "Coffee")
    assert (notice.room, notice.text) == (_room(group), "Anna Bauer has pinned a message.")
    assert notice.about == f"{group.id}:{said.id}"
    assert len(world.account.of(RemoteRoomMessage)) == 1


async def test_who_comes_and_goes(world: World) -> None:
    carol, groups = world.telegram.person("Carol"), world.telegram.groups
    group = groups.create("Tea", world.anna, world.bot)
    async with world.running():
        groups.add(group, carol, by=world.anna)
        await world.account.first(RemoteMember, lambda event: event.member.user == _id(carol))
        groups.remove(group, carol)
        groups.add(group, carol)
        groups.remove(group, carol, by=world.anna)
        await world.account.until(lambda: len(world.account.of(RemoteMemberGone)) == 2)
    left, kicked = world.account.of(RemoteMemberGone)
    assert (left.user, left.how, left.actor) == (_id(carol), Departure.LEFT, None)
    assert (kicked.how, kicked.actor) == (Departure.KICKED, _id(world.anna))


async def test_an_administrator_is_told_who_rules_and_who_is_banned(world: World) -> None:
    carol, groups = world.telegram.person("Carol"), world.telegram.groups
    group = groups.create("Tea", world.anna, world.bot, carol)
    groups.promote(group, world.bot)
    async with world.running():
        carol.say(group, "hello")
        await _heard(world, "hello")
        world.account.events.clear()
        groups.promote(group, carol, title="cook")
        groups.demote(group, carol)
        groups.restrict(group, carol)
        groups.remove(group, carol, by=world.anna)
        gone = await world.account.first(RemoteMemberGone)
    told = [event.member for event in world.account.of(RemoteMember)]
    assert [(each.affiliation, each.title, each.may_speak) for each in told] == [
        (Affiliation.ADMIN, "cook", True),
        (Affiliation.MEMBER, "", True),
        (Affiliation.MEMBER, "", False),
    ]
    assert (gone.user, gone.how, gone.actor) == (_id(carol), Departure.BANNED, _id(world.anna))


async def test_a_bot_that_is_put_out_may_come_again(world: World) -> None:
    """What it is told last is no new group."""
    groups = world.telegram.groups
    group = groups.create("Tea", world.anna, world.bot)
    async with world.running():
        await world.account.first(RemoteRoom)
        groups.remove(group, world.bot, by=world.anna)
        gone = await world.account.first(RemoteMemberGone)
        assert (gone.user, gone.how) == (_id(world.bot), Departure.KICKED)
        world.anna.say(world.bot, "sorry")
        await world.account.text("sorry")
        assert len(world.account.of(RemoteRoom)) == 1
        groups.add(group, world.bot, by=world.anna)
        world.anna.say(group, "welcome")
        await _heard(world, "welcome")
        groups.remove(group, world.bot, by=world.anna)
        await world.account.until(lambda: len(world.account.of(RemoteMemberGone)) == 2)
    groups.add(group, world.bot, by=world.anna)
    world.anna.say(group, "welcome back")
    async with world.running():
        await _heard(world, "welcome back")
    first, *again = world.account.of(RemoteRoom)
    assert again == [first, first]
    assert len(world.account.of(RemoteMemberGone)) == 2


async def test_a_name_and_what_bots_are_not_told(world: World) -> None:
    """Another description is found within a day, and who administers the group no more."""
    group = world.telegram.groups.create("Tea", world.anna, world.bot, is_super=True)
    carol = world.telegram.person("Carol")
    world.telegram.groups.add(group, carol)
    world.telegram.groups.promote(group, carol)
    async with world.running():
        carol.say(group, "one")
        await _heard(world, "one")
        world.telegram.groups.rename(group, "Coffee")
        group.description = "None about tea"
        world.telegram.groups.demote(group, carol)
        world.anna.say(group, "two")
        await _heard(world, "two")
        world.clock.ahead += 90_000
        world.anna.say(group, "three")
        await _heard(world, "three")
    rooms = [(room.name, room.topic, room.members) for room in world.account.of(RemoteRoom)[1:]]
    assert rooms == [("Coffee", "", None), ("Coffee", "None about tea", None)]
    (told,) = (each.member for each in world.account.of(RemoteMember))
    assert (told.user, told.affiliation) == (_id(carol), Affiliation.MEMBER)


async def test_privacy_mode_is_told_once_where_it_counts(world: World) -> None:
    world.bot.reads_all = False
    groups = world.telegram.groups
    first = groups.create("Tea", world.anna, world.bot)
    second = groups.create("Coffee", world.anna, world.bot)
    groups.promote(second, world.bot)
    async with world.running():
        for group in (first, second):
            world.anna.say(group, f"/in {group.title}")
            await _heard(world, f"/in {group.title}")
    (notice,) = world.account.of(RemoteRoomNotice)
    assert (notice.room, "privacy mode" in notice.text) == (_room(first), True)


async def test_who_speaks_as_the_group(world: World) -> None:
    group = world.telegram.groups.create("Tea", world.anna, world.bot, is_super=True)
    async with world.running():
        world.anna.say(group, "we say", is_anonymous=True)
        hidden = await _heard(world, "we say")
    assert hidden.sender == str(group.id)
    names = {each.member.user: each.member.name for each in world.account.of(RemoteMember)}
    assert names[hidden.sender] == "Tea"


async def test_reactions_of_several_people(world: World) -> None:
    """Each takes back their own, and the bot has its own."""
    carol, groups = world.telegram.person("Carol"), world.telegram.groups
    group = groups.create("Tea", world.anna, world.bot, carol)
    groups.promote(group, world.bot)
    async with world.running() as session:
        sent = await session.send(_text(_room(group), "tea?"), "k.1")
        assert sent.remote_id is not None
        (message,) = group.seen.items
        for person in (world.anna, carol):
            person.react(message, "👍")
        await world.account.until(lambda: len(world.account.of(RemoteRoomReaction)) == 2)
        react = ReactInRoom(room=_room(group), message=sent.remote_id, emoji=("🔥",))
        await session.send(react, "k.2")
        assert message.reactions[world.bot.id] == [{"type": "emoji", "emoji": "🔥"}]
    carol.react(message)
    async with world.running():
        gone = await world.account.first(RemoteRoomRetraction)
    made = {event.sender: event for event in world.account.of(RemoteRoomReaction)}
    assert made.keys() == {_id(world.anna), _id(carol)}
    assert (gone.message, gone.by) == (made[_id(carol)].id, _id(carol))


# --- supergroups ------------------------------------------------------------------------------


async def test_a_group_that_becomes_a_supergroup_stays_the_room_that_it_was(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For those who are told of it, and for those who are not yet; also after a restart."""
    monkeypatch.setattr(buckets, "_GROUP_PER_S", 100.0)
    group = world.telegram.groups.create("Tea", world.anna, world.bot)
    room = _room(group)
    async with world.running() as session:
        before = world.anna.say(group, "before")
        heard = await _heard(world, "before")
        mine = await session.send(_text(room, "mine"), "k.1")
        assert mine.remote_id is not None
        world.account.has_room.clear()
        await world.account.until(lambda: world.account.waits)
        new = world.telegram.groups.upgrade(group)
        await session.send(_text(room, "not told yet", reply_to=heard.id), "k.2")
        world.account.has_room.set()
        world.anna.say(new, "after")
        after = await _heard(world, "after")
        answer = await session.send(_text(room, "told", reply_to=after.id), "k.3")
        edit = _text(room, "told!", edits=answer.remote_id)
        await session.send(edit, "k.4")
        with pytest.raises(NotFound, match="does not have the message"):
            await session.send(RetractInRoom(room=room, message=mine.remote_id), "k.5")
    async with world.running() as session:
        world.anna.say(new, "at last")
        last = await _heard(world, "at last")
        await session.send(_text(room, "yes"), "k.6")
    assert [each.text for each in new.seen.items] == ["not told yet", "told!", "yes"]
    assert new.seen.items[1].reply_to is not None
    assert new.seen.items[1].reply_to.text == "after"
    assert {after.room, last.room, heard.room} == {room}
    assert heard.id == f"{group.id}:{before.id}"
    assert not world.account.of(RemoteMemberGone)
    assert [each.is_new for each in world.account.of(RemoteRoom)] == [True]


def test_what_a_group_became_may_have_been_told_before() -> None:
    groups = Groups(RemoteUserId("123"), {}, Faces({}))
    old, new = RemoteRoomId("-4"), RemoteRoomId("-1004")
    for room in (old, new):
        assert len(list(groups.opened(room, "Tea"))) == 1
    assert list(groups.migrated(-4, -1004)) == [RemoteRoomMoved(room=old, to=new)]
    assert list(groups.migrated(-4, -1004)) == []
    assert (groups.room_of(-1004), groups.chat_of(new)) == (new, new)


async def test_the_bot_is_put_out_of_the_old_number_alone(world: World) -> None:
    group = world.telegram.groups.create("Tea", world.anna, world.bot)
    async with world.running():
        await world.account.first(RemoteRoom)
        new = world.telegram.groups.upgrade(group)
        world.telegram.groups.remove(group, world.bot, by=world.anna)
        world.anna.say(new, "still here")
        heard = await _heard(world, "still here")
    assert heard.room == _room(group)
    assert not world.account.of(RemoteMemberGone)


# --- refusals ---------------------------------------------------------------------------------


async def _refused(session: Session, room: RemoteRoomId, key: str) -> AdapterError:
    with pytest.raises(AdapterError) as caught:
        await session.send(_text(room, "hello"), key)
    return caught.value


async def test_refusals_in_groups_say_what_is_wrong(world: World) -> None:
    group = world.telegram.groups.create("Tea", world.anna, world.bot, is_super=True)
    faults = world.telegram.faults
    async with world.running() as session:
        world.telegram.groups.restrict(group, world.bot)
        error = await _refused(session, _room(group), "k.1")
        assert (type(error), "may not say" in error.text) == (Forbidden, True)
        world.telegram.groups.remove(group, world.bot, by=world.anna)
        error = await _refused(session, _room(group), "k.2")
        assert (type(error), "not in this group" in error.text) == (Forbidden, True)
        for said, part in (
            (bad("chat not found"), "not in this group"),
            (bad("TOPIC_CLOSED"), "topic"),
            (forbidden("the group chat was deleted"), "deleted"),
        ):
            faults.refuse(said, method="sendMessage")
            assert part in (await _refused(session, _room(group), part)).text
        assert type(await _refused(session, RemoteRoomId("tea"), "k.3")) is NotFound
