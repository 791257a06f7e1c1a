# SPDX-License-Identifier: Apache-2.0
"""Coming into groups on Matrix and going out of them, from an XMPP client."""

import asyncio
import time
from urllib.parse import quote

from tests.e2e.house import House, Scene
from tests.e2e.test_groups import _USER, _in_room, _invited, _join, _statuses

_MUC = "http://jabber.org/protocol/muc"


async def _own_groups(scene: Scene) -> set[str]:
    joined = await scene.phone.request("GET", "joined_rooms")
    return set(joined["joined_rooms"])


async def _until_none_waits(scene: Scene) -> None:
    deadline = time.monotonic() + 20
    while scene.query("SELECT * FROM invitation"):
        assert time.monotonic() < deadline, "an invitation still waits"
        await asyncio.sleep(0.1)


async def _refused(scene: Scene, room: str) -> str:
    """The condition of the error by which a join is answered."""
    since = len(scene.alice.inbox.items)
    scene.alice.send_raw(f"<presence to='{room}/Alice'><x xmlns='{_MUC}'/></presence>")
    answer = await scene.alice.wait_for(
        lambda stanza: (
            (stanza.kind, stanza.type, stanza.sender_bare) == ("presence", "error", room)
        ),
        since=since,
        timeout=30,
    )
    error = answer.child("jabber:client", "error")
    assert error is not None
    return error[0].tag.rpartition("}")[2]


def _out_of(room: str) -> object:
    return lambda stanza: (
        (stanza.kind, stanza.type, stanza.sender_bare) == ("presence", "unavailable", room)
    )


async def test_req_590_an_invitation_is_accepted_by_joining(house: House) -> None:
    async with house.linked() as scene:
        alice = scene.alice
        group = await scene.bob.create_room(name="Tea", invite=[scene.phone.user_id])
        room = await _invited(alice)
        await scene.talk.hear("invites you to the group “Tea”")
        assert group not in await _own_groups(scene)
        await _join(alice, room)
        assert group in await _own_groups(scene)
        await scene.bob.send_text(group, "welcome")
        await alice.wait_for(_in_room(room, "welcome"))
        await scene.settled()
        told = alice.inbox.find(
            lambda stanza: stanza.child("jabber:x:conference", "x") is not None
        )
        assert len(told) == 1


async def test_req_590_an_invitation_is_withdrawn_or_declined(prosody_house: House) -> None:
    async with prosody_house.linked() as scene:
        alice, me = scene.alice, scene.phone.user_id
        group = await scene.bob.create_room(name="Tea", invite=[me])
        room = await _invited(alice)
        await scene.bob.request("POST", f"rooms/{quote(group)}/kick", {"user_id": me})
        await _until_none_waits(scene)
        assert await _refused(scene, room) == "item-not-found"
        since = len(alice.inbox.items)
        group = await scene.bob.create_room(name="Pub", invite=[me])
        await _invited(alice, since)
        await scene.talk.ask("decline", "Which one?")
        await scene.talk.ask("1", "Declined.")
        await _until_none_waits(scene)
        state = await scene.bob.request(
            "GET", f"rooms/{quote(group)}/state/m.room.member/{quote(me)}"
        )
        assert state["membership"] == "leave"


async def test_req_545_592_510_a_group_is_made_filled_and_left(house: House) -> None:
    async with house.linked() as scene:
        alice = scene.alice
        await scene.live()
        await scene.talk.ask("create Nobody yet", "Private?")
        await scene.talk.ask("no", "Whom to invite?")
        await scene.talk.ask("-", "You are in the group “Nobody yet”")
        room = await _invited(alice)
        await _join(alice, room)
        invite = f"<invite to='{scene.bob_jid}'><reason>come</reason></invite>"
        alice.send_raw(f"<message to='{room}' id='i1'><x xmlns='{_USER}'>{invite}</x></message>")
        group = await scene.bob.wait_invite(sender=scene.phone.user_id)
        await scene.bob.join(group)
        await alice.wait_for(
            lambda stanza: (stanza.kind, stanza.sender) == ("presence", f"{room}/{scene.bob.user}")
        )
        # Who is there already cannot be invited.
        alice.send_raw(f"<message to='{room}' id='i2'><x xmlns='{_USER}'>{invite}</x></message>")
        assert (await alice.wait_error("i2", timeout=30)).sender_bare == room
        await scene.talk.ask("leave Nobody yet", "You will be out of the group")
        await scene.talk.ask("yes", "You have left the group")
        gone = await alice.wait_for(_out_of(room))  # type: ignore[arg-type]
        assert {"110", "321"} <= _statuses(gone)
        assert group not in await _own_groups(scene)
        await scene.bob.wait_member(group, scene.phone.user_id, "leave")


