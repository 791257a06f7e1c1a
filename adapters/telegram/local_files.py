# SPDX-License-Identifier: Apache-2.0
"""Files that a Bot API server has on its own disk.

Bot API, "Using a Local Bot API Server": with ``--local``, getFile answers with where the file is
there. The server keeps what a bot has fetched below a directory that is called like its token, so
that is looked for below the one that the gateway is given, wherever that is on the server; and of
one bot nothing but its own is read.
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
import threading
import weakref
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from gateway.adapter import Download, Logger
from gateway.errors import Transient
from gateway.text.wording import tr

_CHUNK = 256 * 1024
_BELOW = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


def place_of(file_path: str, token: str) -> tuple[str, ...] | None:
    """Where a file is below the directory of its bot; None of what cannot be there. ``file_path``:
    of getFile, an absolute one."""
    folders = file_path.replace("\\", "/").split("/")
    for name in (token, token.replace(":", "~")):  # where file names have no colons
        if name in folders:
            rest = folders[folders.index(name) + 1 :]
            is_below = rest and not any(part in ("", ".", "..") or "\0" in part for part in rest)
            return (name, *rest) if is_below else None
    return None


async def opened(
    root: Path | None, file_path: str, token: str, start: int, log: Logger
) -> Download:
    """A file from its byte ``start`` on. ``root``: the directory of the server, as it is called
    here. Raises `Transient`."""
    place = place_of(file_path, token)
    if root is None or place is None:
        reason = "local_files is not set" if root is None else "not in the directory of the bot"
        raise _unreadable(log, reason)
    try:
        file = await asyncio.to_thread(_File, root, place, start)
    except OSError as error:  # which has the path in its words, and that the token
        raise _unreadable(log, errno.errorcode.get(error.errno or 0, "?")) from None

    async def close() -> None:
        file.close()

    chunks = _chunks(file)
    weakref.finalize(chunks, file.close).atexit = False  # whoever asked may be gone by now
    return Download(chunks=chunks, close=close, size=file.size)


def _unreadable(log: Logger, reason: str) -> Transient:
    log.warning("telegram_file_unreadable", reason=reason)
    return Transient(
        tr("The gateway cannot read the files of its Bot API server. Please tell its admin.")
    )


async def _chunks(file: _File) -> AsyncIterator[bytes]:
    try:
        while chunk := await asyncio.to_thread(file.read):
            yield chunk
    except OSError:
        raise Transient(tr("The file could not be read to its end.")) from None


class _File:
    """An open file, read by threads: disks are slow, and others want their turns."""

    def __init__(self, root: Path, place: Sequence[str], start: int) -> None:
        """``place``: below ``root``. Links are not followed there. Raises `OSError`."""
        self._at = start
        self._lock = threading.Lock()
        self._is_busy = self._is_closed = False
        self._fd = _open(root, place)
        about = os.fstat(self._fd)
        self.size = about.st_size
        if not stat.S_ISREG(about.st_mode):
            self.close()
            raise OSError(errno.EINVAL, "no file")

    def read(self) -> bytes:
        """What comes next; nothing at the end, and when it is closed."""
        with self._lock:
            if self._is_closed:
                return b""
            self._is_busy = True
        try:
            chunk = os.pread(self._fd, _CHUNK, self._at)
        finally:
            with self._lock:
                self._is_busy = False
                if self._is_closed:
                    os.close(self._fd)
        self._at += len(chunk)
        return chunk

    def close(self) -> None:
        """At once, or when what is being read is read."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            if not self._is_busy:
                os.close(self._fd)


def _open(root: Path, place: Sequence[str]) -> int:
    """Folder by folder, so that nobody can put a link in their place meanwhile."""
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in place[:-1]:
            inner = os.open(name, _BELOW | os.O_DIRECTORY, dir_fd=folder)
            os.close(folder)
            folder = inner
        return os.open(place[-1], _BELOW | os.O_NONBLOCK, dir_fd=folder)
    finally:
        os.close(folder)
