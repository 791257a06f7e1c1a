# SPDX-License-Identifier: Apache-2.0
"""Two networks of one process at a server that gives stanzas to either stream (REQ-702, REQ-904).

ejabberd does so unless it is told otherwise; `tests/e2e/test_routes.py` has the real one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest
import pytest_asyncio

from gateway.adapter import Linked
from gateway.ids import RemoteUserId, UserJid
from tests.scenario.house import GATEWAY, NEIGHBOUR, House, Options
from tests.scenario.test_stream import ALICE, bodies, events, running


@pytest_asyncio.fixture
async def street(tmp_path: Path) -> AsyncIterator[House]:
    """Alice is alice on the one network and carol on the other."""
    async with House(tmp_path, Options(neighbour="scripted")) as house:
        await running(house)
        assert house.gateway is not None
        house.network.tokens["token-carol"] = "carol"
        linked = Linked(realm="scripted", remote_id=RemoteUserId("carol"), secret=b"token-carol")
        await house.gateway._networks[1].logins.link(UserJid(ALICE), linked)
        await house.clock.advance(3)
        yield house


def text(to: str, body: str) -> str:
    return (
        f"<message from='{ALICE}/phone' to='bob@{to}' type='chat' id='{body}'>"
        f"<body>{body}</body><request xmlns='urn:xmpp:receipts'/></message>"
    )


async def test_req_702_a_stanza_by_the_other_stream_is_taken(street: House) -> None:
    await bodies(street)
    street.server.send_by(GATEWAY, text(NEIGHBOUR, "one"))
    street.server.send_by(NEIGHBOUR, text(GATEWAY, "two"))
    await street.clock.settle()
    assert {(sent.sender, sent.body) for sent in street.network.sent} == {
        ("carol", "one"),
        ("alice", "two"),
    }
    await street.clock.settle()
    receipts = {
        (element.get("from"), received.get("id"))
        for element in _drained(street)
        if (received := element.find("{urn:xmpp:receipts}received")) is not None
    }
    assert receipts == {
        (f"bob@{NEIGHBOUR}/scripted", "one"),
        (f"bob@{GATEWAY}/scripted", "two"),
    }
    assert not street.server.violations
    assert "by_another_stream" in events(street)
    assert "not_for_us" not in events(street)


async def test_req_129_a_request_by_the_other_stream_is_answered_by_its_own(
    street: House,
) -> None:
    _drained(street)
    street.server.send_by(
        GATEWAY,
        f"<iq type='get' from='{ALICE}/x' to='{NEIGHBOUR}' id='q'>"
        "<query xmlns='jabber:iq:version'/></iq>",
    )
    await street.clock.settle()
    (answer,) = (one for one in _drained(street) if one.get("id") == "q")
    assert (answer.get("type"), answer.get("from")) == ("result", NEIGHBOUR)
    assert not street.server.violations  # it left by the stream of its sender


async def test_req_702_what_is_for_nobody_here_is_dropped(street: House) -> None:
    street.server.send_by(NEIGHBOUR, text("third.example", "lost"))
    await street.clock.settle()
    assert not street.network.sent
    assert "not_for_us" in events(street)


async def test_req_713_too_many_elements_by_the_other_stream(street: House) -> None:
    _drained(street)
    many = "<x/>" * 11_000
    street.server.send_by(
        GATEWAY,
        f"<message from='{ALICE}/x' to='bob@{NEIGHBOUR}' type='chat' id='big'>{many}</message>",
    )
    await street.clock.settle()
    (refusal,) = (one for one in _drained(street) if one.get("id") == "big")
    assert (refusal.get("type"), refusal.get("from")) == ("error", f"bob@{NEIGHBOUR}")


async def test_req_904_a_barrier_is_proved_by_any_stream(street: House) -> None:
    """The ping was read after all that was written before it, whatever way its answer takes."""
    street.server.answers_by = NEIGHBOUR
    street.network.says("alice", "bob", "hello")
    await street.clock.advance(3)
    assert street.query("SELECT count(*) FROM inbound WHERE state < 2") == [(0,)]
    assert street.server.attempts == 2
    assert "second_gateway" not in events(street)


async def test_req_914_a_stream_by_which_nothing_comes_any_more_is_left(street: House) -> None:
    """Its half to the server works, and all answers come by the other one."""
    street.server.answers_by = NEIGHBOUR
    for _ in range(65):
        street.server.send_by(NEIGHBOUR, " ")
        await street.clock.advance(1)
    reasons = [entry["reason"] for entry in street.logs if entry["event"] == "stream_down"]
    assert reasons == ["the server answers by another connection only"]
    street.server.answers_by = ""
    await street.clock.advance(3)
    await street.connected()
    assert street.server.attempts == 3


@pytest.mark.parametrize("every", [2, 5])
async def test_req_914_a_stream_by_which_some_answers_come_is_kept(
    street: House, every: int
) -> None:
    for second in range(3000):
        street.server.answers_by = "" if second % every == 0 else NEIGHBOUR
        await street.clock.advance(1)
    assert street.server.attempts == 2


def _drained(house: House) -> list[Element]:
    found = []
    while not house.server.received.empty():
        found.append(house.server.received.get_nowait())
    return found
