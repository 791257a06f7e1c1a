# SPDX-License-Identifier: Apache-2.0
"""Subjects of rooms in their archives."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import pytest

from tests.scenario.house import GATEWAY, House, Options
from tests.scenario.patterns import ACCEPT
from tests.scenario.test_room_enclosures import _archived, _xml
from tests.scenario.test_room_history import _add, _back, _before
from tests.scenario.test_room_speech import CLIENT, SID, _settled
from tests.scenario.test_rooms import MEMBERS, MUC_USER, PHONE, _ask, _club, _join, _query, _says
from tests.scenario.test_shared_rooms import USERS, Town, _groupchat

_OCCUPANT_ID = "{urn:xmpp:occupant-id:0}occupant-id"
_DELAY = "{urn:xmpp:delay}delay"


def _describe(house: House, topic: str, by: str = "bob", **fields: Any) -> None:
    about = {"topic": topic, "topic_by": by, "topic_at": house.clock.now(), **fields}
    house.network.event("alice", "room", room="!club", name="Club", members=MEMBERS, **about)


async def _changed(house: House, topic: str, **fields: Any) -> Element:
    """What a session is told of another topic."""
    _describe(house, topic, **fields)
    (told,) = [each for each in await _settled(house) if each.find(f"{ACCEPT}subject") is not None]
    return told


def _subjects(messages: list[Element]) -> list[str | None]:
    return [each.findtext(f"{CLIENT}subject") for each in messages]


@pytest.mark.parametrize("is_private", [True, False])
async def test_req_582_each_change_of_the_subject_is_in_the_archive_as_it_was(
    house: House, is_private: bool
) -> None:
    room = await _club(house)
    _describe(house, "Tea", is_private=is_private)
    await _join(house, room)
    await house.clock.advance(5)
    live = []
    for topic, by in (("Cake", "bob"), ("", "alice"), ("Cake", "bob")):
        live.append(await _changed(house, topic, by=by, is_private=is_private))
        await house.clock.advance(5)
    assert [each.get("from") for each in live] == [f"{room}/{n}" for n in ("Bob", "Alice", "Bob")]
    for told in live:
        assert told.find(f"{ACCEPT}body") is None
        assert told.find(_OCCUPANT_ID) is not None
        assert told.find(_DELAY) is None
    assert len({told.get("id") for told in live}) == 3
    ids = [told.find(SID) for told in live]
    assert len({found.get("id") for found in ids if found is not None}) == 3
    kept = (await _archived(house, room))[-3:]
    assert _subjects(kept) == ["Cake", "", "Cake"]
    for told, archived in zip(live, kept, strict=True):
        x = archived.find(f"{MUC_USER}x")
        assert (x is not None) == is_private
        if x is not None:
            archived.remove(x)
        assert list(map(_xml, archived)) == list(map(_xml, told))
        assert (archived.get("id"), archived.get("from")) == (told.get("id"), told.get("from"))


async def test_req_582_under_the_nick_of_then(house: House) -> None:
    room = await _club(house)
    await _join(house, room)
    await _changed(house, "Cake")
    bob = {"user": "bob", "name": "Robert"}
    house.network.event("alice", "member", room="!club", member=bob)
    await _settled(house)
    (kept,) = await _archived(house, room)
    assert kept.get("from") == f"{room}/Bob"
    item = kept.find(f"{MUC_USER}x/{MUC_USER}item")
    assert item is not None
    assert item.get("jid") == f"bob@{GATEWAY}"


async def test_req_582_what_it_was_at_first_sight_is_no_change(house: House) -> None:
    await _club(house)
    about = {"topic": "Tea", "topic_by": "bob", "topic_at": house.clock.now() - 1000}
    house.network.event("alice", "room", room="!tea", name="Tea", members=MEMBERS, **about)
    await house.clock.settle()
    assert house.query("SELECT count(*) FROM archived") == [(0,)]


async def test_req_582_501_who_joins_is_told_of_the_last_one_alone(house: House) -> None:
    """After the history, in which there is none."""
    room = await _club(house)
    _says(house, "bob", "one", "m1")
    for topic in ("Tea", "Cake"):
        _describe(house, topic)
        await house.clock.advance(5)
    _says(house, "bob", "two", "m2")
    await house.clock.settle()
    told = [each for each in await _join(house, room) if each.tag == f"{ACCEPT}message"]
    assert [each.findtext(f"{ACCEPT}body") for each in told] == ["one", "two", None]
    assert told[-1].findtext(f"{ACCEPT}subject") == "Cake"
    assert told[-1].find(SID) is None


async def test_req_582_564_nothing_can_be_made_of_a_subject(house: House) -> None:
    room = await _club(house)
    await _join(house, room)
    told = await _changed(house, "Cake")
    found = told.find(SID)
    assert found is not None
    house.server.send(
        f"<message type='groupchat' id='g1' from='{PHONE}' to='{room}'>"
        f"<reactions xmlns='urn:xmpp:reactions:0' id='{found.get('id')}'><reaction>👍</reaction>"
        "</reactions></message>"
    )
    (refused,) = await _settled(house)
    assert refused.get("type") == "error"


async def test_req_582_a_shared_room_has_it_once(tmp_path: Path) -> None:
    async with House(tmp_path, Options(adapter="trusted")) as house:
        town = await Town(house).begin()
        await town.both_join()
        about = {"topic": "Cake", "topic_by": "bob", "topic_at": house.clock.now()}
        for account in ("alice", "carol"):
            town.describe(account, **about)
        told = await town.settle()
        for who in ("alice", "carol"):
            (subject,) = _groupchat(told[who])
            assert subject.get("from") == f"{town.room}/Bob"
            assert subject.findtext(f"{ACCEPT}subject") == "Cake"
            iq = f"<iq type='set' id='m' from='{USERS[who]}/phone' to='{town.room}'>"
            house.server.send(f"{iq}<query xmlns='urn:xmpp:mam:2'/></iq>")
            page = (await town.settle())[who]
            kept = [found for each in page for found in each.iter(f"{CLIENT}message")]
            assert _subjects(kept) == ["Cake"]


async def test_req_582_584_subjects_of_the_past_are_fetched(house: House) -> None:
    past = {"type": "room-topic", "room": "!club"}
    now = house.clock.now()
    _add(house, {**past, "id": "t1", "by": "bob", "topic": "Tea", "sent_at": now - 2000})
    _before(house, "hello", ago_s=1000)
    _add(house, {**past, "id": "t2", "by": "carol", "topic": "", "sent_at": now - 500})
    room = await _club(house)
    _describe(house, "Cake")
    await _settled(house)
    found = [each.find(f".//{CLIENT}message") for each in await _back(house, room, 2)]
    kept = [each for each in found if each is not None]
    assert _subjects(kept) == ["Tea", None, "", "Cake"]
    assert kept[0].get("from") == f"{room}/Bob"


async def test_req_580_582_subjects_are_found_by_who_has_set_them(house: House) -> None:
    room = await _club(house)
    _describe(house, "Tea")
    await house.clock.advance(5)
    _describe(house, "Cake", by="alice")
    await _settled(house)
    page = await _ask(house, room, _query("", ("with", f"{room}/Alice")))
    assert _subjects([m for each in page for m in each.iter(f"{CLIENT}message")]) == ["Cake"]
