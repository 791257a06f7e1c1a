# SPDX-License-Identifier: Apache-2.0
"""By whose session a file is fetched."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.adapter import Download
from gateway.bridge.files.downloads import Downloads
from gateway.errors import AdapterError, Forbidden, NotFound, Transient, Unsupported
from tests.clock import VirtualClock

_GONE, _LEFT, _BUSY = NotFound("gone"), Forbidden("left"), Transient("busy")
_ODD, _SILENT, _AWAY = Unsupported("odd"), "silent", "away"
_CLOCK_LIMIT_S = 100


class _Session:
    def __init__(self, clock: VirtualClock, does: Any) -> None:
        self._clock, self._does = clock, does

    async def download(self, reference: str, start: int, *, in_part: bool) -> Download:
        if self._does == _SILENT:
            await self._clock.sleep(1e9)
        if isinstance(self._does, Exception):
            raise self._does
        return self._does  # type: ignore[no-any-return]


async def _opened(*does: Any) -> Download:
    """By accounts of one room, whose sessions do this."""
    clock = VirtualClock()
    ground: Any = SimpleNamespace(store=None, accounts=None, clock=clock)
    links = [
        SimpleNamespace(session=None if each == _AWAY else _Session(clock, each)) for each in does
    ]
    downloads = Downloads(ground)
    vars(downloads)["_readers"] = lambda _: [SimpleNamespace(link=link) for link in links]
    file: Any = SimpleNamespace(file=SimpleNamespace(reference="r", content=b""))
    opening = asyncio.ensure_future(downloads.open(file))
    await clock.advance(_CLOCK_LIMIT_S)
    return await opening


async def _nothing() -> None:
    """Nothing is open."""


def _file() -> Any:
    return Download(chunks=None, close=_nothing)  # type: ignore[arg-type]


@pytest.mark.parametrize("first", [_GONE, _LEFT, _BUSY, _ODD, _SILENT, _AWAY])
async def test_what_one_cannot_fetch_another_one_can(first: Any) -> None:
    """Whatever is wrong with one account of a room, its other ones do not notice."""
    file = _file()
    assert await _opened(first, file) is file


async def test_three_accounts_of_a_room_are_asked_at_the_most() -> None:
    """Whoever waits for the file has gone before a hundred have not answered."""
    file = _file()
    assert await _opened(*[_AWAY] * 5, _SILENT, _GONE, file) is file
    with pytest.raises(Transient):
        await _opened(_SILENT, _SILENT, _AWAY, _SILENT, file)
    with pytest.raises(NotFound):
        await _opened(_GONE, _GONE, _GONE, file)


@pytest.mark.parametrize(
    ("does", "error"),
    [
        ((_GONE,), NotFound),
        ((_LEFT, _GONE), NotFound),
        ((_BUSY, _GONE), Transient),
        ((_AWAY, _GONE), Transient),
        ((_GONE, _SILENT), Transient),
        ((_AWAY,), Transient),
        ((), Transient),
    ],
)
async def test_a_file_is_gone_if_nobody_can_have_it_still(
    does: Any, error: type[AdapterError]
) -> None:
    with pytest.raises(error):
        await _opened(*does)
