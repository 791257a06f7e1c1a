# SPDX-License-Identifier: Apache-2.0
"""What is kept of files of networks: bounded, unreadable to others, and never another file."""

from __future__ import annotations

import asyncio
import os
import random
import resource
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
from structlog.testing import capture_logs

from gateway.adapter import Download
from gateway.errors import Transient
from gateway.ids import FileId
from gateway.media.cache import FileCache, Kept
from gateway.media.kept import PIECE, Damaged
from gateway.media.work import Work

KEY = bytes(range(32))
MOST = 4_000_000
ONE = FileId(2**47 - 1)
_REFERENCE = "mxc://a/b#key"
DATA = random.Random(11).randbytes(PIECE * 5 + 100)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "files"


async def _cache(folder: Path, most: int = MOST, key: bytes = KEY) -> FileCache:
    cache = FileCache(folder, key, most, Work())
    await cache.load()
    return cache


def _download(data: bytes, size: int | None = -1, breaks_at: int | None = None) -> Download:
    async def chunks() -> AsyncIterator[bytes]:
        for at in range(0, len(data), 10_000):
            if breaks_at is not None and at >= breaks_at:
                raise Transient("broken off")
            yield data[at : at + 10_000]

    said = len(data) if size == -1 else size
    return Download(chunks=chunks(), size=said, media_type="image/png")


async def _put(cache: FileCache, id: FileId, data: bytes, size: int | None = -1) -> None:
    """Somebody reads it to its end."""
    download = cache.keeping(id, _REFERENCE, _download(data, size))
    assert b"".join([chunk async for chunk in download.chunks]) == data
    await download.close()


async def _get(cache: FileCache, id: FileId, start: int = 0) -> bytes | None:
    kept = await cache.open(id, _REFERENCE)
    if kept is None:
        return None
    try:
        return b"".join([chunk async for chunk in kept.chunks(start)])
    finally:
        await kept.close()


