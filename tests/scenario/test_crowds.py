# SPDX-License-Identifier: Apache-2.0
"""Many who come and go at once: how fast sessions are told, and that they know the truth then."""

from __future__ import annotations

import random
from collections.abc import Iterable
from xml.etree.ElementTree import Element

import pytest

from gateway.config.tree import Rooms
from tests.scenario.house import House
from tests.scenario.patterns import ACCEPT
from tests.scenario.test_large_groups import _Client, _enter, _join, _room
from tests.scenario.test_rooms import PHONE, _codes, _received
from tests.scenario.test_stream import ALICE, running

_STEP_S = 0.1
_A_SECOND = 50
_LAPTOP = f"{ALICE}/laptop"


def _comes(house: House, who: str, name: str = "", room: str = "!club") -> None:
    member = {"user": who, "name": name or who.title()}
    house.network.event("alice", "member", room=room, member=member)


def _goes(house: House, who: str, room: str = "!club") -> None:
    house.network.event("alice", "member-gone", room=room, user=who)


def _says(house: House, who: str, message: str) -> None:
    house.network.event(
        "alice", "room-message", room="!club", sender=who, id=message, body="hello"
    )


def _crowd(number: int) -> list[str]:
    return [f"p{each}" for each in range(number)]


def _kinds(told: Iterable[tuple[float, Element]]) -> list[str]:
    return [stanza.get("type", "available") for _, stanza in told]


async def _watch(house: House, seconds: float) -> list[tuple[float, Element]]:
    """What comes within that time, and when."""
    await house.clock.settle()
    came = [(house.clock.monotonic(), stanza) for stanza in _received(house)]
    for _ in range(round(seconds / _STEP_S)):
        await house.clock.advance(_STEP_S)
        came += [(house.clock.monotonic(), stanza) for stanza in _received(house)]
    return came


def _most_in_a_second(told: list[tuple[float, Element]], session: str = PHONE) -> int:
    times = [
        at
        for at, stanza in told
        if stanza.tag == f"{ACCEPT}presence" and stanza.get("to") == session
    ]
    return max(sum(begin <= at < begin + 0.999 for at in times) for begin in times)


async def _clubs_address(house: House) -> str:
    (row,) = house.query("SELECT localpart FROM address WHERE remote_id = '!club'")
    return f"{row[0]}@net.example"


async def test_req_554_hundreds_are_invited_at_once(house: House) -> None:
    house.options.rooms = Rooms(shown_members=1000)
    await running(house)
    client = await _enter(house, {"alice": "Alice"})
    for who in _crowd(500):
        _comes(house, who)
    told = await _watch(house, 11)
    assert _most_in_a_second(told) == _A_SECOND
    for _, stanza in told:
        client.take(stanza)
    assert len(client.seen) == 501
    assert len(told) == 500
    assert house.query("SELECT count(*) FROM untold") == [(0,)]
    # Few are told at once.
    _comes(house, "bob")
    assert len(await _watch(house, 0)) == 1


async def test_req_554_a_netsplit(house: House) -> None:
    """Of those who are back before anybody was told that they had gone one presence is enough, of
    those who have come and gone none."""
    people = {"alice": "Alice"} | {who: who.title() for who in _crowd(150)}
    await running(house)
    client = await _enter(house, people)
    for who in _crowd(150):
        _goes(house, who)
    told = await _watch(house, 0)
    assert _kinds(told) == ["unavailable"] * _A_SECOND
    for who in _crowd(150):
        _comes(house, who)
    for number in range(20):
        _comes(house, f"q{number}")
        _goes(house, f"q{number}")
    told += await _watch(house, 10)
    assert _most_in_a_second(told) == _A_SECOND
    assert _kinds(told).count("unavailable") == _A_SECOND
    assert _kinds(told).count("available") == 150
    for _, stanza in told:
        client.take(stanza)
    assert set(client.seen) == set(people.values())
    assert not client.unheard_of


