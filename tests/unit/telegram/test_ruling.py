# SPDX-License-Identifier: Apache-2.0
"""What users do with groups, and what their bot may do there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from adapters.telegram import ids
from gateway.adapter import Session
from gateway.errors import (
    AdapterError,
    Forbidden,
    NotFound,
    StoreUnavailable,
    TooLarge,
    Transient,
    Unsupported,
)
from gateway.events import (
    Affiliation,
    CreateRoom,
    Departure,
    DescribeRoom,
    LeaveRoom,
    LiftBan,
    Member,
    ModerateMessage,
    RemoteMember,
    RemoteMemberGone,
    RemoteRoom,
    RemoteRoomMessage,
    RemoteRoomRetraction,
    RemoveFromRoom,
    RoomAction,
    RoomRight,
    SetAffiliation,
    SetVoice,
)
from gateway.ids import RemoteMessageId, RemoteRoomId, RemoteUserId
from tests.contract.account import Running
from tests.peers.bot_api import Group, Person, User, bad
from tests.unit.telegram.world import World

ALL = (
    "can_restrict_members",
    "can_delete_messages",
    "can_promote_members",
    "can_change_info",
    "can_pin_messages",
)


def _room(group: Group) -> RemoteRoomId:
    return RemoteRoomId(str(group.id))


def _id(user: User) -> RemoteUserId:
    return RemoteUserId(str(user.id))


class Ruled:
    """A group of anna with carol in it, which the bot administers."""

    def __init__(self, world: World, rights: Sequence[str], *, is_super: bool) -> None:
        self.world, self.groups = world, world.telegram.groups
        self.carol: Person = world.telegram.person("Carol")
        people = world.anna, world.bot, self.carol
        self.group = self.groups.create("Tea", *people, is_super=is_super)
        if rights:
            self.groups.promote(self.group, world.bot, *rights)
        self.room, self.user = _room(self.group), _id(self.carol)
        self.session: Session
        self.running: Running

    def asked(self) -> list[str]:
        """Methods, but for those that only look."""
        methods = [each.method for each in self.world.telegram.asked.items]
        return [each for each in methods if not each.startswith("get")]

    async def refused(self, action: RoomAction) -> AdapterError:
        with pytest.raises(AdapterError) as caught:
            await self.session.manage(action)
        return caught.value

    async def shown(self, member: Member) -> None:
        """Wait until carol is told as this."""
        await self.world.account.until(lambda: self.told()[-1:] == [member])

    def told(self) -> list[Member]:
        found = self.world.account.of(RemoteMember)
        return [event.member for event in found if event.member.user == self.user]


@asynccontextmanager
async def _ruled(
    world: World, *rights: str, is_super: bool = True, says: str = "hello"
) -> AsyncIterator[Ruled]:
    made = Ruled(world, rights, is_super=is_super)
    made.running = world.running()
    async with made.running as session:
        made.session = session
        made.carol.say(made.group, says)
        await _heard(world, says)
        yield made


async def _heard(world: World, body: str) -> RemoteRoomMessage:
    return await world.account.first(RemoteRoomMessage, lambda event: event.body == body)


def _of(user: RemoteUserId) -> Callable[[RemoteMemberGone], bool]:
    return lambda gone: gone.user == user


async def _gone(world: World, number: int = 1) -> RemoteMemberGone:
    await world.account.until(lambda: len(world.account.of(RemoteMemberGone)) >= number)
    return world.account.of(RemoteMemberGone)[number - 1]


# --- people -----------------------------------------------------------------------------------


async def test_who_is_put_out_may_come_again(world: World) -> None:
    """By one request; that Telegram bans them for a minute is nobody's business."""
    async with _ruled(world, *ALL) as ruled:
        await ruled.session.manage(RemoveFromRoom(room=ruled.room, user=ruled.user))
        assert ruled.group.member(ruled.carol).status == "left"
        assert ruled.asked() == ["unbanChatMember"]
        gone = await _gone(world)
        ruled.groups.add(ruled.group, ruled.carol)
        await world.account.until(lambda: len(ruled.told()) == 2)
        assert await ruled.session.banned(ruled.room) == []
    assert (gone.user, gone.how, gone.actor) == (ruled.user, Departure.KICKED, _id(world.bot))
    assert len(world.account.of(RemoteMemberGone)) == 1


