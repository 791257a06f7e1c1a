# SPDX-License-Identifier: Apache-2.0
"""What is said in a room to many sessions: a server that does not keep up is in nobody's way, and
its users find what they have missed (REQ-556)."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest_asyncio

from gateway.bridge.rooms.servers import MOST_UNPROVED
from tests.scenario.house import GATEWAY, House, Options
from tests.scenario.patterns import ACCEPT
from tests.scenario.test_rooms import _codes, _received
from tests.scenario.test_stream import ALICE, events, running

_CAROL = "carol@far.example"
_DEVICES = 100
_JOIN = "<x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='{history}'/></x>"


class _Hall:
    """Alice is in a room with one device, and Carol, whose server is another one, with many."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.room = ""
        self.said = 0
        self.heard: dict[str, list[str]] = {}
        """By session."""

    async def begin(self) -> None:
        await running(self.house)
        await self.house.link(_CAROL, "carol")
        members = [{"user": name, "name": name.title()} for name in ("alice", "bob", "carol")]
        for account in ("alice", "carol"):
            self.house.network.event(account, "room", room="!c", name="C", members=members)
        await self.house.clock.settle()
        ((local,),) = self.house.query("SELECT localpart FROM address WHERE remote_id = '!c'")
        self.room = f"{local}@{GATEWAY}"
        self.join(f"{ALICE}/phone")
        for number in range(_DEVICES):
            self.join(f"{_CAROL}/d{number}")
        await self.take()

    def join(self, session: str, history: int = 0) -> None:
        """A device comes in."""
        join = _JOIN.format(history=history)
        self.house.server.send(f"<presence from='{session}' to='{self.room}/Me'>{join}</presence>")

    async def talk(self, count: int) -> list[Element]:
        """Bob says so much. Returns all but that."""
        rest: list[Element] = []
        for _ in range(count):
            self.said += 1
            said = {"sender": "bob", "id": f"m{self.said}", "body": f"text {self.said}"}
            self.house.network.event("alice", "room-message", room="!c", **said)
            if not self.said % 20:
                rest += await self.take()
        return rest + await self.take()

    async def take(self) -> list[Element]:
        """What was written until now."""
        await self.house.clock.settle()
        rest = []
        for stanza in _received(self.house):
            body = stanza.findtext(f"{ACCEPT}body")
            if body is None:
                rest.append(stanza)
            else:
                self.heard.setdefault(stanza.get("to", ""), []).append(body)
        return rest


def _texts(first: int, last: int) -> list[str]:
    return [f"text {number}" for number in range(first, last + 1)]


@pytest_asyncio.fixture
async def hall(tmp_path: Path) -> AsyncIterator[_Hall]:
    async with House(tmp_path, Options(adapter="trusted")) as house:
        hall = _Hall(house)
        await hall.begin()
        yield hall


async def test_req_556_a_server_that_keeps_up_gets_all(hall: _Hall) -> None:
    hall.house.server.others = "answer"
    count = 2 * MOST_UNPROVED // _DEVICES
    await hall.talk(count)
    assert len(hall.heard) == _DEVICES + 1
    assert all(heard == _texts(1, count) for heard in hall.heard.values())


async def test_req_556_a_server_that_does_not_is_in_nobodys_way(hall: _Hall) -> None:
    hall.house.server.others = "are silent"
    count = 2 * MOST_UNPROVED // _DEVICES
    rest = await hall.talk(count)
    assert hall.heard.pop(f"{ALICE}/phone") == _texts(1, count)
    assert "server_too_slow" in events(hall.house)
    written = sum(map(len, hall.heard.values()))
    joins = 10 * _DEVICES  # these count too
    assert MOST_UNPROVED - joins <= written <= MOST_UNPROVED
    ((left,),) = hall.house.query(f"SELECT count(*) FROM occupant WHERE user = '{_CAROL}'")
    assert left == 0
    assert not any("333" in _codes(stanza) for stanza in rest)
    # It is there again: all of them are told once, and find what they have missed.
    hall.house.server.others = "answer"
    await hall.house.clock.advance(61)
    told = Counter(one.get("to") for one in await hall.take() if "333" in _codes(one))
    assert told == {f"{_CAROL}/d{number}": 1 for number in range(_DEVICES)}
    missed = len(hall.heard[f"{_CAROL}/d0"])
    hall.heard.clear()
    hall.join(f"{_CAROL}/d0", history=50)
    await hall.take()
    await hall.talk(2)
    assert missed < count
    assert hall.heard[f"{_CAROL}/d0"] == _texts(count - 49, count + 2)


async def test_req_556_a_new_stream_is_a_new_beginning(hall: _Hall) -> None:
    """What our server had for another one is gone with it, or is there."""
    hall.house.server.others = "are silent"
    await hall.talk(MOST_UNPROVED // _DEVICES - 20)
    hall.house.server.cut()
    await hall.house.clock.advance(5)
    await hall.take()
    hall.heard.clear()
    first = hall.said + 1
    await hall.talk(40)
    assert "server_too_slow" not in events(hall.house)
    assert hall.heard[f"{_CAROL}/d1"] == _texts(first, hall.said)
