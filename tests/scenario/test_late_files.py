# SPDX-License-Identifier: Apache-2.0
"""Files that are told later than what came after them, and who may read them then (REQ-446)."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio

from tests.scenario.house import House, Options
from tests.scenario.test_shared_rooms import Town, _texts


@pytest_asyncio.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    """Alice and carol share a room whose past newcomers may not read."""
    async with House(tmp_path, Options(adapter="trusted", uploads=True)) as house:
        town = await Town(house).begin()
        await town.both_join()
        yield town


def _film(town: Town) -> str:
    return f"{town.house.web.base}/uploads/film.mp4"


async def _on_its_way(town: Town, id: str = "f1", **more: Any) -> None:
    assert town.house.server.uploads is not None
    town.house.server.uploads.doings["film.mp4"] = deque(["held"])
    town.house.network.files["film"] = b"a film"
    film = {"reference": "film", "name": "film.mp4"}
    town.says(["alice", "carol"], "bob", "", id, files=[film], **more)
    town.says(["alice", "carol"], "bob", "meanwhile", f"after {id}")
    await town.house.clock.advance(2)
    await town.settle()


async def _goes_on(town: Town) -> dict[str, list[str]]:
    assert town.house.server.uploads is not None
    town.house.server.uploads.go_on("film.mp4")
    return {name: _texts(found) for name, found in (await town.settle()).items()}


def _answers(town: Town, **more: Any) -> None:
    town.says(["alice", "carol"], "bob", "what a film", "a1", reply_to="f1", **more)


async def test_req_446_a_late_file_is_for_those_who_were_in_when_it_came(town: Town) -> None:
    await _on_its_way(town)
    town.members.append("dave")
    await town.house.link("dave@home.example", "dave")
    for account in ("alice", "carol", "dave"):
        town.describe(account)
    await town.settle()
    await town.join("dave")
    _answers(town)
    said = await town.settle()
    assert not any("film" in text for found in said.values() for text in _texts(found))
    told = await _goes_on(town)
    assert told["alice"] == told["carol"] == [_film(town), "> Bob: 📎 film.mp4\nwhat a film"]
    assert told["dave"] == ["what a film"]  # he was in when that was said
    assert await town.archive("carol") == ["meanwhile", _film(town), told["carol"][1]]
    assert await town.archive("dave") == ["what a film"]


async def test_req_446_who_has_left_meanwhile_may_read_it_still(town: Town) -> None:
    await _on_its_way(town)
    for account in ("alice", "carol"):
        town.tell(account, "member-gone", user="carol", how="kicked", actor="bob")
    await town.settle()
    told = await _goes_on(town)
    assert told["alice"] == [_film(town)]
    assert told["carol"] == []
    assert town.house.query(
        "SELECT count(*) FROM due JOIN account ON account.id = due.account"
        " WHERE account.remote_id = 'carol'"
    ) == [(1,)]


async def test_req_446_so_many_slow_files_and_no_more_are_put_aside(town: Town) -> None:
    """What comes then waits, and nothing is lost."""
    assert town.house.server.uploads is not None
    uploads = town.house.server.uploads
    for number in range(22):
        name = f"{number}.bin"
        uploads.doings[name] = deque(["held"])
        town.house.network.files[name] = name.encode()
        film = {"reference": name, "name": name}
        town.says(["alice", "carol"], "bob", "", f"f{number}", files=[film])
        await town.house.clock.advance(2)
    town.says(["alice", "carol"], "bob", "meanwhile", "m1")
    await town.house.clock.advance(2)
    assert all(not _texts(found) for found in (await town.settle()).values())
    for number in range(22):
        uploads.go_on(f"{number}.bin")
        await town.house.clock.advance(2)
    texts = _texts((await town.settle())["alice"])
    assert sorted(texts) == sorted(
        ["meanwhile", *(f"{town.house.web.base}/uploads/{number}.bin" for number in range(22))]
    )
    assert await town.archive("alice") == texts


async def test_req_446_a_file_that_answers_something_is_uploaded_and_told_once(
    town: Town,
) -> None:
    town.says(["alice", "carol"], "bob", "where is it", "m1")
    await town.settle()
    await _on_its_way(town, reply_to="m1")
    told = await _goes_on(town)
    assert told["alice"] == told["carol"] == [_film(town)]
    assert town.house.server.uploads is not None
    assert len(town.house.server.uploads.wanted) == 1
    assert await town.archive("carol") == ["where is it", "meanwhile", _film(town)]
