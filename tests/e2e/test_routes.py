"""ejabberd as it comes: each connection gets a share of the stanzas for all components."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from slixmpp.xmlstream.xmlstream import NotConnectedError

from tests.demo.login import Talk
from tests.e2e.archive import archive, reconnect
from tests.e2e.house import GATEWAY, OTHER_GATEWAY, PASSWORD, House, Scene
from tests.peers.ejabberd import Ejabberd
from tests.peers.matrix_client import MatrixClient
from tests.peers.process import PeerError
from tests.peers.synapse import Synapse
from tests.peers.xmpp_client import RECEIPTS

pytestmark = [pytest.mark.timeout(120), pytest.mark.waits]

COUNT = 60
_PAUSE_S = 0.01
_AWAY_S = 60.0


@dataclass
class _Way:
    """Alice's chat with one person, by one of the networks."""

    name: str
    jid: str
    friend: MatrixClient
    room: str
    me: str


@asynccontextmanager
async def _street(directory: Path, synapse: Synapse) -> AsyncIterator[tuple[Scene, list[_Way]]]:
    """One gateway process with two networks; alice has an account on each."""
    components = {domain: secrets.token_hex(16) for domain in (GATEWAY, OTHER_GATEWAY)}
    async with Ejabberd(directory / "server", components=components, global_routes=True) as server:
        house = House(server, synapse, directory)
        networks = {"matrix": house.network(GATEWAY), "other": house.network(OTHER_GATEWAY)}
        async with house.gateway(networks) as gateway, house.people(gateway) as scene:
            await scene.log_in()
            await scene.chat()
            ways = [_Way("first", scene.bob_jid, scene.bob, scene.room, scene.phone.user_id)]
            number = scene.bob.user.removeprefix("bob")
            async with await house.matrix_client(f"other{number}") as other:
                await Talk(scene.alice, OTHER_GATEWAY).log_in(synapse.url, other.user, PASSWORD)
                async with await house.matrix_client(f"eve{number}") as eve:
                    room = await other.create_direct(eve.user_id)
                    await eve.join(room)
                    jid = f"{eve.user}%localhost@{OTHER_GATEWAY}"
                    await eve.send_text(room, "Here I am.")
                    await scene.alice.wait_message("Here I am.", sender=jid)
                    ways.append(_Way("second", jid, eve, room, other.user_id))
                    yield scene, ways


async def _friend_talks(way: _Way) -> None:
    for number in range(COUNT):
        await way.friend.send_text(way.room, f"{way.name} in {number}")


async def _alice_says(scene: Scene, way: _Way, text: str) -> str:
    deadline = time.monotonic() + _AWAY_S
    while True:
        try:
            return scene.alice.send_message(way.jid, text)
        except (NotConnectedError, PeerError):  # her server is away
            assert time.monotonic() < deadline, f"alice has no connection to say {text!r}"
            await asyncio.sleep(0.1)


async def _alice_talks(scene: Scene, way: _Way) -> dict[str, str]:
    said = {}
    for number in range(COUNT):
        text = f"{way.name} out {number}"
        said[await _alice_says(scene, way, text)] = text
        await asyncio.sleep(_PAUSE_S)
    return said


def _receipts(scene: Scene, way: _Way) -> set[str]:
    found = (
        stanza.child(RECEIPTS, "received")
        for stanza in scene.alice.inbox.items
        if stanza.sender_bare == way.jid
    )
    return {receipt.get("id", "") for receipt in found if receipt is not None}


def _heard(way: _Way) -> list[str]:
    return [
        event.body or ""
        for event in way.friend.inbox.items
        if event.section == "timeline"
        and event.type == "m.room.message"
        and event.sender == way.me
    ]


async def _kill_gateway(scene: Scene) -> None:
    scene.gateway.kill()
    await scene.gateway.start()


async def _stop_gateway(scene: Scene) -> None:
    await scene.gateway.stop()
    await scene.gateway.start()


async def _restart_server(scene: Scene) -> None:
    server = scene.house.xmpp
    server.kill()
    await server.start()
    await reconnect(scene.alice)


async def _nothing(scene: Scene) -> None:
    await scene.ping_gateway()


@pytest.mark.parametrize("trouble", [_nothing, _kill_gateway, _stop_gateway, _restart_server])
async def test_req_702_both_networks_get_what_is_theirs(
    synapse: Synapse,
    tmp_path: Path,
    trouble: Callable[[Scene], Coroutine[Any, Any, None]],
    record_property: Callable[[str, object], None],
) -> None:
    async with _street(tmp_path, synapse) as (scene, ways):
        async with asyncio.TaskGroup() as group:
            incoming = [group.create_task(_friend_talks(way)) for way in ways]
            outgoing = [group.create_task(_alice_talks(scene, way)) for way in ways]
            await asyncio.sleep(0.3)
            await trouble(scene)
        assert all(task.done() for task in incoming)
        # What is said when all are there again arrives on both, and so does all before it.
        for way in ways:
            id = scene.alice.send_message(way.jid, "the last one")
            await way.friend.wait_text("the last one")
            await scene.alice.wait_receipt(id)
        await scene.settled()
        committed = set(scene.committed())
        moved = 0
        for way, said in zip(ways, (task.result() for task in outgoing), strict=True):
            taken = [text for id, text in said.items() if id in committed]
            heard = _heard(way)[:-1]
            assert sorted(heard) == sorted(taken), "each text that was committed, once"
            assert committed & said.keys() <= _receipts(scene, way)
            if trouble is _nothing:
                assert len(taken) == COUNT
            moved += sum(one != other for one, other in zip(heard, taken, strict=True))
            came = await archive(scene.alice, way.jid)
            if trouble in (_nothing, _stop_gateway):
                assert len(dict(came)) == len(came), "nothing is written twice"
            texts = list(dict(came).values())[1:]
            assert texts == [f"{way.name} in {number}" for number in range(COUNT)]
        record_property("texts that came at another place than they were sent", moved)
        assert any(entry["event"] == "by_another_stream" for entry in scene.gateway.log(all=True))
        assert not any(entry["event"] == "not_for_us" for entry in scene.gateway.log(all=True))
