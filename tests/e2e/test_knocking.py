# SPDX-License-Identifier: Apache-2.0
"""Groups on Matrix that let in only who asks, and who may not come in at all."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from tests.e2e.house import House, Scene
from tests.e2e.test_coming import _own_groups, _refused
from tests.e2e.test_groups import _USER, _in_room, _invited, _join, _statuses

_ADMIN = "http://jabber.org/protocol/muc#admin"
_KNOCK = {"type": "m.room.join_rules", "state_key": "", "content": {"join_rule": "knock"}}


async def _made_by_bob(scene: Scene, name: str, *state: Mapping[str, Any]) -> str:
    """A group with an alias of this name."""
    body = {
        "name": name.title(),
        "preset": "public_chat",
        "room_alias_name": name,
        "room_version": "10",
        "initial_state": list(state),
    }
    return str((await scene.bob.request("POST", "createRoom", body))["room_id"])


async def _membership(scene: Scene, group: str, user: str) -> Mapping[str, Any]:
    """What it is, with the id of its event."""
    found: Any = await scene.bob.request("GET", f"rooms/{quote(group)}/state")
    (event,) = [
        event for event in found if event["type"] == "m.room.member" and event["state_key"] == user
    ]
    return {"id": event["event_id"], **event["content"]}


async def _does(scene: Scene, group: str, what: str, user: str) -> None:
    await scene.bob.request("POST", f"rooms/{quote(group)}/{what}", {"user_id": user})


async def _until_refused(scene: Scene, room: str, condition: str) -> None:
    """What has just happened takes a moment to be known."""
    deadline = time.monotonic() + 30
    while (found := await _refused(scene, room)) != condition:
        assert time.monotonic() < deadline, f"it is refused as {found}"
        await asyncio.sleep(0.5)


async def _until_none_asks(scene: Scene) -> None:
    deadline = time.monotonic() + 20
    while scene.query("SELECT * FROM knock"):
        assert time.monotonic() < deadline, "somebody still asks"
        await asyncio.sleep(0.1)


async def test_req_513_who_is_banned_is_told_so(house: House) -> None:
    async with house.linked() as scene:
        alice, me = scene.alice, scene.phone.user_id
        group = await scene.bob.create_room(name="Tea", invite=[me])
        room = await _invited(alice)
        own = await _join(alice, room)
        since = len(alice.inbox.items)
        await _does(scene, group, "ban", me)
        gone = await alice.wait_for(
            lambda stanza: (stanza.type, stanza.sender) == ("unavailable", own.sender),
            since=since,
        )
        assert {"110", "301"} <= _statuses(gone)
        assert await _refused(scene, room) == "forbidden"
        await _does(scene, group, "unban", me)
        await _until_refused(scene, room, "registration-required")


async def test_req_513_who_is_banned_before_they_ever_were_there(prosody_house: House) -> None:
    async with prosody_house.linked() as scene:
        await scene.live()
        name = f"closed{scene.bob.user}"
        group = await _made_by_bob(scene, name)
        await _does(scene, group, "ban", scene.phone.user_id)
        room = f"#{name}%localhost@{scene.house.domain}"
        assert await _refused(scene, room) == "forbidden"
        await scene.talk.ask(f"join #{name}:localhost", "You are banned from this group.")


async def test_req_513_the_account_asks_to_be_let_in(house: House) -> None:
    async with house.linked() as scene:
        await scene.live()
        alice, me = scene.alice, scene.phone.user_id
        name = f"inn{scene.bob.user}"
        group = await _made_by_bob(scene, name, _KNOCK)
        room = f"#{name}%localhost@{scene.house.domain}"
        assert await _refused(scene, room) == "registration-required"
        await scene.talk.hear(f"You have asked to be let into the group “{name.title()}”.")
        asked = await _membership(scene, group, me)
        assert asked["membership"] == "knock"
        # A client that tries again, also after a restart, does not knock again.
        await scene.gateway.stop()
        await scene.gateway.start()
        await _until_refused(scene, room, "registration-required")
        assert await _membership(scene, group, me) == asked
        since = len(alice.inbox.items)
        await scene.bob.invite(group, me)
        assert await _invited(alice, since) == room
        await _join(alice, room)
        assert group in await _own_groups(scene)
        await scene.bob.send_text(group, "welcome")
        await alice.wait_for(_in_room(room, "welcome"))


async def test_req_513_the_account_is_not_let_in(prosody_house: House) -> None:
    async with prosody_house.linked() as scene:
        await scene.live()
        me = scene.phone.user_id
        name = f"club{scene.bob.user}"
        group = await _made_by_bob(scene, name, _KNOCK)
        for is_wanted in True, False:
            await scene.talk.ask(f"join #{name}:localhost", "You have asked for that now")
            await scene.talk.hear(f"You have asked to be let into the group “{name.title()}”.")
            if is_wanted:
                await _does(scene, group, "kick", me)
                await scene.talk.hear(f"You are not let into the group “{name.title()}”.")
            else:
                await scene.talk.ask("decline", "Which one?")
                await scene.talk.ask("1", "Declined.")
            assert (await _membership(scene, group, me))["membership"] == "leave"


async def test_req_547_others_are_let_in_or_not(house: House) -> None:
    async with house.linked() as scene:
        await scene.live()
        alice, bob = scene.alice, scene.bob.user_id
        await scene.talk.ask("create The Inn", "Private?")
        await scene.talk.ask("yes", "Whom to invite?")
        await scene.talk.ask("-", "You are in the group “The Inn”")
        room = await _invited(alice)
        await _join(alice, room)
        (group,) = await _own_groups(scene)
        rule = f"rooms/{quote(group)}/state/m.room.join_rules/"
        await scene.phone.request("PUT", rule, {"join_rule": "knock"})

        async def knocks(reason: str) -> None:
            await scene.bob.request("POST", f"knock/{quote(group)}", {"reason": reason})
            await scene.talk.hear(f"asks to be let into the group “The Inn” ({reason}).")

        async def sets(affiliation: str) -> None:
            item = f"<item affiliation='{affiliation}' jid='{scene.bob_jid}'/>"
            asked = f"<query xmlns='{_ADMIN}'>{item}</query>"
            assert (await alice.iq(room, asked, type="set")).type == "result"

        await knocks("I am thirsty")
        await sets("none")
        await scene.bob.wait_member(group, bob, "leave")
        await _until_none_asks(scene)
        await scene.talk.ask("knocks", "Nobody asks to be let into your groups.")
        await knocks("still thirsty")
        await scene.talk.ask("knocks", "Who?")
        await scene.talk.ask("1", "Let them in?")
        await scene.talk.ask("no", "is not let into the group “The Inn”.")
        await _until_none_asks(scene)
        await knocks("very thirsty")
        await sets("member")
        assert await scene.bob.wait_invite(sender=scene.phone.user_id) == group
        await scene.bob.join(group)
        there = await alice.wait_for(
            lambda stanza: (stanza.kind, stanza.sender) == ("presence", f"{room}/{scene.bob.user}")
        )
        assert there.child(_USER, "x") is not None
