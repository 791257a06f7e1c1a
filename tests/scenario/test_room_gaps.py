# SPDX-License-Identifier: Apache-2.0
"""What is missing in the middle of a room's archive: fetched when somebody pages across it."""

from __future__ import annotations

import random
from typing import Any

import pytest

from gateway.bridge.rooms import history
from tests.scenario.house import House
from tests.scenario.test_room_history import _about, _before, _stamps
from tests.scenario.test_rooms import (
    MAM,
    PHONE,
    _ask,
    _bodies,
    _club,
    _end,
    _is_complete,
    _join,
    _query,
    _received,
    _says,
)

LINE = "earlier messages were not fetched yet. They come when your app looks further back."


def _was_told(house: House, *ids: str) -> None:
    """The network has what was said live, too."""
    for id in ids:
        _before(house, f"live {id}", id=id)


async def _gap(house: House, first: str = "g0") -> None:
    """The network cannot tell all that was said until now."""
    house.network.event("alice", "room-gap", room="!club", id=first)
    _says(house, "bob", "after", first)
    await house.clock.settle()
    _received(house)


async def _broken(house: House, count: int, *, old: int = 0) -> tuple[str, list[str]]:
    """A room in which so much is missing, and all that one finds who looks."""
    before = [f"old {number}" for number in range(old)]
    for body in before:
        _before(house, body, 5000.0)
    room = await _club(house, "one", "two")
    _was_told(house, "m0", "m1")
    missing = [f"missing {number}" for number in range(count)]
    await house.clock.advance(2000)
    for body in missing:
        _before(house, body, 1000.0)
    await _gap(house)
    _was_told(house, "g0")
    return room, [*before, "one", "two", *missing, LINE, "after"]


async def _all(house: House, room: str, size: int, *, back: bool) -> tuple[list[str], list[str]]:
    """Texts and ids, page by page."""
    bodies: list[str] = []
    ids: list[str] = []
    at = "<before/>" if back else ""
    for _ in range(1000):
        page = await _ask(house, room, _query(f"<max>{size}</max>{at}"))
        results = [found for each in page if (found := each.find(f"{MAM}result")) is not None]
        told = [result.get("id", "") for result in results]
        bodies = [*_bodies(page), *bodies] if back else [*bodies, *_bodies(page)]
        ids = [*told, *ids] if back else [*ids, *told]
        if _is_complete(page):
            return bodies, ids
        assert told, "neither more nor the end"
        at = f"<before>{told[0]}</before>" if back else f"<after>{told[-1]}</after>"
    raise AssertionError("there is no end")


@pytest.mark.parametrize("back", [True, False])
@pytest.mark.parametrize(
    ("count", "size", "page"), [(0, 10, 6), (3, 10, 6), (30, 7, 10), (9, 1, 2)]
)
async def test_req_583_what_is_missing_is_found_where_it_belongs(
    house: House, count: int, size: int, page: int, back: bool
) -> None:
    house.network.page = page
    room, expected = await _broken(house, count)
    bodies, ids = await _all(house, room, size, back=back)
    assert bodies == expected
    assert len(set(ids)) == len(ids)
    pages = house.network.pages
    for back_again in (True, False):
        assert await _all(house, room, 10, back=back_again) == (bodies, ids)
    assert house.network.pages <= pages + 1, "it is kept; what is before all is asked for once"
    await house.kill()
    await house.start()
    await house.connected()
    await house.clock.advance(5)
    _received(house)
    assert await _all(house, room, 10, back=True) == (bodies, ids)


async def test_req_583_the_order_is_that_of_who_looked_before(house: House) -> None:
    """Ids that somebody has keep their places while more is fetched."""
    house.network.page = 4
    room, expected = await _broken(house, 20, old=9)
    page = await _ask(house, room, _query("<max>6</max><before/>"))
    seen = _bodies(page)
    assert seen == expected[-6:]
    bodies, _ = await _all(house, room, 5, back=True)
    assert bodies == expected
    again = await _ask(house, room, _query(f"<max>6</max><after>{_end(page, 'first')}</after>"))
    assert _bodies(again) == expected[-5:]


async def test_req_583_two_gaps_are_two(house: House) -> None:
    room, expected = await _broken(house, 5)
    await house.clock.advance(2000)
    more = [f"more {number}" for number in range(5)]
    for body in more:
        _before(house, body)
    await _gap(house, "g1")
    _was_told(house, "g1")
    assert (await _all(house, room, 4, back=True))[0] == [*expected, *more, LINE, "after"]


