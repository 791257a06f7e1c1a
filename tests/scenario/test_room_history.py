# SPDX-License-Identifier: Apache-2.0
"""What was said in a room before the account was linked: fetched when somebody asks for it."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from typing import Any
from xml.etree.ElementTree import Element

import pytest

from gateway.bridge.rooms import history
from tests.scenario.house import House
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

TABLET = PHONE.replace("phone", "tablet")
_ids = itertools.count()


def _before(house: House, body: str, ago_s: float = 1000.0, **fields: Any) -> dict[str, Any]:
    """Bob has said something before alice came."""
    said = {
        "type": "room-message",
        "room": "!club",
        "sender": "bob",
        "id": f"past{next(_ids)}",
        "body": body,
        "sent_at": house.clock.now() - ago_s,
        **fields,
    }
    return _add(house, said)


def _about(house: House, kind: str, message: dict[str, Any], **fields: Any) -> dict[str, Any]:
    sent_at = house.clock.now() - 500
    known = {"type": kind, "room": "!club", "id": f"past{next(_ids)}", "sent_at": sent_at}
    return _add(house, {**known, "message": message["id"], **fields})


def _add(house: House, event: dict[str, Any]) -> dict[str, Any]:
    house.network.past["!club"].append(event)
    return event


async def _back(house: House, room: str, size: int, *fields: tuple[str, str]) -> list[Element]:
    """All that one gets who pages back to the beginning, in its order."""
    results: list[Element] = []
    page = await _ask(house, room, _query(f"<max>{size}</max><before/>", *fields))
    for _ in range(1000):
        results = page[:-1] + results
        if _is_complete(page):
            return results
        assert len(page) > 1, "neither more nor the end"
        before = f"<max>{size}</max><before>{_end(page, 'first')}</before>"
        page = await _ask(house, room, _query(before, *fields))
    raise AssertionError("there is no end")


def _children(results: Sequence[Element], name: str) -> list[Element]:
    return [found for result in results for found in result.iter(name)]


def _stamps(results: Sequence[Element]) -> list[str]:
    return [found.get("stamp", "") for found in _children(results, "{urn:xmpp:delay}delay")]


@pytest.mark.parametrize(("count", "live"), [(0, 0), (1, 0), (7, 2), (35, 0), (35, 13)])
async def test_req_584_who_pages_back_gets_what_was_said_before(
    house: House, count: int, live: int
) -> None:
    past = [f"before {number}" for number in range(count)]
    for body in past:
        _before(house, body)
    house.network.page = 6
    now = [f"now {number}" for number in range(live)]
    room = await _club(house, *now)
    assert house.network.pages == 0, "nobody has asked yet"
    assert _bodies(await _back(house, room, 10)) == past + now
    pages = house.network.pages
    assert _bodies(await _back(house, room, 10)) == past + now
    assert house.network.pages == pages, "it is kept"


async def test_req_584_an_empty_archive_begins_with_what_the_network_has(house: House) -> None:
    for number in range(120):
        _before(house, f"before {number}")
    room = await _club(house)
    page = await _ask(house, room, _query("<max>20</max>"))
    assert _bodies(page) == [f"before {number}" for number in range(20, 40)]
    assert not _is_complete(page)


async def test_req_584_nothing_of_it_is_told_to_sessions(house: House) -> None:
    said = _before(house, "before")
    _about(house, "room-reaction", said, sender="carol", emoji="👍")
    room = await _club(house, "now")
    await _join(house, room)
    before = house.query("SELECT read_by_user, read_by_contact FROM conversation")
    page = await _ask(house, room, _query("<before/>"))
    assert _bodies(page) == ["before", "now"]
    assert {stanza.find(f"{MAM}result") is None for stanza in page[:-1]} == {False}
    await house.clock.advance(120)
    assert [stanza.tag for stanza in _received(house) if stanza.get("to") == PHONE] == []
    assert house.query("SELECT count(*) FROM inbound WHERE state < 2") == [(0,)]
    assert house.query("SELECT read_by_user, read_by_contact FROM conversation") == before
    joined = await _join(house, room, TABLET)
    nicks = {stanza.get("from", "").partition("/")[2] for stanza in joined}
    assert "carol" not in nicks, "who has left is no occupant by it"


async def test_req_584_a_network_that_does_not_answer_costs_ten_seconds(house: House) -> None:
    _before(house, "before")
    room = await _club(house, "now")
    house.network.faults.append({"silent": "before"})
    house.network.mute = True
    house.server.send(
        f"<iq type='set' id='q' from='{PHONE}' to='{room}'>{_query('<before/>')}</iq>"
    )
    await house.clock.advance(9)
    assert not [stanza for stanza in _received(house) if stanza.get("to") == PHONE]
    await house.clock.advance(1.5)
    page = [stanza for stanza in _received(house) if stanza.get("to") == PHONE]
    assert _bodies(page) == ["now"]
    assert not _is_complete(page)


async def test_req_584_without_a_connection_there_is_what_is_kept(house: House) -> None:
    _before(house, "before")
    room = await _club(house, "now")
    await house.network.stop()
    await house.clock.settle()
    page = await _ask(house, room, _query("<before/>"))
    assert (_bodies(page), _is_complete(page)) == (["now"], False)
    await house.network.start()
    await house.clock.advance(700)
    _received(house)
    page = await _ask(house, room, _query("<before/>"))
    assert (_bodies(page), _is_complete(page)) == (["before", "now"], True)


async def test_req_584_a_page_that_failed_is_asked_for_again(house: House) -> None:
    _before(house, "before")
    room = await _club(house, "now")
    house.network.faults.append({"error": "transient", "text": "Not now."})
    page = await _ask(house, room, _query("<before/>"))
    assert (_bodies(page), _is_complete(page)) == (["now"], False)
    page = await _ask(house, room, _query("<before/>"))
    assert (_bodies(page), _is_complete(page)) == (["before", "now"], True)


async def test_req_584_devices_wait_for_the_same_page(house: House) -> None:
    _before(house, "before")
    room = await _club(house)
    for number, device in enumerate((PHONE, TABLET, PHONE)):
        query = _query("<before/>")
        house.server.send(
            f"<iq type='set' id='q{number}' from='{device}' to='{room}'>{query}</iq>"
        )
    await house.clock.settle()
    told = _received(house)
    assert _bodies(told) == ["before"] * 3
    assert house.network.pages == 1


async def test_req_586_a_device_waits_for_two_pages_at_most(house: House) -> None:
    room = await _club(house, "now")
    house.network.mute = True
    for number in range(3):
        query = _query("<before/>")
        house.server.send(f"<iq type='set' id='q{number}' from='{PHONE}' to='{room}'>{query}</iq>")
    await house.clock.settle()
    (refused,) = [stanza for stanza in _received(house) if stanza.tag.endswith("iq")]
    constraint = ".//{urn:ietf:params:xml:ns:xmpp-stanzas}resource-constraint"
    assert (refused.get("id"), refused.find(constraint) is None) == ("q2", False)
    await house.clock.advance(11)
    answers = [stanza.get("id") for stanza in _received(house) if stanza.tag.endswith("iq")]
    assert answers == ["q0", "q1"]


async def test_req_584_who_asks_for_newer_ones_waits_for_nothing(house: House) -> None:
    _before(house, "before")
    room = await _club(house, "one", "two")
    start = ("start", "2026-01-01T00:00:00Z")
    page = await _ask(house, room, _query("<before/>", start))
    assert (_bodies(page), _is_complete(page)) == (["one", "two"], True)
    page = await _ask(house, room, _query("<max>10</max>"))
    assert (_bodies(page), _is_complete(page)) == (["one", "two"], True)
    after = f"<after>{_end(page, 'first')}</after>"
    assert _bodies(await _ask(house, room, _query(after))) == ["two"]
    assert house.network.pages == 0


@pytest.mark.parametrize("seed", range(12))
async def test_req_583_each_message_is_on_one_page_while_more_is_fetched(
    house: House, seed: int
) -> None:
    """Two devices page through the archive, one back and one forth, in pages of 10; what is
    fetched for the one, and what is said meanwhile, is in the way of neither."""
    chance = random.Random(seed)
    house.network.page = chance.choice((1, 3, 10, 17))
    past = [f"before {number}" for number in range(chance.randrange(45))]
    for body in past:
        _before(house, body, chance.choice((1000.0, 1000.0, 900.0, 1100.0)))
    now = [f"now {number}" for number in range(chance.randrange(25))]
    room = await _club(house, *now)
    forth: list[str] = []
    back: list[str] = []
    last = first = ""
    is_forth_done = is_back_done = False
    later: list[str] = []
    seen: list[str] = []
    while not (is_forth_done and is_back_done):
        if not is_forth_done and (is_back_done or chance.random() < 0.5):
            after = f"<after>{last}</after>" if last else ""
            page = await _ask(house, room, _query(f"<max>10</max>{after}"))
            forth += _bodies(page)
            last = _end(page, "last") or last
            is_forth_done = _is_complete(page)
        elif not is_back_done:
            page = await _ask(house, room, _query(f"<max>10</max><before>{first}</before>"))
            if not first:
                seen = [*now, *later]
            back = _bodies(page) + back
            first = _end(page, "first") or first
            is_back_done = _is_complete(page)
        if chance.random() < 0.2 and len(later) < 5:
            later.append(f"later {len(later)}")
            _says(house, "bob", later[-1], f"later{len(later)}")
            await house.clock.settle()
            _received(house)
    assert back == past + seen
    everything = [*past, *now, *later]
    begin = everything.index(forth[0]) if forth else len(everything)
    assert forth == everything[begin : begin + len(forth)], "nothing twice, nothing left out"
    assert begin <= len(past)


async def test_req_583_what_is_known_is_not_placed_again(house: House) -> None:
    """The network's page begins with what has come live."""
    _before(house, "before")
    _before(house, "one", id="m0")
    _before(house, "two", id="m1")
    room = await _club(house, "one", "two")
    assert _bodies(await _back(house, room, 10)) == ["before", "one", "two"]


