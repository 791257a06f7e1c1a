# SPDX-License-Identifier: Apache-2.0
"""How much there is in an archive, beside each page of it (XEP-0059 §2.7)."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.scenario.house import House, Options
from tests.scenario.test_room_history import _before
from tests.scenario.test_room_speech import _settled, _tell
from tests.scenario.test_rooms import RSM, _ask, _bodies, _club, _end, _query, _says
from tests.scenario.test_shared_rooms import USERS, Town
from tests.scenario.test_stream import ALICE


async def _count(house: House, room: str, query: str) -> int | None:
    found = (await _ask(house, room, query))[-1].findtext(f".//{RSM}count")
    return None if found is None else int(found)


async def _all_is_there(house: House, room: str) -> None:
    """The network has no more of it."""
    await _ask(house, room, _query("<max>100</max><before/>"))


async def test_req_581_the_count_is_that_of_all_pages(house: House) -> None:
    room = await _club(house, *(f"text {number}" for number in range(25)))
    await house.clock.advance(100)
    for number in range(5):
        _says(house, "alice", f"late {number}", f"a{number}")
    await _settled(house)
    await _all_is_there(house, room)
    assert await _count(house, room, _query("<max>10</max>")) == 30
    page = await _ask(house, room, _query("<max>10</max><before/>"))
    assert len(_bodies(page)) == 10
    before = f"<max>10</max><before>{_end(page, 'first')}</before>"
    assert await _count(house, room, _query(before)) == 30
    middle = _end(page, "first")
    for field, expected in (
        (("start", "2026-01-01T00:00:50Z"), 5),
        (("end", "2026-01-01T00:00:50Z"), 25),
        (("start", "2027-01-01T00:00:00Z"), 0),
        (("with", f"{room}/Alice"), 5),
        (("with", f"{room}/Nobody"), 0),
        (("after-id", middle), 9),
        (("before-id", middle), 20),
        (("ids", middle), 1),
    ):
        assert await _count(house, room, _query("<max>3</max>", field)) == expected, field
    assert await _count(house, room, _query("<max>0</max>")) == 30
    assert _bodies(await _ask(house, room, _query("<max>0</max>"))) == []


async def test_req_581_what_one_does_not_want_does_not_count(house: House) -> None:
    room = await _club(house, "one", "two")
    _tell(house, "notice", id="n1", text="Bob came.", is_important=False)
    await _settled(house)
    await _all_is_there(house, room)
    assert await _count(house, room, _query()) == 2
    await house.change_setting(ALICE, "room_lines", "all")
    assert await _count(house, room, _query()) == 3


@pytest.mark.parametrize(("count", "expected"), [(1000, 1000), (1001, None)])
async def test_req_581_what_would_take_long_is_not_counted(
    house: House, count: int, expected: int | None
) -> None:
    room = await _club(house, "one")
    await _all_is_there(house, room)
    await house.stop()
    db = sqlite3.connect(house.folder / "gateway.db")
    db.execute(
        "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
        " INSERT INTO archived (room, archive_id, sender, sent_at, stored_at, payload)"
        " SELECT room, 'copy ' || i, sender, sent_at, stored_at, payload FROM archived, n",
        (count,),
    )
    db.commit()
    db.close()
    await house.start()
    await house.connected()
    await house.clock.settle()
    assert await _count(house, room, _query("<max>2</max>")) == expected
    after = ("after-id", "copy 990")
    assert await _count(house, room, _query("<max>2</max>", after)) == count - 990


async def test_req_581_584_what_is_not_fetched_yet_is_not_counted(house: House) -> None:
    for number in range(250):
        _before(house, f"before {number}")
    room = await _club(house, "now")
    page = await _ask(house, room, _query("<max>10</max><before/>"))
    assert page[-1].findtext(f".//{RSM}count") is None
    after = ("after-id", _end(page, "first"))
    assert await _count(house, room, _query("<max>5</max>", after)) == 9


async def test_req_581_585_in_a_shared_room_each_has_their_own(tmp_path: Path) -> None:
    async with House(tmp_path, Options(adapter="trusted")) as house:
        town = await Town(house).begin()
        town.says(("alice", "carol"), "bob", "one", "m1")
        town.says(("alice", "carol"), "bob", "two", "m2")
        await town.settle()
        await house.link(USERS["dave"], "dave")
        town.members.append("dave")
        town.describe("dave")
        await town.settle()
        town.says(("alice", "carol", "dave"), "bob", "three", "m3")
        await town.settle()
        for who, expected in (("alice", "3"), ("dave", "1")):
            answers = []
            for page in ("<max>50</max><before/>", "<max>1</max>"):
                house.server.send(
                    f"<iq type='set' id='m' from='{USERS[who]}/phone' to='{town.room}'>"
                    f"{_query(page)}</iq>"
                )
                answers = (await town.settle())[who]
            assert answers[-1].findtext(f".//{RSM}count") == expected
