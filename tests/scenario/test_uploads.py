# SPDX-License-Identifier: Apache-2.0
"""What goes to an upload service, byte by byte."""

from __future__ import annotations

import random
import sqlite3
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.scenario.house import GATEWAY, House, Options
from tests.scenario.test_remote_servers import received
from tests.scenario.test_shared_rooms import Town
from tests.scenario.test_stream import bodies, events
from tests.scenario.uploads import FakeUploads
from tests.scenario.web import Hosted

_LARGE = b"\x89PNG\r\n\x1a\n" + random.Random(7).randbytes(3_000_000)


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with House(tmp_path, Options(uploads=True)) as house:
        await house.start()
        await house.connected()
        await house.link("alice@home.example", "alice")
        yield house


def _service(house: House) -> FakeUploads:
    assert house.server.uploads is not None
    return house.server.uploads


async def _told(
    house: House, patience_s: float = 10, account: str = "alice", **facts: object
) -> str:
    file = {"reference": "f", "name": "f.bin", "media_type": "image/png", **facts}
    house.network.says(account, "bob", "", files=[file])
    await house.clock.settle()
    await house.clock.advance(patience_s)
    return (await bodies(house))[-1]


async def test_req_445_a_place_is_asked_for_as_it_is_used(house: House) -> None:
    house.network.files["f"] = _LARGE
    url = await _told(house, name="../../é\u202e.png", size=5)
    service = _service(house)
    assert service.wanted == [
        {"filename": "é.png", "size": str(len(_LARGE)), "content-type": "image/png"}
    ]
    assert service.files == {"é.png": _LARGE}
    assert url == f"{house.web.base}/uploads/%C3%A9.png"
    assert service.headers["Authorization"] == "Bearer it"
    assert "X-Other" not in service.headers
    assert service.headers["Content-Length"] == str(len(_LARGE))
    assert service.headers["Content-Type"] == "image/png"


async def test_req_445_a_known_file_is_not_fetched_again(house: House) -> None:
    house.network.files["f"] = _LARGE
    url = await _told(house)
    del house.network.files["f"]
    assert await _told(house) == url
    assert len(_service(house).wanted) == 1
    assert house.web.asked == ["HEAD /uploads/f.bin"]


async def test_req_445_what_one_server_says_is_no_other_accounts_file(house: House) -> None:
    """What is found under a reference is whatever an account's own server answers: carol's has
    other bytes there than alice's."""
    await house.link("carol@home.example", "carol")
    house.network.files["f"] = b"forged"
    await _told(house)
    house.network.files["f"] = b"genuine"
    url = await _told(house, name="g.bin", account="carol")
    assert url == f"{house.web.base}/uploads/g.bin"
    assert _service(house).files["g.bin"] == b"genuine"


@pytest.mark.parametrize("how", ["gone", "shorter", "away"])
async def test_req_445_what_the_service_has_lost_is_put_there_again(
    house: House, how: str
) -> None:
    """ejabberd drops the oldest files of whoever is over their quota. The same file, and another
    one with the same content, are not told by an address where nothing is any more."""
    house.network.files |= {"f": b"a small one", "copy": b"a small one"}
    told = await _told(house)
    for reference, name in (("f", "again.bin"), ("copy", "copy.bin")):
        path = told.removeprefix(house.web.base)
        if how == "gone":
            del house.web.files[path]
        elif how == "shorter":
            house.web.files[path] = Hosted(b"a small")
        elif reference == "f":
            await house.web.stop()
        told = await _told(house, reference=reference, name=name)
        assert told == f"{house.web.base}/uploads/{name}"
        assert _service(house).files[name] == b"a small one"


