# SPDX-License-Identifier: Apache-2.0
"""A file on the disk while it is looked at. It has no name, and is gone when it is closed, or when
the process ends, however that does."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from threading import Lock

from gateway.errors import Transient
from gateway.media.work import Work
from gateway.text.wording import tr

_PIECE = 256 * 1024
_NO_ROOM = tr("The gateway has no room for the file at the moment. Please try again later.")


class Spool:
    """Other threads read and write it: disks may be slow."""

    def __init__(self, work: Work) -> None:
        """Raises `OSError`."""
        self._work = work
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
        self._lock = Lock()
        """Who waits for a thread may be cancelled, and then that still has the descriptor."""
        self.size = 0
        self._rest: AsyncIterator[bytes] | None = None

    @property
    def fd(self) -> int:
        """Its descriptor."""
        return self._file.fileno()

    @property
    def is_whole(self) -> bool:
        """It has all that there is."""
        return self._rest is None

    async def fill(self, chunks: AsyncIterator[bytes], most: int) -> None:
        """Keep all of it, or the beginning: to the chunk with which that is more than ``most``
        bytes. Raises `Transient` if the disk fails, and what ``chunks`` raises."""
        async for chunk in chunks:
            try:
                with self._work:
                    await asyncio.to_thread(self._write, chunk)
            except OSError as error:
                raise Transient(_NO_ROOM, is_certain=True) from error
            if self.size > most:
                self._rest = chunks
                return

    def rewind(self) -> int:
        """For a process that reads it, or has written it; returns the descriptor."""
        self.size = os.fstat(self.fd).st_size
        os.lseek(self.fd, 0, os.SEEK_SET)
        return self.fd

    async def chunks(self) -> AsyncIterator[bytes]:
        """What it has, and then what it has not. Raises `Transient` if the disk fails, and what
        the rest raises."""
        at = 0
        while at < self.size:
            try:
                with self._work:
                    piece = await asyncio.to_thread(self._read, at)
            except OSError as error:
                raise Transient(_NO_ROOM, is_certain=True) from error
            at += len(piece)
            yield piece
        if self._rest is not None:
            async for chunk in self._rest:
                yield chunk

    def close(self) -> None:
        """What it had is gone."""
        with self._lock:
            self._file.close()

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        with self._lock:
            while left:
                done = os.pwrite(self.fd, left, self.size)
                left = left[done:]
                self.size += done

    def _read(self, at: int) -> bytes:
        with self._lock:
            piece = os.pread(self.fd, _PIECE, at)
        if not piece:
            raise OSError("the file has become shorter")
        return piece


@asynccontextmanager
async def spool(work: Work) -> AsyncIterator[Spool]:
    """An empty one; what its threads do is part of ``work``. Raises `Transient` if the disk
    fails."""
    try:
        with work:
            made = await asyncio.to_thread(Spool, work)
    except OSError as error:
        raise Transient(_NO_ROOM, is_certain=True) from error
    try:
        yield made
    finally:
        with work:
            await asyncio.to_thread(made.close)
