# SPDX-License-Identifier: Apache-2.0
"""What is at the address of a file, byte by byte."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import aiohttp
import pytest
import pytest_asyncio

from gateway.web import files as web_files
from tests.peers.ports import free_port
from tests.scenario.house import House, Options
from tests.scenario.test_stream import bodies, events

PICTURE = random.Random(7).randbytes(200_000)
_DAY = 86_400.0


@dataclass
class Seen:
    """One answer."""

    status: int
    headers: Mapping[str, str]
    data: bytes


@dataclass
class Scene:
    """Alice, to whom files are sent, and whoever has an address of one."""

    house: House
    http: aiohttp.ClientSession

    async def told(
        self, data: bytes | None = PICTURE, account: str = "alice", **facts: Any
    ) -> str:
        """Bob shares a file. Returns its address."""
        name = f"r{len(self.house.network.files)}"
        if data is not None:
            self.house.network.files[name] = data
        known = {"reference": name, "name": "pic.png", "media_type": "image/png", **facts}
        self.house.network.says(account, "bob", "", files=[known])
        (body,) = [body for body in await bodies(self.house) if body.startswith("https://")]
        return body

    async def fetch(self, url: str, method: str = "GET", **headers: str) -> Seen:
        async with self._open(url, method, headers) as answer:
            return Seen(answer.status, answer.headers, await answer.read())

    def _open(self, url: str, method: str, headers: dict[str, str]) -> Any:
        path = url.removeprefix("https://127.0.0.1:1")
        at = f"http://127.0.0.1:{self.house.options.http_port}{path}"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.request(method, at, headers=named, allow_redirects=False)


@asynccontextmanager
async def files_in(folder: Path, **options: Any) -> AsyncIterator[Scene]:
    """A gateway whose state is there, and Alice, who is linked."""
    given = Options(http_port=free_port(), **options)
    async with House(folder, given) as house, aiohttp.ClientSession() as http:
        await house.start()
        await house.connected()
        await house.link("alice@home.example", "alice")
        yield Scene(house, http)


@pytest_asyncio.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with files_in(tmp_path) as scene:
        yield scene


async def test_req_444_a_file_comes_as_it_is_with_what_clients_look_at(scene: Scene) -> None:
    url = await scene.told()
    assert url.startswith("https://127.0.0.1:1/chat/files/")
    assert url.endswith("/pic.png")
    found = await scene.fetch(url)
    assert (found.status, found.data) == (200, PICTURE)
    wanted = {
        "Content-Type": "image/png",
        "Content-Length": str(len(PICTURE)),
        "Content-Disposition": 'inline; filename="pic.png"',
        "Accept-Ranges": "bytes",
        "Access-Control-Allow-Origin": "*",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "cross-origin",
    }
    assert {name: found.headers.get(name) for name in wanted} == wanted
    assert "no-store" not in found.headers["Cache-Control"]
    looked = await scene.fetch(url, "HEAD")
    assert (looked.status, looked.data) == (200, b"")
    assert {name: looked.headers.get(name) for name in wanted} == wanted
    same = await scene.fetch(url, If_None_Match=found.headers["ETag"])
    assert (same.status, same.data) == (304, b"")
    asked = await scene.fetch(url, "OPTIONS", Origin="https://web.example")
    assert (asked.status, asked.headers["Access-Control-Allow-Headers"]) == (
        204,
        "Range, If-Range, If-None-Match",
    )


_WHOLE = len(PICTURE)


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-", 0, _WHOLE - 1),
        ("bytes=70000-140000", 70_000, 140_000),
        ("bytes=199999-", _WHOLE - 1, _WHOLE - 1),
        ("bytes=100-999999999", 100, _WHOLE - 1),
        ("bytes=-5", _WHOLE - 5, _WHOLE - 1),
        ("bytes=-999999999", 0, _WHOLE - 1),
    ],
)
@pytest.mark.parametrize("size", [None, _WHOLE], ids=["size-of-the-network", "size-said"])
async def test_req_444_a_part_of_a_file(
    scene: Scene, asked: str, first: int, last: int, size: int | None
) -> None:
    url = await scene.told(size=size)
    found = await scene.fetch(url, Range=asked)
    assert found.status == 206
    assert found.headers["Content-Range"] == f"bytes {first}-{last}/{_WHOLE}"
    assert found.data == PICTURE[first : last + 1]


async def test_req_444_where_no_part_can_be_proven_the_whole_comes(scene: Scene) -> None:
    scene.house.network.files["whole:"] = PICTURE
    url = await scene.told(reference="whole:", size=_WHOLE)
    for asked in ("bytes=0-9", "bytes=5-", "bytes=-5"):
        found = await scene.fetch(url, Range=asked)
        assert (found.status, found.data) == (200, PICTURE)
        assert "Content-Range" not in found.headers
    for whole in ("bytes=0-", f"bytes=0-{_WHOLE - 1}"):  # as players ask for it
        assert (await scene.fetch(url, Range=whole)).status == 206


@pytest.mark.parametrize("asked", ["bytes=5-3", "bytes=200000-", "bytes=999999999999-"])
async def test_req_444_what_is_not_there(scene: Scene, asked: str) -> None:
    found = await scene.fetch(await scene.told(size=_WHOLE), Range=asked)
    assert found.status == 416


@pytest.mark.parametrize("asked", ["lines=1-2", "bytes=1-2,5-6", "bytes=", "bytes=-", "x"])
async def test_req_444_what_is_no_range_is_the_whole(scene: Scene, asked: str) -> None:
    found = await scene.fetch(await scene.told(), Range=asked)
    assert (found.status, found.data) == (200, PICTURE)


async def test_req_444_an_address_cannot_be_guessed(scene: Scene) -> None:
    url = await scene.told()
    start, token, name = url.rsplit("/", 2)
    other = "B" if token[3] == "A" else "A"
    for forged in (
        token[:-1],
        f"{token[:3]}{other}{token[4:]}",
        f"{token[:-2]}{'AA' if token[-2:] != 'AA' else 'BB'}",
        "A" * len(token),
        "..%2f..%2fetc%2fpasswd",
        "",
        "é",
        f"{token}AAAA",
    ):
        found = await scene.fetch(f"{start}/{forged}/{name}")
        assert found.status == 404, forged
    assert (await scene.fetch(f"{start}/{token}/another%20name.png")).data == PICTURE
    assert (await scene.fetch(url, "POST")).status == 405


async def test_req_444_725_an_address_works_as_long_as_it_is_promised(scene: Scene) -> None:
    url = await scene.told()
    await scene.house.stop()
    await scene.house.start()
    await scene.house.connected()
    await scene.house.clock.advance(60)
    assert (await scene.fetch(url)).data == PICTURE
    scene.house.clock.set_by(399 * _DAY)
    assert (await scene.fetch(url)).data == PICTURE
    scene.house.clock.set_by(2 * _DAY)
    assert (await scene.fetch(url)).status == 410
    await scene.house.stop()
    await scene.house.start()
    await scene.house.connected()
    await scene.house.clock.advance(400)
    assert (await scene.fetch(url)).status == 404  # nothing is known of it any more


async def test_req_447_a_small_picture_has_an_address_of_its_own(scene: Scene) -> None:
    network, received = scene.house.network, scene.house.server.received
    network.files.update(film=b"a film", small=PICTURE)
    small = {"type": "RemoteFile", "reference": "small", "media_type": "image/png", "width": 80}
    film = {"reference": "film", "name": "a.mp4", "media_type": "video/mp4", "thumbnail": small}
    other = {**film, "thumbnail": {**small, "media_type": "image/svg+xml"}}
    network.says("alice", "bob", "", files=[film, other])
    await scene.house.clock.settle()
    said = [received.get_nowait() for _ in range(received.qsize())]
    first, second = [stanza for stanza in said if stanza.find("{jabber:x:oob}x") is not None]
    assert not list(second.iter("{urn:xmpp:thumbs:1}thumbnail"))
    shared = "{urn:xmpp:reference:0}reference/{urn:xmpp:sims:1}media-sharing"
    file = first.find(f"{shared}/{{urn:xmpp:jingle:apps:file-transfer:5}}file")
    (told,) = first.iter("{urn:xmpp:thumbs:1}thumbnail")
    assert file is not None
    assert told in list(file)  # not for Dino, which would take it for a data: URI
    url = told.attrib.pop("uri")
    assert told.attrib == {"media-type": "image/png", "width": "80"}
    assert url.startswith("https://127.0.0.1:1/chat/thumbnails/")
    assert url.endswith("/file.png")
    found = await scene.fetch(url)
    assert (found.status, found.data) == (200, PICTURE)
    assert found.headers["Content-Type"] == "image/png"
    body = first.findtext("{jabber:component:accept}body") or ""
    assert (await scene.fetch(body)).data == b"a film"
    plain = second.findtext("{jabber:component:accept}body") or ""
    assert (await scene.fetch(plain.replace("/files/", "/thumbnails/"))).status == 404
    network.event("alice", "retraction", contact="bob", id="t1", message="m1", sent_at=1.0)
    await bodies(scene.house)
    assert (await scene.fetch(url)).status == 404


async def test_req_428_what_was_taken_back_is_nowhere(scene: Scene) -> None:
    url = await scene.told()
    scene.house.network.event(
        "alice", "retraction", contact="bob", id="t1", message="m1", sent_at=1.0
    )
    await bodies(scene.house)
    assert (await scene.fetch(url)).status == 404
    # Nor does its address lead to what comes later.
    scene.house.network.files["later"] = b"another"
    scene.house.network.says("alice", "bob", "", files=[{"reference": "later", "name": "b"}])
    later = [body for body in await bodies(scene.house) if body.startswith("https://")][-1]
    assert (await scene.fetch(later)).data == b"another"
    assert (await scene.fetch(url)).status == 404


async def test_what_the_network_has_no_longer(scene: Scene) -> None:
    url = await scene.told(None)
    assert (await scene.fetch(url)).status == 410
    assert (await scene.fetch(url, "HEAD")).status == 410


async def test_a_network_that_is_away_is_asked_again_later(scene: Scene) -> None:
    url = await scene.told()
    await scene.house.network.stop()
    await scene.house.clock.settle()
    fetching = asyncio.ensure_future(scene.fetch(url))
    while not fetching.done():
        await scene.house.clock.advance(1)
    found = await fetching
    assert (found.status, found.headers["Retry-After"]) == (503, "60")
    assert found.headers["Access-Control-Allow-Origin"] == "*"
    await scene.house.network.start()
    await scene.house.clock.advance(30)
    assert (await scene.fetch(url)).data == PICTURE


async def test_a_file_that_breaks_off_does_not_look_whole(scene: Scene) -> None:
    url = await scene.told(size=_WHOLE)
    network = scene.house.network

    class Torn(dict[str, bytes]):
        """The rest of the file is gone after its first part."""

        def get(self, name: str, default: object = None) -> Any:
            data = network_files.pop(name, None)
            return data if data is not None else b""

    network_files = dict(network.files)
    network.files = Torn()
    with pytest.raises(aiohttp.ClientPayloadError):
        await scene.fetch(url)
    assert "file_broken_off" in events(scene.house)


@pytest.mark.parametrize(
    "media_type",
    [
        "text/html",
        "image/svg+xml",
        "application/xhtml+xml",
        "text/javascript",
        "",
        "a/b\nX: y",
    ],
)
async def test_req_723_what_could_run_is_not_shown(scene: Scene, media_type: str) -> None:
    url = await scene.told(b"<script>alert(1)</script>", name="x.html", media_type=media_type)
    found = await scene.fetch(url)
    assert found.headers["Content-Type"] == "application/octet-stream"
    assert found.headers["Content-Disposition"] == 'attachment; filename="x.html"'
    assert "X" not in found.headers


async def test_req_723_what_is_said_to_be_a_picture_runs_nowhere(scene: Scene) -> None:
    """Browsers take it for what is said (``nosniff``), and let nothing run (``sandbox``)."""
    for data, claimed in (
        (b"<script>alert(1)</script>", "image/png"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "image/jpeg"),
        (b"GIF89a/*<html><script>alert(1)</script>*/=0;", "image/gif"),
        (PICTURE, "video/mp4; codecs=none"),
        (b"", "image/png"),
    ):
        found = await scene.fetch(await scene.told(data, media_type=claimed))
        assert (found.status, found.data) == (200, data)
        assert found.headers["Content-Length"] == str(len(data))
        assert found.headers["Content-Type"] == claimed.partition(";")[0]
        assert found.headers["X-Content-Type-Options"] == "nosniff"
        assert found.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"


async def test_req_722_a_name_leads_nowhere(scene: Scene) -> None:
    """Neither in the address: web servers before us put a path in order."""
    long = f"{'x' * 116}.png"
    for name, in_url, said in (
        ('../../etc/a";b=\u202ecod.exe\\c.png', "c.png", "c.png"),
        ("..", "file.png", "file"),
        ("/etc/passwd", "passwd.png", "passwd"),
        ("C:\\Windows\\CON.png", "_CON.png", "_CON.png"),
        (f"{'x' * 10_000}.png", long, long),
        ("%2e%2e%2fa.png", "%2e%2e%2fa.png", "_2e_2e_2fa.png"),
    ):
        url = await scene.told(name=name)
        path = urlsplit(url).path.split("/")
        assert len(path) == 5
        assert unquote(path[-1]) == in_url
        header = (await scene.fetch(url)).headers["Content-Disposition"]
        assert header.startswith(f'inline; filename="{said}"')


async def test_who_reads_slowly_holds_up_nobody_and_not_for_ever(scene: Scene) -> None:
    url = await scene.told(random.Random(8).randbytes(8_000_000))
    async with scene._open(url, "GET", {}) as slow:
        await slow.content.readexactly(10)
        other = await scene.told()
        assert (await scene.fetch(other)).data == PICTURE
        await scene.house.clock.advance(70)
        with pytest.raises(aiohttp.ClientPayloadError):
            await slow.read()
    assert "file_broken_off" in events(scene.house)


async def test_one_file_is_open_so_many_times_at_once_and_others_wait_for_a_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All who are in a room fetch a photo at the same moment, and all of them get it."""
    monkeypatch.setattr(web_files, "_AT_ONCE_OF_ONE", 1)
    async with files_in(tmp_path) as scene:
        url = await scene.told(random.Random(8).randbytes(8_000_000))
        slow = await scene._open(url, "GET", {}).__aenter__()
        waits = asyncio.ensure_future(scene.fetch(url, Range="bytes=0-9"))
        await asyncio.wait((waits,), timeout=0.2)
        assert not waits.done()
        other = await scene.told()
        assert (await scene.fetch(other)).data == PICTURE
        slow.close()
        assert (await waits).status == 206
        slow = await scene._open(url, "GET", {}).__aenter__()
        waits = asyncio.ensure_future(scene.fetch(url, Range="bytes=0-9"))
        while not waits.done():
            await scene.house.clock.advance(5)
        assert ((await waits).status, (await waits).headers["Retry-After"]) == (503, "60")
        slow.close()


async def test_who_has_many_files_open_keeps_those_of_others_from_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of a chat are those of its account: whoever has all their links is one of many."""
    monkeypatch.setattr(web_files, "_AT_ONCE_OF_ACCOUNT", 1)
    monkeypatch.setattr(web_files, "_AT_ONCE", 2)
    async with files_in(tmp_path) as scene:
        await scene.house.link("carol@home.example", "carol")
        large, small = await scene.told(random.Random(8).randbytes(8_000_000)), await scene.told()
        slow = await scene._open(large, "GET", {}).__aenter__()
        waits = asyncio.ensure_future(scene.fetch(small))
        await asyncio.wait((waits,), timeout=0.2)
        assert not waits.done()
        other = await scene.told(account="carol")
        assert (await scene.fetch(other)).data == PICTURE
        slow.close()
        assert (await waits).data == PICTURE