async def test_req_445_an_address_is_told_again_for_a_day_and_no_longer(house: House) -> None:
    """However often what is there comes: services forget it a week after it was put there."""
    house.network.files = {f"copy {number}": b"a sticker" for number in range(5)}
    urls = []
    for number in range(5):
        told = await _told(house, reference=f"copy {number}", name=f"{number}.png")
        urls.append(told.rpartition("/")[2])
        house.clock.set_by(40_000)
        await house.clock.advance(1)
    assert urls == ["0.png", "0.png", "0.png", "3.png", "3.png"]


_KINDS: tuple[tuple[bytes, str, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "text/html", "image/png"),
    (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "image/svg+xml", ""),
    (b"<script>alert(1)</script>", "image/png", ""),
    (b"\xff\xfe<\0h\0t\0m\0l\0>\0", "text/plain", ""),
    (b"GIF89a/*<script>alert(1)</script>*/=0;", "text/javascript", "image/gif"),
    (b"%PDF-1.7\n<script>", "text/html", "application/pdf"),
    (b"PK\x03\x04<html>", "text/html", "application/zip"),
    (b"hello", "text/html; charset=utf-8", "text/plain"),
    (b"good day", "a/b\r\nX-Evil: yes", "text/plain"),
    (b"\0\1\2", "application/xhtml+xml", ""),
    (b"", "image/png", ""),
    (b"<html>" + _LARGE, "image/png", ""),
)
"""What a file is, what its sender says of it, and what it is called; empty: any bytes."""


async def test_req_723_the_service_is_told_what_a_file_is_and_not_what_it_is_said_to_be(
    house: House,
) -> None:
    """It shows it to browsers as that. What it is called leads nowhere (REQ-722)."""
    service = _service(house)
    for number, (data, claimed, said) in enumerate(_KINDS):
        house.network.files[f"f{number}"] = data
        given = f"{'../' * 9}{'y' * 10_000}.html"
        url = await _told(house, reference=f"f{number}", media_type=claimed, name=given)
        name = f"{'y' * 115}.html.bin"
        assert url == f"{house.web.base}/uploads/{name}", claimed
        assert service.files[name] == data
        kind = said or "application/octet-stream"
        size = str(len(data))
        assert service.wanted[-1] == {"filename": name, "size": size, "content-type": kind}
        assert service.headers["Content-Type"] == kind
        assert service.headers["Content-Length"] == size
        assert "X-Evil" not in service.headers


@pytest.mark.parametrize("doing", ["away", "silent", "500", "cut", "slow", "quota"])
async def test_req_446_a_service_in_trouble_costs_a_chat_a_second_and_not_more(
    tmp_path: Path, doing: str
) -> None:
    """Once: files that come in the next minute are told at once, by the gateway's own address. A
    quota of which nobody says when there is room again costs nothing at all."""
    async with House(tmp_path, Options(uploads=True, has_pages=True)) as house:
        await house.start()
        await house.connected()
        await house.link("alice@home.example", "alice")
        house.network.files["f"] = b"12345"
        _service(house).doings = {f"{number}.bin": deque([doing]) for number in range(3)}
        waited = []
        for number in range(3):
            await house.clock.advance(1)
            began = house.clock.monotonic()
            file = {"reference": "f", "name": f"{number}.bin"}
            house.network.says("alice", "bob", "", files=[file])
            own = "https://127.0.0.1:1/chat/files/"
            house.network.says("alice", "bob", f"after {number}")
            said: list[str] = []
            while not any(body.startswith(own) for body in said):
                assert house.clock.monotonic() - began < 100
                await house.clock.advance(0.5)
                said += await bodies(house)
                is_slow = house.clock.monotonic() - began > 1
                assert not is_slow or f"after {number}" in said
            waited.append(house.clock.monotonic() - began)
        assert 0 <= waited[0] <= (0.5 if doing == "quota" else 90)
        assert waited[1:] == [0.5, 0.5]
        assert not [log for log in house.logs if log["log_level"] == "error"]


