# SPDX-License-Identifier: Apache-2.0
"""How much of the past a session is told that joins (XEP-0045 §7.2.13)."""

from __future__ import annotations

import time
from xml.etree.ElementTree import Element, tostring

import pytest

from tests.scenario.house import House
from tests.scenario.patterns import ACCEPT
from tests.scenario.test_room_speech import _settled, _tell
from tests.scenario.test_rooms import PHONE, _club, _received

_MINUTE = 60.0


async def _room(house: House) -> str:
    """Six texts, a minute apart, the last one now. Alice's clock says 2026-01-01."""
    room = await _club(house)
    for number in range(6):
        if number:
            await house.clock.advance(_MINUTE)
        _tell(house, "message", sender="bob", id=f"m{number}", body=f"text {number}")
        _tell(house, "reaction", sender="bob", id=f"r{number}", message=f"m{number}", emoji="👍")
    await _settled(house)
    return room


async def _history(house: House, room: str, wanted: str) -> list[Element]:
    house.server.send(
        f"<presence from='{PHONE}' to='{room}/Alice'><x xmlns='http://jabber.org/protocol/muc'>"
        f"<history {wanted}/></x></presence>"
    )
    await house.clock.settle()
    told = [each for each in _received(house) if each.tag == f"{ACCEPT}message"]
    assert told[-1].find(f"{ACCEPT}subject") is not None
    return told[:-1]


def _numbers(told: list[Element]) -> list[int]:
    return [int((each.findtext(f"{ACCEPT}body") or "").rpartition(" ")[2]) for each in told]


def _ago(house: House, seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(house.clock.now() - seconds))


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("", [0, 1, 2, 3, 4, 5]),
        ("maxstanzas='2'", [4, 5]),
        ("maxstanzas='0'", []),
        ("maxchars='0'", []),
        ("since='{150}'", [3, 4, 5]),
        ("seconds='150'", [3, 4, 5]),
        ("since='{-10}'", []),
        ("seconds='0'", [5]),
        # Any combination: the least that meets all of them.
        ("maxstanzas='2' since='{150}'", [4, 5]),
        ("maxstanzas='4' since='{150}'", [3, 4, 5]),
        ("seconds='90' since='{150}'", [4, 5]),
        ("seconds='150' since='{90}'", [4, 5]),
        ("maxstanzas='3' seconds='9999999999999999999999'", [3, 4, 5]),
        ("maxstanzas='5' maxchars='0' seconds='500'", []),
        # What is no number, or no time with a zone, says nothing.
        ("maxstanzas='-2'", [0, 1, 2, 3, 4, 5]),
        ("maxstanzas='two' maxchars='' seconds='1.5' since='yesterday'", [0, 1, 2, 3, 4, 5]),
        ("since='2026-01-01T00:04:00'", [0, 1, 2, 3, 4, 5]),
        ("since='9999999999'", [0, 1, 2, 3, 4, 5]),
        ("maxstanzas='\uff12' seconds='150'", [3, 4, 5]),
    ],
)
async def test_req_509_as_much_of_the_past_as_is_wanted(
    house: House, wanted: str, expected: list[int]
) -> None:
    room = await _room(house)
    for seconds in (150, 90, -10):
        wanted = wanted.replace(f"{{{seconds}}}", _ago(house, seconds))
    assert _numbers(await _history(house, room, wanted)) == expected


async def test_req_509_what_is_too_old_does_not_count_for_how_many(house: House) -> None:
    """Also where it came late, between what is newer."""
    room = await _club(house)
    now = house.clock.now()
    for number, ago_s in enumerate((500, 20, 500, 10, 500, 500)):
        _tell(
            house,
            "message",
            sender="bob",
            id=f"m{number}",
            body=f"text {number}",
            sent_at=now - ago_s,
        )
    await _settled(house)
    for wanted, expected in (
        ("maxstanzas='2' seconds='100'", [1, 3]),
        ("maxstanzas='1' seconds='100'", [3]),
        ("maxstanzas='2'", [4, 5]),
    ):
        assert _numbers(await _history(house, room, wanted)) == expected


async def test_req_509_characters_are_those_of_whole_stanzas(house: House) -> None:
    """And no stanza is cut. The texts alone are six characters each."""
    room = await _room(house)
    told = await _history(house, room, "maxchars='100000'")
    assert _numbers(told) == [0, 1, 2, 3, 4, 5]
    length = len(tostring(told[-1], encoding="unicode"))  # within a few dozen characters
    for chars, expected in (
        (3 * length, [3, 4, 5]),
        (2 * length, [4, 5]),
        (length // 2, []),
        (50, []),
    ):
        found = _numbers(await _history(house, room, f"maxchars='{chars}'"))
        assert found == expected, (chars, length)