async def test_bans_are_known_until_they_are_lifted(world: World) -> None:
    """Those that the bot was told of, and at once those of its user's own; over restarts."""
    async with _ruled(world, *ALL) as ruled:
        group, groups, doris = ruled.group, ruled.groups, world.telegram.person("Doris")
        groups.add(group, doris)
        await ruled.session.manage(
            RemoveFromRoom(room=ruled.room, user=ruled.user, is_ban=True, reason="enough")
        )
        assert await ruled.session.banned(ruled.room) == [ruled.user]
        assert group.member(ruled.carol).status == "kicked"
        groups.remove(group, doris, by=world.anna)
        for user in (ruled.user, _id(doris)):
            gone = await world.account.first(RemoteMemberGone, _of(user))
            assert gone.how is Departure.BANNED
        world.account.events.clear()
    async with world.running() as session:
        assert await session.banned(ruled.room) == [ruled.user, _id(doris)]
        await session.manage(LiftBan(room=ruled.room, user=ruled.user))
        assert await session.banned(ruled.room) == [_id(doris)]
        groups.unban(group, doris)
        lifted = [
            await world.account.first(RemoteMemberGone, _of(user))
            for user in (ruled.user, _id(doris))
        ]
        assert await session.banned(ruled.room) == []
    assert group.member(ruled.carol).status == "left"
    assert [(gone.how, gone.actor) for gone in lifted] == [(Departure.LEFT, None)] * 2


async def test_who_is_not_banned_stays(world: World) -> None:
    """To unban somebody who is there would put them out."""
    async with _ruled(world, *ALL) as ruled:
        await ruled.session.manage(LiftBan(room=ruled.room, user=ruled.user))
        assert ruled.group.member(ruled.carol).status == "member"


async def test_a_ban_may_have_an_end(world: World) -> None:
    async with _ruled(world, *ALL) as ruled:
        ban = {"chat_id": ruled.group.id, "user_id": ruled.carol.id}
        until = int(world.clock.now()) + 3_600
        bot: Any = ruled.session
        await bot._bot.ban_chat_member(**ban, until_date=until)  # what another program may do
        assert (await _gone(world)).how is Departure.BANNED
        assert await ruled.session.banned(ruled.room) == [ruled.user]
        world.clock.ahead += 3_700
        assert await ruled.session.banned(ruled.room) == []


async def test_in_basic_groups_people_are_put_out_and_no_more(world: World) -> None:
    async with _ruled(world, *ALL, is_super=False) as ruled:
        for action in (
            RemoveFromRoom(room=ruled.room, user=ruled.user, is_ban=True),
            LiftBan(room=ruled.room, user=ruled.user),
            SetVoice(room=ruled.room, user=ruled.user, may_speak=False),
            SetAffiliation(room=ruled.room, user=ruled.user, affiliation=Affiliation.ADMIN),
        ):
            error = await ruled.refused(action)
            assert (type(error), "basic group" in error.text) == (Unsupported, True)
        assert ruled.asked() == []
        await ruled.session.manage(RemoveFromRoom(room=ruled.room, user=ruled.user))
        gone = await _gone(world)
        assert (gone.user, gone.how) == (ruled.user, Departure.KICKED)
        assert await ruled.session.banned(ruled.room) == []


