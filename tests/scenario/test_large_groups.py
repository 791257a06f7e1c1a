# SPDX-License-Identifier: Apache-2.0
"""Groups that are small, become large, and small again: who is seen there, and how fast."""

from __future__ import annotations

import random
from xml.etree.ElementTree import Element

import pytest

from gateway.config.tree import Rooms
from gateway.config.values import Duration
from tests.scenario.house import House
from tests.scenario.patterns import ACCEPT
from tests.scenario.test_rooms import MUC_USER, PHONE, _ask, _codes, _received
from tests.scenario.test_stream import ALICE, running
from tests.stalls import Stalls

_ME = {"user": "alice", "name": "Alice"}


class _Client:
    """Sees a room as a client does."""

    def __init__(self) -> None:
        self.seen: dict[str, str] = {}
        """Nick and role."""
        self.unheard_of: list[str] = []
        """Nicks of whom a message came before a presence, or who went without having been."""

    def take(self, stanza: Element) -> None:
        nick = stanza.get("from", "").partition("/")[2]
        item = stanza.find(f"{MUC_USER}x/{MUC_USER}item")
        if stanza.tag == f"{ACCEPT}message":
            if nick and nick not in self.seen:
                self.unheard_of.append(nick)
        elif stanza.get("type") == "unavailable":
            if "110" in _codes(stanza) and "303" not in _codes(stanza):
                self.seen.clear()
            elif self.seen.pop(nick, None) is None:
                self.unheard_of.append(nick)
        elif item is not None:
            self.seen[nick] = item.get("role", "")


def _room(house: House, members: dict[str, str]) -> None:
    listed = [{"user": user, "name": name} for user, name in members.items()]
    house.network.event("alice", "room", room="!club", name="Club", members=listed)


async def _enter(house: House, members: dict[str, str], session: str = PHONE) -> _Client:
    _room(house, members)
    await house.clock.settle()
    (row,) = house.query("SELECT localpart FROM address WHERE remote_id = '!club'")
    _received(house)
    return await _join(house, f"{row[0]}@net.example", session)


async def _join(house: House, room: str, session: str) -> _Client:
    house.server.send(
        f"<presence from='{session}' to='{room}/Alice'><x xmlns='http://jabber.org/protocol/muc'>"
        "<history maxstanzas='0'/></x></presence>"
    )
    await house.clock.settle()
    client = _Client()
    for stanza in _received(house):
        client.take(stanza)
    return client


@pytest.mark.parametrize("seed", range(6))
async def test_req_554_what_a_client_sees_is_what_there_is(house: House, seed: int) -> None:
    """At random: members come, change and go, speak and moderate, around the number from which on
    a group is large; devices come and go. No ghosts, and nobody speaks who was never seen."""
    house.options.rooms = Rooms(shown_members=5, shown_speakers=2)
    chance = random.Random(seed)
    await running(house)
    people = {"alice": "Alice", "bob": "Bob"}
    clients = {PHONE: await _enter(house, people)}
    (row,) = house.query("SELECT localpart FROM address WHERE remote_id = '!club'")
    room, admins = f"{row[0]}@net.example", set[str]()
    for number in range(200):
        if chance.random() < 0.1:
            await _come_or_go(house, room, clients, f"{ALICE}/{chance.choice(['phone', 'pc'])}")
        else:
            _something_happens(house, chance, people, admins, number)
        await house.clock.advance(1)
        for stanza in _received(house):
            if (client := clients.get(stanza.get("to", ""))) is not None:
                client.take(stanza)
        shown = {nick for (nick,) in house.query("SELECT nick FROM member WHERE shown")}
        for session, client in clients.items():
            assert not client.unheard_of, (number, session, client.unheard_of)
            assert set(client.seen) == shown, (number, session)
        assert {"Alice", *(people[one] for one in admins)} <= shown
        if clients and len(people) <= 5:
            assert len(shown) == len(people)


async def _come_or_go(house: House, room: str, clients: dict[str, _Client], session: str) -> None:
    if clients.pop(session, None) is None:
        clients[session] = await _join(house, room, session)
    else:
        house.server.send(f"<presence from='{session}' to='{room}/Alice' type='unavailable'/>")