def _lies(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def _used(folder: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in folder.iterdir())


@pytest.mark.parametrize("length", [0, 1, PIECE - 1, PIECE, PIECE * 4, PIECE * 4 + 1, len(DATA)])
@pytest.mark.parametrize("size", [-1, None], ids=["size-said", "size-unknown"])
async def test_a_file_is_kept_as_it_is(folder: Path, length: int, size: int | None) -> None:
    cache = await _cache(folder)
    data = DATA[:length]
    await _put(cache, ONE, data, size)
    if not length and size is not None:
        return  # nobody reads on where nothing was announced
    for start in {0, length // 2, max(length - 1, 0), min(PIECE, length)}:
        assert await _get(cache, ONE, start) == data[start:]
    kept = await cache.open(ONE, _REFERENCE)
    assert kept is not None
    assert (kept.size, kept.media_type) == (length, "image/png")
    await kept.close()
    assert await cache.open(ONE, "mxc://a/another") is None
    assert await cache.open(FileId(1), _REFERENCE) is None


async def test_nothing_on_the_disk_says_what_a_file_is(folder: Path) -> None:
    cache = await _cache(folder)
    secret = b"this is what nobody may read " * 20_000
    await _put(cache, ONE, secret)
    (path,) = _lies(folder)
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o777 == 0o600
    lies = path.read_bytes()
    assert len(lies) > len(secret)
    for word in (b"nobody", b"image/png", _REFERENCE.encode(), KEY):
        assert word not in lies
        assert word.decode("latin-1") not in path.name
    # The same twice is not the same there, nor can it be read with another key.
    await _put(cache, FileId(5), secret)
    other = next(each for each in _lies(folder) if each != path)
    assert other.read_bytes()[200:400] != lies[200:400]
    assert await _get(await _cache(folder, key=b"x" * 32), ONE) is None


async def test_there_is_a_bound_and_what_nobody_asks_for_goes(folder: Path) -> None:
    cache = await _cache(folder, most=1_000_000)
    data = DATA[:190_000]
    for id in range(1, 6):
        await _put(cache, FileId(id), data)
        assert _used(folder) <= 1_000_000
    assert await _get(cache, FileId(1)) == data  # asked for last now
    await _put(cache, FileId(6), data)
    assert cache.ids == {1, 3, 4, 5, 6}
    assert await _get(cache, FileId(2)) is None
    small = await _cache(folder, most=40_000)
    for id in range(100, 120):  # each takes a block, however small it is
        await _put(small, FileId(id), b"x")
    assert _used(folder) <= 40_000
    assert len(small.ids) == 9


@pytest.mark.parametrize("size", [-1, None], ids=["size-said", "size-unknown"])
async def test_a_large_file_drives_out_nothing(folder: Path, size: int | None) -> None:
    cache = await _cache(folder, most=1_000_000)
    await _put(cache, ONE, DATA[:200_000])
    await _put(cache, FileId(2), DATA[:300_000], size)
    assert cache.ids == {ONE}
    assert len(_lies(folder)) == 1
    nothing = await _cache(folder, most=0)
    assert not _lies(folder)
    await _put(nothing, ONE, b"x")
    assert not _lies(folder)


async def test_what_is_not_whole_is_not_kept(folder: Path) -> None:
    cache = await _cache(folder)
    broken = cache.keeping(ONE, _REFERENCE, _download(DATA, breaks_at=300_000))
    with pytest.raises(Transient):
        async for _ in broken.chunks:
            pass
    await broken.close()
    left = cache.keeping(ONE, _REFERENCE, _download(DATA))
    for _ in range(30):
        await anext(aiter(left.chunks))
    assert [path.suffix for path in _lies(folder)] == [".part"]
    again = cache.keeping(ONE, _REFERENCE, _download(DATA))  # while it is under way
    assert b"".join([chunk async for chunk in again.chunks]) == DATA
    await again.close()
    await left.close()
    await _put(cache, ONE, DATA, size=len(DATA) + 1)
    assert not cache.ids
    assert not _lies(folder)
    cut_off = cache.keeping(ONE, _REFERENCE, _download(DATA))
    reading = asyncio.ensure_future(anext(aiter(cut_off.chunks)))
    await asyncio.sleep(0)
    reading.cancel()
    await cut_off.close()
    await _put(cache, ONE, DATA)
    assert await _get(cache, ONE) == DATA


async def test_a_restart_keeps_what_is_whole(folder: Path) -> None:
    cache = await _cache(folder, most=1_600_000)
    for id in (1, 2, 3, 4):
        await _put(cache, FileId(id), DATA)
    names = {int(path.name[:12], 16): path for path in _lies(folder)}
    for age, id in enumerate((3, 1, 4, 2)):
        os.utime(names[id], (1_000_000 - age, 1_000_000 - age))
    names[1].with_name(f"{names[1].name}.part").write_bytes(b"as a crash leaves it")
    names[1].with_name("notes.txt").write_text("of somebody else")
    cache = await _cache(folder, most=1_600_000)
    assert cache.ids == {1, 2, 3, 4}
    assert [path.name for path in _lies(folder) if path.suffix] == ["notes.txt"]
    assert await _get(cache, FileId(2)) == DATA
    cache = await _cache(folder, most=800_000)  # the admin wants less
    assert cache.ids == {2, 3}
    assert sorted(path.name[:4] for path in _lies(folder)) == ["0000", "0000", "note"]
    await cache.drop({FileId(2)})
    assert cache.ids == {3}
    assert await _get(cache, FileId(2)) is None
    assert len(_lies(folder)) == 2


@pytest.mark.parametrize("at", [0, 20, 170, PIECE * 3, -1], ids=str)
async def test_a_changed_byte_is_noticed(folder: Path, at: int) -> None:
    cache = await _cache(folder)
    await _put(cache, ONE, DATA)
    (path,) = _lies(folder)
    lies = bytearray(path.read_bytes())
    lies[at] ^= 1
    path.write_bytes(lies)
    await _is_lost(cache, folder)


async def _read(kept: Kept, into: bytearray) -> None:
    async for chunk in kept.chunks(0):
        into += chunk


async def _is_lost(cache: FileCache, folder: Path) -> None:
    """Nobody gets a byte that is not of the file, and it is not there any more."""
    with capture_logs() as logs:
        kept = await cache.open(ONE, _REFERENCE)
        if kept is not None:
            read = bytearray()
            with pytest.raises(Damaged):
                await _read(kept, read)
            assert DATA.startswith(read)
            await kept.close()
    assert [entry["event"] for entry in logs] == ["file_cache_damaged"]
    assert not _lies(folder)
    assert await cache.open(ONE, _REFERENCE) is None
    await _put(cache, ONE, DATA)
    assert await _get(cache, ONE) == DATA


async def test_neither_the_end_nor_the_order_can_be_changed(folder: Path) -> None:
    cache = await _cache(folder)
    await _put(cache, ONE, DATA)
    (path,) = _lies(folder)
    whole = path.read_bytes()
    begin, sealed = len(whole) - (len(DATA) + 6 * 16), PIECE + 16
    first, second = begin + sealed, begin + 2 * sealed
    for changed in (
        whole[:second],
        whole[:-1],
        whole + b"x",
        whole[:10],
        b"",
        whole[:begin] + whole[first:second] + whole[begin:first] + whole[second:],
    ):
        path.write_bytes(changed)
        await _is_lost(cache, folder)
    await _put(cache, FileId(7), DATA)
    other = next(each for each in _lies(folder) if each != path)
    other.replace(path)  # one file in the place of another
    with capture_logs():
        assert await _get(cache, ONE) is None


def _make_unusable(folder: Path) -> None:
    folder.rmdir()
    folder.write_text("this is no folder")


async def test_a_disk_that_is_full_breaks_nothing(folder: Path) -> None:
    cache = await _cache(folder)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with capture_logs() as logs:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
        try:
            for id in (1, 2):
                await _put(cache, FileId(id), DATA)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert [entry["event"] for entry in logs] == ["file_cache_failed"]
        assert not _lies(folder)
        await _put(cache, ONE, DATA)
    assert len(logs) == 1
    assert cache.ids == {ONE}
    await cache.drop({ONE})
    _make_unusable(folder)
    with capture_logs() as logs:
        cache = await _cache(folder)
        await _put(cache, ONE, DATA)
    assert [entry["event"] for entry in logs] == ["file_cache_failed"]
    assert await _get(cache, ONE) is None


async def test_who_does_not_wait_for_the_end_leaves_nothing_open(folder: Path) -> None:
    """A person who goes away, and a gateway that is stopped in the same moment."""
    cache, busy = await _cache(folder), Event()
    await _put(cache, ONE, DATA)
    kept = await cache.open(ONE, _REFERENCE)
    assert kept is not None
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(max_workers=1))
    waiting = loop.run_in_executor(None, busy.wait)
    assert _are_open(folder)
    closing = asyncio.create_task(kept.close())
    await asyncio.sleep(0)  # its thread is asked for
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    await asyncio.sleep(0)
    busy.set()
    await waiting
    await loop.run_in_executor(None, lambda: None)  # one after the other
    assert not _are_open(folder)


def _are_open(folder: Path) -> bool:
    files = (os.path.realpath(link) for link in Path("/proc/self/fd").iterdir())
    return any(file.startswith(str(folder)) for file in files)
