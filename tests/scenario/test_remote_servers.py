# SPDX-License-Identifier: Apache-2.0
"""Users of other servers, where it is about numbers, or about how the admin has admitted them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from xml.etree.ElementTree import Element

import pytest

from gateway.bridge.inbound.delivery import Delivery
from gateway.bridge.inbound.queues import Queue
from gateway.bridge.ports import Ping, Pong
from tests.scenario.house import GATEWAY, HOME, House
from tests.scenario.test_stream import bodies, running

FAR = "alice@far.example"

ADMITTED = pytest.mark.parametrize(
    "allow",
    [("*",), (HOME, FAR), (HOME, "far.example")],
    ids=["everybody", "by-address", "by-domain"],
)


async def received(house: House) -> list[Element]:
    """All that has come from the gateway."""
    await house.clock.settle()
    found = []
    while not house.server.received.empty():
        found.append(house.server.received.get_nowait())
    return found


@ADMITTED
@pytest.mark.parametrize("how", ["silent", "cut"])
async def test_req_905_a_server_that_misses_a_ping_is_pinged_again(
    house: House, allow: tuple[str, ...], how: str
) -> None:
    """Its answers are no stanzas of a stranger, and our pings no answers to one (REQ-717)."""
    house.options.allow = allow
    house.server.others = "answer"
    await running(house, FAR)
    house.network.says("alice", "bob", "one")
    await house.clock.advance(60)
    assert await bodies(house) == ["one"]
    house.server.others = "are silent"
    house.network.says("alice", "bob", "two")
    if how == "silent":
        await house.clock.advance(45)  # the ping goes out after 10 s, and is given up 30 s later
    else:
        await house.clock.advance(12)
        house.server.cut()
        await house.clock.advance(10)
    await received(house)
    house.server.others = "answer"
    await house.clock.advance(600)
    house.network.says("alice", "bob", "three")
    await house.clock.advance(60)
    assert "three" in await bodies(house)
    assert house.query("SELECT count(*) FROM inbound WHERE state < 2") == [(0,)]


async def test_req_905_a_server_that_contradicts_itself_is_not_written_to_for_ever(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It always says that it was started just now, or is two machines behind one name."""

    def ping(_: str, answered: Callable[[Pong], None]) -> None:
        asyncio.get_running_loop().call_soon(answered, Pong(Ping.ANSWERED, 0))

    monkeypatch.setattr(house.server, "others", "answer")
    await running(house, FAR)
    monkeypatch.setattr(house.component.port, "ping", ping)
    for number in range(20):
        house.network.says("alice", "bob", f"text {number}")
    await house.clock.settle()
    for _ in range(60):
        await house.clock.advance(30)
    written = Counter(await bodies(house))
    assert set(written) == {f"text {number}" for number in range(20)}
    assert max(written.values()) <= 4
    assert house.query("SELECT count(*) FROM inbound WHERE state < 2") == [(0,)]


async def test_req_906_rows_that_are_read_after_a_break_are_written_again(house: House) -> None:
    """Those that an earlier process wrote, and that our server had taken over by then."""
    house.server.others = "answer"
    await running(house, FAR)
    await house.link(f"carol@{HOME}", "carol")
    await house.link("dave@far.example", "dave")
    contacts = [f"c{number}" for number in range(600)]
    house.network.people |= dict.fromkeys(contacts, "")
    house.network.says("alice", "bob", "before")
    for contact in contacts:
        house.network.says("carol", contact, "before")
    house.network.says("dave", "eve", "before")
    await house.clock.advance(60)
    house.server.others = "are silent"
    house.network.says("alice", "bob", "for alice")
    house.network.says("dave", "eve", "for dave")
    await house.clock.advance(5)
    assert house.query("SELECT count(*) FROM inbound WHERE state = 1") == [(2,)]
    house.server.answers_barriers = False
    for contact in contacts:
        house.network.says("carol", contact, "more than a window")
    await received(house)
    await house.kill()
    await house.start()
    await house.connected()
    house.server.answer_barriers()
    house.server.answers_barriers = False
    await house.clock.settle()
    awaited = house.bridge.delivery._peers._peers["far.example"].awaited
    assert [row.contact for row in awaited.values()] == ["bob"], "dave's is read later"
    house.server.cut()
    await received(house)
    house.server.answers_barriers = True
    house.server.others = "answer"
    await house.clock.advance(120)
    assert {"for alice", "for dave"} <= set(await bodies(house))
    assert house.query("SELECT count(*) FROM inbound WHERE state < 2") == [(0,)]


