# SPDX-License-Identifier: Apache-2.0
"""A group on Matrix as people see it, in a browser and in a terminal."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.e2e.house import PASSWORD, House, Scene
from tests.peers.converse import Browser, Converse
from tests.peers.profanity import Profanity

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.peers.matrix_client import MatrixClient

_LIMIT_S = 20.0
_TOPIC = "What to drink at five"


@dataclass
class Party:
    """Alice, bob and carol in a group, which alice's client may join as a room."""

    scene: Scene
    carol: MatrixClient
    group: str
    """On Matrix."""
    room: str
    """Bare JID."""

    async def nobody_is_in(self) -> None:
        """Wait until all sessions have left."""
        deadline = time.monotonic() + _LIMIT_S
        while self.scene.query("SELECT jid FROM occupant"):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)

    @property
    def jid(self) -> str:
        """Alice's."""
        return self.scene.alice.bare


@asynccontextmanager
async def _party(house: House) -> AsyncIterator[Party]:
    async with AsyncExitStack() as stack:
        scene = await stack.enter_async_context(house.linked())
        carol = await stack.enter_async_context(
            await house.matrix_client(f"carol{scene.bob.user.removeprefix('bob')}")
        )
        await scene.bob.set_displayname("Bob Builder")
        await scene.phone.set_displayname("Alice")
        guests = (carol, scene.phone)
        group = await scene.bob.create_room(name="Tea", invite=[one.user_id for one in guests])
        path = f"rooms/{group}/state/m.room.topic/"
        await scene.bob.request("PUT", path, {"topic": _TOPIC})
        for guest in guests:
            await guest.wait_invite(sender=scene.bob.user_id)
            await guest.join(group)
        invitation = await scene.alice.wait_for(
            lambda stanza: stanza.child("jabber:x:conference", "x") is not None
        )
        x = invitation.child("jabber:x:conference", "x")
        assert x is not None
        yield Party(scene, carol, group, x.get("jid", ""))


@asynccontextmanager
async def _converse(party: Party) -> AsyncIterator[Converse]:
    async with Browser() as browser:
        url = party.scene.house.home.websocket_url
        yield await browser.log_in(party.jid, PASSWORD, url)


async def test_converse_js_in_a_group(house: House, tmp_path: Path) -> None:
    async with _party(house) as party, _converse(party) as page:
        bob, phone = party.scene.bob, party.scene.phone
        await page.join(party.room, "Alice")
        assert await page.topic() == _TOPIC
        assert sorted(await page.occupants()) == ["Alice", "Bob Builder", party.carol.user]

        await bob.send_text(party.group, "One lump or two?")
        assert await page.author_of("One lump or two?") == "Bob Builder"
        await page.say("Two, please.")
        assert (await bob.wait_text("Two, please.", room_id=party.group)).sender == phone.user_id
        assert await page.author_of("Two, please.") == "Alice"
        await phone.send_text(party.group, "And a biscuit.")
        assert await page.author_of("And a biscuit.") == "Alice"
        await page.picture(tmp_path / "group.png")
        assert await page.texts() == ["One lump or two?", "Two, please.", "And a biscuit."]


