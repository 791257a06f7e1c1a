# SPDX-License-Identifier: Apache-2.0
"""Servers that are gone, that hang, that do not read, or send what is no stanza (REQ-914)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from gateway.xmpp import outbox
from gateway.xmpp.codec.xml import Stanza
from gateway.xmpp.outbox import Outbox
from tests.scenario.house import GATEWAY, HOME, House
from tests.scenario.test_stream import ALICE, bodies, events, running

FLOOD = 30_000


async def quiet(house: House) -> None:
    """Nothing is on its way any more."""
    await running(house)
    await house.clock.advance(3)


def ping(number: int) -> str:
    """An IQ of a user, which wants an answer."""
    return (
        f"<iq type='get' from='{ALICE}/x' to='{GATEWAY}' id='{'i' * 200}{number}'>"
        "<ping xmlns='urn:xmpp:ping'/></iq>"
    )


# --- a server that is gone (REQ-914) ------------------------------------------------------------


async def test_req_914_silence_is_ended_with_a_ping(house: House) -> None:
    await quiet(house)
    before = len(house.server.barriers)
    await house.clock.advance(3600)
    pings = len(house.server.barriers) - before
    assert 110 <= pings <= 120
    assert house.server.attempts == 1


async def test_req_914_a_server_that_talks_is_not_pinged(house: House) -> None:
    await quiet(house)
    before = len(house.server.barriers)
    for number in range(20):
        await house.clock.advance(20)
        house.server.send(ping(number))
        await house.clock.settle()
    assert len(house.server.barriers) == before


async def test_req_914_an_idle_connection_to_nobody_is_left_within_60_s(house: House) -> None:
    await quiet(house)
    await house.clock.advance(17)
    house.server.freeze()
    await house.clock.advance(40)
    assert house.server.attempts == 1
    await house.clock.advance(20)
    assert "barrier_overdue" in events(house)
    await house.clock.advance(1)
    await house.connected()
    assert house.server.attempts == 2


async def test_req_914_a_busy_connection_to_nobody_is_left_within_60_s(house: House) -> None:
    await quiet(house)
    house.server.freeze()
    for number in range(32):
        house.network.says("alice", "bob", str(number))
        await house.clock.advance(1)
    assert "barrier_overdue" in events(house)
    await house.clock.advance(3)
    await house.connected()
    assert [text for text in await bodies(house) if text] == [str(number) for number in range(32)]


async def test_req_903_a_server_that_talks_but_does_not_answer_is_left(house: House) -> None:
    await quiet(house)
    house.server.answers_barriers = False
    house.network.says("alice", "bob", "one")
    for number in range(31):
        if house.server.up.is_set():
            house.server.send(ping(number))
        await house.clock.advance(1)
    await house.clock.advance(3)
    assert house.server.attempts == 2


async def test_req_903_overdue_in_a_burst(house: House) -> None:
    await quiet(house)
    for number in range(1000):
        house.network.says("alice", "bob", str(number))
    house.server.answers_barriers = False
    await house.clock.advance(29)
    assert await bodies(house) == [str(number) for number in range(500)]
    house.server.answers_barriers = True
    await house.clock.advance(4)
    assert "barrier_overdue" in events(house)
    assert await bodies(house) == [str(number) for number in range(1000)]


async def test_req_903_overdue_during_a_stop(house: House) -> None:
    await quiet(house)
    house.server.freeze()
    house.network.says("alice", "bob", "Last words")
    await house.clock.settle()
    stopping = asyncio.create_task(house.stop())
    await house.clock.advance(11)
    await asyncio.wait_for(stopping, 5)
    assert house.query("SELECT count(*) FROM inbound WHERE state < 2") == [(1,)]


async def test_req_914_a_machine_that_slept_listens_before_it_judges(house: House) -> None:
    """The answer waits in the socket, and the limit has passed: it is us who were away."""
    await quiet(house)
    house.server.answers_barriers = False
    house.network.says("alice", "bob", "one")
    await house.clock.advance(5)
    await house.clock.leap(3600)
    house.server.answer_barriers()
    await house.clock.advance(60)
    assert house.server.attempts == 1
    assert "barrier_overdue" not in events(house)
    house.server.answers_barriers = False
    house.network.says("alice", "bob", "two")
    await house.clock.advance(5)
    await house.clock.leap(3600)
    await house.clock.advance(13)
    assert house.server.attempts == 2, "no answer came after the sleep either"


# --- a server that does not read (REQ-712) ------------------------------------------------------


def waiting(house: House) -> int:
    """Bytes that wait for the socket, in the gateway's memory."""
    stream = house.component.stream
    assert stream._outbox is not None
    assert stream._connection is not None
    assert stream._connection.transport is not None
    return stream._outbox._bytes + stream._connection.transport.get_write_buffer_size()


