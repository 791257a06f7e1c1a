# SPDX-License-Identifier: Apache-2.0
"""Pictures of strangers, made small and harmless by a process of their own (`decoder`)."""

from __future__ import annotations

import asyncio
import hashlib
import struct
import sys
from dataclasses import dataclass, field
from pathlib import Path

import structlog

log = structlog.get_logger("images")

_DECODER = Path(__file__).with_name("decoder.py")
"""Never imported: the gateway needs nothing of what it imports."""
_REFUSED = 3
"""What it ends with if it has looked at the picture and said why not."""
_MAX_INPUT = 8 * 1024 * 1024
_MAX_BYTES = 96 * 1024
_AT_ONCE = 1
"""Processes: there may be many pictures, and nobody waits for most of them."""
_LIMIT_S = 20.0
"""Real time: its own limit counts what it computes, and the machine may be busy."""
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One that can be shown: a PNG or JPEG of at most 96 KiB (REQ-330)."""

    data: bytes = field(repr=False)
    hash: str
    """SHA-1 of the data, in hex, by which clients know it (XEP-0084, XEP-0153)."""
    type: str
    width: int
    height: int


class BadPicture(Exception):
    """It cannot be shown: broken, too large, not of a kind that all clients know, or a trap."""


class Images:
    """Makes pictures small. One for the process."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(_AT_ONCE), asyncio.Semaphore(_AT_ONCE)
        self._at_work = 0
        self.idle = asyncio.Event()
        """No picture waits or is being made small."""
        self.idle.set()

    async def shrink(self, data: bytes, *, is_awaited: bool = False) -> Picture:
        """Raises `BadPicture`, with a reason that says nothing of what it shows. One for which
        somebody waits does not wait for all the others."""
        if len(data) > _MAX_INPUT:
            raise BadPicture("it is too large")
        self._at_work += 1
        self.idle.clear()
        try:
            async with self._turns[is_awaited]:
                code, made, said = await _run(data)
        finally:
            self._at_work -= 1
            if not self._at_work:
                self.idle.set()
        if code != 0:
            raise BadPicture(said if code == _REFUSED else f"the decoder ended with {code}")
        return _described(made)


async def _run(data: bytes) -> tuple[int | None, bytes, str]:
    """Without our environment and our files."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        _DECODER,
        str(_MAX_BYTES),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd="/",
        env={},
    )
    try:
        async with asyncio.timeout(_LIMIT_S):
            made, said = await process.communicate(data)
    except TimeoutError:
        return None, b"", ""
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, made, said.decode(errors="replace").strip()


def _described(data: bytes) -> Picture:
    """What the decoder has written is still not believed."""
    if len(data) > _MAX_BYTES:
        raise BadPicture("the decoder made something large")
    if data.startswith(_PNG) and len(data) >= 24:
        kind, (width, height) = "image/png", struct.unpack(">II", data[16:24])
    else:
        kind, (width, height) = "image/jpeg", _size_of_jpeg(data)
    digest = hashlib.sha1(data, usedforsecurity=False).hexdigest()
    return Picture(data=data, hash=digest, type=kind, width=width, height=height)


def _size_of_jpeg(data: bytes) -> tuple[int, int]:
    """From the first "start of frame" (ITU-T T.81, B.2.2)."""
    at = 2
    while data[:2] == b"\xff\xd8" and at + 9 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker in (0xC0, 0xC1, 0xC2):
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        at += 2 + length
    raise BadPicture("the decoder made something else")