async def test_req_583_what_a_gap_does_not_touch_waits_for_nothing(house: House) -> None:
    """Pages that lie before it or after it."""
    room, _ = await _broken(house, 5)
    page = await _ask(house, room, _query("<max>1</max><before/>"))
    assert _bodies(page) == ["after"]
    after = f"<after>{_end(page, 'first')}</after>"
    assert _bodies(await _ask(house, room, _query(after))) == []
    page = await _ask(house, room, _query("<max>2</max>"))
    assert _bodies(page) == ["one", "two"]
    before = f"<max>1</max><before>{_end(page, 'last')}</before>"
    assert _bodies(await _ask(house, room, _query(before))) == ["one"]
    assert house.network.pages == 0


async def test_req_584_without_a_connection_a_page_ends_at_the_gap(house: House) -> None:
    """And the next one goes on beyond it. What is missing is there later."""
    room, expected = await _broken(house, 5)
    await house.network.stop()
    await house.clock.settle()
    page = await _ask(house, room, _query("<before/>"))
    assert (_bodies(page), _is_complete(page)) == ([LINE, "after"], False)
    before = f"<before>{_end(page, 'first')}</before>"
    assert _bodies(await _ask(house, room, _query(before))) == ["one", "two"]
    page = await _ask(house, room, _query(""))
    assert (_bodies(page), _is_complete(page)) == (["one", "two"], False)
    after = f"<after>{_end(page, 'last')}</after>"
    assert _bodies(await _ask(house, room, _query(after))) == [LINE, "after"]
    await house.network.start()
    await house.clock.advance(700)
    _received(house)
    assert (await _all(house, room, 10, back=True))[0] == expected


async def test_req_583_what_was_said_while_the_account_was_out_is_there(house: House) -> None:
    room = await _club(house, "one")
    _was_told(house, "m0")
    house.network.event("alice", "member-gone", room="!club", user="alice")
    await house.clock.settle()
    await house.clock.advance(2000)
    missing = [f"missing {number}" for number in range(5)]
    for body in missing:
        _before(house, body)
    members = [{"user": name, "name": name.title()} for name in ("alice", "bob")]
    house.network.event("alice", "room", room="!club", name="Club", members=members)
    _says(house, "bob", "after", "g0")
    await house.clock.settle()
    _was_told(house, "g0")
    _received(house)
    bodies, _ = await _all(house, room, 10, back=True)
    assert bodies == ["one", *missing, "after"]


async def test_req_583_nothing_of_it_is_told_to_sessions(house: House) -> None:
    room, _ = await _broken(house, 5)
    await _join(house, room)
    marks = house.query("SELECT read_by_user, read_by_contact FROM conversation")
    page = await _ask(house, room, _query("<before/>"))
    assert {stanza.find(f"{MAM}result") is None for stanza in page[:-1]} == {False}
    await house.clock.advance(120)
    assert [stanza.tag for stanza in _received(house) if stanza.get("to") == PHONE] == []
    assert house.query("SELECT read_by_user, read_by_contact FROM conversation") == marks
    _says(house, "bob", "now", "n0")
    await house.clock.settle()
    (told,) = [each for each in _received(house) if each.get("to") == PHONE]
    assert told.findtext("{jabber:component:accept}body") == "now"


@pytest.mark.parametrize("page", [1, 2, 100])
async def test_req_583_what_is_said_about_it_reaches_across(house: House, page: int) -> None:
    """Reactions and edits in a gap, of what is in it and of what was said before it."""
    house.network.page = page
    room = await _club(house, "one", "two")
    _was_told(house, "m0", "m1")
    await house.clock.advance(2000)
    missing = _before(house, "tea?")
    _about(house, "room-reaction", {"id": "m0"}, sender="bob", emoji="👍")
    _about(house, "room-reaction", missing, sender="bob", emoji="👎")
    _before(house, "tea!", edits=missing["id"], ago_s=400)
    _before(house, "two!", edits="m1", ago_s=400)
    _before(house, "yes", reply_to="m0", ago_s=300)
    await _gap(house)
    _was_told(house, "g0")
    bodies, _ = await _all(house, room, 10, back=True)
    assert bodies == ["one", "two", "tea?", "tea!", "two!", "> Bob: one\nyes", LINE, "after"]
    results = await _ask(house, room, _query("<before/>"))
    emoji = [e.text for each in results for e in each.iter("{urn:xmpp:reactions:0}reaction")]
    assert sorted(filter(None, emoji)) == ["👍", "👎"]
    assert house.query("SELECT count(*) FROM early") == [(0,)]