async def test_an_admin_gets_what_the_bot_can_give(world: World) -> None:
    async with _ruled(world, *ALL) as ruled:
        for affiliation, status in (
            (Affiliation.ADMIN, "administrator"),
            (Affiliation.MEMBER, "member"),
        ):
            action = SetAffiliation(room=ruled.room, user=ruled.user, affiliation=affiliation)
            await ruled.session.manage(action)
            now = ruled.group.member(ruled.carol)
            assert now.status == status
            if affiliation is Affiliation.ADMIN:
                assert now.rights == {"can_manage_chat", *ALL} - {"can_promote_members"}
            await ruled.shown(Member(user=ruled.user, name="Carol", affiliation=affiliation))
        error = await ruled.refused(
            SetAffiliation(room=ruled.room, user=ruled.user, affiliation=Affiliation.OWNER)
        )
        assert "one owner" in error.text
        error = await ruled.refused(
            SetAffiliation(room=ruled.room, user=ruled.user, affiliation=Affiliation.NONE)
        )
        assert "all are alike" in error.text


async def test_a_bot_without_rights_takes_none_away(world: World) -> None:
    """To promote somebody with no right is to demote them."""
    async with _ruled(world) as ruled:
        ruled.groups.promote(ruled.group, ruled.carol, "can_pin_messages")
        error = await ruled.refused(
            SetAffiliation(room=ruled.room, user=ruled.user, affiliation=Affiliation.ADMIN)
        )
        assert (type(error), "not the right" in error.text) == (Forbidden, True)
        assert ruled.asked() == []


async def test_who_may_not_speak_keeps_what_else_they_may(world: World) -> None:
    async with _ruled(world, *ALL) as ruled:
        for may_speak in (False, True):
            action = SetVoice(room=ruled.room, user=ruled.user, may_speak=may_speak)
            await ruled.session.manage(action)
            await ruled.shown(Member(user=ruled.user, name="Carol", may_speak=may_speak))
            now = ruled.group.member(ruled.carol)
            assert now.status == ("member" if may_speak else "restricted")
            if not may_speak:
                assert now.permissions == {
                    "can_change_info",
                    "can_invite_users",
                    "can_pin_messages",
                    "can_manage_topics",
                    "can_edit_tag",
                }


def test_which_groups_can_do_all_that_groups_can() -> None:
    numbers = "-1002000000001", "-1001234567", "-4000000001", "-999999999999", "7000000001", "-x"
    assert [ids.is_supergroup(each) for each in numbers] == [True] + 5 * [False]


# --- what it is -------------------------------------------------------------------------------


async def test_a_name_and_a_description(world: World) -> None:
    """Of what the bot has changed Telegram tells it nothing."""
    async with _ruled(world, *ALL) as ruled:
        change = DescribeRoom(room=ruled.room, name=" Coffee  bar ", topic="Black\nonly ")
        for _ in range(2):  # the second time nothing changes
            await ruled.session.manage(change)
        assert ruled.group.title == "Coffee  bar"
        assert ruled.group.description == "Black\nonly"
        ruled.carol.say(ruled.group, "nice")
        await _heard(world, "nice")
    named, both = world.account.of(RemoteRoom)[1:]
    assert (named.name, named.topic, named.members) == ("Coffee bar", "", None)
    assert (both.name, both.topic) == ("Coffee bar", "Black\nonly")


async def test_what_does_not_fit_changes_nothing(world: World) -> None:
    async with _ruled(world, *ALL) as ruled:
        for about, kind in (
            ({"name": "n" * 129}, TooLarge),
            ({"name": "Tea!", "topic": "\N{FROG FACE}" * 128}, TooLarge),
            ({"name": " "}, Unsupported),
            ({"name": "Tea!", "is_private": False}, Unsupported),
        ):
            assert type(await ruled.refused(DescribeRoom(room=ruled.room, **about))) is kind
        assert ruled.asked() == []
        assert ruled.group.title == "Tea"