@pytest.mark.parametrize("page", [1, 2, 3, 100])
async def test_req_584_edits_and_reactions_reach_what_is_further_back(
    house: House, page: int
) -> None:
    """What is about a message comes after it, also when it was fetched before it."""
    house.network.page = page
    _before(house, "tee?", id="tea")
    no = _before(house, "no", reply_to="tea")
    _before(house, "tea?", edits="tea", ago_s=400)
    liked = _about(house, "room-reaction", no, sender="bob", emoji="👍")
    _about(house, "room-reaction", no, sender="bob", emoji="👎")
    _about(house, "room-retraction", liked, by="bob")
    _before(house, "the end")
    room = await _club(house)
    results = await _back(house, room, 10)
    messages = _children(results, "{jabber:client}message")
    ids = [message.get("id") for message in messages]
    texts = {message.findtext("{jabber:client}body", ""): message for message in messages}
    (edited,) = _children(results, "{urn:xmpp:message-correct:0}replace")
    assert edited.get("id") == texts["tee?"].get("id")
    assert ids.index(texts["tee?"].get("id")) < ids.index(texts["tea?"].get("id"))
    reacted = [message.find("{urn:xmpp:reactions:0}reactions") for message in messages]
    told = [[one.text for one in emoji] for emoji in reacted if emoji is not None]
    assert told == [["👍"], ["👍", "👎"], ["👎"]]
    (no_text,) = [text for text in texts if text.endswith("no")]
    first = next(number for number, emoji in enumerate(reacted) if emoji is not None)
    assert ids.index(texts[no_text].get("id")) < first
    assert house.query("SELECT count(*) FROM early") == [(0,)]


