# SPDX-License-Identifier: Apache-2.0
"""Two networks of one process at a server that gives stanzas to either stream (REQ-702, REQ-904).

ejabberd does so unless it is told otherwise; `tests/e2e/test_routes.py` has the real one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest
import pytest_asyncio

from gateway.adapter import Linked
from gateway.ids import RemoteUserId, UserJid
from gateway.xmpp.answers import MAX_ANSWERS
from tests.scenario.house import GATEWAY, NEIGHBOUR, House, Options
from tests.scenario.patterns import ACCEPT
from tests.scenario.test_stream import ALICE, bodies, events, running

CHAT_STATES = "http://jabber.org/protocol/chatstates"


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
    street.server.send_by(GATEWAY, question("q"))
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


# --- a network that is not connected, or cannot be used -----------------------------------------


async def test_req_129_req_460_answers_wait_for_their_own_stream(street: House) -> None:
    """The server gives its stanzas to the other stream; none of them stays without an answer."""
    composing = f"<composing xmlns='{CHAT_STATES}'/>"
    typing = f"<message from='{ALICE}/x' to='bob@{NEIGHBOUR}' type='chat'>{composing}</message>"
    street.server.send_by(NEIGHBOUR, typing)  # she wants to know who is typing
    await street.clock.settle()
    street.server.cut_one(NEIGHBOUR)
    await street.clock.settle()
    assert NEIGHBOUR not in street.server.streams
    _drained(street)
    for sent in (
        text(NEIGHBOUR, "taken"),
        text(NEIGHBOUR, "refused").replace(ALICE, "mallory@home.example"),
        question("q"),
        f"<message from='{ALICE}/x' to='{NEIGHBOUR}' type='chat'><body>help</body></message>",
    ):
        street.server.send_by(GATEWAY, sent)
    street.network.types("carol", "bob", True)
    await street.clock.settle()
    assert [(sent.sender, sent.body) for sent in street.network.sent] == [("carol", "taken")]
    assert not [one for one in _drained(street) if domain_of(one) == NEIGHBOUR]
    await street.clock.advance(3)
    came = _drained(street)
    assert [one.get("type") for one in came if one.get("id") == "refused"] == ["error"]
    assert [one.get("type") for one in came if one.get("id") == "q"] == ["result"]
    assert sum("help" in (one.findtext(f"{ACCEPT}body") or "") for one in came) == 1
    assert sum(one.find("{urn:xmpp:receipts}received") is not None for one in came) == 1
    assert not [one for one in came if one.find(f"{{{CHAT_STATES}}}composing") is not None]
    assert not street.server.violations


async def test_req_712_answers_that_wait_are_bounded(street: House) -> None:
    street.server.cut_one(NEIGHBOUR)
    await street.clock.settle()
    _drained(street)
    for number in range(MAX_ANSWERS + 5):
        street.server.send_by(GATEWAY, question(f"q{number}"))
    await street.clock.settle()
    await street.clock.advance(3)
    answered = [one.get("id") for one in _drained(street) if one.tag == f"{ACCEPT}iq"]
    assert answered == [f"q{number}" for number in range(5, MAX_ANSWERS + 5)]


async def test_req_702_by_the_stream_of_a_network_that_cannot_be_used(tmp_path: Path) -> None:
    """Its component hands over as any other, and gets what is handed over."""
    async with House(tmp_path, Options(neighbour="unmade")) as house:
        await running(house)
        house.server.send_by(NEIGHBOUR, text(GATEWAY, "one"))
        house.server.send_by(GATEWAY, text(NEIGHBOUR, "two"))
        house.server.send_by(NEIGHBOUR, text("third.example", "three"))
        many = "<x/>" * 11_000
        for by, to in ((NEIGHBOUR, GATEWAY), (GATEWAY, NEIGHBOUR)):
            big = f"<message from='{ALICE}/x' to='bob@{to}' type='chat' id='{to}'>{many}</message>"
            house.server.send_by(by, big)
        await house.clock.settle()
        assert [(sent.sender, sent.body) for sent in house.network.sent] == [("alice", "one")]
        refused = {
            (one.get("id"), domain_of(one))
            for one in _drained(house)
            if one.get("type") == "error"
        }
        assert refused == {("two", NEIGHBOUR), (GATEWAY, GATEWAY), (NEIGHBOUR, NEIGHBOUR)}
        assert not house.server.violations
        assert "not_for_us" in events(house)


# --- whose word counts, and when (REQ-703, REQ-904, REQ-914) -------------------------------------


@pytest.mark.parametrize(("granter", "granted"), [("home.example", True), ("evil.example", False)])
async def test_req_703_privileges_by_the_other_stream(
    street: House, granter: str, granted: bool
) -> None:
    """They are those of the component that they are for, and end with its own stream."""
    advertisement = (
        f"<message from='{granter}' to='{NEIGHBOUR}'><privilege xmlns='urn:xmpp:privilege:2'>"
        "<perm access='message' type='outgoing'/></privilege></message>"
    )
    street.server.send_by(GATEWAY, advertisement)
    await street.clock.settle()
    assert street.gateway is not None
    mine, neighbours = (
        component.privileges.may_send_as for component in street.gateway._components
    )
    assert not mine(UserJid(f"alice@{granter}"))
    assert bool(neighbours(UserJid(f"alice@{granter}"))) is granted
    street.server.cut_one(GATEWAY)
    await street.clock.advance(3)
    assert bool(neighbours(UserJid(f"alice@{granter}"))) is granted
    street.server.cut_one(NEIGHBOUR)
    await street.clock.advance(3)
    assert not neighbours(UserJid(f"alice@{granter}"))


@pytest.mark.parametrize("is_back", [False, True])
async def test_req_904_an_answer_of_before_the_break_proves_nothing(
    street: House, is_back: bool
) -> None:
    """It may come by the other stream, when its own one is gone or another one stands."""
    await bodies(street)
    street.server.answers_barriers = False
    street.network.says("alice", "bob", "hello")
    await street.clock.advance(3)
    (barrier,) = street.server.held
    street.server.cut_one(GATEWAY)
    await street.clock.advance(3 if is_back else 0)
    late = f"<iq type='result' from='home.example' to='{GATEWAY}' id='{barrier}'/>"
    street.server.send_by(NEIGHBOUR, late)
    await street.clock.settle()
    assert street.query("SELECT count(*) FROM inbound WHERE state < 2") == [(1,)]
    street.server.answers_barriers = True
    await street.clock.advance(3)
    street.server.answer_barriers()
    await street.clock.advance(3)
    assert street.query("SELECT count(*) FROM inbound WHERE state < 2") == [(0,)]
    assert await bodies(street) == ["hello", "hello"]
    assert not {"second_gateway", "stanza_failed"} & set(events(street))


async def test_req_904_a_forged_answer_by_the_other_stream_proves_nothing(street: House) -> None:
    street.server.answers_barriers = False
    street.network.says("alice", "bob", "hello")
    await street.clock.advance(3)
    (barrier,) = street.server.held
    for forger, to in (("evil.example", GATEWAY), (ALICE, GATEWAY), ("home.example", NEIGHBOUR)):
        forged = f"<iq type='result' from='{forger}' to='{to}' id='{barrier}'/>"
        street.server.send_by(NEIGHBOUR, forged)
    await street.clock.settle()
    assert street.query("SELECT count(*) FROM inbound WHERE state < 2") == [(1,)]


# --- a planned stop ------------------------------------------------------------------------------


async def test_req_904_no_stream_is_closed_before_all_are_proved(street: House) -> None:
    """The idle one may be the way by which the proof of the other one comes."""
    await bodies(street)
    street.server.answers_barriers = False
    street.network.says("alice", "bob", "hello")
    await street.clock.settle()
    stopping = asyncio.create_task(street.stop())
    await street.clock.settle()
    street.server.answers_by = NEIGHBOUR
    street.server.send_by(NEIGHBOUR, text(GATEWAY, "in the last moment"))
    street.server.answer_barriers()
    await stopping
    # The receipt of what came in the last moment may be the second row, and may not be there yet.
    assert street.query("SELECT state FROM inbound ORDER BY rowid LIMIT 1") == [(2,)]
    assert street.query("SELECT count(*) FROM outbound") == [(1,)]
    assert await bodies(street) == ["hello"]
    assert not street.server.violations


def question(id: str) -> str:
    query = "<query xmlns='jabber:iq:version'/>"
    return f"<iq type='get' from='{ALICE}/x' to='{NEIGHBOUR}' id='{id}'>{query}</iq>"


def domain_of(element: Element) -> str:
    return element.get("from", "").partition("/")[0].rpartition("@")[2]


def _drained(house: House) -> list[Element]:
    found = []
    while not house.server.received.empty():
        found.append(house.server.received.get_nowait())
    return found
