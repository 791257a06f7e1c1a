# SPDX-License-Identifier: Apache-2.0
"""JPEG, PNG and WebP. How the picture is to be turned stays."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import AsyncIterator

from gateway.media.bare.source import Source

_MOST_PARTS = 10_000
"""A file of more is nothing that a camera has made."""
_MOST_EXIF = 64 * 1024
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""What ends the data of a JPEG (ITU-T T.81, B.1.1)."""
_FILL = b"\xff\xff"
"""May stand before any marker (ITU-T T.81, B.1.1.2)."""
_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA
_JPEG_TOLD = (0xE1, *range(0xE3, 0xEE), 0xEF, 0xFE)
"""Exif and XMP, what Photoshop writes, with IPTC, who made it (C2PA), what cameras add; comments.
What is left of those for apps says which colours it has, and how many pictures."""
_PNG_TOLD = (b"eXIf", b"tEXt", b"zTXt", b"iTXt", b"tIME")
_NOTHING = b"drOp"
"""A chunk that all readers pass over (PNG, 5.4)."""
_LEAST_WEBP = 8
"""There is nothing in one of fewer bytes: that is not how long it is."""
_EXIF = b"Exif\0\0"
_ORIENTATION, _SHORT = 0x0112, 3


async def jpeg(source: Source) -> AsyncIterator[bytes]:
    """Some cameras put several into one file, one after the other (MPO)."""
    before = b""
    for _ in range(_MOST_PARTS):
        rest = await source.take(2 - len(before))
        yield rest
        marker = before + rest
        before = b"\xff" if marker == _FILL else b""
        if before:
            continue
        if len(marker) < 2 or marker[0] != 0xFF:
            return
        if marker[1] == _SOI:
            continue
        if marker[1] == _EOI:
            following = await source.take(2)
            if following == bytes((0xFF, _SOI)):
                yield following
                continue
            yield bytes(len(following))
            async for piece in source.blanked():
                yield piece
            return
        length = await source.take(2)
        payload = await source.take(max(0, int.from_bytes(length, "big") - 2))
        yield length + (_bare_exif(payload) if marker[1] in _JPEG_TOLD else payload)
        if marker[1] == _SOS:
            async for piece in _until_marker(source):
                yield piece


async def _until_marker(source: Source) -> AsyncIterator[bytes]:
    """Data of a JPEG."""
    while (found := _MARKER.search(source.ahead)) is None:
        ahead = source.ahead
        yield await source.take(len(ahead) - ahead.endswith(b"\xff"))
        if not await source.more():
            return
    yield await source.take(found.start())


async def png(source: Source) -> AsyncIterator[bytes]:
    yield await source.take(8)
    for _ in range(_MOST_PARTS):
        head = await source.take(8)
        if not head:
            return
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        if kind not in _PNG_TOLD:
            yield head
            async for piece in source.through(length + 4):
                yield piece
            if kind == b"IEND":
                async for piece in source.blanked():
                    yield piece
                return
            continue
        data = await source.take(length) if kind == b"eXIf" and length <= _MOST_EXIF else b""
        turned = _bare_exif(data)
        kind = kind if any(turned) else _NOTHING
        sum_ = zlib.crc32(kind + turned)
        yield head[:4] + kind + turned
        async for piece in source.through(length - len(turned)):
            sum_ = zlib.crc32(bytes(len(piece)), sum_)
            yield bytes(len(piece))
        yield struct.pack(">I", sum_)[: len(await source.take(4))]


async def webp(source: Source) -> AsyncIterator[bytes]:
    """What comes after its end is no part of it (RFC 9649, 2.4)."""
    begin = await source.take(12)
    yield begin
    left = int.from_bytes(begin[4:8], "little") - len(b"WEBP")
    is_said = left > _LEAST_WEBP
    for _ in range(_MOST_PARTS):
        if is_said and left <= 0:
            async for piece in source.blanked():
                yield piece
        head = await source.take(8)
        if not head:
            return
        yield head
        length, kind = int.from_bytes(head[4:], "little"), head[:4]
        padded = length + length % 2
        left -= len(head) + padded
        is_told = kind in (b"EXIF", b"XMP ")
        if kind == b"EXIF" and length <= _MOST_EXIF:
            data = await source.take(length)
            yield _bare_exif(data)
            padded -= len(data)
        async for piece in source.through(padded):
            yield bytes(len(piece)) if is_told else piece


def _bare_exif(data: bytes) -> bytes:
    """As long as it was: how the picture is to be turned, if it says that, and nothing else."""
    begin = _EXIF if data.startswith(_EXIF) else b""
    turn = _orientation(data[len(begin) :])
    entry = struct.pack("<HHHIHHI", 1, _ORIENTATION, _SHORT, 1, turn, 0, 0)
    made = begin + b"II*\0\x08\0\0\0" + entry
    is_said = 1 < turn <= 8 and len(made) <= len(data)
    return made.ljust(len(data), b"\0") if is_said else bytes(len(data))


def _orientation(tiff: bytes) -> int:
    """From the first directory (TIFF 6.0, section 2); 0 if it says nothing."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 0
    try:
        (at,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, at)
        for each in range(min(count, 200)):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", tiff, at + 2 + 12 * each)
            if (tag, kind) == (_ORIENTATION, _SHORT):
                return int(value)
    except struct.error:
        pass
    return 0
