"""Alice writes from XMPP, bob with the client of Element: the whole gateway in between."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest
import vodozemac

from tests.e2e.house import PASSWORD, House, Scene
from tests.peers.element import Element

pytestmark = [pytest.mark.timeout(120), pytest.mark.waits]

COUNT = 60


@dataclass
class Pair:
    """A scene whose bob uses another client, and the room of both."""

    scene: Scene
    bob: Element
    jid: str
    room: str = ""

    async def begin(self, *, encrypted: bool = True) -> None:
        """Bob begins a chat, and alice accepts the contact request."""
        phone = self.scene.phone
        self.room = await self.bob.create_direct(phone.user_id, encrypted=encrypted)
        await self.scene.alice.wait_presence("subscribe", sender=self.jid)
        self.scene.alice.approve(self.jid)
        await self.bob.wait_member(self.room, self.scene.phone.user_id)
        await self.bob.send_text(self.room, "Here I am.")
        await self.scene.alice.wait_message("Here I am.", sender=self.jid)

    async def on_the_wire(self) -> list[dict[str, Any]]:
        """What was said in the room, as the homeserver has it."""
        path = f"rooms/{self.room}/messages?dir=b&limit=1000"
        chunk = (await self.bob.request("GET", path))["chunk"]
        kinds = ("m.room.message", "m.room.encrypted")
        return [event for event in chunk[::-1] if event["type"] in kinds]


@asynccontextmanager
async def _linked(house: House, **options: Any) -> AsyncIterator[Pair]:
    async with house.linked(**options) as scene:
        user = f"{scene.bob.user}-element"
        await house.synapse.add_user(user, PASSWORD)
        directory = house.directory / "element"
        directory.mkdir()
        async with Element(house.synapse.url, user, PASSWORD, directory=directory) as bob:
            await _until_known(bob)
            yield Pair(scene, bob, f"{user}%localhost@{house.domain}")


async def _until_known(bob: Element) -> None:
    """His keys are at the homeserver: a chat with somebody who has none begins in clear."""
    id = f"@{bob.user}:localhost"
    keys: dict[str, Any] = {}
    async with asyncio.timeout(30):
        while not keys.get(id):
            found = await bob.request("POST", "keys/query", {"device_keys": {id: []}})
            keys = found["device_keys"]
            await asyncio.sleep(0.05)


async def test_an_encrypted_chat_both_ways(house: House) -> None:
    async with _linked(house) as pair:
        await pair.begin()
        id = pair.scene.alice.send_message(pair.jid, "Nobody else reads this?")
        heard = await pair.bob.wait_text("Nobody else reads this?", room_id=pair.room)
        assert heard.wire_type == "m.room.encrypted"
        await pair.scene.alice.wait_receipt(id)
        await pair.bob.send_text(pair.room, "Nobody.")
        await pair.scene.alice.wait_message("Nobody.", sender=pair.jid)
        database = pair.scene.gateway.database.read_bytes()
        assert b"BEGIN" not in database
        for secret in pair.scene.query("SELECT value FROM account_sealed"):
            assert b"pickle" not in secret[0]
        said = await pair.on_the_wire()
        assert {event["type"] for event in said} == {"m.room.encrypted"}
        assert len(said) == 3


async def test_somebody_is_written_to_for_the_first_time(house: House) -> None:
    async with _linked(house) as pair:
        id = pair.scene.alice.send_message(pair.jid, "May I?")
        pair.room = await pair.bob.wait_invite(sender=pair.scene.phone.user_id)
        await pair.bob.join(pair.room)
        assert (await pair.bob.wait_text("May I?")).decrypted
        await pair.scene.alice.wait_receipt(id)


@pytest.mark.parametrize("seed", [1, 2])
async def test_kills_in_an_encrypted_burst(house: House, seed: int) -> None:
    async with _linked(house) as pair:
        await pair.begin()
        await pair.scene.phone.disconnect()
        scene, random = pair.scene, Random(seed)

        async def bob_says() -> None:
            for number in range(COUNT):
                await pair.bob.send_text(pair.room, f"bob {number}")

        async def alice_says() -> dict[str, str]:
            said = {}
            for number in range(COUNT):
                said[scene.alice.send_message(pair.jid, f"alice {number}")] = f"alice {number}"
                await asyncio.sleep(random.random() * 0.1)
                if number in (20, 40):
                    scene.gateway.kill()
                    await scene.gateway.start()
            return said

        async with asyncio.TaskGroup() as group:
            group.create_task(bob_says())
            talking = group.create_task(alice_says())
        said = talking.result()
        await scene.alice.wait_message(f"bob {COUNT - 1}", timeout=60)
        await scene.settled()

        committed = scene.committed()
        await pair.bob.wait_text(said[committed[-1]], timeout=30)
        heard = [
            event.body
            for event in pair.bob.inbox.items
            if event.sender == scene.phone.user_id and event.type == "m.room.message"
        ]
        assert heard == [said[id] for id in committed]
        came = {
            stanza.id: stanza.body
            for stanza in scene.alice.inbox.items
            if stanza.kind == "message" and stanza.sender_bare == pair.jid and stanza.body
            if stanza.type == "chat"
        }
        assert list(came.values())[2:] == [f"bob {number}" for number in range(COUNT)]

        # Nothing in clear, and no index of a key for two messages.
        wire = await pair.on_the_wire()
        assert {event["type"] for event in wire} == {"m.room.encrypted"}
        assert "alice" not in json.dumps([event["content"] for event in wire])
        places = []
        for event in wire:
            message = vodozemac.MegolmMessage.from_base64(event["content"]["ciphertext"])
            places.append((event["content"]["session_id"], message.message_index()))
        assert len(places) == len(set(places)) == len(committed) + COUNT + 1
