"""Alice has her account on another server than the gateway's: real connections between servers.

What is asserted of failures is what can be kept. To alice: every message arrives, under one id,
and the first copies in order; a server that was killed may have lost what it had stored in its
last seconds, so what counts is that her client had it live, or has it in the archive afterwards.
From alice: what the gateway committed arrives once and is confirmed; what her server could not
deliver it gives back to her; the rest died in a socket or in a killed server, and then it has no
receipt.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.demo.login import befriend
from tests.e2e.archive import archive, connect, reconnect
from tests.e2e.house import House, Scene
from tests.peers.ejabberd import Ejabberd
from tests.peers.federation import Federation
from tests.peers.prosody import Prosody
from tests.peers.synapse import Synapse
from tests.peers.xmpp_client import RECEIPTS
from tests.peers.xmpp_server import XmppServer

pytestmark = [pytest.mark.timeout(120), pytest.mark.waits]

DOMAIN = "gateway.a.test"
_KINDS: dict[str, type[XmppServer]] = {"prosody": Prosody, "ejabberd": Ejabberd}
# Ours and theirs. Two of the same kind behave like two Prosodys, only ejabberd keeps nothing back.
_PAIRS = [
    pytest.param("prosody-prosody", marks=pytest.mark.soak),
    "prosody-ejabberd",
    "ejabberd-prosody",
]
_COUNTS = [
    100,
    pytest.param(1000, marks=[pytest.mark.soak, pytest.mark.timeout(600)]),
]
Count = Callable[[str, object], None]


@pytest.fixture(params=_PAIRS)
async def apart(
    request: pytest.FixtureRequest, synapse: Synapse, tmp_path: Path
) -> AsyncIterator[House]:
    """The gateway at a.test, and alice at b.test."""
    ours, theirs = (_KINDS[name] for name in request.param.split("-"))
    components = {DOMAIN: secrets.token_hex(16)}
    async with (
        Federation(tmp_path / "names", ["a.test", "b.test"], components) as federation,
        ours(tmp_path / "a", "a.test", components, federation=federation) as a,
        theirs(tmp_path / "b", "b.test", federation=federation) as b,
    ):
        yield House(a, synapse, tmp_path, DOMAIN, b)


async def test_a_chat_over_two_servers(apart: House) -> None:
    async with apart.linked() as scene:
        await befriend(scene.alice, scene.bob_jid)
        item = (await scene.alice.roster())[scene.bob_jid]
        assert item.get("subscription") == "both"
        await scene.chat()
        id = scene.alice.send_message(scene.bob_jid, "From another server.")
        await scene.alice.wait_receipt(id)
        await scene.bob.wait_text("From another server.")
        # No receipt of hers: her server's answers settle what she got.
        await scene.settled()


@pytest.mark.parametrize("count", _COUNTS)
async def test_their_server_is_killed_in_a_burst(
    apart: House, count: int, record_property: Count
) -> None:
    async with apart.linked(networks=_all_of_it(apart)) as scene:

        async def trouble() -> None:
            apart.home.kill()
            await asyncio.sleep(0.3)
            await apart.home.start()
            await reconnect(scene.alice)

        await _burst(scene, count, trouble, record_property)


@pytest.mark.parametrize("count", _COUNTS)
async def test_our_server_is_killed_in_a_burst(
    apart: House, count: int, record_property: Count
) -> None:
    async with apart.linked(networks=_all_of_it(apart)) as scene:

        async def trouble() -> None:
            apart.xmpp.kill()
            await asyncio.sleep(0.3)
            await apart.xmpp.start()

        await _burst(scene, count, trouble, record_property)


async def test_what_came_while_their_server_was_away(apart: House) -> None:
    async with apart.linked() as scene:
        await scene.chat()
        await scene.alice.disconnect()
        await apart.home.stop()
        texts = [f"bob {number}" for number in range(20)]
        for text in texts:
            await scene.bob.send_text(scene.room, text)
        await scene.gateway.wait_logged("peer_silent")
        await apart.home.start()
        await scene.gateway.wait_logged("peer_back")
        await asyncio.sleep(1)  # it comes while she is offline
        await connect(scene.alice)
        assert _texts(await _arrived(scene, texts)) == texts
        await scene.settled()
        id = scene.alice.send_message(scene.bob_jid, "I was away.")
        await scene.alice.wait_receipt(id)
        await scene.bob.wait_text("I was away.")


async def test_a_user_whose_account_is_gone(apart: House) -> None:
    """Her server says so for every message: nothing is repeated, and nothing waits."""
    async with apart.linked() as scene:
        await scene.chat()
        await scene.alice.iq(
            None, "<query xmlns='jabber:iq:register'><remove/></query>", type="set"
        )
        for number in range(50):
            await scene.bob.send_text(scene.room, f"bob {number}")
        await scene.gateway.wait_logged("delivery_given_up", count=50)
        assert not [entry for entry in scene.gateway.log() if entry["event"] == "bounced"]


def _all_of_it(apart: House) -> dict[str, dict[str, Any]]:
    """A network that fetches all of what was missed, however much that is."""
    settings = {"allow_private_homeservers": True, "max_gap": 2_000}
    return {"matrix": apart.network(DOMAIN, settings=settings)}


async def _burst(
    scene: Scene, count: int, trouble: Callable[[], Awaitable[None]], record_property: Count
) -> None:
    """Both talk; the gateway has a lot to say at once when the trouble comes."""
    await scene.chat()
    await scene.phone.disconnect()  # one client less for the homeserver to serve
    await scene.gateway.stop()
    texts = [f"bob {number}" for number in range(count)]
    for text in texts:
        await scene.bob.send_text(scene.room, text)
    await scene.gateway.start()
    await scene.ping_gateway()
    said: dict[str, str] = {}
    for number in range(20):
        text = f"alice {number}"
        said[scene.alice.send_message(scene.bob_jid, text)] = text
    await scene.alice.wait_message(texts[count // 10], timeout=30)
    await trouble()

    came = await _arrived(scene, texts)
    assert _texts(came) == texts
    record_property("live", len(scene.from_bob()) - 1)
    record_property("repeats with the same id", len(scene.from_bob()) - len(set(came)))
    for stanza in scene.from_bob():  # as her client does, also for what comes again
        if stanza.child(RECEIPTS, "request") is not None:
            scene.alice.send_receipt(scene.bob_jid, stanza.id)
    await scene.settled()

    last = scene.alice.send_message(scene.bob_jid, "Can you hear me?")
    said[last] = "Can you hear me?"
    await scene.alice.wait_receipt(last, timeout=60)
    await scene.bob.wait_text("Can you hear me?")
    committed = scene.committed()
    assert scene.seen_by_bob() == [said[id] for id in committed]
    assert scene.receipts() <= set(committed)
    record_property("alice's committed", len(committed))
    record_property("came back", len(scene.errors()))
    record_property("without a word", len(said.keys() - set(committed) - scene.errors()))


async def _arrived(scene: Scene, texts: list[str], timeout: float = 90) -> list[tuple[str, str]]:
    """Ids and texts that alice had live or has in her archive, when nothing is missing."""
    async with asyncio.timeout(timeout):
        while True:
            live = [(stanza.id, stanza.body or "") for stanza in scene.from_bob()]
            came = live + await archive(scene.alice, scene.bob_jid)
            missing = set(texts) - {text for _, text in came}
            if not missing:
                return came
            await asyncio.sleep(0.5)


def _texts(came: list[tuple[str, str]]) -> list[str]:
    """Texts by first arrival, one for each id."""
    by_id: dict[str, str] = {}
    for id, text in came:
        assert by_id.setdefault(id, text) == text, f"two texts under the id {id}"
    return [text for text in by_id.values() if text.startswith("bob ")]