def _something_happens(
    house: House, chance: random.Random, people: dict[str, str], admins: set[str], number: int
) -> None:
    who = f"p{chance.randrange(9)}"
    match chance.randrange(8):
        case 0 | 1 | 2:
            people[who] = f"{who} {chance.choice('abc')}"
            admins.discard(who)
            if chance.random() < 0.1:
                admins.add(who)
            rank = "admin" if who in admins else "member"
            member = {"user": who, "name": people[who], "affiliation": rank}
            house.network.event("alice", "member", room="!club", member=member)
        case 3 | 4:
            people.pop(who, None)
            admins.discard(who)
            house.network.event("alice", "member-gone", room="!club", user=who)
        case 5 if who in people:
            said = {"room": "!club", "sender": who, "id": f"m{number}", "body": "hello"}
            house.network.event("alice", "room-message", **said)
        case 6 if who in people:
            about = {"message": f"m{chance.randrange(number + 1)}", "emoji": "\N{HOT BEVERAGE}"}
            reaction = {"room": "!club", "sender": who, "id": f"r{number}", **about}
            house.network.event("alice", "room-reaction", **reaction)
        case 7:
            admins.clear()
            _room(house, people)


async def test_req_553_who_is_online_is_there(house: House) -> None:
    """As many as there is place for beside those who speak."""
    house.options.rooms = Rooms(shown_members=5, shown_speakers=2)
    await running(house)
    house.network.shows("alice", "p0", availability="unavailable")
    for number in (2, 3, 5, 7):
        house.network.shows("alice", f"p{number}", availability="away")
    house.network.shows("alice", "stranger", availability="available")
    await house.clock.settle()
    client = await _enter(house, {"alice": "Alice", **{f"p{n}": f"P{n}" for n in range(9)}})
    assert set(client.seen) == {"Alice", "P2", "P3", "P5"}


async def test_req_553_who_has_spoken_today_is_there(house: House) -> None:
    house.options.rooms = Rooms(shown_speakers=3)
    people = {"alice": "Alice"} | {f"p{number}": f"P {number}" for number in range(300)}
    await running(house)
    client = await _enter(house, people)
    assert set(client.seen) == {"Alice"}
    (row,) = house.query("SELECT localpart FROM address WHERE remote_id = '!club'")
    room = f"{row[0]}@net.example"
    for hours, who in ((0, "p1"), (23, "p2"), (1, "p3"), (1, "p4"), (1, "p5"), (1, "p6")):
        await house.clock.advance(hours * 3600)
        said = {"room": "!club", "sender": who, "id": who, "body": "hello"}
        house.network.event("alice", "room-message", **said)
        house.server.send(f"<presence from='{PHONE}' to='{room}/Alice'/>")  # it is still there
        await house.clock.settle()
    _received(house)
    # While somebody is in nobody goes, and whoever comes then sees the same.
    laptop = await _join(house, room, f"{ALICE}/laptop")
    assert set(laptop.seen) == {"Alice", *(f"P {number}" for number in range(1, 7))}
    for device in ("phone", "laptop"):
        house.server.send(
            f"<presence from='{ALICE}/{device}' to='{room}/Alice' type='unavailable'/>"
        )
    await house.clock.settle()
    _received(house)
    client = await _join(house, room, PHONE)
    assert set(client.seen) == {"Alice", "P 4", "P 5", "P 6"}
    house.server.send(f"<presence from='{PHONE}' to='{room}/Alice' type='unavailable'/>")
    await house.clock.advance(22.5 * 3600)
    _received(house)
    client = await _join(house, room, PHONE)
    assert set(client.seen) == {"Alice", "P 5", "P 6"}


async def test_req_553_the_admin_says_what_is_large(house: House) -> None:
    """What has changed meanwhile holds for the next who joins, in both directions."""
    people = {"alice": "Alice"} | {f"p{number}": f"P {number}" for number in range(9)}
    await running(house)
    client = await _enter(house, people)
    assert len(client.seen) == 10
    (row,) = house.query("SELECT localpart FROM address WHERE remote_id = '!club'")
    room = f"{row[0]}@net.example"
    for number, hours in ((1, 2), (2, 2), (3, 0)):
        said = {"room": "!club", "sender": f"p{number}", "id": f"m{number}", "body": "hello"}
        house.network.event("alice", "room-message", **said)
        await house.clock.advance(hours * 3600)
    hour = Duration(3600)
    for rooms, seen in (
        (Rooms(shown_members=9), {"Alice", "P 1", "P 2", "P 3"}),
        (Rooms(shown_members=9, spoken_within=hour), {"Alice", "P 3"}),
        (Rooms(shown_members=10), {"Alice", *(f"P {number}" for number in range(9))}),
    ):
        house.server.send(f"<presence from='{PHONE}' to='{room}/Alice' type='unavailable'/>")
        await house.clock.settle()
        await house.stop()
        house.options.rooms = rooms
        await running(house)
        _received(house)
        assert set((await _join(house, room, PHONE)).seen) == seen


