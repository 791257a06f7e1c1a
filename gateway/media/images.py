# SPDX-License-Identifier: Apache-2.0
"""Pictures of strangers, made small and harmless by a process of their own (`decoder`)."""

from __future__ import annotations

import asyncio
import hashlib
import struct
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import msgspec
import structlog

from gateway.media.children import run
from gateway.media.turns import Turns
from gateway.media.types import MEASURED, SCALED
from gateway.media.work import Work

log = structlog.get_logger("images")

_DECODER = Path(__file__).with_name("decoder.py")
"""Never imported: the gateway needs nothing of what it imports."""
_REFUSED = 3
"""What it ends with if it has looked at the picture and said why not."""
MAX_INPUT = 8 * 1024 * 1024
"""Of a larger file its beginning still tells the size of the picture."""
_MAX_BYTES = 96 * 1024
_EDGE = 256
"""REQ-330 permits 512."""
_FORMATS = ",".join(kind.removeprefix("image/").upper() for kind in SCALED)
_SEEN_FORMATS = ",".join(kind.removeprefix("image/").upper() for kind in MEASURED)
_SAID_TYPES = (*MEASURED, "image/apng")
"""By the decoder: it takes one for a PNG, and says that it moves."""
_MAX_EDGE = 2**31
_MAX_HEAD = 1000
"""Of what the decoder says beside the picture."""
_AT_ONCE = 1
"""Processes: there may be many pictures, and nobody waits for most of them."""
_LIMIT_S = 20.0
"""Real time: its own limit counts what it computes, and the machine may be busy."""
_PATIENCE_S = 20.0
"""For so long a file waits to be looked at, all in all."""
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One that can be shown: a PNG or JPEG; as an avatar of at most 96 KiB (REQ-330)."""

    data: bytes = field(repr=False)
    hash: str
    """SHA-1 of the data, in hex, by which clients know it (XEP-0084, XEP-0153)."""
    type: str
    width: int
    height: int


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What a picture in a file is."""

    type: str
    width: int
    """As it is to be shown, in pixels."""
    height: int
    is_animated: bool
    refused: Annotated[str, msgspec.Meta(max_length=200)] = ""
    """Why there is no small one, without anything of what it shows."""


class BadPicture(Exception):
    """It cannot be shown: broken, too large, not of a kind that all clients know, or a trap."""


class Images:
    """Makes pictures small. One for the process. Users take turns, so who has many waits for
    theirs."""

    def __init__(self, work: Work | None = None) -> None:
        """``work``: a picture that waits or is being made small is part of it."""
        self._turns = Turns(_AT_ONCE, 1), Turns(_AT_ONCE, 1)
        self._work = work or Work()

    async def shrink(self, data: bytes, *, user: str, is_awaited: bool = False) -> Picture:
        """An avatar. Raises `BadPicture`, with a reason that says nothing of what it shows. One
        for which somebody waits does not wait for all the others."""
        async with self._turn(user, is_awaited=is_awaited):
            seen, made = await self._run(data, _FORMATS, _EDGE, _MAX_BYTES)
        if seen.refused:
            raise BadPicture(seen.refused)
        return described(made)

    async def look(
        self, data: bytes | int, *, user: str, edge: int, most: int
    ) -> tuple[Seen, Picture | None]:
        """What a picture in a file is, and a small one without EXIF: at most ``edge`` pixels and
        ``most`` bytes; None if there is none, for example because ``data`` is only how the file
        begins. ``data``: bytes, or the descriptor of a file. Raises `BadPicture` if it is none
        that we know, or if others keep us too busy for it."""
        try:
            async with asyncio.timeout(_PATIENCE_S), self._turn(user, is_awaited=True):
                seen, made = await self._run(data, _SEEN_FORMATS, edge, most)
        except TimeoutError:
            raise BadPicture("it took too long") from None
        return seen, None if seen.refused else described(made)

    @asynccontextmanager
    async def _turn(self, user: str, *, is_awaited: bool) -> AsyncIterator[None]:
        with self._work:
            async with self._turns[is_awaited].turn(user):
                yield

    async def _run(
        self, data: bytes | int, formats: str, edge: int, most: int
    ) -> tuple[Seen, bytes]:
        if isinstance(data, bytes) and len(data) > MAX_INPUT:
            raise BadPicture("it is too large")
        said = bytearray()
        decoder = (sys.executable, "-I", str(_DECODER), formats, str(edge), str(most))
        code, why = await run(decoder, data, said.extend, most=most + _MAX_HEAD, limit_s=_LIMIT_S)
        if code != 0:
            raise BadPicture(why if code == _REFUSED else f"the decoder ended with {code}")
        head, _, made = bytes(said).partition(b"\n")
        if len(made) > most:
            raise BadPicture("the decoder made something large")
        return _seen(head), made


def _seen(head: bytes) -> Seen:
    """What the decoder says is not believed either: it may have been taken over."""
    try:
        seen = msgspec.json.decode(head, type=Seen)
    except msgspec.DecodeError:
        raise BadPicture("the decoder made something else") from None
    are_sizes = 0 < seen.width < _MAX_EDGE and 0 < seen.height < _MAX_EDGE
    if seen.type not in _SAID_TYPES or not are_sizes:
        raise BadPicture("the decoder made something else")
    return seen


def described(data: bytes) -> Picture:
    """A small PNG or JPEG. What the decoder has written is still not believed."""
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
