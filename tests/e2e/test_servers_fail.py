"""A server goes away, and comes back."""

import asyncio
from collections import Counter
from collections.abc import Callable

import pytest

from tests.e2e.archive import archive, reconnect
from tests.e2e.house import House
from tests.peers.ejabberd import Ejabberd
from tests.peers.xmpp_client import Stanza

pytestmark = [pytest.mark.timeout(120), pytest.mark.waits]

COUNT = 200


@pytest.mark.parametrize("after", [20, 110])
async def test_the_xmpp_server_is_killed_in_a_burst(
    house: House, after: int, record_property: Callable[[str, object], None]
) -> None:
    async with house.own_server() as server, house.linked() as scene:
        await scene.chat()

        async def burst() -> None:
            for number in range(COUNT):
                await scene.bob.send_text(scene.room, f"bob {number}")

        async def trouble() -> None:
            await scene.alice.wait_message(f"bob {after}", timeout=30)
            server.kill()
            await asyncio.sleep(0.3)
            await server.start()
            await reconnect(scene.alice)

        async with asyncio.TaskGroup() as group:
            group.create_task(burst())
            group.create_task(trouble())
        await scene.alice.wait_message(f"bob {COUNT - 1}", timeout=60)
        await scene.settled()

        archived = await archive(scene.alice, scene.bob_jid)
        assert _in_order(archived), "archived out of order, or one text under two ids"
        kept, live = _in_two(scene.from_bob())
        assert _in_order(kept), "kept out of order, or one text under two ids"
        assert _in_order(live), "seen out of order, or one text under two ids"
        live += kept
        if isinstance(server, Ejabberd):
            # A killed ejabberd loses some of the archive of what it had delivered before: what
            # alice has seen, she has.
            archived += [message for message in live if message not in archived]
        assert set(live) <= set(archived)
        by_id = dict(archived)
        assert Counter(by_id.values()) == Counter(_texts())
        repeated = Counter(id for id, _ in archived)
        record_property("repeats with the same id", len(archived) - len(repeated))

        # The other direction works again, too.
        id = scene.alice.send_message(scene.bob_jid, "Still there?")
        await scene.bob.wait_text("Still there?")
        await scene.alice.wait_receipt(id)


@pytest.mark.parametrize("how", ["stopped", "frozen"])
async def test_the_homeserver_is_away(house: House, how: str) -> None:
    async with house.linked() as scene:
        await scene.chat()
        if how == "stopped":
            await house.synapse.stop()
        else:
            house.synapse.freeze()
        try:
            texts = [f"while it was {how} {number}" for number in range(5)]
            ids = [scene.alice.send_message(scene.bob_jid, text) for text in texts]
            await scene.ping_gateway()
            await asyncio.sleep(1)
            assert not scene.receipts() & set(ids)
            assert not scene.errors()
        finally:
            if how == "stopped":
                await house.synapse.start()
            else:
                house.synapse.thaw()
        await scene.bob.wait_text(texts[-1], timeout=40)
        for id in ids:
            await scene.alice.wait_receipt(id)
        assert scene.seen_by_bob() == texts
        await scene.bob.send_text(scene.room, "I can hear you again.")
        await scene.alice.wait_message("I can hear you again.", timeout=20)


async def test_what_bob_says_while_the_homeserver_is_unreachable_for_us_waits_there(
    house: House,
) -> None:
    async with house.linked() as scene:
        await scene.chat()
        await scene.gateway.stop()
        texts = [f"waiting {number}" for number in range(120)]
        for text in texts:
            await scene.bob.send_text(scene.room, text)
        await scene.gateway.start()
        await scene.alice.wait_message(texts[-1], timeout=20)
        assert [stanza.body for stanza in scene.from_bob()][1:] == texts


def _in_two(stanzas: list[Stanza]) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """What was kept for alice while she was away, and what was not: what comes while ejabberd
    hands out the first may overtake it."""
    kept: list[tuple[str, str]] = []
    live: list[tuple[str, str]] = []
    for stanza in stanzas:
        delays = stanza.xml.findall("{urn:xmpp:delay}delay")
        is_kept = any("Offline" in (delay.text or "") for delay in delays)
        (kept if is_kept else live).append((stanza.id, stanza.body or ""))
    return kept, live


def _texts() -> list[str]:
    return ["Here I am.", *(f"bob {number}" for number in range(COUNT))]


def _in_order(came: list[tuple[str, str]]) -> bool:
    """Whether what came is in the order in which it was said; a repeat has the same id."""
    places = [_texts().index(text) for text in dict(came).values()]
    return places == sorted(set(places))
