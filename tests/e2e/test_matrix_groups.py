# SPDX-License-Identifier: Apache-2.0
"""Groups of the Matrix adapter on a real Synapse, driven through the contract."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from gateway.errors import Forbidden
from gateway.events import (
    Affiliation,
    Departure,
    Member,
    RemoteInvite,
    RemoteMember,
    RemoteMemberGone,
    RemoteRoom,
    RemoteRoomMessage,
    RemoteUndecryptable,
    SendRoomText,
    SendText,
)
from gateway.ids import RemoteRoomId, RemoteUserId
from tests.e2e.matrix_worlds import GroupWorld, group_world
from tests.peers.element import Element
from tests.peers.matrix_client import MatrixClient
from tests.peers.synapse import Synapse


async def _state(client: MatrixClient, room: str, kind: str, content: Any) -> None:
    await client.request("PUT", f"rooms/{quote(room)}/state/{kind}/", content)


async def _post(client: MatrixClient, room: str, action: str, **body: Any) -> None:
    await client.request("POST", f"rooms/{quote(room)}/{action}", body)


def _users(room: RemoteRoom) -> set[str]:
    return {member.user for member in room.members or ()}


def _member(room: RemoteRoom, user_id: str) -> Member:
    [found] = [member for member in room.members or () if member.user == user_id]
    return found


@pytest.fixture
async def world(synapse: Synapse, http: aiohttp.ClientSession) -> AsyncIterator[GroupWorld]:
    async with group_world(synapse, http) as made:
        yield made


# --- what is said -------------------------------------------------------------------------------


async def test_a_group_of_three_and_texts_both_ways(world: GroupWorld) -> None:
    room = await world.group()
    await world.bob.send_text(room, "before the link")
    async with world.running() as session:
        told = await world.wait_room(room)
        assert (told.name, told.topic, told.topic_by) == ("Tea", "Green", world.bob.user_id)
        assert (told.is_new, told.is_private) == (False, True)
        assert _users(told) == {world.alice, world.bob.user_id, world.carol.user_id}
        assert _member(told, world.bob.user_id) == Member(
            user=RemoteUserId(world.bob.user_id),
            name=world.bob.user,
            affiliation=Affiliation.OWNER,
        )
        assert _member(told, world.carol.user_id).affiliation is Affiliation.MEMBER

        event_id = await world.carol.send_text(room, "hello all")
        said = await world.wait_said("hello all")
        assert (said.room, said.sender, said.id, said.key) == (
            room, world.carol.user_id, event_id, None,
        )  # fmt: skip

        command = SendRoomText(room=RemoteRoomId(room), body="hello both")
        sent = await session.send(command, "key.1")
        assert await session.send(command, "key.1") == sent
        for other in world.bob, world.carol:
            seen = await other.wait_text("hello both", room_id=room)
            assert (seen.event_id, seen.sender) == (sent.remote_id, world.alice)
        echo = await world.wait_said("hello both")
        assert (echo.sender, echo.key, echo.id) == (world.alice, "key.1", sent.remote_id)

        await world.phone.send_text(room, "from my phone")
        own = await world.wait_said("from my phone")
        assert (own.sender, own.key) == (world.alice, None)

        await session.send(SendRoomText(room=RemoteRoomId(room), body="/me waves"), "key.2")
        assert (await world.bob.wait_text("waves")).content["msgtype"] == "m.emote"
        await world.wait_said("/me waves")
    assert world.said() == ["hello all", "hello both", "from my phone", "/me waves"]
    assert world.account.messages() == []


async def test_an_absence_is_filled_in_order(world: GroupWorld) -> None:
    room = await world.group()
    async with world.running():
        await world.bob.send_text(room, "first")
        await world.wait_said("first")
    mark = world.account.inbox.mark()
    for number in range(80):
        await world.bob.send_text(room, f"missed {number}")
        if number == 40:
            await _state(world.bob, room, "m.room.name", {"name": "Coffee"})
            await world.carol.leave(room)
    async with world.running():
        pass
    items = world.account.inbox.items[mark:]
    assert [item.body for item in items if isinstance(item, RemoteRoomMessage)] == [
        f"missed {number}" for number in range(80)
    ]
    kinds = [type(item).__name__ for item in items if not isinstance(item, tuple)]
    between = ["RemoteRoom", "RemoteRoomNotice", "RemoteMemberGone"]
    assert kinds == [*["RemoteRoomMessage"] * 41, *between, *["RemoteRoomMessage"] * 39]


async def test_more_than_the_bound_is_left_out_and_the_members_are_right(
    synapse: Synapse, http: aiohttp.ClientSession
) -> None:
    async with group_world(synapse, http, max_gap=20) as world:
        room = await world.group()
        async with world.running():
            await world.wait_room(room)
        mark = world.account.inbox.mark()
        await world.carol.leave(room)
        for number in range(100):
            await world.bob.send_text(room, f"missed {number}")
        async with world.running():
            await world.bob.send_text(room, "last")
            await world.wait_said("last")
            told = await world.account.wait(
                RemoteRoom, lambda told: told.members is not None, mark
            )
        assert _users(told) == {world.alice, world.bob.user_id}
        assert world.said() == [*(f"missed {number}" for number in range(30, 100)), "last"]


async def test_a_refused_cursor_costs_nothing(world: GroupWorld) -> None:
    room = await world.group()
    async with world.running():
        await world.bob.send_text(room, "first")
        await world.wait_said("first")
    await world.carol.leave(room)
    for number in range(70):
        await world.bob.send_text(room, f"missed {number}")
    later = await world.group(name="Later")
    world.account.cursor = "bogus"
    mark = world.account.inbox.mark()
    async with world.running():
        await world.bob.send_text(room, "last")
        await world.wait_said("last")
        told = await world.wait_room(room, mark)
        assert _users(told) == {world.alice, world.bob.user_id}
        assert (await world.wait_room(later)).is_new
    assert world.said() == ["first", *(f"missed {number}" for number in range(70)), "last"]


# --- who is there -------------------------------------------------------------------------------


async def test_a_group_that_another_app_joins(world: GroupWorld) -> None:
    async with world.running():
        room = await world.group(joined=False)
        await world.bob.send_text(room, "before")
        await world.phone.join(room)
        told = await world.wait_room(room)
        assert told.is_new
        assert _users(told) == {world.alice, world.bob.user_id, world.carol.user_id}
        await world.bob.send_text(room, "welcome")
        await world.wait_said("welcome")
        made = (await world.phone.request("POST", "createRoom", {"name": "Mine"}))["room_id"]
        await world.phone.invite(made, world.carol.user_id)
        mine = await world.wait_room(made)
        assert (mine.name, mine.is_new, _users(mine)) == ("Mine", True, {world.alice})
        assert _member(mine, world.alice).affiliation is Affiliation.OWNER
    assert world.said() == ["welcome"]


async def test_what_changes_is_told(world: GroupWorld) -> None:
    room = await world.group()
    async with world.running():
        await world.wait_room(room)
        bob, mark = world.bob, world.account.inbox.mark()
        await _state(bob, room, "m.room.name", {"name": "Coffee"})
        assert (await world.wait_room(room, mark, name="Coffee")).members is None
        await _state(bob, room, "m.room.topic", {"topic": "Black"})
        changed = await world.wait_room(room, mark, topic="Black")
        assert (changed.name, changed.topic_by) == ("Coffee", bob.user_id)
        assert changed.topic_at is not None
        await _state(bob, room, "m.room.join_rules", {"join_rule": "public"})
        public = await world.account.wait(
            RemoteRoom, lambda told: not told.is_private and told.members is not None, mark
        )
        assert _member(public, world.carol.user_id).affiliation is Affiliation.NONE
        await _state(bob, room, "m.room.name", {"name": ""})
        both = f"{world.bob.user} and {world.carol.user}"
        assert (await world.wait_room(room, mark, name=both)).members is None
        await world.carol.set_displayname("Carol C.")
        renamed = await world.account.wait(
            RemoteMember, lambda told: told.member.name == "Carol C."
        )
        assert renamed.member.user == world.carol.user_id


async def test_power_levels_become_affiliations_and_voice(world: GroupWorld) -> None:
    room = await world.group()
    async with world.running():
        await world.wait_room(room)
        mark = world.account.inbox.mark()
        levels = await world.bob.request("GET", f"rooms/{quote(room)}/state/m.room.power_levels/")
        users = {**levels["users"], world.carol.user_id: 50}
        await _state(
            world.bob, room, "m.room.power_levels", {**levels, "users": users, "events_default": 1}
        )
        told = await world.account.wait(RemoteRoom, since=mark)
        assert _member(told, world.carol.user_id).affiliation is Affiliation.ADMIN
        assert _member(told, world.carol.user_id).may_speak
        assert not _member(told, world.alice).may_speak


async def test_leaving_kicking_and_banning(world: GroupWorld) -> None:
    room = await world.group()
    carol = world.carol.user_id
    async with world.running():
        await world.wait_room(room)
        await world.carol.leave(room)
        gone = await world.account.wait(RemoteMemberGone)
        assert gone == RemoteMemberGone(room=RemoteRoomId(room), user=RemoteUserId(carol))
        for action, how in ("kick", Departure.KICKED), ("ban", Departure.BANNED):
            mark = world.account.inbox.mark()
            await world.bob.invite(room, carol)
            await world.carol.join(room)
            back = await world.account.wait(RemoteMember, since=mark)
            assert (back.member.user, back.member.name) == (carol, world.carol.user)
            await _post(world.bob, room, action, user_id=carol, reason="noise")
            gone = await world.account.wait(RemoteMemberGone, since=mark)
            assert (gone.user, gone.how) == (carol, how)
            assert (gone.actor, gone.reason) == (world.bob.user_id, "noise")


@pytest.mark.parametrize(
    ("action", "how"),
    [("kick", Departure.KICKED), ("ban", Departure.BANNED), ("leave", Departure.LEFT)],
)
async def test_the_account_comes_out_and_in_again(
    world: GroupWorld, action: str, how: Departure
) -> None:
    room = await world.group()
    command = SendRoomText(room=RemoteRoomId(room), body="still there?")
    async with world.running() as session:
        await world.bob.send_text(room, "last words")
        await world.wait_said("last words")
        if action == "leave":
            await world.phone.leave(room)
        else:
            await _post(world.bob, room, action, user_id=world.alice)
        gone = await world.account.wait(RemoteMemberGone)
        assert (gone.user, gone.how) == (world.alice, how)
        assert gone.actor == (None if action == "leave" else world.bob.user_id)
        with pytest.raises(Forbidden, match="may not write"):
            await session.send(command, "k1")
        assert f"group:{room}" not in world.account.stored
        if action == "ban":
            await _post(world.bob, room, "unban", user_id=world.alice)
        mark = world.account.inbox.mark()
        await world.bob.invite(room, world.alice)
        await world.phone.join(room)
        told = await world.wait_room(room, mark)
        assert told.is_new
        assert len(_users(told)) == 3
        await session.send(command, "k2")
        await world.bob.wait_text("still there?")


async def test_creators_of_a_new_room_version_are_owners(world: GroupWorld) -> None:
    room = await world.group(room_version="12")
    async with world.running():
        told = await world.wait_room(room)
    assert _member(told, world.bob.user_id).affiliation is Affiliation.OWNER
    assert _member(told, world.carol.user_id).affiliation is Affiliation.MEMBER


# --- which rooms are groups ---------------------------------------------------------------------


async def test_groups_that_an_earlier_version_left_out_are_told(world: GroupWorld) -> None:
    room = await world.group()
    await world.bob.create_room(name="Quiet", invite=[world.alice])
    async with world.running():
        await world.wait_room(room)
    for key in [key for key in world.account.stored if key.startswith("group")]:
        del world.account.stored[key]
    await world.bob.send_text(room, "while it was left out")
    mark = world.account.inbox.mark()
    async with world.running():
        told = await world.wait_room(room, mark)
        assert (told.name, told.is_new, len(_users(told))) == ("Tea", False, 3)
        await world.bob.send_text(room, "now")
        await world.wait_said("now")
    assert world.said() == ["now"]
    assert world.account.stored["groups"] == "1"


async def test_spaces_are_not_told(world: GroupWorld) -> None:
    space = await world.group(creation_content={"type": "m.space"})
    room = await world.group()
    async with world.running():
        await world.wait_room(room)
        await world.bob.send_text(space, "nobody sees it")
        await world.bob.send_text(room, "seen")
        await world.wait_said("seen")
    assert world.said() == ["seen"]
    told = {item.room for item in world.account.inbox.items if isinstance(item, RemoteRoom)}
    assert told == {room}


async def test_a_chat_that_another_app_begins_is_no_group(world: GroupWorld) -> None:
    async with world.running():
        room = await world.phone.create_direct(world.bob.user_id)
        await world.bob.join(room)
        await world.bob.send_text(room, "as a chat")
        await world.account.wait_text("as a chat")
        theirs = await world.carol.create_direct(world.alice)
        await world.account.wait(RemoteInvite)
        await world.phone.join(theirs)
        await world.carol.send_text(theirs, "too")
        await world.account.wait_text("too")
    assert not [item for item in world.account.inbox.items if isinstance(item, RemoteRoom)]


async def test_a_group_that_is_made_a_chat_is_over_as_a_group(world: GroupWorld) -> None:
    room = await world.group()
    async with world.running() as session:
        await world.bob.send_text(room, "in the group")
        await world.wait_said("in the group")
        path = f"user/{quote(world.alice)}/account_data/m.direct"
        await world.phone.request("PUT", path, {world.bob.user_id: [room]})
        gone = await world.account.wait(RemoteMemberGone)
        assert (gone.room, gone.user) == (room, world.alice)
        await world.bob.send_text(room, "in the chat")
        assert (await world.account.wait_text("in the chat")).contact == world.bob.user_id
        contact = RemoteUserId(world.bob.user_id)
        await session.send(SendText(contact=contact, body="yes"), "k")
        await world.bob.wait_text("yes", room_id=room)
    assert world.said() == ["in the group"]


# --- encryption ---------------------------------------------------------------------------------


async def test_an_encrypted_group_both_ways(world: GroupWorld, tmp_path: Path) -> None:
    """With a client whose crypto is not ours."""
    await world.synapse.add_user(f"el{world.bob.user}", "secret")
    user = f"el{world.bob.user}"
    async with (
        Element(world.synapse.url, user, "secret", directory=tmp_path) as element,
        world.running() as session,
    ):
        room = await element.create_room(invite=[world.alice, world.carol.user_id])
        await world.carol.join(room)
        await world.phone.join(room)
        told = await world.wait_room(room)
        assert told.is_new
        await element.wait_member(room, world.alice)
        await element.send_text(room, "a secret")
        said = await world.wait_said("a secret")
        assert (said.sender, said.room) == (element.user_id, room)
        command = SendRoomText(room=RemoteRoomId(room), body="well kept")
        sent = await session.send(command, "k1")
        received = await element.wait_text("well kept", room_id=room)
        assert (received.event_id, received.decrypted) == (sent.remote_id, True)
        echo = await world.wait_said("well kept")
        assert (echo.sender, echo.key) == (world.alice, "k1")
        # What the gateway is given no key for waits, with the reason.
        await element.set_up(backup=False)
        await element.send_to_verified_only()
        withheld = await element.send_text(room, "for friends")
        waiting = await world.account.wait(
            RemoteUndecryptable, lambda event: event.id == withheld and bool(event.reason)
        )
        assert isinstance(waiting, RemoteUndecryptable)
        assert (waiting.room, waiting.contact) == (room, element.user_id)
