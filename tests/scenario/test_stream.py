# SPDX-License-Identifier: Apache-2.0
"""The component's stream, where it is about numbers or secrets: scripts are no use for those."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from typing import Any
from xml.etree.ElementTree import Element

import pytest

from gateway.errors import StanzaRefused
from gateway.xmpp import jid
from gateway.xmpp.codec.xml import Stanza
from tests.scenario.house import GATEWAY, PASSWORD, SECRET, House
from tests.scenario.patterns import ACCEPT

INFO = "{http://jabber.org/protocol/disco#info}"
ALICE = "alice@home.example"


async def stanza(house: House) -> Element:
    """The next stanza of the gateway."""
    async with asyncio.timeout(5):
        return await house.server.received.get()


async def bodies(house: House) -> list[str]:
    """Of all messages that wait to be looked at."""
    await house.clock.settle()
    found = []
    while not house.server.received.empty():
        found.append(house.server.received.get_nowait().findtext(f"{ACCEPT}body") or "")
    return found


async def running(house: House, user: str = ALICE, name: str = "alice") -> None:
    """Start the gateway, link an account and forget what that sent."""
    await house.start()
    await house.connected()
    await house.link(user, name)
    await bodies(house)
    await house.forget_presence()


def events(house: House) -> list[str]:
    """What was logged."""
    return [log["event"] for log in house.logs]


# --- connecting (REQ-101, REQ-107) -----------------------------------------------------------


@pytest.mark.parametrize("refusal", ["not-authorized", "close", "conflict"])
async def test_req_101_refusals_lead_to_back_off(house: House, refusal: str) -> None:
    house.server.refusal = refusal
    await house.start()
    await house.clock.settle()
    assert house.server.attempts == 1
    await house.clock.advance(600)
    # 1 s, 2 s, … 60 s, each with jitter; a conflict begins at the slow end.
    assert 10 <= house.server.attempts <= (21 if refusal == "conflict" else 30)
    house.server.refusal = ""
    await house.clock.advance(61)
    assert house.server.up.is_set()


@pytest.mark.parametrize("refusal", ["not-authorized", "close", ""])
async def test_req_101_the_log_holds_no_secret(house: House, refusal: str) -> None:
    house.server.refusal = refusal
    await house.start()
    await house.clock.advance(120)
    logged = repr(house.logs)
    assert house.logs
    assert not [word for word in (SECRET, PASSWORD, *house.server.digests) if word in logged]


async def test_req_101_wrong_secret(house: House) -> None:
    house.server.secret = "another secret"
    await house.start()
    await house.clock.advance(30)
    assert 3 <= house.server.attempts <= 8
    assert not house.server.up.is_set()
    assert "stream error not-authorized" in repr(house.logs)


async def test_req_107_waits_grow_with_jitter(house: House) -> None:
    house.server.refusal = "close"
    await house.start()
    await house.clock.advance(500)
    waits = [log["again_in_s"] for log in house.logs if log["event"] == "stream_down"]
    for wait, longest in zip(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60, 60], strict=False):
        assert longest / 2 <= wait <= longest
    assert len(set(waits[6:])) > 1, "no jitter"


async def test_req_107_health_resets_the_wait(house: House) -> None:
    house.server.refusal = "close"
    await house.start()
    await house.clock.advance(120)
    house.server.refusal = ""
    await house.clock.advance(60)
    await house.connected()
    await house.clock.advance(61)
    assert await _cut(house) <= 1


async def test_req_107_flapping_is_slowed_down(house: House) -> None:
    await house.start()
    waits: list[float] = []
    while len(waits) < 5:
        await house.connected()
        waits.append(await _cut(house))
        await house.clock.advance(waits[-1] + 1)
    assert waits[4] > 8, waits


async def _cut(house: House) -> float:
    """In how many seconds the gateway tries again."""
    house.server.cut()
    async with asyncio.timeout(5):
        while house.logs[-1]["event"] != "stream_down":  # noqa: ASYNC110 - a list has no event
            await asyncio.sleep(0.01)
    return float(house.logs[-1]["again_in_s"])


async def test_req_107_conflict_raises_an_alarm(house: House) -> None:
    await house.start()
    await house.connected()
    house.server.stream_error("conflict")
    await house.clock.settle()
    down = [log for log in house.logs if log["event"] == "stream_down"]
    assert down[0]["alarm"] == "is a second gateway running?"
    assert down[0]["again_in_s"] >= 30


async def test_req_101_a_server_that_says_nothing(house: House) -> None:
    house.server.mute = True
    await house.start()
    await house.clock.advance(19)
    assert house.server.attempts == 1
    await house.clock.advance(5)
    assert house.server.attempts == 2
    assert "does not answer the handshake" in repr(house.logs)


async def test_server_is_not_there(house: House) -> None:
    await house.server.stop()
    await house.start()
    await house.clock.advance(30)
    await house.server.start()
    await house.clock.advance(61)
    await house.connected()


async def test_stop_ends_the_stream_in_order(house: House) -> None:
    await running(house)
    house.network.says("alice", "bob", "Last words")
    await house.clock.settle()
    await house.stop()
    assert house.server.ended_well
    assert await bodies(house) == ["Last words"]
    assert house.query("SELECT count(*) FROM inbound WHERE state < 2") == [(0,)]


async def test_stop_does_not_wait_for_ever(house: House) -> None:
    await running(house)
    house.server.answers_barriers = False
    house.server.closes = False
    house.network.says("alice", "bob", "Last words")
    await house.clock.settle()
    stopping = asyncio.create_task(house.stop())
    await house.clock.advance(11)
    await asyncio.wait_for(stopping, 5)


# --- the single exit (REQ-103 to REQ-106) ----------------------------------------------------


@pytest.mark.parametrize(
    "bad",
    [
        Stanza("message", "bob@elsewhere.example/x", ALICE, "chat", "1"),
        Stanza("message", "", ALICE, "chat", "1"),
        Stanza("message", f"bob@{GATEWAY}/x", "", "chat", "1"),
        Stanza("message", f"bob@{GATEWAY}/x", ALICE, "chat", "1", "<body>\x07</body>"),
        Stanza("message", f"bob@{GATEWAY}/x", ALICE, "chat", "1", "<body>\ud800</body>"),
        Stanza("message", f"bob@{GATEWAY}/x", ALICE, "chat", "1", f"<body>{'x' * 262144}</body>"),
    ],
    ids=["foreign-from", "no-from", "no-to", "control-character", "surrogate", "oversize"],
)
async def test_req_103_a_bad_stanza_is_dropped_alone(house: House, bad: Stanza) -> None:
    await running(house)
    house.component.stream.send(bad)
    house.component.console.say(bad.to or ALICE, "after")  # type: ignore[arg-type]
    assert await bodies(house) == ["after"]
    assert "stanza_refused" in events(house)
    assert house.server.attempts == 1
    assert not house.server.violations


@pytest.mark.parametrize("local", ["a b", "a@b", "UPPER", "x" * 1024, "\u2000"])
async def test_req_104_a_jid_that_a_server_could_refuse(local: str) -> None:
    with pytest.raises(StanzaRefused):
        jid.make(local, GATEWAY)


async def test_req_105_a_row_that_cannot_be_sent_becomes_one_line(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await running(house)
    monkeypatch.setattr("gateway.xmpp.stream.MAX_STANZA_BYTES", 2000)
    house.network.says("alice", "bob", "before")
    house.network.says("alice", "bob", "x" * 3000)
    house.network.says("alice", "bob", "after")
    line = "[A message could not be converted for XMPP. Please look at it on the network itself.]"
    assert sorted(await bodies(house)) == sorted(["before", "after", line])
    assert "dead_letter" in events(house)
    await house.clock.advance(60)
    assert await bodies(house) == []
    assert house.query("SELECT count(*) FROM inbound WHERE state = 3") == [(1,)]
    assert house.server.attempts == 1


# --- the barrier (REQ-903, REQ-904, REQ-920) -------------------------------------------------


async def test_req_904_a_barrier_at_once(house: House) -> None:
    await house.start()
    await house.connected()
    assert len(house.server.barriers) == 1


async def test_req_903_a_barrier_after_two_seconds(house: House) -> None:
    await running(house)
    await house.clock.advance(2)
    before = len(house.server.barriers)
    house.network.says("alice", "bob", "one")
    await house.clock.advance(1.9)
    assert len(house.server.barriers) == before
    await house.clock.advance(0.1)
    assert len(house.server.barriers) == before + 1
    await house.clock.advance(27)
    assert len(house.server.barriers) == before + 1, "nothing was written since"


async def test_req_903_a_barrier_after_200_rows(house: House) -> None:
    await running(house)
    before = len(house.server.barriers)
    for number in range(399):
        house.network.says("alice", "bob", str(number))
    assert await bodies(house) == [str(number) for number in range(399)]
    assert len(house.server.barriers) == before + 1
    house.network.says("alice", "bob", "399")
    await house.clock.settle()
    assert len(house.server.barriers) == before + 2


async def test_req_920_at_most_500_rows_without_proof(house: House) -> None:
    await running(house)
    await house.clock.advance(3)
    house.server.answers_barriers = False
    for number in range(620):
        house.network.says("alice", "bob", str(number))
    assert await bodies(house) == [str(number) for number in range(500)]
    house.server.answer_barriers()
    assert await bodies(house) == [str(number) for number in range(500, 620)]


async def test_req_906_a_window_is_written_again_in_order(house: House) -> None:
    await running(house)
    await house.clock.advance(3)
    house.server.answers_barriers = False
    for number in range(620):
        house.network.says("alice", "bob", str(number))
    assert len(await bodies(house)) == 500
    # Proof for the first 200 alone.
    house.server.send(
        f"<iq type='result' from='home.example' to='{GATEWAY}' id='{house.server.held[0]}'/>"
    )
    assert await bodies(house) == [str(number) for number in range(500, 620)]
    house.server.cut()
    house.server.answer_barriers()
    await house.clock.advance(2)
    await house.connected()
    again = []
    while not house.server.received.empty():
        again.append(house.server.received.get_nowait())
    assert [message.findtext(f"{ACCEPT}body") for message in again] == list(
        map(str, range(200, 620))
    )
    assert all(message.find("{urn:xmpp:delay}delay") is not None for message in again)


async def test_req_905_two_barriers_are_unguessable(house: House) -> None:
    await running(house)
    for number in range(5):
        house.network.says("alice", "bob", str(number))
        await house.clock.advance(3)
    ids = house.server.barriers
    assert len(set(ids)) == len(ids) >= 6
    assert all(len(barrier) >= 32 for barrier in ids)


# --- what is said of us (REQ-122) ------------------------------------------------------------


def _hash(query: Element) -> str:
    """XEP-0115 §5.1, from the answer alone."""
    parts = sorted(
        f"{i.get('category')}/{i.get('type')}//{i.get('name', '')}<"
        for i in query.iter(f"{INFO}identity")
    )
    parts += sorted(f"{feature.get('var')}<" for feature in query.iter(f"{INFO}feature"))
    for form in query.iter("{jabber:x:data}x"):
        fields = {
            field.get("var", ""): sorted(value.text or "" for value in field)
            for field in form.iter("{jabber:x:data}field")
        }
        parts += [f"{fields.pop('FORM_TYPE')[0]}<"]
        for name in sorted(fields):
            parts += [f"{name}<", *(f"{value}<" for value in fields[name])]
    digest = hashlib.sha1("".join(parts).encode(), usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


@pytest.mark.parametrize("local", ["bob@", ""], ids=["puppet", "gateway"])
async def test_req_122_caps(house: House, local: str) -> None:
    house.options.admins = ("admin@home.example", "root@home.example")
    await running(house)
    house.server.send(f"<presence type='subscribe' from='{ALICE}' to='{local}{GATEWAY}'/>")
    await stanza(house)
    presence = await stanza(house)
    caps = presence.find("{http://jabber.org/protocol/caps}c")
    assert caps is not None
    node, version = caps.get("node"), caps.get("ver", "")
    await bodies(house)
    queries = []
    for asked in ("", f" node='{node}#{version}'"):
        house.server.send(
            f"<iq type='get' from='{ALICE}/x' to='{presence.get('from')}' id='q'>"
            f"<query xmlns='http://jabber.org/protocol/disco#info'{asked}/></iq>"
        )
        query = (await stanza(house)).find(f"{INFO}query")
        assert query is not None
        assert _hash(query) == version
        queries.append([(child.tag, dict(child.items())) for child in query])
    assert queries[0] == queries[1]


# --- faults of our own (REQ-922) -------------------------------------------------------------


async def test_req_922_a_handler_that_raises(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await running(house)

    def broken(*_: Any) -> str:
        raise RuntimeError("a bug")

    monkeypatch.setitem(
        house.component.iqs.gateway.now, ("get", "{jabber:iq:version}query"), broken
    )
    for to in ("1", "2"):
        house.server.send(
            f"<iq type='get' from='{ALICE}/x' to='{GATEWAY}' id='{to}'>"
            "<query xmlns='jabber:iq:version'/></iq>"
        )
    house.server.send(
        f"<iq type='get' from='{ALICE}/x' to='{GATEWAY}' id='3'><ping xmlns='urn:xmpp:ping'/></iq>"
    )
    answers = [await stanza(house) for _ in range(3)]
    assert [(a.get("id"), a.get("type")) for a in answers] == [
        ("1", "error"),
        ("2", "error"),
        ("3", "result"),
    ]
    error = answers[0].find(f"{ACCEPT}error")
    assert error is not None
    assert error[0].tag == "{urn:ietf:params:xml:ns:xmpp-stanzas}internal-server-error"
    assert "stanza_failed" in events(house)


async def test_req_304_306_5000_probes_without_the_writer(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await running(house)
    house.server.send(f"<presence type='subscribe' from='{ALICE}' to='bob@{GATEWAY}'/>")
    await bodies(house)
    monkeypatch.setattr(house.store, "write", None)
    probe = f"<presence type='probe' from='{ALICE}' to='bob@{GATEWAY}'/>"
    change = f"<presence from='{ALICE}/x' to='bob@{GATEWAY}'><show>away</show></presence>"
    for _ in range(10):
        house.server.send((probe + change) * 500)
        assert await bodies(house)
        await house.clock.advance(1)
    # What has not been answered yet has one answer.
    assert len(await bodies(house)) <= 1
    monkeypatch.undo()
