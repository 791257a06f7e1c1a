# SPDX-License-Identifier: Apache-2.0
"""Files of networks that somebody has fetched, on the disk, so that the network is asked once.

It has a bound: what was not asked for for longest goes. Nothing of it is needed: whatever the disk
does, the network has the file. What lies there is encrypted (`gateway.media.kept`), as files of
encrypted chats are among it.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog

from gateway.adapter import Download
from gateway.ids import FileId
from gateway.media.kept import (
    PIECE,
    UNFINISHED,
    Damaged,
    Reader,
    Writer,
    can_be_kept,
    size_on_disk,
)
from gateway.media.work import Work

log = structlog.get_logger("files")

T = TypeVar("T")
_ID_DIGITS = 12
_NAME = re.compile(r"[0-9a-f]{12}-[0-9a-f]{32}(\.part)?")
_AT_ONCE = 4
"""Pieces that a thread reads or writes at once."""
_BLOCK = 4096
"""Of a file system: a small file takes as much."""
_SHARE = 4
"""A file that would take more than one of so many parts of the cache is not kept."""


class FileCache:
    """Files by id and reference: that which has the id may become another one."""

    def __init__(self, folder: Path, key: bytes, most: int, work: Work) -> None:
        """``folder`` is made when it is needed. ``key``: for this alone. ``most``: bytes; with 0
        nothing is kept, and what is there goes. What its threads do is part of ``work``."""
        self._folder = folder
        self._key = key
        self._most = most
        self._work = work
        self._entries: OrderedDict[str, int] = OrderedDict()
        """Name → bytes on the disk; who was asked for last is last."""
        self._under_way: dict[str, int] = {}
        """Likewise, of what is being written."""
        self._used = 0
        self._is_failing = False

    async def load(self) -> None:
        """Find what was kept before. What was not whole then goes, and what is too much."""
        try:
            found = await self.thread(partial(_found, self._folder))
        except OSError as error:
            self.failed(error)
            return
        for name, size in found:
            self._add(name, size)
        await self._make_room()

    @property
    def ids(self) -> set[FileId]:
        """Of all that is kept."""
        return {_id_in(name) for name in self._entries}

    async def drop(self, ids: Collection[FileId]) -> None:
        """Nobody gets these any more."""
        await self._remove([name for name in self._entries if _id_in(name) in ids])

    async def open(self, id: FileId, reference: str) -> Kept | None:
        """The file, to be closed; None if it is not there."""
        name = self._name(id, reference)
        if name not in self._entries:
            return None
        self._entries.move_to_end(name)
        kept = Kept(self, name, Reader(self._folder / name, self._key))
        try:
            await kept.open()
        except Damaged:
            await kept.close()
            return None
        except asyncio.CancelledError:
            await kept.close()
            raise
        return kept

    def keeping(self, id: FileId, reference: str, download: Download) -> Download:
        """The same; if it is read to its end, it is kept."""
        name = self._name(id, reference)
        known = download.size or 0
        if self._is_too_large(known) or not can_be_kept(download.media_type):
            return download
        if name in self._under_way or name in self._entries:
            return download
        copy = _Copy(self, name, download, Writer(self._folder / name, self._key))
        return replace(download, chunks=copy, close=copy.close)

    def _name(self, id: FileId, reference: str) -> str:
        """The key in a reference cannot be read from it."""
        mark = hashlib.blake2b(reference.encode(), key=self._key, digest_size=16).hexdigest()
        return f"{id:0{_ID_DIGITS}x}-{mark}"

    # --- for copies and what is kept ------------------------------------------------------------

    async def thread(self, work: Callable[[], T]) -> T:
        """As `asyncio.to_thread`."""
        with self._work:
            return await asyncio.to_thread(work)

    async def surely(self, work: Callable[[], None]) -> None:
        """Likewise, and done even if who waits for it is cancelled before its thread begins, or
        the loop ends: it is asked for at once."""
        under_way = ExitStack()
        under_way.enter_context(self._work)
        doing = asyncio.get_running_loop().run_in_executor(None, work)
        doing.add_done_callback(lambda _: under_way.close())
        await asyncio.shield(doing)

    def begin(self, name: str) -> bool:
        """Whether nobody else writes it."""
        if name in self._under_way:
            return False
        self._under_way[name] = 0
        return True

    async def claim(self, name: str, size: int) -> bool:
        """What is being written is to take so many bytes. Whether there is room for it."""
        if self._is_too_large(size):
            return False
        taken = _blocks(size_on_disk(size))
        self._used += taken - self._under_way[name]
        self._under_way[name] = taken
        await self._make_room()
        return self._used <= self._most

    def settle(self, name: str, *, is_whole: bool) -> None:
        """It is not written any more."""
        taken = self._under_way.pop(name)
        self._used -= taken
        if is_whole:
            self._is_failing = False
            self._add(name, taken)

    async def lost(self, name: str, error: Damaged | OSError) -> None:
        """It cannot be read, and is asked for from the network."""
        if isinstance(error, Damaged):
            log.warning("file_cache_damaged", name=name, reason=str(error))
        elif not isinstance(error, FileNotFoundError):
            self.failed(error)
        await self._remove([name])

    def failed(self, error: OSError) -> None:
        """The disk is full, or does not work. Said once, until it does again."""
        if not self._is_failing:
            self._is_failing = True
            log.warning("file_cache_failed", folder=str(self._folder), reason=str(error))

    # --- inside ---------------------------------------------------------------------------------

    def _is_too_large(self, size: int) -> bool:
        return _blocks(size_on_disk(size)) > self._most // _SHARE

    def _add(self, name: str, size: int) -> None:
        self._used += size - self._entries.pop(name, 0)
        self._entries[name] = size

    async def _make_room(self) -> None:
        going, left = [], self._used
        for name, size in self._entries.items():
            if left <= self._most:
                break
            going.append(name)
            left -= size
        await self._remove(going)

    async def _remove(self, names: Iterable[str]) -> None:
        gone = [name for name in names if name in self._entries]
        for name in gone:
            self._used -= self._entries.pop(name)
        if gone:
            try:
                await self.thread(partial(_delete, self._folder, gone))
            except OSError as error:
                self.failed(error)


class Kept:
    """A file that is there, while somebody reads it."""

    def __init__(self, cache: FileCache, name: str, reader: Reader) -> None:
        self._cache = cache
        self._name = name
        self._reader = reader

    @property
    def size(self) -> int:
        """In bytes."""
        return self._reader.size

    @property
    def media_type(self) -> str:
        """As the network said it."""
        return self._reader.media_type

    async def open(self) -> None:
        """Raises `Damaged`."""
        await self._reading(self._reader.open)

    async def chunks(self, start: int) -> AsyncIterator[bytes]:
        """From that byte on. Raises `Damaged`, and the file is not there any more."""
        while start < self.size:
            piece, unwanted = divmod(start, PIECE)
            data = await self._reading(partial(self._reader.read, piece, _AT_ONCE))
            yield data[unwanted:] if unwanted else data
            start += len(data) - unwanted

    async def close(self) -> None:
        """To be called once."""
        await self._cache.surely(self._reader.close)

    async def _reading(self, work: Callable[[], T]) -> T:
        try:
            return await self._cache.thread(work)
        except (Damaged, OSError) as error:
            await self._cache.lost(self._name, error)
            raise Damaged from error


class _Copy:
    """The chunks of a download, which are kept on their way."""

    def __init__(self, cache: FileCache, name: str, download: Download, writer: Writer) -> None:
        self._cache = cache
        self._name = name
        self._download = download
        self._chunks = aiter(download.chunks)
        self._writer = writer
        self._batch = bytearray()
        self._size = 0
        self._has_begun = False
        self._has_ended = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if not self._has_begun:
            self._has_begun = True
            self._has_ended = not self._cache.begin(self._name)
        try:
            chunk = await anext(self._chunks)
        except StopAsyncIteration:
            await self._keep(b"", is_last=self._download.size is None)
            raise
        # Who reads may stop when all that was announced is there.
        await self._keep(chunk, is_last=self._size + len(chunk) == self._download.size)
        return chunk

    async def close(self) -> None:
        """As `Download.close`."""
        try:
            if self._has_begun:
                await self._end()
        finally:
            await self._download.close()

    async def _keep(self, chunk: bytes, *, is_last: bool) -> None:
        """Whatever the disk does, the file goes on its way."""
        if self._has_ended:
            return
        self._batch += chunk
        self._size += len(chunk)
        try:
            if is_last or len(self._batch) >= PIECE * _AT_ONCE:
                if not await self._cache.claim(self._name, self._size):
                    await self._end()
                    return
                await self._write(is_last=is_last)
        except OSError as error:
            self._cache.failed(error)
            await self._end()

    async def _write(self, *, is_last: bool) -> None:
        whole = len(self._batch) if is_last else len(self._batch) // PIECE * PIECE
        data = bytes(self._batch[:whole])
        del self._batch[:whole]
        await self._cache.thread(partial(self._writer.add, data))
        if is_last:
            await self._cache.thread(partial(self._writer.finish, self._download.media_type))
            await self._end()

    async def _end(self) -> None:
        """It is whole by now, or never will be."""
        if self._has_ended:
            return
        self._has_ended = True
        self._batch.clear()
        try:
            await self._cache.surely(self._writer.close)
        except OSError as error:
            self._cache.failed(error)
        finally:
            self._cache.settle(self._name, is_whole=self._writer.is_whole)


def _found(folder: Path) -> list[tuple[str, int]]:
    """Names and bytes on the disk; who was asked for longest ago is first. Raises `OSError`."""
    found = []
    with suppress(FileNotFoundError):
        for path in folder.iterdir():
            if not _NAME.fullmatch(path.name):
                continue
            if path.name.endswith(UNFINISHED):
                path.unlink()
            else:
                status = path.stat()
                found.append((status.st_mtime_ns, path.name, _blocks(status.st_size)))
    return [(name, size) for _, name, size in sorted(found)]


def _delete(folder: Path, names: Iterable[str]) -> None:
    for name in names:
        (folder / name).unlink(missing_ok=True)


def _blocks(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _id_in(name: str) -> FileId:
    return FileId(int(name[:_ID_DIGITS], 16))