async def test_a_message_is_taken_back_by_a_moderator(world: World) -> None:
    async with _ruled(world, *ALL, says="buy this") as ruled:
        (said,) = world.account.of(RemoteRoomMessage)
        action = ModerateMessage(room=ruled.room, message=said.id, reason="spam")
        for _ in range(2):  # if the first answer gets lost
            await ruled.session.manage(action)
        gone, again = world.account.of(RemoteRoomRetraction)
        assert (gone.message, gone.by, gone.reason) == (said.id, _id(world.bot), "spam")
        assert again.id == gone.id
        assert "buy this" not in ruled.group.texts
        old = ModerateMessage(room=ruled.room, message=RemoteMessageId("-4:1"))
        assert type(await ruled.refused(old)) is NotFound


async def test_a_bot_that_leaves_is_out_and_comes_again_as_a_new_one(world: World) -> None:
    async with _ruled(world) as ruled:
        await ruled.session.manage(LeaveRoom(room=ruled.room))
        (gone,) = world.account.of(RemoteMemberGone)
        assert (gone.user, gone.how, gone.actor) == (_id(world.bot), Departure.LEFT, None)
        assert ruled.group.member(world.bot).status == "left"
        assert not [key for key in world.account.state() if key.startswith("group ")]
        ruled.groups.add(ruled.group, world.bot, by=world.anna)
        await world.account.until(lambda: len(world.account.of(RemoteRoom)) == 2)
    assert len(world.account.of(RemoteMemberGone)) == 1
    assert [room.is_new for room in world.account.of(RemoteRoom)] == [True, True]


async def test_a_group_that_has_another_number_is_found_there(world: World) -> None:
    async with _ruled(world, *ALL, is_super=False) as ruled:
        world.account.has_room.clear()
        await world.account.until(lambda: world.account.waits)
        new = ruled.groups.upgrade(ruled.group)
        ruled.groups.promote(new, world.bot, *ALL)
        await ruled.session.manage(DescribeRoom(room=ruled.room, name="Coffee"))
        assert new.title == "Coffee"
        await ruled.session.manage(SetVoice(room=ruled.room, user=ruled.user, may_speak=False))
        assert new.member(ruled.carol).status == "restricted"
        world.account.has_room.set()


async def test_what_cannot_be_stored_ends_the_session(world: World) -> None:
    """What the gateway was told is not known any more."""
    async with _ruled(world, *ALL) as ruled:
        task, ruled.running.task = ruled.running.task, asyncio.create_task(asyncio.sleep(0))
        assert task is not None
        world.account.is_broken = True
        with pytest.raises(StoreUnavailable):
            await ruled.session.manage(DescribeRoom(room=ruled.room, name="Coffee"))
        world.account.is_broken = False
        ruled.carol.say(ruled.group, "still there?")
        with pytest.raises(StoreUnavailable):
            await asyncio.wait_for(task, 10)
    async with world.running():
        await _heard(world, "still there?")
    assert world.account.of(RemoteRoom)[-1].name == "Coffee"


async def test_what_takes_too_long_to_be_stored_ends_the_session(world: World) -> None:
    """Who waits for an action does so for 20 s; then nobody knows what the gateway was told."""
    async with _ruled(world, *ALL) as ruled:
        task, ruled.running.task = ruled.running.task, asyncio.create_task(asyncio.sleep(0))
        assert task is not None
        world.account.has_room.clear()
        await world.account.until(lambda: world.account.waits)
        world.account.forgets_room()
        doing = asyncio.create_task(
            ruled.session.manage(DescribeRoom(room=ruled.room, name="Coffee"))
        )
        await world.account.until(lambda: world.account.waits)
        doing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await doing
        world.account.has_room.set()
        with pytest.raises(Transient):
            await asyncio.wait_for(task, 10)
    async with world.running():
        ruled.carol.say(ruled.group, "still there?")
        await _heard(world, "still there?")
    assert world.account.of(RemoteRoom)[-1].name == "Coffee"


# --- what a bot may do ------------------------------------------------------------------------