async def test_req_584_a_reply_names_what_was_fetched_after_it(house: House) -> None:
    house.network.page = 1
    _before(house, "tea?", id="tea")
    _before(house, "yes", reply_to="tea")
    room = await _club(house)
    await _back(house, room, 10)
    results = await _back(house, room, 10)
    assert _bodies(results) == ["tea?", "> Bob: tea?\nyes"]
    (reply,) = _children(results, "{urn:xmpp:reply:0}reply")
    result = results[0].find(f"{MAM}result")
    assert result is not None
    assert (reply.get("to"), reply.get("id")) == (f"{room}/Bob", result.get("id"))


async def test_req_584_what_was_taken_back_is_a_tombstone(house: House) -> None:
    gone = _before(house, "")
    _about(house, "room-retraction", gone, by="bob", reason="Oh")
    _before(house, "still here")
    room = await _club(house)
    results = await _back(house, room, 10)
    assert [body for body in _bodies(results) if body] == ["still here"]
    assert _children(results, "{urn:xmpp:message-retract:1}retracted")


async def test_req_584_what_cannot_be_read_is_a_line_until_it_can(house: House) -> None:
    secret = {"contact": "bob", "content": "{}", "needs": "k1", "reason": "Why."}
    known = {"type": "room-encrypted", "room": "!club", "id": "secret", "sent_at": 0.0}
    event = _add(house, {**known, **secret, "sent_at": house.clock.now() - 100})
    room = await _club(house, "now")
    await _join(house, room)
    (line, now) = _bodies(await _ask(house, room, _query("<before/>")))
    assert (line, now) == ("[Encrypted message. Why.]", "now")
    await house.clock.advance(120)
    _says(house, "bob", "a secret", event["id"])
    await house.clock.settle()
    assert not [told for told in _received(house) if told.tag.endswith("message")], "told live"
    assert _bodies(await _ask(house, room, _query("<before/>"))) == ["a secret", "now"]


