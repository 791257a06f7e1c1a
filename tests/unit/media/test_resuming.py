# SPDX-License-Identifier: Apache-2.0
"""What breaks off while it is fetched goes on where it was, and is never half of another file."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from gateway.errors import FetchFailed
from gateway.media import fetch
from tests.unit.media.liar import Said, guarding, liar

HERE = "http://127.0.0.1"
DATA = random.Random(9).randbytes(300_000)
_TAG = 'ETag: "a-1"'
_DATED = (
    "Last-Modified: Mon, 30 Nov 2026 10:00:00 GMT",
    "Date: Mon, 30 Nov 2026 10:00:01 GMT",
)
_PLACE = "Content-Range: bytes {first}-299999/300000"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "_AGAIN_S", (0.0,) * 4)


class _Server:
    """Breaks off so many times, each time after so many bytes; ``rest`` has its headers of what
    comes then."""

    def __init__(
        self,
        headers: Sequence[str],
        rest: Sequence[str] | None = None,
        *,
        breaks: int = 1,
        each: int = 100_000,
        statuses: Sequence[int] = (),
    ) -> None:
        self.headers = headers
        self.rest = (*headers, _PLACE) if rest is None else rest
        self.breaks, self.each = breaks, each
        self.statuses = list(statuses)
        """Of what is asked for the rest."""

    async def talk(self, said: Said) -> None:
        first = 0
        if "\r\nRange: bytes=" in said.head:
            first = int(said.head.partition("Range: bytes=")[2].partition("-")[0])
            assert f"\r\nIf-Range: {self.headers[0].partition(': ')[2]}\r\n" in said.head
        status = 200
        if first:
            status = self.statuses.pop(0) if self.statuses else 206
        first = first if status == 206 else 0
        headers = [line.format(first=first) for line in (self.rest if first else self.headers)]
        lines = (f"HTTP/1.1 {status} X", f"Content-Length: {len(DATA) - first}", *headers, "", "")
        await said.say("\r\n".join(lines))
        self.breaks -= 1
        await said.say(DATA[first : first + self.each] if self.breaks >= 0 else DATA[first:])


async def _fetched(server: _Server) -> tuple[bytes, int]:
    """What came, and in how many requests. Raises `FetchError`."""
    async with liar(server.talk) as there, guarding(there) as guard:
        try:
            async with guard.open(f"{HERE}:{there.port}/x", user="alice") as download:
                return b"".join([chunk async for chunk in download.chunks]), len(there.heads)
        except FetchFailed:
            return b"", len(there.heads)


@pytest.mark.parametrize("headers", [(_TAG,), _DATED])
@pytest.mark.parametrize("breaks", [1, 2])
async def test_req_449_what_breaks_off_goes_on(headers: Sequence[str], breaks: int) -> None:
    """As Prosody gives it, whose uploads have a date alone; and as others do."""
    assert await _fetched(_Server(headers, breaks=breaks)) == (DATA, 1 + breaks)


async def test_a_server_that_is_in_trouble_is_asked_again() -> None:
    assert await _fetched(_Server((_TAG,), statuses=[503, 206])) == (DATA, 3)
    assert await _fetched(_Server((_TAG,), statuses=[503] * 4)) == (b"", 5)


@pytest.mark.parametrize(
    "headers",
    [
        (),
        ('ETag: W/"a-1"',),
        ("ETag: a-1",),
        _DATED[:1],
        (_DATED[0], "Date: Mon, 30 Nov 2026 10:00:00 GMT"),
        ("Last-Modified: yesterday", _DATED[1]),
    ],
)
async def test_a_file_that_cannot_be_known_again_is_not_asked_for(headers: Sequence[str]) -> None:
    assert await _fetched(_Server(headers)) == (b"", 1)


@pytest.mark.parametrize(
    "rest",
    [
        (_TAG,),
        ('ETag: "a-2"', _PLACE),
        (_PLACE,),
        (_TAG, "Content-Range: bytes 0-299999/300000"),
        (_TAG, "Content-Range: bytes {first}-299998/299999"),
        (_TAG, "Content-Range: bytes {first}-299999/*"),
        (_TAG, _PLACE, "Content-Encoding: gzip"),
    ],
)
async def test_the_rest_of_another_file_is_not_taken(rest: Sequence[str]) -> None:
    assert await _fetched(_Server((_TAG,), rest)) == (b"", 2)


async def test_another_file_in_its_place_is_not_taken() -> None:
    """A server that looks at ``If-Range`` says 200 then."""
    assert await _fetched(_Server((_TAG,), statuses=[200])) == (b"", 2)


async def test_a_server_that_always_breaks_off_is_given_up() -> None:
    assert await _fetched(_Server((_TAG,), breaks=5, each=10_000)) == (b"", 5)
