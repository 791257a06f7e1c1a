"""The gateway is killed, or told to stop, while both sides talk."""

import asyncio
import time
from collections.abc import Callable
from random import Random

import pytest

from tests.e2e.house import House, Scene, once_by_id
from tests.peers.xmpp_client import Stanza

pytestmark = [pytest.mark.timeout(120), pytest.mark.waits]

COUNT = 200
_AT_ONCE = 10


async def _bob_says(scene: Scene) -> None:
    for number in range(COUNT):
        await scene.bob.send_text(scene.room, f"bob {number}")


async def _alice_says_and_kills(scene: Scene, random: Random) -> dict[str, str]:
    """What alice said, by id. Bunches, so that some of it is under way at every kill."""
    kills = set(random.sample(range(1, COUNT // _AT_ONCE), 2))
    said: dict[str, str] = {}
    for bunch in range(COUNT // _AT_ONCE):
        restart = None
        for number in range(bunch * _AT_ONCE, (bunch + 1) * _AT_ONCE):
            text = f"alice {number}"
            said[scene.alice.send_message(scene.bob_jid, text)] = text
            if bunch in kills and restart is None and random.random() < 0.3:
                await asyncio.sleep(random.random() * 0.01)
                scene.gateway.kill()
                restart = asyncio.create_task(scene.gateway.start())
                await asyncio.sleep(0)
        if bunch in kills and restart is None:
            scene.gateway.kill()
            restart = asyncio.create_task(scene.gateway.start())
        if restart is not None:
            await restart
        await asyncio.sleep(random.random() * 0.1)
    return said


@pytest.mark.parametrize("seed", [1, *(pytest.param(n, marks=pytest.mark.soak) for n in (2, 3))])
async def test_kill_in_a_burst(
    house: House, seed: int, record_property: Callable[[str, object], None]
) -> None:
    async with house.linked() as scene:
        await scene.chat()
        await scene.phone.disconnect()  # one client less for the homeserver to serve
        async with asyncio.TaskGroup() as group:
            group.create_task(_bob_says(scene))
            talking = group.create_task(_alice_says_and_kills(scene, Random(seed)))
        said = talking.result()
        await scene.alice.wait_message(f"bob {COUNT - 1}", timeout=60)
        await scene.settled()

        # Alice to bob: what was committed arrives, once, in order, and is confirmed.
        committed = scene.committed()
        assert len(committed) == len(set(committed))
        last = said[committed[-1]]
        await scene.bob.wait_text(last)
        assert scene.seen_by_bob() == [said[id] for id in committed]
        assert set(committed) == scene.receipts()
        # The rest came back as errors, or died in the socket: then it has no receipt.
        bounced = scene.errors()
        assert not bounced & set(committed)
        lost = said.keys() - bounced - set(committed)
        record_property("committed", len(committed))
        record_property("never committed, no error", len(lost))
        record_property("came back as an error", len(bounced))

        # Bob to alice: everything, since the homeserver keeps it.
        wanted = [text for text in scene.seen_by_bob(scene.bob.user_id) if text != "Here I am."]
        assert len(wanted) == COUNT
        came = scene.from_bob()
        assert once_by_id(came)[1:] == wanted
        record_property("repeats with the same id", len(came) - COUNT - 1)


async def test_a_planned_stop_loses_and_repeats_nothing(house: House) -> None:
    async with house.linked() as scene:
        await scene.chat()
        await scene.phone.disconnect()  # one client less for the homeserver to serve
        said: dict[str, str] = {}

        async def alice_says() -> None:
            for number in range(COUNT):
                text = f"alice {number}"
                said[scene.alice.send_message(scene.bob_jid, text)] = text
                await asyncio.sleep(0.005)

        async def stop() -> tuple[int, float, list[Stanza]]:
            await asyncio.sleep(0.3)
            mark, began = scene.alice.inbox.mark(), time.monotonic()
            code = await scene.gateway.stop()
            took = time.monotonic() - began
            await scene.alice.ping()
            meanwhile = list(scene.alice.inbox.items[mark:])
            await scene.gateway.start()
            return code, took, meanwhile

        async with asyncio.TaskGroup() as group:
            group.create_task(_bob_says(scene))
            group.create_task(alice_says())
            stopping = group.create_task(stop())
        code, took, meanwhile = stopping.result()
        assert code == 0
        assert took < 3
        assert not [stanza for stanza in meanwhile if stanza.kind == "presence"]

        await scene.alice.wait_message(f"bob {COUNT - 1}", timeout=60)
        await scene.settled()
        committed = scene.committed()
        await scene.bob.wait_text(said[committed[-1]])
        assert scene.seen_by_bob() == [said[id] for id in committed]
        assert scene.receipts() == set(committed)
        # What the gateway did not take came back: none of it is lost.
        assert scene.errors() == said.keys() - set(committed)
        came = scene.from_bob()
        assert [stanza.body for stanza in came[1:]] == [f"bob {n}" for n in range(COUNT)]


async def test_a_stop_without_traffic_is_quick_and_silent(house: House) -> None:
    async with house.linked() as scene:
        await scene.chat()
        await scene.settled()
        mark, began = scene.alice.inbox.mark(), time.monotonic()
        assert await scene.gateway.stop() == 0
        assert time.monotonic() - began < 1
        await scene.alice.ping()
        assert {stanza.kind for stanza in scene.alice.inbox.items[mark:]} <= {"iq"}