async def flood(house: House, stanza: Callable[[int], str], count: int = FLOOD) -> None:
    """So much that no socket takes it."""
    for start in range(0, count, 100):
        if not house.server.up.is_set():
            return
        house.server.send("".join(map(stanza, range(start, start + 100))))
        await house.clock.settle()


async def test_req_712_answers_wait_in_order_and_none_is_lost(house: House) -> None:
    await quiet(house)
    house.server.freeze()
    await flood(house, ping)
    assert waiting(house) > 1_000_000, "the socket took it all"
    assert not house.component.port.has_room()
    house.network.says("alice", "bob", "after")
    await house.clock.settle()
    house.server.thaw()
    await house.clock.settle()
    answers = [house.server.received.get_nowait().get("id", "") for _ in range(FLOOD)]
    assert [answer.lstrip("i") for answer in answers] == list(map(str, range(FLOOD)))
    assert await bodies(house) == ["after"]
    assert house.server.attempts == 1


async def test_req_712_the_oldest_presence_is_dropped_and_no_content(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await quiet(house)
    house.server.freeze()
    await flood(house, ping)
    stream = house.component.stream
    bound = waiting(house) + 500_000
    monkeypatch.setattr(outbox, "PRESENCE_BYTES", bound)
    for number in range(20_000):
        stream.send(Stanza("presence", f"bob@{GATEWAY}/{number}", ALICE))
        if number % 1000 == 0:
            stream.send(Stanza("message", f"bob@{GATEWAY}/x", ALICE, "chat", f"m{number}"))
    stream.send(Stanza("presence", f"bob@{GATEWAY}", ALICE, "subscribed"))
    assert waiting(house) <= bound + 1_000_000
    house.server.thaw()
    await house.clock.settle()
    came = []
    while not house.server.received.empty():
        came.append(house.server.received.get_nowait())
    kinds = [stanza.tag.rpartition("}")[2] for stanza in came]
    assert kinds.count("iq") == FLOOD
    assert kinds.count("message") == 20
    assert came[-1].get("type") == "subscribed"
    kept = [
        int(stanza.get("from", "").rpartition("/")[2])
        for stanza in came[:-1]
        if stanza.tag.endswith("presence")
    ]
    assert 1000 < len(kept) < 19_000
    assert kept == list(range(20_000 - len(kept), 20_000)), "not the oldest ones"
    assert "presence_dropped" in events(house)


async def test_req_712_a_server_that_does_not_read_is_left_within_30_s(house: House) -> None:
    await quiet(house)
    house.server.freeze()
    await flood(house, ping)
    await house.clock.advance(29)
    assert house.server.attempts == 1
    await house.clock.advance(4)
    assert house.server.attempts == 2


async def test_req_712_there_is_an_end_to_what_waits(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await quiet(house)
    monkeypatch.setattr(outbox, "MAX_BYTES", 2_000_000)
    house.server.freeze()
    await flood(house, ping)
    assert "server_does_not_read" in events(house)
    await house.clock.advance(3)
    await house.connected()
    house.network.says("alice", "bob", "after")
    assert "after" in await bodies(house)


async def test_req_712_large_texts_that_waited_do_not_end_the_stream(house: House) -> None:
    """40 MB for one user, in fewer rows than may be under way. All users have this one stream."""
    await quiet(house)
    house.server.cut()
    for number in range(180):
        house.network.says("alice", "bob", f"{number} " + "&" * 45_000)
    await house.clock.advance(2)
    await house.connected()
    assert [text.partition(" ")[0] for text in await bodies(house)] == list(map(str, range(180)))
    assert "server_does_not_read" not in events(house)
    await house.clock.advance(3)
    assert house.query("SELECT count(*) FROM inbound WHERE state = 0") == [(0,)]


async def test_a_burst_that_the_server_reads_loses_no_presence() -> None:
    """However much comes within one turn of the loop."""
    written: list[bytes] = []
    box = Outbox(written.append, lambda: None)
    stanza = b"<presence/>" * 100
    for _ in range(20_000):
        box.add(stanza, droppable=True)
    await asyncio.sleep(0)
    assert sum(map(len, written)) == 20_000 * len(stanza) > outbox.PRESENCE_BYTES
    assert max(map(len, written)) < 70_000
    assert not box.dropped


# --- what is no stanza (REQ-713) ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("prolog", "reason"),
    [
        ("<!DOCTYPE x [<!ENTITY a 'b'>]>", "the server does not speak XMPP"),
        ("<?xml version='1.0'?>\n<!DOCTYPE x>", "the server does not speak XMPP"),
        ("x" * 5000, "the server does not speak XMPP"),
        ("<?xml version='1.0' encoding='iso-8859-1'?>", "the server does not speak UTF-8"),
    ],
)
async def test_req_713_a_dtd_is_refused(house: House, prolog: str, reason: str) -> None:
    house.server.prolog = prolog
    await house.start()
    await house.clock.settle()
    assert [log["reason"] for log in house.logs if log["event"] == "stream_down"] == [reason]
    house.server.prolog = "<?xml version='1.0' encoding='UTF-8'?>\n"
    await house.clock.advance(2)
    assert house.server.up.is_set()


async def test_req_713_a_dtd_within_the_stream_is_no_xml(house: House) -> None:
    await quiet(house)
    house.server.send("<!DOCTYPE x [<!ENTITY a 'b'>]>")
    await house.clock.settle()
    assert "the server sent what is not XML" in repr(house.logs)
    await house.clock.advance(2)
    assert house.server.up.is_set()


@pytest.mark.parametrize(
    ("inner", "refused"),
    [
        ("<a>" * 98 + "</a>" * 98, False),
        ("<a>" * 99 + "</a>" * 99, True),
        ("<a>" * 5000 + "</a>" * 5000, True),
        ("<a/>" * 9998, False),
        ("<a/>" * 10_000, True),
        ("<b><a/><a/></b>" * 20_000, True),
    ],
    ids=[
        "100-deep",
        "101-deep",
        "5000-deep",
        "10000-elements",
        "10002-elements",
        "60000-elements",
    ],
)
async def test_req_713_depth_and_number_of_elements(
    house: House, inner: str, refused: bool
) -> None:
    await quiet(house)
    for kind, type_ in (("message", "chat"), ("iq", "get"), ("presence", "subscribed")):
        house.server.send(
            f"<{kind} type='{type_}' from='{ALICE}/x' to='bob@{GATEWAY}' id='{kind}'>"
            f"<x xmlns='urn:x'>{inner}</x></{kind}>"
        )
    house.server.send(ping(0))
    await house.clock.settle()
    answers = []
    while not house.server.received.empty():
        answers.append(house.server.received.get_nowait())
    *refusals, pong = answers
    assert pong.get("type") == "result"
    violations = [
        answer.get("id")
        for answer in refusals
        if answer.find(".//{urn:ietf:params:xml:ns:xmpp-stanzas}policy-violation") is not None
    ]
    assert violations == (["message", "iq"] if refused else [])
    assert house.server.attempts == 1


async def test_req_713_errors_are_not_answered(house: House) -> None:
    await quiet(house)
    for kind in ("message", "iq", "presence"):
        house.server.send(
            f"<{kind} type='error' from='{ALICE}/x' to='bob@{GATEWAY}' id='{kind}'>"
            f"{'<a>' * 101}{'</a>' * 101}</{kind}>"
        )
    await house.clock.settle()
    assert house.server.received.empty()


# --- a second gateway on one component (REQ-904) -------------------------------------------------


def answer(request_id: str, sender: str = HOME) -> str:
    """An answer of a server to a ping of the gateway's domain."""
    return f"<iq type='result' from='{sender}' to='{GATEWAY}' id='{request_id}'/>"


async def test_req_904_answers_to_what_nobody_asked_show_a_second_gateway(house: House) -> None:
    await quiet(house)
    await house.clock.advance(100)
    for number in range(3):
        house.server.send(answer(f"b8c1-{number}"))
    await house.clock.settle()
    await house.clock.advance(1800)
    house.server.send(answer("b8c1-9"))
    await house.clock.settle()
    assert events(house).count("second_gateway") == 1


async def test_req_904_late_and_foreign_answers_show_none(house: House) -> None:
    await quiet(house)
    house.server.send(answer("for-the-process-before"))
    await house.clock.advance(100)
    house.server.send(answer(house.server.barriers[0]))
    house.server.send(answer("b8c1-1", "elsewhere.example"))
    house.server.send(answer("b8c1-2", f"{ALICE}/phone"))
    await house.clock.settle()
    assert "second_gateway" not in events(house)