async def test_req_554_who_speaks_is_shown_before_that(house: House) -> None:
    """REQ-553: though there are many before them who have not been told yet."""
    await running(house)
    client = await _enter(house, {"alice": "Alice"})
    for who in _crowd(150):
        _comes(house, who)
    await house.clock.settle()
    assert len(_received(house)) == _A_SECOND
    _says(house, "p140", "m1")
    await house.clock.settle()
    presence, message = _received(house)
    assert presence.get("from", "").endswith("/P140")
    assert message.get("from") == presence.get("from")
    told = await _watch(house, 5)
    assert _most_in_a_second(told) == _A_SECOND
    assert len(told) == 150 - _A_SECOND - 1
    for stanza in (presence, message, *(stanza for _, stanza in told)):
        client.take(stanza)
    assert "P140" in client.seen


async def test_req_554_of_oneself_one_is_told_at_once(house: House) -> None:
    await running(house)
    await _enter(house, {"alice": "Alice"})
    for who in _crowd(150):
        _comes(house, who)
    await house.clock.settle()
    _received(house)
    me = {"user": "alice", "name": "Queen", "affiliation": "admin"}
    house.network.event("alice", "member", room="!club", member=me)
    await house.clock.settle()
    left, came = _received(house)
    assert left.get("from", "").endswith("/Alice")
    assert _codes(left) == {"110", "303"}
    assert came.get("from", "").endswith("/Queen")
    assert _codes(came) == {"110"}
    assert len(await _watch(house, 5)) == 150 - _A_SECOND


async def test_req_554_a_nick_that_somebody_else_takes(house: House) -> None:
    """Whoever is known under it goes first, also if they wait behind many others."""
    people = {"alice": "Alice"} | {who: who.title() for who in _crowd(120)}
    await running(house)
    client = await _enter(house, people)
    for who in _crowd(120):
        _goes(house, who)
    _comes(house, "q", "P119")
    _comes(house, "r", "P118")
    _says(house, "r", "m1")
    _says(house, "q", "m2")
    told = await _watch(house, 0)
    spoken = [stanza for _, stanza in told if stanza.tag == f"{ACCEPT}message"]
    assert [stanza.get("from", "").rpartition("/")[2] for stanza in spoken] == ["P118", "P119"]
    told += await _watch(house, 5)
    seen = [stanza for _, stanza in told if stanza.get("from", "").endswith("/P119")]
    assert [stanza.get("type", "") for stanza in seen] == ["unavailable", "", "groupchat"]
    for _, stanza in told:
        client.take(stanza)
    assert set(client.seen) == {"Alice", "P118", "P119"}
    assert not client.unheard_of


async def test_req_554_people_who_exchange_their_names(house: House) -> None:
    people = {"alice": "Alice"} | {who: who.title() for who in _crowd(100)}
    await running(house)
    client = await _enter(house, people)
    for number in range(100):  # so that the exchange is told as one
        _comes(house, f"p{number}", f"x{number}")
    for number in range(100):
        _comes(house, f"p{number}", f"P{99 - number}")
    told = await _watch(house, 10)
    assert _most_in_a_second(told) <= _A_SECOND
    for _, stanza in told:
        client.take(stanza)
    assert set(client.seen) == set(people.values())
    assert not client.unheard_of


async def test_req_554_all_rooms_of_a_session_count_together(house: House) -> None:
    """And nobody waits for somebody else's crowd."""
    await running(house)
    await house.link("carol@home.example", "carol")
    carol = "carol@home.example/phone"
    for account, session, room in (
        ("alice", PHONE, "!club"),
        ("alice", PHONE, "!other"),
        ("carol", carol, "!hers"),
    ):
        me = {"user": account, "name": account.title()}
        house.network.event(account, "room", room=room, name=room[1:], members=[me])
        await house.clock.settle()
        (row,) = house.query(f"SELECT localpart FROM address WHERE remote_id = '{room}'")
        await _join(house, f"{row[0]}@net.example", session)
    for who in _crowd(100):
        _comes(house, who)
        _comes(house, who, room="!other")
    house.network.event("carol", "member", room="!hers", member={"user": "bob", "name": "Bob"})
    told = await _watch(house, 0)
    assert len([stanza for _, stanza in told if stanza.get("to") == carol]) == 1
    told += await _watch(house, 5)
    assert _most_in_a_second(told) == _A_SECOND
    assert len(told) == 201