async def test_converse_js_edits_replies_reacts_and_retracts(
    prosody_house: House, tmp_path: Path
) -> None:
    """Both ways, as a person does it by the menu of a message."""
    async with _party(prosody_house) as party, _converse(party) as page:
        bob, group = party.scene.bob, party.group
        await page.join(party.room, "Alice")
        question = await bob.send_text(group, "One lump or two?")
        await page.react("One lump or two?", "👍")
        reaction = await bob.wait_for(lambda event: event.type == "m.reaction")
        relation = {"rel_type": "m.annotation", "event_id": question, "key": "👍"}
        assert reaction.content["m.relates_to"] == relation
        await page.sees_reaction("One lump or two?", "👍")
        await page.react("One lump or two?", "👍")
        await bob.wait_for(lambda event: event.type == "m.room.redaction")
        await page.sees_no_reaction("One lump or two?")

        await page.reply("One lump or two?", "Two, please.")
        answer = await bob.wait_text("Two, please.", room_id=group)
        assert answer.content["m.relates_to"]["m.in_reply_to"] == {"event_id": question}
        assert await page.answered("Two, please.") == "One lump or two?"
        # Not the reply: Converse.js 14 shows an edited reply of its own without its text.
        await page.say("And milk.")
        milk = await bob.wait_text("And milk.", room_id=group)
        await page.edit("And milk.", "And cream.")
        edit = await bob.wait_for(lambda event: "m.new_content" in event.content)
        assert edit.content["m.new_content"]["body"] == "And cream."
        assert edit.content["m.relates_to"]["event_id"] == milk.event_id
        await page.sees_edited("And cream.")

        await bob.react(group, answer.event_id, "❤️")
        await page.sees_reaction("Two, please.", "❤️")
        await bob.edit(group, question, "One biscuit or two?")
        await page.sees_edited("One biscuit or two?")
        remark = await bob.reply(group, milk.event_id, "So much?")
        assert await page.answered("So much?") in ("And milk.", "And cream.")
        await page.picture(tmp_path / "talk.png")
        await bob.redact(group, remark)
        await page.sees_retracted(1)
        since = bob.inbox.mark()
        await page.retract("And cream.")
        gone = await bob.wait_for(lambda event: event.type == "m.room.redaction", since=since)
        assert milk.event_id in (gone.raw.get("redacts"), gone.content.get("redacts"))
        await page.sees_retracted(2)
        await page.picture(tmp_path / "retracted.png")
        assert await page.texts() == ["One biscuit or two?", "Two, please."]


async def test_converse_js_sees_no_restart_of_the_gateway(house: House, tmp_path: Path) -> None:
    async with _party(house) as party, _converse(party) as page:
        await page.join(party.room, "Alice")
        await party.scene.bob.send_text(party.group, "before")
        await page.sees("before")
        party.scene.gateway.kill()
        await party.scene.bob.send_text(party.group, "meanwhile")
        await party.scene.gateway.start()
        await page.sees("meanwhile")
        await page.say("Nothing happened?")
        await party.scene.bob.wait_text("Nothing happened?", room_id=party.group)
        await page.sees("Nothing happened?")
        await page.picture(tmp_path / "restart.png")
        assert await page.texts() == ["before", "meanwhile", "Nothing happened?"]
        assert len(await page.occupants()) == 3


@pytest.mark.timeout(120)
async def test_converse_js_after_a_restart_of_its_server(house: House, tmp_path: Path) -> None:
    """REQ-504, REQ-557: what it joins again is told again, and of its earlier session nothing."""
    async with house.own_server(), _party(house) as party, _converse(party) as page:
        await page.join(party.room, "Alice")
        await party.scene.bob.send_text(party.group, "before")
        await page.sees("before")
        await house.xmpp.stop()
        await party.scene.bob.send_text(party.group, "meanwhile")
        await house.xmpp.start()
        await page.sees("meanwhile", limit_ms=45_000)  # it tries more and more seldom to come back
        await page.say("Here I am again.")
        await party.scene.bob.wait_text("Here I am again.", room_id=party.group)
        await page.sees("Here I am again.")
        await page.picture(tmp_path / "server-restart.png")
        assert await page.texts() == ["before", "meanwhile", "Here I am again."]
        assert len(await page.occupants()) == 3


async def test_profanity_in_a_group(house: House, tmp_path: Path) -> None:
    async with _party(house) as party, Profanity(tmp_path / "profanity") as terminal:
        await terminal.log_in(party.jid, PASSWORD, party.scene.house.home.c2s_port)
        await terminal.types(f"/join {party.room} nick Alice")
        await terminal.sees(_TOPIC)
        assert "Bob Builder" in await terminal.screen()
        await party.scene.bob.send_text(party.group, "One lump or two?")
        await terminal.sees("Bob Builder: One lump or two?")
        await terminal.types("Two, please.")
        await party.scene.bob.wait_text("Two, please.", room_id=party.group)
        shown = await terminal.sees("Alice: Two, please.")
        assert shown.count("Two, please.") == 1
        answer = await party.scene.bob.wait_text("Two, please.", room_id=party.group)
        await party.scene.bob.react(party.group, answer.event_id, "❤️")  # it knows none
        await party.scene.bob.reply(party.group, answer.event_id, "So many?")
        shown = await terminal.sees("So many?")
        assert "> Alice: Two, please." in shown
        assert "❤" not in shown
        await terminal.types("/close")
        await party.nobody_is_in()
        await party.scene.bob.send_text(party.group, "Is she gone?")
        await party.scene.settled()
        assert "Is she gone?" not in await terminal.screen()