async def test_req_548_a_group_is_destroyed(house: House) -> None:
    async with house.linked() as scene:
        alice = scene.alice
        await scene.live()
        await scene.talk.ask("create Short lived", "Private?")
        await scene.talk.ask("yes", "Whom to invite?")
        await scene.talk.ask(scene.bob_jid, "You are in the group “Short lived”")
        room = await _invited(alice)
        await _join(alice, room)
        group = await scene.bob.wait_invite(sender=scene.phone.user_id)
        await scene.bob.join(group)
        await alice.wait_for(
            lambda stanza: (stanza.kind, stanza.sender) == ("presence", f"{room}/{scene.bob.user}")
        )
        since = len(alice.inbox.items)
        await scene.talk.ask("destroy Short lived", "Why?")
        await scene.talk.ask("enough", "This cannot be undone.")
        await scene.talk.ask("yes", "The group “Short lived” is destroyed.")
        mine = f"{room}/{scene.phone.user}"
        gone = await alice.wait_for(
            lambda stanza: (stanza.sender, stanza.type) == (mine, "unavailable"), since=since
        )
        x = gone.child(_USER, "x")
        assert x is not None
        destroy = x.find(f"{{{_USER}}}destroy")
        assert destroy is not None
        assert (destroy.get("jid"), destroy.findtext(f"{{{_USER}}}reason")) == (None, "enough")
        assert group not in await _own_groups(scene)
        joined = await scene.bob.request("GET", "joined_rooms")
        assert group not in joined["joined_rooms"]
        assert await _refused(scene, room) == "gone"


async def test_req_513_a_channel_is_joined_by_its_alias(prosody_house: House) -> None:
    async with prosody_house.linked() as scene:
        await scene.live()
        name = f"club{scene.bob.user}"
        body = {"preset": "public_chat", "name": "Club", "room_alias_name": name}
        group = (await scene.bob.request("POST", "createRoom", body))["room_id"]
        room = f"#{name}%localhost@{scene.house.domain}"
        ask = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
        assert (await scene.alice.iq(room, ask)).type == "result"
        await _join(scene.alice, room)
        assert group in await _own_groups(scene)
        await scene.bob.send_text(group, "hello")
        await scene.alice.wait_for(_in_room(room, "hello"))
        nowhere = f"#nowhere{name}%localhost@{scene.house.domain}"
        assert await _refused(scene, nowhere) == "item-not-found"
        await scene.talk.ask(f"join #nowhere{name}:localhost", "There is no such group.")


async def test_req_228_a_group_is_found_and_joined(prosody_house: House) -> None:
    async with prosody_house.linked() as scene:
        await scene.live()
        name, topic = f"find{scene.bob.user}", "All about tea"
        body = {"preset": "public_chat", "visibility": "public", "name": name, "topic": topic}
        alias = {"room_alias_name": name}
        group = (await scene.bob.request("POST", "createRoom", {**body, **alias}))["room_id"]
        other = (await scene.bob.request("POST", "createRoom", body))["room_id"]
        await scene.talk.ask(f"search {name}", "On which server?")
        await scene.talk.ask("-", f"send “join {other}”")
        await scene.talk.hear("Groups found: 2.")
        asked = (
            "<search xmlns='urn:xmpp:channel-search:0:search'><x xmlns='jabber:x:data'"
            f" type='submit'><field var='q'><value>{name}</value></field></x></search>"
        )
        answer = await scene.alice.iq(scene.house.domain, asked)
        room = f"#{name}%localhost@{scene.house.domain}"
        found = answer.xml.iter("{urn:xmpp:channel-search:0:search}item")
        assert [item.get("address") for item in found] == [room]
        await _join(scene.alice, room)
        assert group in await _own_groups(scene)
        items = "<query xmlns='http://jabber.org/protocol/disco#items'/>"
        listed = (await scene.alice.iq(scene.house.domain, items)).xml
        named = [item.get("name") for item in listed.iter() if item.get("name")]
        assert name in named


