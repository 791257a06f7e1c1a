# SPDX-License-Identifier: Apache-2.0
"""Lines of rooms about what happens there, as each user wants them."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.bridge.accounts.settings import RoomLines, Settings
from tests.scenario.house import House, Options
from tests.scenario.patterns import ACCEPT
from tests.scenario.test_room_enclosures import _archived
from tests.scenario.test_room_history import _add, _back
from tests.scenario.test_room_speech import CLIENT, _settled, _tell
from tests.scenario.test_rooms import (
    MAM,
    MUC_USER,
    _ask,
    _bodies,
    _club,
    _end,
    _is_complete,
    _join,
    _query,
)
from tests.scenario.test_shared_rooms import USERS, Town, _groupchat, _texts
from tests.scenario.test_stream import ALICE

PIN, JOIN = "A message was pinned.", "Eve has come in by a link."
_WANTED = {"all": [PIN, JOIN], "important": [PIN], "none": []}


def _happens(house: House) -> None:
    _tell(house, "notice", id="n1", text=PIN)
    _tell(house, "notice", id="n2", text=JOIN, is_important=False)


def test_req_577_what_is_important_is_told_to_who_has_set_nothing() -> None:
    assert Settings().room_lines is RoomLines.IMPORTANT


@pytest.mark.parametrize("wanted", list(_WANTED))
async def test_req_577_582_a_line_that_one_does_not_want_is_nowhere(
    house: House, wanted: str
) -> None:
    """Neither live, nor in the archive, nor for who joins; and what is missing is always said."""
    room = await _club(house, "hello")
    await house.change_setting(ALICE, "room_lines", wanted)
    await _join(house, room)
    _happens(house)
    _tell(house, "gap", id="a1")
    live = [each.findtext(f"{ACCEPT}body") or "" for each in await _settled(house)]
    assert live[:-1] == _WANTED[wanted]
    assert "not fetched" in live[-1]
    assert [each.findtext(f"{CLIENT}body") for each in await _archived(house, room)] == [
        "hello",
        *live,
    ]
    told = [each.findtext(f"{ACCEPT}body") for each in await _join(house, room)]
    assert [body for body in told if body is not None] == ["hello", *live]


async def test_req_577_580_each_page_is_full_and_says_what_is_left(house: House) -> None:
    room = await _club(house)
    for number in range(6):
        _tell(house, "message", sender="bob", id=f"m{number}", body=f"text {number}")
        _tell(house, "notice", id=f"n{number}", text=JOIN, is_important=False)
    await _settled(house)
    page = await _ask(house, room, _query("<max>4</max><before/>"))
    assert _bodies(page) == [f"text {number}" for number in (2, 3, 4, 5)]
    assert not _is_complete(page)
    page = await _ask(house, room, _query(f"<max>4</max><before>{_end(page, 'first')}</before>"))
    assert _bodies(page) == ["text 0", "text 1"]
    assert _is_complete(page)


async def test_req_577_580_what_one_does_not_want_is_not_found_either(house: House) -> None:
    room = await _club(house)
    await house.change_setting(ALICE, "room_lines", "all")
    _happens(house)
    await _settled(house)
    result = (await _ask(house, room, _query()))[-2].find(f"{MAM}result")
    assert result is not None
    by_id = _query("", ("ids", result.get("id", "")))
    assert _bodies(await _ask(house, room, by_id)) == [JOIN]
    await house.change_setting(ALICE, "room_lines", "important")
    assert (await _ask(house, room, by_id))[-1].get("type") == "error"
    ends = (await _ask(house, room, "<metadata xmlns='urn:xmpp:mam:2'/>", "get"))[-1]
    end = ends.find(f".//{MAM}end")
    assert end is not None
    assert end.get("id") != result.get("id")


async def test_req_577_nobody_has_said_it_and_the_configuration_is_asked_for_anew(
    house: House,
) -> None:
    """From the bare address, so nobody can mention it; 104 is told to those who want no lines."""
    room = await _club(house)
    await _join(house, room)
    for wanted, count in (("important", 2), ("none", 1)):
        await house.change_setting(ALICE, "room_lines", wanted)
        name = f"Club of {wanted}"
        _tell(house, "notice", id=f"n {name}", text=f"The group is called “{name}” now.")
        house.network.event("alice", "room", room="!club", name=name)
        told = await _settled(house)
        assert [each.get("from") for each in told] == [room] * count
        codes = [status.get("code") for each in told for status in each.iter(f"{MUC_USER}status")]
        assert codes == ["104"]


async def test_req_577_in_a_shared_room_each_hears_what_they_want(tmp_path: Path) -> None:
    async with House(tmp_path, Options(adapter="trusted")) as house:
        town = await Town(house).begin()
        await town.both_join()
        for who, wanted in (("alice", "all"), ("carol", "important")):
            await house.change_setting(USERS[who], "room_lines", wanted)
        for account in ("alice", "carol"):
            town.tell(account, "room-notice", id="n1", text=PIN)
            town.tell(account, "room-notice", id="n2", text=JOIN, is_important=False)
        told = await town.settle()
        assert _texts(_groupchat(told["alice"])) == await town.archive("alice") == [PIN, JOIN]
        assert _texts(_groupchat(told["carol"])) == await town.archive("carol") == [PIN]


async def test_req_577_584_lines_of_the_past_too(house: House) -> None:
    line = {"type": "room-notice", "room": "!club"}
    _add(house, {**line, "id": "n1", "text": PIN})
    _add(house, {**line, "id": "n2", "text": JOIN, "is_important": False})
    room = await _club(house)
    assert _bodies(await _back(house, room, 5)) == [PIN]
    await house.change_setting(ALICE, "room_lines", "all")
    assert _bodies(await _back(house, room, 5)) == [PIN, JOIN]