async def test_rights_are_shown_as_they_work(world: World) -> None:
    """REQ-525, whenever they change."""
    async with _ruled(world) as ruled:
        own = _id(world.bot)
        shown = []
        for rights in (
            ("can_restrict_members",),
            ("can_change_info",),
            ("can_restrict_members", "can_delete_messages"),
            ALL,
            (),
        ):
            if rights:
                ruled.groups.promote(ruled.group, world.bot, *rights)
            else:
                ruled.groups.demote(ruled.group, world.bot)
            ruled.carol.say(ruled.group, f"now {rights}")
            await _heard(world, f"now {rights}")
            room = world.account.of(RemoteRoom)[-1]
            told = [event.member for event in world.account.of(RemoteMember)]
            shown.append((room.may, [each.affiliation for each in told if each.user == own]))
    may = (RoomRight.TOPIC,)
    admin, owner, member = Affiliation.ADMIN, Affiliation.OWNER, Affiliation.MEMBER
    assert shown == [
        ((), []),
        (may, []),
        ((), [admin]),
        (may, [admin, owner]),
        ((), [admin, owner, member]),
    ]


async def test_rights_are_known_to_the_next_session(world: World) -> None:
    async with _ruled(world, *ALL):
        (room,) = world.account.of(RemoteRoom)
        assert room.may == (RoomRight.TOPIC,)
        assert [each.affiliation for each in room.members or ()][:2] == [
            Affiliation.OWNER,
            Affiliation.OWNER,
        ]
    told = len(world.account.events)
    async with world.running() as session:
        await session.manage(DescribeRoom(room=room.room, topic="Black"))
    (changed,) = world.account.events[told:]
    assert isinstance(changed, RemoteRoom)
    assert (changed.topic, changed.may) == ("Black", (RoomRight.TOPIC,))


# --- refusals ---------------------------------------------------------------------------------


async def test_refusals_say_what_is_wrong(world: World) -> None:
    async with _ruled(world, *ALL) as ruled:
        groups, group, anna = ruled.groups, ruled.group, _id(world.anna)
        error = await ruled.refused(RemoveFromRoom(room=ruled.room, user=anna))
        assert (type(error), "owner" in error.text) == (Forbidden, True)
        groups.promote(group, ruled.carol)
        error = await ruled.refused(RemoveFromRoom(room=ruled.room, user=ruled.user))
        assert "They administer the group" in error.text
        error = await ruled.refused(
            SetAffiliation(room=ruled.room, user=ruled.user, affiliation=Affiliation.MEMBER)
        )
        assert "whom they have made" in error.text
        error = await ruled.refused(
            SetAffiliation(
                room=ruled.room, user=RemoteUserId("4711"), affiliation=Affiliation.ADMIN
            )
        )
        assert (type(error), "not in this group" in error.text) == (NotFound, True)
        groups.promote(group, world.bot, "can_pin_messages")
        for action in (
            RemoveFromRoom(room=ruled.room, user=ruled.user),
            DescribeRoom(room=ruled.room, topic="Black"),
        ):
            error = await ruled.refused(action)
            assert (type(error), "not the right" in error.text) == (Forbidden, True)
        error = await ruled.refused(RemoveFromRoom(room=ruled.room, user=RemoteUserId("-1001")))
        assert type(error) is Unsupported
        error = await ruled.refused(LeaveRoom(room=RemoteRoomId("tea")))
        assert type(error) is NotFound
        error = await ruled.refused(CreateRoom(name="Tea"))
        assert type(error) is Unsupported


async def test_what_is_not_answered_is_not_known(world: World) -> None:
    async with _ruled(world, *ALL) as ruled:
        world.telegram.faults.cut(method="setChatTitle")
        error = await ruled.refused(DescribeRoom(room=ruled.room, name="Coffee"))
        assert type(error) is Transient
        world.telegram.faults.refuse(bad("ADMINS_TOO_MUCH"), method="promoteChatMember")
        error = await ruled.refused(
            SetAffiliation(room=ruled.room, user=ruled.user, affiliation=Affiliation.ADMIN)
        )
        assert "as many administrators" in error.text