async def test_req_541_the_number_of_members_is_the_real_one(house: House) -> None:
    people = {"alice": "Alice"} | {f"p{number}": f"P {number}" for number in range(300)}
    await running(house)
    await _enter(house, people)
    assert await _occupants(house) == "301"


async def test_req_541_543_the_network_may_count_more_than_it_names(house: House) -> None:
    """Another number is no change of the room."""
    await running(house)
    await _enter(house, {"alice": "Alice", "p1": "P 1"})
    for people, told in ((4321, "4321"), (4322, "4322"), (1, "2"), (-1, "2"), (None, "2")):
        _received(house)
        house.network.event("alice", "room", room="!club", name="Club", people=people)
        await house.clock.settle()
        assert _received(house) == []
        assert await _occupants(house) == told


async def _occupants(house: House) -> str | None:
    """How many are in the room, as it says itself."""
    (row,) = house.query("SELECT localpart FROM address WHERE remote_id = '!club'")
    question = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
    (answer,) = await _ask(house, f"{row[0]}@net.example", question, "get")
    fields = {
        field.get("var"): field.findtext("{jabber:x:data}value")
        for field in answer.iter("{jabber:x:data}field")
    }
    return fields["muc#roominfo_occupants"]


async def test_req_554_whoever_was_silent_for_longest_makes_room(house: House) -> None:
    house.options.rooms = Rooms(shown_members=3)
    people = {"alice": "Alice"} | {f"p{number}": f"P {number}" for number in range(9)}
    await running(house)
    client = await _enter(house, people)
    for number in (1, 2, 3, 1, 4, 5):
        await house.clock.advance(1)
        said = {"sender": f"p{number}", "id": f"m{house.clock.now()}", "body": "hello"}
        house.network.event("alice", "room-message", room="!club", **said)
        await house.clock.settle()
    told = _received(house)
    for stanza in told:
        client.take(stanza)
    assert set(client.seen) == {"Alice", "P 1", "P 4", "P 5"}
    (gone, _) = (stanza for stanza in told if stanza.get("type") == "unavailable")
    item = gone.find(f"{MUC_USER}x/{MUC_USER}item")
    assert item is not None
    assert (item.get("affiliation"), item.get("role")) == ("member", "none")


async def test_req_554_room_is_made_for_several_at_once(house: House) -> None:
    """People who leave are noise: a tenth of those who are shown go together, and not one for each
    who speaks."""
    house.options.rooms = Rooms(shown_members=30)
    people = {"alice": "Alice"} | {f"p{number}": f"P {number}" for number in range(60)}
    await running(house)
    client = await _enter(house, people)
    gone = []
    for number in range(40):
        await house.clock.advance(1)
        said = {"sender": f"p{number}", "id": f"m{number}", "body": "hello"}
        house.network.event("alice", "room-message", room="!club", **said)
        await house.clock.settle()
        told = _received(house)
        gone.append(sum(stanza.get("type") == "unavailable" for stanza in told))
        for stanza in told:
            client.take(stanza)
    assert not client.unheard_of
    assert [number for number in gone if number] == [3] * 4
    assert "P 39" in client.seen
    assert len(client.seen) <= 31


async def test_req_554_a_thousand_come_and_go(house: House) -> None:
    """As when a network falls apart and comes together again. Nothing is told of those who are not
    shown, and nobody has to wait for it."""
    people = {"alice": "Alice"} | {f"p{number}": f"P {number}" for number in range(100)}
    await running(house)
    client = await _enter(house, people)
    assert len(client.seen) == 101
    crowd = [f"q{number}" for number in range(1000)]
    with Stalls(0.05) as stalls:
        for who in crowd:
            member = {"user": who, "name": who}
            house.network.event("alice", "member", room="!club", member=member)
        await house.clock.advance(5)
        came = _received(house)
        for who in crowd:
            house.network.event("alice", "member-gone", room="!club", user=who)
        await house.clock.advance(5)
        went = _received(house)
    assert not stalls.found
    assert len(came) == 99
    for stanza in (*came, *went):
        client.take(stanza)
    assert len(client.seen) == 101
    assert not client.unheard_of
