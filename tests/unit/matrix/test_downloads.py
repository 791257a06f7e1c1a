"""Bytes of files: from where they are fetched, and how they may end."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from adapters.matrix import http as matrix_http
from adapters.matrix import proofs
from adapters.matrix.guard import guarded_http
from adapters.matrix.http import Api
from adapters.matrix.media import Media
from adapters.matrix.proofs import PIECE
from adapters.matrix.sealed_files import Seal, reference_in
from gateway.adapter import Download
from gateway.errors import (
    AdapterError,
    AuthExpired,
    Forbidden,
    NotFound,
    RateLimited,
    TooLarge,
    Transient,
    Unsupported,
)
from tests.unit.matrix.homeserver import Homeserver, Request, misbehaving
from tests.unit.matrix.test_files import sealed

URI = "mxc://example.org/aZ_9-x"
NEW = "/_matrix/client/v1/media/download/example.org/aZ_9-x"
OLD = "/_matrix/media/v3/download/example.org/aZ_9-x"
UNRECOGNIZED = (404, {"errcode": "M_UNRECOGNIZED", "error": "?"})
DATA = random.Random(7).randbytes(200_000)


def _whole(request: Request, data: bytes = DATA) -> web.Response:
    return web.Response(body=data, content_type="image/png")


def _ranged(request: Request, data: bytes = DATA) -> web.Response:
    if not request.range:
        return _whole(request, data)
    start = int(request.range.removeprefix("bytes=").removesuffix("-"))
    headers = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}
    return web.Response(status=206, body=data[start:], headers=headers)


@asynccontextmanager
async def _media(url: str) -> AsyncIterator[Media]:
    async with aiohttp.ClientSession() as http:
        yield Media(Api(http, url, "T"))


async def _read(download: Download) -> bytes:
    try:
        return b"".join([chunk async for chunk in download.chunks])
    finally:
        await download.close()


async def _failure(url: str, reference: str = URI, start: int = 0) -> AdapterError:
    async with _media(url) as media:
        with pytest.raises(AdapterError) as caught:
            await _read(await media.download(reference, start))
        return caught.value


async def test_req_447_a_small_picture_is_made_by_the_homeserver() -> None:
    small = NEW.replace("download", "thumbnail")
    async with misbehaving(**{small: _whole}) as server, _media(server.url) as media:
        assert await _read(await media.download(f"{URI}?small", 0)) == DATA
        (asked,) = server.requests
        wanted = {"width": "640", "height": "480", "method": "scale", "timeout_ms": "20000"}
        assert asked.query == wanted


@pytest.mark.parametrize("answer", [_whole, _ranged])
async def test_a_file_is_fetched_from_any_place(answer: Any) -> None:
    async with misbehaving(**{NEW: answer}) as server, _media(server.url) as media:
        for start in (0, 1, 65_537, len(DATA) - 1):
            download = await media.download(URI, start)
            assert download.size == len(DATA)
            assert await _read(download) == DATA[start:]
            asked = server.requests[-1]
            assert asked.range == (f"bytes={start}-" if start else "")
            assert asked.token == "Bearer T"
            is_begun_later = answer is _ranged and start > 0
            told = "application/octet-stream" if is_begun_later else "image/png"
            assert download.media_type == told


@pytest.mark.parametrize("answer", [_whole, _ranged])
async def test_an_encrypted_file_is_fetched_in_the_clear(answer: Any) -> None:
    stored, file = sealed(DATA)
    reference = reference_in({"file": file})
    async with misbehaving(**{NEW: lambda asked: answer(asked, stored)}) as server:
        async with _media(server.url) as media:
            for start in (0, 5, 16, 70_001, len(DATA) - 1):
                download = await media.download(reference, start)
                assert (download.size, download.media_type) == (len(DATA), "")
                assert await _read(download) == DATA[start:]
        changed = stored[:100] + b"x" + stored[101:]
        server.handlers[NEW] = lambda asked: answer(asked, changed)
        assert type(await _failure(server.url, reference)) is Unsupported


_LONG = random.Random(8).randbytes(2 * PIECE + 1_000)
_PLACES = (1, PIECE - 1, PIECE, PIECE + 17, 2 * PIECE + 999)


@asynccontextmanager
async def _sealed() -> AsyncIterator[_Sealed]:
    stored, file = sealed(_LONG)
    async with misbehaving() as server, _media(server.url) as media:
        yield _Sealed(server, media, reference_in({"file": file}), stored)


@dataclass
class _Sealed:
    """An encrypted file, and who has it."""

    server: Homeserver
    media: Media
    reference: str
    stored: bytes

    def has(self, data: bytes) -> None:
        """The homeserver has this from now on."""
        self.server.handlers[NEW] = lambda asked: _ranged(asked, data)

    async def read(self, start: int) -> bytes:
        """A part. Raises any `AdapterError`."""
        return await _read(await self.media.download(self.reference, start, in_part=True))

    async def until_it_breaks(self, start: int) -> bytes:
        """What comes of one that is not good."""
        got, download = b"", await self.media.download(self.reference, start)
        try:
            async for chunk in download.chunks:
                got += chunk
        except Unsupported:
            return got
        finally:
            await download.close()
        raise AssertionError("it was taken for good")


async def test_parts_of_an_encrypted_file_are_what_was_sent() -> None:
    """The homeserver gives the right bytes once, and then others."""
    async with _sealed() as file:
        file.has(file.stored)
        for start in _PLACES:
            assert await file.read(start) == _LONG[start:]
        firsts = [start - start % PIECE for start in _PLACES]
        asked = [request.range for request in file.server.requests]
        assert asked == ["", *(f"bytes={first}-" if first else "" for first in firsts)]
        changed = bytearray(file.stored)
        changed[2 * PIECE + 7] ^= 1
        file.has(bytes(changed))
        for start in _PLACES:
            assert await file.until_it_breaks(start) == _LONG[start : 2 * PIECE]
        file.has(file.stored[: PIECE + 5])
        for start in (0, 5):
            with pytest.raises(Unsupported):
                await file.read(start)
        file.has(file.stored[:PIECE])
        with pytest.raises(Transient):
            await file.read(5)


async def test_no_part_of_an_encrypted_file_before_the_whole_was_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with _sealed() as file:
        file.has(bytes([file.stored[0] ^ 1]) + file.stored[1:])
        for start in (0, 5, 2 * PIECE):
            with pytest.raises(Unsupported):
                await file.media.download(file.reference, start, in_part=True)
        monkeypatch.setattr(proofs, "MOST_BYTES", len(_LONG) - 1)
        with pytest.raises(TooLarge):
            await file.read(5)
        monkeypatch.setattr(proofs, "MOST_BYTES", len(_LONG))
        file.has(file.stored)
        before = len(file.server.requests)
        found = await asyncio.gather(*(file.read(start) for start in (0, 5, 9)))
        assert found == [_LONG, _LONG[5:], _LONG[9:]]
        assert len(file.server.requests) == before + 1 + 3


async def test_parts_of_a_file_wait_for_no_other_file() -> None:
    async with _sealed() as file:
        file.has(file.stored)
        other = Seal(bytes(32), bytes(16), bytes(32))
        never: Any = asyncio.Event().wait
        hangs = asyncio.ensure_future(file.media._proofs.of(other, never))
        await asyncio.sleep(0)
        async with asyncio.timeout(5):
            assert await file.read(5) == _LONG[5:]
        hangs.cancel()


async def test_an_older_homeserver_is_asked_in_the_older_way() -> None:
    handlers: Any = {NEW: lambda _: UNRECOGNIZED, OLD: _ranged}
    async with misbehaving(**handlers) as server, _media(server.url) as media:
        for start in (0, 3):
            assert await _read(await media.download(URI, start)) == DATA[start:]
        assert server.paths("GET") == [NEW, OLD, OLD]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ((404, {"errcode": "M_NOT_FOUND"}), NotFound),
        ((403, {"errcode": "M_FORBIDDEN"}), Forbidden),
        ((401, {"errcode": "M_UNKNOWN_TOKEN"}), AuthExpired),
        ((413, {"errcode": "M_TOO_LARGE"}), TooLarge),
        ((429, {"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 100}), RateLimited),
        ((502, {"errcode": "M_UNKNOWN"}), Transient),
        ((504, {"errcode": "M_NOT_YET_UPLOADED"}), Transient),
        (web.Response(status=502, text="<html>"), Transient),
        (web.Response(status=206, body=b"x", headers={"Content-Range": "bytes 7-7/9"}), Transient),
        (web.Response(status=206, body=b"x"), Transient),
        (web.Response(status=307), Transient),
        (web.Response(status=307, headers={"Location": "file:///etc/passwd"}), Transient),
        (web.Response(status=307, headers={"Location": "http://[::1"}), Transient),
    ],
)
async def test_what_goes_wrong_is_said(answer: Any, kind: type[AdapterError]) -> None:
    async with misbehaving(**{NEW: lambda _: answer}) as server:
        error = await _failure(server.url, start=5)
        assert type(error) is kind
        assert error.text
        assert "person" not in error.text
        assert server.paths("GET") == [NEW]


async def test_what_is_no_file_is_asked_of_nobody() -> None:
    async with misbehaving() as server:
        for odd in ("", "x", "mxc://example.org/..", f"{URI}#AAAA", "https://example.org/a"):
            assert type(await _failure(server.url, odd)) is NotFound
        assert server.paths("GET") == []


def _failing(status: int, _: Request) -> web.Response:
    return web.Response(status=status)


def _to(url: str) -> Callable[[Request], web.Response]:
    return lambda _: web.Response(status=307, headers={"Location": url})


async def test_redirections_are_followed_three_times_and_without_the_token() -> None:
    async with misbehaving() as there, misbehaving() as server, _media(server.url) as media:
        server.handlers[NEW] = _to(f"{there.url}/1")
        there.handlers.update({"/1": _to("/2"), "/2": _to(f"{there.url}/3"), "/3": _ranged})
        assert await _read(await media.download(URI, 9)) == DATA[9:]
        assert [asked.token for asked in there.requests] == [""] * 3
        assert there.requests[-1].range == "bytes=9-"
        there.handlers["/3"] = _to(f"{there.url}/4")
        there.handlers["/4"] = _whole
        assert type(await _failure(server.url)) is Transient
        assert "/4" not in there.paths("GET")
        for status, kind in ((404, NotFound), (403, Transient), (500, Transient)):
            there.handlers["/1"] = partial(_failing, status)
            with pytest.raises(kind):
                await media.download(URI, 0)
        # What is missing elsewhere says nothing about the homeserver.
        assert OLD not in server.paths("GET")


async def test_a_redirection_to_a_private_address_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As the connections of the adapter have it, unless the admin allows private homeservers."""
    begun = matrix_http._begun
    async with (
        misbehaving(**{"/secret": _whole}) as inside,
        misbehaving(**{NEW: _to(f"{inside.url}/secret")}) as server,
        guarded_http() as guarded,
        aiohttp.ClientSession() as plain,
    ):

        async def begun_on(http: Any, url: str, headers: Any) -> Any:
            is_homeserver = url.startswith(server.url)
            return await begun(plain if is_homeserver else http, url, headers)

        monkeypatch.setattr(matrix_http, "_begun", begun_on)
        with pytest.raises(Forbidden):
            await Media(Api(guarded, server.url, "T")).download(URI, 0)
        assert server.paths("GET") == [NEW]
        assert inside.requests == []


# --- by a wire that breaks -----------------------------------------------------------------------

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def _wire(serve: Serve) -> AsyncIterator[str]:
    """Announces 1 MB, sends 100,000 bytes of it, and then does something."""

    ended = asyncio.Event()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 100_000)
        await serve(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        ended.set()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await asyncio.wait_for(ended.wait(), 10)


async def test_what_breaks_off_is_worth_another_attempt() -> None:
    async def ends(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await writer.drain()

    async with _wire(ends) as url:
        assert type(await _failure(url)) is Transient


async def test_a_homeserver_that_falls_silent_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix_http, "_SILENCE_S", 0.2)

    async def is_silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await reader.read()

    async with _wire(is_silent) as url:
        assert type(await _failure(url)) is Transient


async def test_what_nobody_reads_to_the_end_is_closed() -> None:
    gone = asyncio.Event()

    async def waits(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await reader.read()
        gone.set()

    async with _wire(waits) as url, _media(url) as media:
        download = await media.download(URI, 0)
        assert await anext(download.chunks)
        await download.close()
        await asyncio.wait_for(gone.wait(), 10)
