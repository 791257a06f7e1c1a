# SPDX-License-Identifier: Apache-2.0
"""Files that are told later than what came after them, and who may read them then (REQ-446)."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from gateway.bridge.inbound import aside
from gateway.bridge.inbound.aside import Aside
from gateway.store.journal import InboundRow
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


async def _on_its_way(town: Town, id: str = "f1", body: str = "", **more: Any) -> None:
    assert town.house.server.uploads is not None
    town.house.server.uploads.doings["film.mp4"] = deque(["held"])
    town.house.network.files["film"] = b"a film"
    film = {"reference": "film", "name": "film.mp4"}
    town.says(["alice", "carol"], "bob", body, id, files=[film], **more)
    town.says(["alice", "carol"], "bob", "meanwhile", f"after {id}")
    await town.house.clock.advance(2)
    await town.settle()


async def _goes_on(town: Town) -> dict[str, list[str]]:
    assert town.house.server.uploads is not None
    town.house.server.uploads.go_on("film.mp4")
    return {name: _texts(found) for name, found in (await town.settle()).items()}


def _answers(town: Town, number: int) -> None:
    says = f"what a film {number}"
    town.says(["alice", "carol"], "bob", says, f"a{number}", reply_to="f1")


async def test_req_446_a_late_file_is_for_those_who_were_in_when_it_came(town: Town) -> None:
    await _on_its_way(town)
    town.members.append("dave")
    await town.house.link("dave@home.example", "dave")
    for account in ("alice", "carol", "dave"):
        town.describe(account)
    await town.settle()
    await town.join("dave")
    _answers(town, 1)
    said = await town.settle()
    assert not any("film" in text for found in said.values() for text in _texts(found))
    told = await _goes_on(town)
    assert told["alice"] == told["carol"] == [_film(town), "> Bob: 📎 film.mp4\nwhat a film 1"]
    assert told["dave"] == ["what a film 1"]  # he was in when that was said
    assert await town.archive("carol") == ["meanwhile", _film(town), told["carol"][1]]
    assert await town.archive("dave") == ["what a film 1"]


async def test_req_446_all_that_is_said_of_a_late_file_waits_for_it(town: Town) -> None:
    """Also the rest of a text that is too long for one stanza, in the archive as well."""
    said = "one two " * 10_000
    await _on_its_way(town, body=said)
    assert await town.archive("alice") == ["meanwhile"]
    told = (await _goes_on(town))["alice"]
    assert told[0] == _film(town)
    assert len(told) > 2
    assert "".join(told[1:]).count("two") == 10_000
    assert await town.archive("alice") == ["meanwhile", *told]


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


async def test_req_446_of_what_waits_for_files_there_is_a_bound_and_nothing_waits_for_it(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When so many answers wait, the file that has waited longest is told as it is."""
    monkeypatch.setattr(aside, "MOST", 20)
    await _on_its_way(town)
    for number in range(19):
        _answers(town, number)
    assert not _texts((await town.settle())["alice"])
    for number in range(19, 25):
        _answers(town, number)
    told = _texts((await town.settle())["alice"])
    assert told[0] == "📎 film.mp4"
    assert [text.rpartition(" ")[2] for text in told[1:]] == [f"{n}" for n in range(25)]
    assert await town.archive("alice") == ["meanwhile", *told]


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("where", ["chat", "room"])
async def test_req_428_what_is_taken_back_in_that_very_moment_is_told_without_address(
    town: Town, where: str
) -> None:
    """Its file has come to the upload service while the disk still writes that it is gone."""
    house = town.house
    assert house.server.uploads is not None
    gone: dict[str, Any] = {"id": "t1", "message": "f1"}
    if where == "room":
        await _on_its_way(town)
        kind, gone = "room-retraction", {**gone, "room": "!club", "by": "bob"}
    else:
        house.server.uploads.doings["film.mp4"] = deque(["held"])
        house.network.files["film"] = b"a film"
        film = {"reference": "film", "name": "film.mp4"}
        house.network.event("alice", "message", contact="bob", id="f1", body="", files=[film])
        await house.clock.advance(2)
        kind, gone = "retraction", {**gone, "contact": "bob"}
    await town.settle()
    disk, waiting = threading.Event(), house.store._writer._waiting
    house.store.write(lambda _: disk.wait(10))
    await _until(lambda: not waiting)
    house.network.event("alice", kind, **gone)
    await _until(lambda: len(waiting) == 1)
    house.server.uploads.go_on("film.mp4")
    await _until(lambda: len(waiting) == 2)
    disk.set()
    told = (await town.settle())["alice"]
    assert [text for text in _texts(told) if "film" in text] == ["📎 film.mp4"]
    assert [each for each in told if each.find("{urn:xmpp:message-retract:1}retract") is not None]


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


async def test_req_571_many_read_marks_that_wait_are_looked_at_no_more_often_than_there_are(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With each file that was told, each of them was looked at for each time that it was looked at
    before: ten pictures, and the gateway did nothing else."""
    uploads, names = town.house.server.uploads, [f"{number}.jpg" for number in range(4)]
    assert uploads is not None
    for name in names:
        uploads.doings[name] = deque(["held"])
        town.house.network.files[name] = name.encode()
        files = [{"reference": name, "name": name}]
        town.says(["alice", "carol"], "bob", "", name, files=files)
        await town.house.clock.advance(2)
        town.tell("alice", "room-read", reader="alice", up_to=name)
        await town.settle()
    looks, take = [], Aside.take

    def counted(waiting: Aside) -> list[InboundRow]:
        looks.append(waiting)
        return take(waiting)

    monkeypatch.setattr(Aside, "take", counted)
    for name in names:
        uploads.go_on(name)
        told = (await town.settle())["alice"]
        assert _texts(told) == [f"{town.house.web.base}/uploads/{name}"]
        displayed = [each.find("{urn:xmpp:chat-markers:0}displayed") for each in told]
        assert len([each for each in displayed if each is not None]) == 1
    assert len(looks) == 2 * len(names)