@ADMITTED
async def test_req_209_goodbyes_are_not_cut_short_by_what_clients_say_to_them(
    house: House, allow: tuple[str, ...]
) -> None:
    """A user whom ``*`` admits is a stranger from the first one on, and those get few answers."""
    house.options.allow = allow
    house.server.others = "answer"
    await running(house, FAR)
    contacts = [f"c{number}" for number in range(150)]
    house.network.people |= dict.fromkeys(contacts, "")
    for contact in contacts:
        house.server.send(f"<presence type='subscribe' from='{FAR}' to='{contact}@{GATEWAY}'/>")
    await house.clock.advance(60)
    await received(house)
    house.server.send(
        f"<iq type='set' from='{FAR}/x' to='{GATEWAY}' id='rm'>"
        "<query xmlns='jabber:iq:register'><remove/></query></iq>"
    )
    ended = []
    for _ in range(50):
        for stanza in await received(house):
            if stanza.get("type") in ("unsubscribe", "unsubscribed", "unavailable"):
                ended.append((stanza.get("type"), stanza.get("from", "").partition("/")[0]))
                house.server.send(
                    f"<presence type='unsubscribed' from='{FAR}' to='{stanza.get('from')}'/>"
                )
        await house.clock.advance(0.1)
    for kind in ("unsubscribe", "unsubscribed", "unavailable"):
        assert [who for what, who in ended if what == kind] == [
            *(f"{contact}@{GATEWAY}" for contact in sorted(contacts)),
            GATEWAY,
        ]


async def test_req_717_strangers_cannot_say_which_servers_are_away(house: House) -> None:
    """Neither does that fill the memory, nor does it keep anything from a user there."""
    house.options.allow = ("*",)
    house.server.others = "answer"
    await running(house, FAR)
    house.network.says("alice", "bob", "one")
    await house.clock.advance(60)
    for domain in (*(f"d{number}.evil.example" for number in range(200)), "far.example"):
        house.server.send(
            f"<message type='error' from='x@{domain}' to='bob@{GATEWAY}' id='x'>"
            "<error type='wait'><remote-server-timeout"
            " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
        )
    await house.clock.settle()
    assert list(house.bridge.delivery._peers._peers) == ["far.example"]
    assert house.bridge.delivery._peers._peers["far.example"].reachable


async def test_req_905_servers_are_forgotten_after_a_day(house: House) -> None:
    house.server.others = "answer"
    await running(house, FAR)
    house.network.says("alice", "bob", "one")
    await house.clock.advance(86_401)
    peers = house.bridge.delivery._peers._peers
    assert list(peers) == ["far.example"]
    await house.link("dave@farther.example", "dave")
    house.network.says("dave", "bob", "two")
    await house.clock.advance(60)
    assert list(peers) == ["farther.example"]
    house.network.says("alice", "bob", "three")
    await house.clock.advance(60)
    assert sorted(peers) == ["far.example", "farther.example"]
    assert house.query("SELECT count(*) FROM inbound WHERE state < 2") == [(0,)]


async def test_req_905_thousands_of_conversations_go_on_in_slices(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When their users' server answers, or does not, nothing else waits for all of them."""
    house.server.others = "are away"
    await running(house, FAR)
    for number in range(1200):
        house.network.says("alice", f"c{number}", "hello")
    await house.clock.advance(30)
    assert house.query("SELECT count(*) FROM inbound WHERE state = 0") == [(1200,)]
    call, turns = 0, Counter[int]()
    run, turn = asyncio.Handle._run, Delivery._turn

    def counted_run(self: asyncio.Handle) -> None:
        nonlocal call
        call += 1
        run(self)

    def counted_turn(self: Delivery, queue: Queue) -> bool:
        turns[call] += 1
        return turn(self, queue)

    monkeypatch.setattr(asyncio.Handle, "_run", counted_run)
    monkeypatch.setattr(Delivery, "_turn", counted_turn)
    await house.clock.advance(600)
    assert turns.total() >= 1200
    house.server.others = "answer"
    await house.clock.advance(600)
    assert len(await bodies(house)) == 1200
    assert max(turns.values()) <= 500