async def test_req_548_a_group_that_is_upgraded_is_followed(house: House) -> None:
    async with house.linked() as scene:
        alice = scene.alice
        body = {"preset": "public_chat", "name": "Tea", "room_version": "9"}
        group = (await scene.bob.request("POST", "createRoom", body))["room_id"]
        await scene.talk.ask(f"join {group}", "You are in the group “Tea”")
        old = await _invited(alice)
        await _join(alice, old)
        since = len(alice.inbox.items)
        upgraded = await scene.bob.request(
            "POST", f"rooms/{quote(group)}/upgrade", {"new_version": "10"}
        )
        gone = await alice.wait_for(_out_of(old), since=since)  # type: ignore[arg-type]
        x = gone.child(_USER, "x")
        assert x is not None
        destroy = x.find(f"{{{_USER}}}destroy")
        assert destroy is not None
        new = destroy.get("jid", "")
        await scene.talk.hear("goes on at another address")
        assert await _refused(scene, old) == "gone"
        await _join(alice, new)
        assert upgraded["replacement_room"] in await _own_groups(scene)
        await scene.bob.send_text(upgraded["replacement_room"], "here we are")
        await alice.wait_for(_in_room(new, "here we are"))


async def _bookmarks(scene: Scene) -> list[str]:
    """The rooms among alice's bookmarks, as her clients see them."""
    items = "<items node='urn:xmpp:bookmarks:1'/>"
    ask = f"<pubsub xmlns='http://jabber.org/protocol/pubsub'>{items}</pubsub>"
    answer = await scene.alice.iq(scene.alice.bare, ask)
    found = answer.xml.iter("{http://jabber.org/protocol/pubsub}item")
    return [item.get("id", "") for item in found]


async def test_req_590_1009_new_groups_are_bookmarks(prosody_house: House) -> None:
    """The first group of a user, whose server has no bookmarks yet, and another one."""
    async with prosody_house.own_server(bookmarks=True), prosody_house.linked() as scene:
        for number in (1, 2):
            since = len(scene.alice.inbox.items)
            invited = [scene.phone.user_id]
            group = await scene.bob.create_room(name=f"Tea {number}", invite=invited)
            room = await _invited(scene.alice, since)
            await scene.phone.join(group)
            deadline = time.monotonic() + 20
            while len(await _bookmarks(scene)) < number:
                assert time.monotonic() < deadline, "there is no bookmark"
                await asyncio.sleep(0.1)
            assert room in await _bookmarks(scene)
        await scene.settled()
        invitations = scene.alice.inbox.find(
            lambda stanza: stanza.child("jabber:x:conference", "x") is not None
        )
        assert len(invitations) == 2


_MARKS = "urn:xmpp:mds:displayed:0"


async def _read_up_to(scene: Scene, room: str) -> str | None:
    """The mark of a room, as all clients of alice find it (XEP-0490)."""
    ask = f"<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='{_MARKS}'/></pubsub>"
    answer = await scene.alice.iq(scene.alice.bare, ask)
    for item in answer.xml.iter("{http://jabber.org/protocol/pubsub}item"):
        found = item.find(f"{{{_MARKS}}}displayed/{{urn:xmpp:sid:0}}stanza-id")
        if item.get("id") == room and found is not None and found.get("by") == room:
            return found.get("id")
    return None


async def test_req_571_1010_what_is_read_elsewhere_is_read_for_all_clients(
    prosody_house: House,
) -> None:
    async with prosody_house.own_server(bookmarks=True), prosody_house.linked() as scene:
        group = await scene.bob.create_room(name="Tea", invite=[scene.phone.user_id])
        room = await _invited(scene.alice)
        await _join(scene.alice, room)
        for text in ("milk?", "sugar?"):
            said = await scene.bob.send_text(group, text)
            heard = await scene.alice.wait_for(_in_room(room, text))
            await scene.phone.wait_text(text, room_id=group)
            await scene.phone.read(group, said)
            mark = heard.child("urn:xmpp:sid:0", "stanza-id")
            assert mark is not None
            deadline = time.monotonic() + 20
            while await _read_up_to(scene, room) != mark.get("id"):
                assert time.monotonic() < deadline, "the mark is not there"
                await asyncio.sleep(0.1)
