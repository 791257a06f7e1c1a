# SPDX-License-Identifier: Apache-2.0
"""A chat with somebody who uses Element, in which both change, answer, react and take back. The
whole gateway is between them, and killed in the middle: in a plain and in an encrypted room."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.house import PASSWORD, House, Scene
from tests.peers.element import Element, ElementEvent
from tests.peers.xmpp_client import Stanza

pytestmark = [pytest.mark.timeout(120), pytest.mark.waits]

_REPLACE = "urn:xmpp:message-correct:0"
_REACTIONS = "urn:xmpp:reactions:0"
_REPLY = "urn:xmpp:reply:0"
_RETRACT = "urn:xmpp:message-retract:1"
_STORE = "<store xmlns='urn:xmpp:hints'/>"


@dataclass
class Talk:
    """Alice with an XMPP client, bob with Element."""

    scene: Scene
    bob: Element
    jid: str
    room: str

    async def hears(self, namespace: str, name: str, of: str, since: int = 0) -> Stanza:
        """What bob has done with a message, as alice's client is told."""

        def found(stanza: Stanza) -> bool:
            element = stanza.child(namespace, name)
            is_his = (stanza.type, stanza.sender_bare) == ("chat", self.jid)
            return is_his and element is not None and element.get("id") == of

        return await self.scene.alice.wait_for(found, since=since, timeout=30)

    def says(self, sid: str, content: str) -> None:
        """Alice's client says something about a message."""
        self.scene.alice.send_raw(
            f"<message to='{self.jid}' type='chat' id='{sid}'>{content}{_STORE}</message>"
        )

    async def sees(self, wanted: Callable[[ElementEvent], Any]) -> ElementEvent:
        """What alice has done, as bob's client shows it."""
        me = self.scene.phone.user_id
        return await self.bob.wait_for(
            lambda event: event.sender == me and bool(wanted(event)), timeout=30
        )

    async def killed(self) -> None:
        """The gateway dies, and is started again."""
        self.scene.gateway.kill()
        await self.scene.gateway.start()

    def told(self) -> list[Stanza]:
        """All that alice's client was told of bob's, repetitions too."""
        return self.scene.alice.inbox.find(
            lambda stanza: (
                (stanza.kind, stanza.type, stanza.sender_bare) == ("message", "chat", self.jid)
                and (stanza.body is not None or stanza.child(_REACTIONS, "reactions") is not None)
            )
        )


def _about(namespace: str, name: str, id: str, content: str = "") -> str:
    return f"<{name} xmlns='{namespace}' id='{id}'>{content}</{name}>"


def _emoji(stanza: Stanza) -> list[str | None]:
    reactions = stanza.child(_REACTIONS, "reactions")
    return [] if reactions is None else [reaction.text for reaction in reactions]


async def _begin(scene: Scene, bob: Element, *, encrypted: bool) -> Talk:
    jid = f"{bob.user}%localhost@{scene.house.domain}"
    room = await bob.create_direct(scene.phone.user_id, encrypted=encrypted)
    await scene.alice.wait_presence("subscribe", sender=jid)
    scene.alice.approve(jid)
    await bob.wait_member(room, scene.phone.user_id)
    return Talk(scene, bob, jid, room)


async def _bob_speaks(talk: Talk) -> None:
    """REQ-420, REQ-426, REQ-430, REQ-434."""
    bob, room, alice = talk.bob, talk.room, talk.scene.alice
    said = await bob.send_text(room, "helo")
    heard = await alice.wait_message("helo", sender=talk.jid)
    await bob.edit(room, said, "hello")
    assert (await talk.hears(_REPLACE, "replace", heard.id)).body == "hello"
    await bob.reply(room, said, "to myself")
    answer = await talk.hears(_REPLY, "reply", heard.id)
    assert (answer.body or "").endswith("to myself")
    reaction = await bob.react(room, said, "👍")
    assert _emoji(await talk.hears(_REACTIONS, "reactions", heard.id)) == ["👍"]
    mark = len(alice.inbox.items)
    talk.scene.gateway.kill()
    await bob.redact(room, reaction)
    await bob.react(room, said, "🎉")
    await bob.redact(room, said)
    await bob.send_text(room, "never mind")
    await talk.scene.gateway.start()
    await alice.wait_message("never mind", sender=talk.jid, timeout=30)
    await alice.wait_for(lambda stanza: _emoji(stanza) == ["🎉"], since=mark)
    await talk.hears(_RETRACT, "retract", heard.id)


async def _alice_speaks(talk: Talk) -> None:
    """REQ-424, REQ-427, REQ-432, REQ-435."""
    asked = await talk.bob.send_text(talk.room, "lunch?")
    heard = await talk.scene.alice.wait_message("lunch?", sender=talk.jid)
    talk.says("m1", f"<body>yse</body>{_about(_REPLY, 'reply', heard.id)}")
    answer = await talk.sees(lambda event: event.body == "yse")
    assert answer.content["m.relates_to"] == {"m.in_reply_to": {"event_id": asked}}
    talk.says("m2", f"<body>yes</body>{_about(_REPLACE, 'replace', 'm1')}")
    both = "".join(f"<reaction>{emoji}</reaction>" for emoji in "👍🎉")
    talk.says("m3", _about(_REACTIONS, "reactions", heard.id, both))
    talk.says("m4", "<body>oops</body>")
    await talk.sees(lambda event: event.body == "oops")
    talk.says("m5", _about(_RETRACT, "retract", "m4"))
    while "m5" not in talk.scene.committed():  # noqa: ASYNC110 - what is not dies with it
        await asyncio.sleep(0.01)
    await talk.killed()
    edit = await talk.sees(lambda event: "m.new_content" in event.content)
    assert edit.content["m.new_content"]["body"] == "yes"
    assert edit.content["m.relates_to"]["event_id"] == answer.event_id
    await talk.sees(lambda event: event.type == "m.room.redaction")
    await talk.scene.settled()


async def _on_the_wire(talk: Talk) -> list[dict[str, Any]]:
    """What alice has made in the room, as the homeserver has it."""
    path = f"rooms/{talk.room}/messages?dir=b&limit=1000"
    chunk = (await talk.bob.request("GET", path))["chunk"]
    return [event for event in chunk if event["sender"] == talk.scene.phone.user_id]


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
async def test_both_change_what_they_have_said(prosody_house: House, encrypted: bool) -> None:
    house = prosody_house
    async with house.linked() as scene:
        user = f"{scene.bob.user}-element"
        await house.synapse.add_user(user, PASSWORD)
        directory = house.directory / "element"
        directory.mkdir()
        async with Element(house.synapse.url, user, PASSWORD, directory=directory) as bob:
            talk = await _begin(scene, bob, encrypted=encrypted)
            await _bob_speaks(talk)
            await _alice_speaks(talk)
            made = Counter(event["type"] for event in await _on_the_wire(talk))
            text = "m.room.encrypted" if encrypted else "m.room.message"
            assert (made[text], made["m.reaction"], made["m.room.redaction"]) == (3, 2, 1)
            assert not encrypted or not made["m.room.message"]
            texts: dict[str, str | None] = {}
            for stanza in talk.told():
                assert texts.setdefault(stanza.id, stanza.body) == stanza.body
            assert Counter(texts.values())["hello"] == 1
            assert Counter(texts.values())["never mind"] == 1
            assert not scene.errors()