async def test_req_445_half_a_file_is_never_told_as_one(house: House) -> None:
    class Torn(dict[str, bytes]):
        """The rest of the file is gone after its first part."""

        asked = 0

        def get(self, name: str, default: object = None) -> bytes:
            self.asked += 1
            return _LARGE if self.asked % 2 else b""

    house.network.files = Torn()
    body = await _told(house, patience_s=700)
    assert body == "📎 f.bin"
    assert not house.web.files
    assert len(_service(house).wanted) > 1  # it is tried again, and waits for nothing
    assert not _service(house).files
    assert "file_not_uploaded" in events(house)


async def test_req_445_an_address_in_the_clear_is_not_told(house: House) -> None:
    house.network.files["f"] = b"12345"
    _service(house).address = "http://files.home.example"
    assert await _told(house) == "📎 f.bin"
    assert not _service(house).files


def _refuse(house: House, id: str) -> None:
    """Alice's server says that it knows no such user."""
    house.server.send(
        f"<message type='error' from='alice@home.example' to='bob@net.example/scripted' id='{id}'>"
        "<error type='cancel'><item-not-found"
        " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
    )


async def test_req_461_nothing_is_put_there_for_who_is_told_nothing_now(house: House) -> None:
    """It would be gone when they are there again."""
    house.network.says("alice", "bob", "hello")
    await house.clock.settle()
    (hello,) = [each.get("id", "") for each in await received(house) if each.get("type") == "chat"]
    _refuse(house, hello)
    house.network.files["f"] = b"12345"
    house.network.says("alice", "bob", "", files=[{"reference": "f", "name": "f.bin"}])
    await house.clock.advance(60)
    assert not _service(house).wanted
    house.server.send("<presence from='alice@home.example/phone' to='net.example'/>")
    await house.clock.advance(10)
    told = [body for body in await bodies(house) if body]
    assert told == ["hello", f"{house.web.base}/uploads/f.bin"]


async def test_req_461_what_was_put_there_long_before_it_is_told_is_put_there_again(
    house: House,
) -> None:
    """It came back, and has waited for the user for longer than services keep files."""
    house.network.files["f"] = b"12345"
    house.network.says("alice", "bob", "", files=[{"reference": "f", "name": "f.bin"}])
    await house.clock.advance(5)
    (file,) = [each.get("id", "") for each in await received(house) if each.get("type") == "chat"]
    _refuse(house, file)
    await house.clock.settle()
    house.clock.set_by(8 * 86_400)
    house.web.files.clear()
    house.server.send("<presence from='alice@home.example/phone' to='net.example'/>")
    await house.clock.advance(10)
    url = f"{house.web.base}/uploads/f.bin"
    assert [body for body in await bodies(house) if body] == [url]
    assert house.web.files[url.removeprefix(house.web.base)].data == b"12345"
    assert len(_service(house).wanted) == 2


async def test_req_446_what_could_not_be_decided_hides_no_archive(house: House) -> None:
    """The rows of a room were told, and the store did not take what was decided of its file."""
    town = Town(house)
    town.members = ["alice", "bob"]
    town.describe("alice")
    await town.settle()
    ((address,),) = house.query("SELECT localpart FROM address WHERE remote_id='!club'")
    town.room = f"{address}@{GATEWAY}"
    await town.join("alice")
    house.network.files["f"] = b"12345"
    _service(house).doings["f.bin"] = deque(["held"])
    file = {"reference": "f", "name": "f.bin"}
    town.tell("alice", "room-message", sender="bob", id="m1", body="", files=[file])
    await town.settle()
    town.says(("alice",), "bob", "after", "m2")
    await town.settle()
    assert await town.archive("alice") == []
    await house.kill()
    with sqlite3.connect(house.folder / "gateway.db") as db:
        db.execute("DELETE FROM inbound")
    db.close()
    await house.start()
    await house.connected()
    await town.join("alice")
    assert (await town.archive("alice"))[-1:] == ["after"]
    assert house.query("SELECT count(*) FROM archived WHERE level >= 3") == [(0,)]