async def test_req_580_times_hold_across_a_gap(house: House) -> None:
    """Whatever the order of the times is by which people say they have spoken."""
    house.network.page = 2
    room = await _club(house, "one")
    _was_told(house, "m0")
    await house.clock.advance(2000)
    for body, ago_s in (("a", 900.0), ("b", 5000.0), ("c", 700.0), ("d", 1100.0), ("e", -800.0)):
        _before(house, body, ago_s)
    await _gap(house)
    _was_told(house, "g0")
    expected = ["one", *"abcde", LINE, "after"]
    results = await _ask(house, room, _query("<before/>"))
    assert _bodies(results) == expected
    stamps = _stamps(results)
    for stamp in stamps:
        page = await _ask(house, room, _query("", ("start", stamp)))
        due = [body for body, at in zip(expected, stamps, strict=True) if at >= stamp]
        assert _bodies(page) == due
    stored = [at for (at,) in house.query("SELECT stored_at FROM archived ORDER BY id")]
    assert stored == sorted(stored)


async def test_req_583_read_marks_know_the_order(house: House) -> None:
    """What was read before a gap does not cover it; what is read after it does."""
    room, expected = await _broken(house, 3)
    assert (await _all(house, room, 10, back=True))[0] == expected
    numbers = dict(house.query("SELECT remote_id, id FROM message WHERE remote_id IS NOT NULL"))
    ids = ["m0", "m1", *(said["id"] for said in house.network.past["!club"][2:5]), "g0"]
    assert [numbers[id] for id in ids] == sorted(numbers[id] for id in ids)


async def test_req_584_a_gap_has_an_end(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MOST", 20)
    house.network.page = 10
    room, expected = await _broken(house, 50)
    bodies, _ = await _all(house, room, 100, back=True)
    assert bodies[:2] == ["one", "two"]
    assert "not fetched" in bodies[2]
    assert bodies[3:] == expected[-len(bodies[3:]) :]
    assert 18 <= len([body for body in bodies if body.startswith("missing")]) <= 20


@pytest.mark.parametrize("pages", [0, 1, 2])
async def test_req_584_a_crash_in_a_gap_loses_and_doubles_nothing(
    house: House, pages: int
) -> None:
    house.network.page = 3
    room, expected = await _broken(house, 10)
    if pages:
        await _ask(house, room, _query(f"<max>{3 * pages}</max><before/>"))
    house.network.mute = True
    query = _query("<before/>")
    house.server.send(f"<iq type='set' id='q' from='{PHONE}' to='{room}'>{query}</iq>")
    await house.clock.settle()
    await house.kill()
    house.network.mute = False
    await house.start()
    await house.connected()
    await house.clock.advance(5)
    _received(house)
    assert (await _all(house, room, 10, back=True))[0] == expected


async def test_a_gap_that_is_told_again_after_a_crash_is_one(house: House) -> None:
    """Also if it is fetched already."""
    room = await _club(house, "one")
    _was_told(house, "m0")
    _before(house, "missing")
    house.network.event("alice", "room-gap", room="!club", id="g0")
    await _gap(house)
    _was_told(house, "g0")
    assert house.query("SELECT count(*) FROM gap WHERE top > 0") == [(1,)]
    expected = ["one", "missing", LINE, "after"]
    assert (await _all(house, room, 10, back=True))[0] == expected
    pages = house.network.pages
    house.network.event("alice", "room-gap", room="!club", id="g0")
    await house.clock.settle()
    assert (await _all(house, room, 10, back=True))[0] == expected
    assert house.network.pages == pages


@pytest.mark.parametrize("seed", range(8))
async def test_req_583_whoever_looks_gets_each_message_once(house: House, seed: int) -> None:
    """Pages of any size, back and forth, with gaps of any size, in any order."""
    chance = random.Random(seed)
    house.network.page = chance.choice((1, 3, 10, 50))
    expected: list[Any] = ["one"]
    room = await _club(house, "one")
    _was_told(house, "m0")
    for number in range(chance.randrange(1, 4)):
        await house.clock.advance(2000)
        for count in range(chance.randrange(8)):
            expected.append(f"missing {number} {count}")
            _before(house, expected[-1])
        await _gap(house, f"g{number}")
        _was_told(house, f"g{number}")
        expected += [LINE, "after"]
        if chance.random() < 0.5:
            await _ask(house, room, _query(f"<max>{chance.randrange(1, 12)}</max><before/>"))
    for _ in range(2):
        size, back = chance.randrange(1, 12), chance.random() < 0.5
        assert (await _all(house, room, size, back=back))[0] == expected