async def test_req_554_a_restart_loses_nothing(house: House) -> None:
    await running(house)
    client = await _enter(house, {"alice": "Alice"})
    await house.clock.advance(5)
    for who in _crowd(150):
        _comes(house, who)
    told = await _watch(house, 1)
    before = {stanza.get("from") for _, stanza in told}
    await house.kill()
    await house.start()
    await house.connected()
    told += await _watch(house, 5)
    for _, stanza in told:
        client.take(stanza)
    assert len(client.seen) == 151
    # What was under way comes again, and that is all.
    anew = [(at, stanza) for at, stanza in told if stanza.get("from") not in before]
    assert _most_in_a_second(anew) == _A_SECOND
    assert len(told) == 150 + len(before)


async def test_req_554_while_there_is_no_stream_nothing_piles_up(house: House) -> None:
    await running(house)
    client = await _enter(house, {"alice": "Alice"})
    await house.clock.advance(5)
    for who in _crowd(150):
        _comes(house, who)
    told = await _watch(house, 0)
    house.server.cut()
    for who in _crowd(150):
        _goes(house, who)
    for who in _crowd(10):
        _comes(house, who)
    await house.clock.settle()
    told += await _watch(house, 10)
    assert _most_in_a_second(told[_A_SECOND:]) == _A_SECOND  # what was on its way comes again
    for _, stanza in told:
        client.take(stanza)
    assert set(client.seen) == {"Alice", *(who.title() for who in _crowd(10))}
    assert len(told) <= 3 * _A_SECOND


async def test_req_554_while_our_server_does_not_read_nothing_piles_up(house: House) -> None:
    """What is told then is what is so then, and not all that was so meanwhile."""
    await running(house)
    client = await _enter(house, {"alice": "Alice"})
    house.component.stream._pressed(congested=True)
    for who in _crowd(150):
        _comes(house, who)
    await house.clock.advance(10)
    for who in _crowd(100):
        _goes(house, who)
    await house.clock.advance(10)
    house.component.stream._pressed(congested=False)
    told = await _watch(house, 5)
    assert len(told) == _A_SECOND
    assert _most_in_a_second(told) == _A_SECOND
    for _, stanza in told:
        client.take(stanza)
    assert set(client.seen) == {"Alice", *(who.title() for who in _crowd(150)[100:])}


@pytest.mark.parametrize("seed", range(4))
async def test_req_554_devices_that_join_meanwhile_know_the_same(house: House, seed: int) -> None:
    """At random, around the number from which on a group is large."""
    house.options.rooms = Rooms(shown_members=60, shown_speakers=10)
    chance = random.Random(seed)
    await running(house)
    people = {"alice": "Alice"}
    clients = {PHONE: await _enter(house, people)}
    room = await _clubs_address(house)
    for number in range(40):
        for _ in range(chance.choice([1, 30])):
            _anything(house, chance, people, number)
        await house.clock.advance(chance.choice([0, 0, 0.3]))
        _take(clients, _received(house))
        if chance.random() < 0.2:
            if clients.pop(_LAPTOP, None) is None:
                clients[_LAPTOP] = await _join(house, room, _LAPTOP)
            else:
                gone = f"<presence from='{_LAPTOP}' to='{room}/Alice' type='unavailable'/>"
                house.server.send(gone)
    await house.clock.advance(60)
    _take(clients, _received(house))
    shown = {nick for (nick,) in house.query("SELECT nick FROM member WHERE shown")}
    for session, client in clients.items():
        assert set(client.seen) == shown, session
        assert not client.unheard_of, session


def _take(clients: dict[str, _Client], told: list[Element]) -> None:
    for stanza in told:
        if (client := clients.get(stanza.get("to", ""))) is not None:
            client.take(stanza)


def _anything(house: House, chance: random.Random, people: dict[str, str], number: int) -> None:
    who = f"p{chance.randrange(80)}"
    match chance.randrange(6):
        case 0 | 1 | 2:
            people[who] = f"{who} {chance.choice('ab')}"
            _comes(house, who, people[who])
        case 3 | 4:
            people.pop(who, None)
            _goes(house, who)
        case 5 if who in people:
            _says(house, who, f"m{number} {chance.random()}")
    if chance.random() < 0.005:
        _room(house, people)