async def test_req_584_it_has_an_end(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MOST", 20)
    house.network.page = 10
    for number in range(50):
        _before(house, f"before {number}")
    room = await _club(house)
    line, *bodies = _bodies(await _back(house, room, 100))
    assert "not fetched" in line
    assert bodies == [f"before {number}" for number in range(30, 50)]
    assert house.network.pages == 2


async def test_req_587_what_is_older_than_all_that_is_kept_is_not_fetched(house: House) -> None:
    house.network.page = 2
    year = 365 * 86_400.0
    for body, ago_s in (("a", 3 * year), ("b", 2 * year), ("c", 2 * year), ("d", year), ("e", 1)):
        _before(house, body, ago_s)
    room = await _club(house)
    assert _bodies(await _back(house, room, 10)) == ["d", "e"]
    assert house.network.pages == 2
    await house.clock.advance(86_400)
    assert _bodies(await _back(house, room, 10)) == ["d", "e"]


async def test_req_580_times_hold_for_the_past_too(house: House) -> None:
    """Whatever the order of the times is by which people say they have spoken."""
    for body, ago_s in (("a", 5000.0), ("b", 7000.0), ("c", 3000.0), ("d", 4000.0), ("e", 100.0)):
        _before(house, body, ago_s)
    house.network.page = 2
    room = await _club(house, "now")
    results = await _back(house, room, 10)
    assert _bodies(results) == ["a", "b", "c", "d", "e", "now"]
    stamps = _stamps(results)
    for stamp in stamps:
        page = await _ask(house, room, _query("", ("start", stamp)))
        assert _bodies(page) == [
            body for body, at in zip("abcde", stamps, strict=False) if at >= stamp
        ] + ["now"]


async def test_req_584_one_bad_event_costs_the_others_nothing(house: House) -> None:
    _before(house, "one")
    _before(house, "two", id="")
    _before(house, "three")
    room = await _club(house)
    bodies = _bodies(await _back(house, room, 10))
    assert bodies[0] == "one"
    assert "could not read" in bodies[1]
    assert bodies[2:] == ["three"]
    assert house.query("SELECT count(*) FROM dead_event") == [(1,)]
    house.logs[:] = [entry for entry in house.logs if entry["event"] != "dead_letter"]


@pytest.mark.parametrize("pages", [0, 1, 2])
async def test_req_584_a_crash_loses_and_doubles_nothing(house: House, pages: int) -> None:
    """While a page is fetched, with some of them committed."""
    house.network.page = 3
    past = [f"before {number}" for number in range(10)]
    for body in past:
        _before(house, body)
    room = await _club(house, "now")
    if pages:
        await _ask(house, room, _query(f"<max>{3 * pages}</max><before/>"))
    assert house.network.pages == pages
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
    assert _bodies(await _back(house, room, 10)) == [*past, "now"]
    assert house.network.pages == 4
