# SPDX-License-Identifier: Apache-2.0
"""Files that are told later than what came after them, and who may read them then (REQ-446)."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from msgspec import structs

from gateway.bridge.inbound import aside
from gateway.bridge.inbound.aside import Aside
from gateway.bridge.rooms import awaiting
from gateway.events import RoomMessage
from gateway.ids import RoomId, RowId
from gateway.store import Transaction, awaited, journal, rooms
from gateway.store.awaited import Awaited
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


def _sends(town: Town, name: str) -> None:
    """A file that comes to the upload service when the test wants it."""
    assert town.house.server.uploads is not None
    town.house.server.uploads.doings[name] = deque(["held"])
    town.house.network.files[name] = name.encode()
    files = [{"reference": name, "name": name}]
    town.says(["alice", "carol"], "bob", "", name, files=files)


async def _come(town: Town, *names: str) -> list[str]:
    """They are there; what alice is told."""
    assert town.house.server.uploads is not None
    for name in names:
        town.house.server.uploads.go_on(name)
    return _of_files(town, _texts((await town.settle())["alice"]))


def _of_files(town: Town, told: list[str]) -> list[str]:
    return [text.removeprefix(f"{town.house.web.base}/uploads/") for text in told]


async def test_req_446_a_file_that_comes_before_one_that_it_waits_for_is_told_when_that_is_late(
    town: Town,
) -> None:
    for name in ("1.jpg", "2.jpg"):
        _sends(town, name)
    await town.house.clock.advance(0.5)
    await town.settle()
    assert await _come(town, "2.jpg") == []
    assert await town.archive("alice") == []
    town.tell("alice", "room-read", reader="alice", up_to="2.jpg")
    await town.house.clock.advance(1)
    told = (await town.settle())["alice"]
    assert _of_files(town, _texts(told)) == ["2.jpg"]
    # Read elsewhere, which is told when the message is.
    assert told[-1].find("{urn:xmpp:chat-markers:0}displayed") is not None
    assert _of_files(town, await town.archive("alice")) == ["2.jpg"]
    # So is one that nobody has to wait for.
    _sends(town, "3.jpg")
    await town.settle()
    assert await _come(town, "3.jpg") == ["3.jpg"]
    assert _of_files(town, await town.archive("alice")) == ["2.jpg", "3.jpg"]
    assert await _come(town, "1.jpg") == ["1.jpg"]
    assert _of_files(town, await town.archive("carol")) == ["2.jpg", "3.jpg", "1.jpg"]


@pytest.mark.parametrize("is_late", [False, True])
async def test_req_446_what_is_about_a_late_file_follows_it_also_from_behind_another(
    town: Town, *, is_late: bool
) -> None:
    """It is told after that, and where the archive has it."""
    _sends(town, "1.jpg")
    await town.house.clock.advance(2)
    await town.settle()
    _sends(town, "2.jpg")
    town.says(["alice", "carol"], "bob", "about 1", "about", reply_to="1.jpg")
    town.says(["alice", "carol"], "bob", "after it", "after")
    await town.settle()
    if is_late:
        await town.house.clock.advance(2)
        assert _texts((await town.settle())["alice"]) == ["after it"]
    told = await _come(town, "1.jpg")
    assert told == (["1.jpg", "> Bob: 📎 1.jpg\nabout 1"] if is_late else [])
    await town.house.clock.advance(2)
    await _come(town, "2.jpg")
    said = ["after it", "1.jpg", "> Bob: 📎 1.jpg\nabout 1", "2.jpg"]
    assert _of_files(town, await town.archive("alice")) == said
    assert _of_files(town, await town.archive("carol")) == said


async def test_req_446_each_of_many_files_that_wait_does_not_look_at_all_others(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thousands may wait, and all of the gateway for the one that writes its database."""
    house, looks, of = town.house, [], awaited.of

    def counted(db: Transaction, room: RoomId) -> Iterator[Awaited]:
        for each in of(db, room):
            looks.append(each)
            yield each

    monkeypatch.setattr(awaited, "of", counted)
    for number in range(50):
        _sends(town, f"{number}.jpg")
    await town.settle()

    def unit(db: Transaction) -> None:
        ((room_id,),) = db.execute("SELECT DISTINCT room FROM archived WHERE level >= 3")
        ((conversation,),) = db.execute("SELECT id FROM conversation WHERE room = ?", (room_id,))
        room = rooms.of_conversation(db, conversation)
        assert room is not None
        for row in journal.open_inbound(db, conversation, RowId(0), 100):
            said = row.delivery
            if not isinstance(said, RoomMessage) or said.file is None or not said.file.upload:
                continue  # that somebody has joined is not proved yet
            told = structs.replace(said, file=structs.replace(said.file, upload=None))
            awaiting.decide(db, room, row, told, said.file.upload, house.clock.now())
        assert not awaited.are_any(db, room_id)
        raise NotImplementedError  # so that nothing has come of it

    with pytest.raises(NotImplementedError):
        await house.store.write(unit)
    assert 50 <= len(looks) <= 100


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


async def test_req_571_a_read_mark_comes_after_the_file_in_a_room_of_ones_own_too(
    tmp_path: Path,
) -> None:
    async with House(tmp_path, Options(uploads=True)) as house:
        town = await Town(house).begin()
        await town.join("alice")
        assert house.server.uploads is not None
        house.server.uploads.doings["1.jpg"] = deque(["held"])
        house.network.files["1.jpg"] = b"1"
        town.says(["alice"], "bob", "", "f1", files=[{"reference": "1.jpg", "name": "1.jpg"}])
        await house.clock.advance(2)
        town.tell("alice", "room-read", reader="alice", up_to="f1")
        await house.clock.advance(2)
        assert not (await town.settle())["alice"]
        house.server.uploads.go_on("1.jpg")
        told = [
            [child.tag.rpartition("}")[2] for child in each]
            for each in (await town.settle())["alice"]
        ]
        assert ["body" in told[0], "displayed" in told[1], len(told)] == [True, True, 2]
