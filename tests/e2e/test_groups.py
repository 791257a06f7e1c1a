# SPDX-License-Identifier: Apache-2.0
"""A group on Matrix as both sides see it: a room for alice, and one more member for the others."""

from collections.abc import Callable
from urllib.parse import quote

from tests.e2e.house import House, Scene
from tests.peers.xmpp_client import Stanza, XmppClient

_MUC = "http://jabber.org/protocol/muc"
_USER = _MUC + "#user"


def _statuses(stanza: Stanza) -> set[str]:
    x = stanza.child(_USER, "x")
    found = x.findall(f"{{{_USER}}}status") if x is not None else []
    return {status.get("code", "") for status in found}


def _in_room(room: str, body: str) -> Callable[[Stanza], bool]:
    return lambda stanza: (
        (stanza.kind, stanza.type, stanza.sender_bare) == ("message", "groupchat", room)
        and stanza.body == body
    )


async def _invited(alice: XmppClient, since: int = 0) -> str:
    """Address of the room of which alice is told."""
    invitation = await alice.wait_for(
        lambda stanza: stanza.child("jabber:x:conference", "x") is not None, since=since
    )
    x = invitation.child("jabber:x:conference", "x")
    assert x is not None
    return x.get("jid", "")


async def _join(alice: XmppClient, room: str) -> Stanza:
    alice.send_raw(f"<presence to='{room}/Alice'><x xmlns='{_MUC}'/></presence>")
    return await alice.wait_for(
        lambda stanza: (
            (stanza.kind, stanza.sender_bare, stanza.type) == ("presence", room, "available")
            and "110" in _statuses(stanza)
        )
    )


async def _group(scene: Scene) -> str:
    """Of bob and alice, who accepts with her other app."""
    room = await scene.bob.create_room(name="Tea", invite=[scene.phone.user_id])
    await scene.phone.wait_invite(sender=scene.bob.user_id)
    await scene.phone.join(room)
    return room


async def test_a_group_is_a_room(prosody_house: House) -> None:
    async with prosody_house.linked() as scene:
        alice = scene.alice
        group = await _group(scene)
        room = await _invited(alice)
        own = await _join(alice, room)
        bob = await alice.wait_for(
            lambda stanza: (stanza.kind, stanza.sender) == ("presence", f"{room}/{scene.bob.user}")
        )
        x = bob.child(_USER, "x")
        assert x is not None
        assert x[0].get("affiliation") == "owner"
        assert x[0].get("jid") == scene.bob_jid

        await scene.bob.send_text(group, "hello all")
        heard = await alice.wait_for(_in_room(room, "hello all"))
        assert heard.sender == f"{room}/{scene.bob.user}"
        await scene.phone.send_text(group, "from my phone")
        assert (await alice.wait_for(_in_room(room, "from my phone"))).sender == own.sender
        alice.send_raw(f"<message to='{room}' type='groupchat' id='m1'><body>hi</body></message>")
        seen = await scene.bob.wait_text("hi", room_id=group)
        assert seen.sender == scene.phone.user_id
        reflected = await alice.wait_for(_in_room(room, "hi"))
        assert (reflected.sender, reflected.id) == (own.sender, "m1")

        path = f"rooms/{quote(group)}/kick"
        body = {"user_id": scene.phone.user_id, "reason": "enough"}
        await scene.bob.request("POST", path, body)
        gone = await alice.wait_for(
            lambda stanza: (
                (stanza.kind, stanza.type, stanza.sender)
                == ("presence", "unavailable", own.sender)
            )
        )
        assert {"110", "307"} <= _statuses(gone)
        await scene.settled()
        assert len(alice.inbox.find(_in_room(room, "hi"))) == 1


async def test_a_chat_that_another_app_begins_is_told_as_a_chat_alone(
    prosody_house: House,
) -> None:
    async with prosody_house.linked() as scene:
        await scene.chat()
        await scene.settled()
        assert not scene.alice.inbox.find(
            lambda stanza: stanza.child("jabber:x:conference", "x") is not None
        )


async def test_what_was_said_while_the_gateway_was_away(prosody_house: House) -> None:
    async with prosody_house.linked() as scene:
        group = await _group(scene)
        room = await _invited(scene.alice)
        await _join(scene.alice, room)
        await scene.gateway.stop()
        texts = [f"missed {number}" for number in range(70)]
        for text in texts:
            await scene.bob.send_text(group, text)
        await scene.gateway.start()
        await scene.alice.wait_for(_in_room(room, texts[-1]), timeout=30)
        heard = [
            stanza.body
            for stanza in scene.alice.inbox.items
            if stanza.type == "groupchat" and stanza.body
        ]
        assert heard == texts


async def test_a_private_message_is_answered_in_the_room(prosody_house: House) -> None:
    async with prosody_house.linked() as scene:
        alice, bob = scene.alice, scene.bob
        await _group(scene)
        room = await _invited(alice)
        await _join(alice, room)
        occupant = f"{room}/{bob.user}"
        alice.send_raw(
            f"<message to='{occupant}' type='chat' id='p1'><body>between us</body>"
            f"<x xmlns='{_USER}'/></message>"
        )
        direct = await bob.wait_invite(sender=scene.phone.user_id)
        await bob.join(direct)
        await bob.wait_text("between us", room_id=direct)
        await bob.send_text(direct, "what is it?")
        answer = await alice.wait_for(lambda stanza: stanza.body == "what is it?")
        assert (answer.sender, answer.type) == (occupant, "chat")
        assert answer.child(_USER, "x") is not None
        assert answer.child("urn:xmpp:occupant-id:0", "occupant-id") is not None
        # Written to the address itself, answered by it.
        alice.send_raw(
            f"<message to='{scene.bob_jid}' type='chat' id='p2'><body>so</body></message>"
        )
        await bob.wait_text("so", room_id=direct)
        await bob.send_text(direct, "ah")
        answer = await alice.wait_for(lambda stanza: stanza.body == "ah")
        assert answer.sender_bare == scene.bob_jid
        await scene.settled()
        for body in ("what is it?", "ah"):
            assert len([told for told in alice.inbox.items if told.body == body]) == 1
