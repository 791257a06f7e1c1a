# SPDX-License-Identifier: Apache-2.0
"""AVIF and HEIC: pictures in boxes, where Exif and XMP are items among the data, and a list says
at which bytes (ISO 14496-12 §8.11, ISO 23008-12)."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass

from gateway.media.bare.boxes import DATED, PLAYED, TOP, Needed, opened
from gateway.media.bare.source import Source

_SEEN: Needed = {**PLAYED, TOP: PLAYED[TOP] | {b"meta"}}
_EXIF = b"Exif"
_TYPES = (_EXIF, b"mime", b"uri ")
"""Types of items: Exif, XMP, and what else somebody may want to say."""
_NO_EXIF = b"\0\0\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"
"""Readers refuse a picture with an Exif item that is none."""
_MOST_EXTENTS = 10_000
_IN_FILE, _IN_LIST = 0, 1


@dataclass(frozen=True, slots=True)
class _Extent:
    """Some bytes of an item."""

    start: int
    end: int
    begin: bytes
    """What stands there from now on; zeros after that."""

    def after(self, place: int) -> _Extent:
        """What is left of it from there on."""
        start = max(self.start, min(place, self.end))
        return _Extent(start, self.end, self.begin[start - self.start :])

    def cover(self, data: bytearray, at: int) -> None:
        """Where it is in ``data``, which begins ``at``."""
        first, last = max(self.start, at), min(self.end, at + len(data))
        if first < last:
            made = self.begin[first - self.start : last - self.start]
            data[first - at : last - at] = made.ljust(last - first, b"\0")


async def heif(source: Source) -> AsyncIterator[bytes]:
    """The data come after the list: what comes before it cannot be known. There is one list."""
    ahead: deque[_Extent] | None = None

    def read(content: bytes) -> bytes:
        """The list, with the data of small items, which may stand in it."""
        nonlocal ahead
        if ahead is not None:
            return content
        covered, told = bytearray(content), _told(content)
        ahead = deque(_apart(extent for where, extent in told if where == _IN_FILE))
        for extent in _apart(extent for where, extent in told if where == _IN_LIST):
            extent.cover(covered, 0)
        return bytes(covered)

    at = 0
    async for piece in opened(source, _SEEN, {**DATED, b"meta": read}):
        data, end = bytearray(piece), at + len(piece)
        while ahead and ahead[0].start < end:
            ahead[0].cover(data, at)
            if ahead[0].end > end:
                break
            ahead.popleft()
        at = end
        yield bytes(data)


def _apart(extents: Iterable[_Extent]) -> Iterator[_Extent]:
    """In their order, and each byte in one of them alone: so they are no work without end."""
    end = 0
    for extent in sorted(extents, key=lambda each: each.start):
        left = extent.after(end)
        if left.start < left.end:
            yield left
            end = left.end


def _told(content: bytes) -> list[tuple[int, _Extent]]:
    """Where the items of a `meta` are that tell something; nothing if it is broken."""
    inside = {kind: (start, end) for kind, start, end in _boxes(content, 4, len(content))}
    if b"iinf" not in inside or b"iloc" not in inside:
        return []
    begins = {_IN_FILE: 0, _IN_LIST: inside.get(b"idat", (len(content), 0))[0]}
    try:
        types = _types(content, *inside[b"iinf"])
        found = list(_extents(_Reader(content, *inside[b"iloc"])))
    except struct.error:
        return []
    told = []
    for id, where, start, length in found:
        if id in types and where in begins:
            start += begins[where]
            is_exif = types[id] == _EXIF and length >= len(_NO_EXIF)
            told.append((where, _Extent(start, start + length, _NO_EXIF if is_exif else b"")))
    return told


def _types(content: bytes, start: int, end: int) -> dict[int, bytes]:
    """Of an `iinf`: the items that tell something. Raises `struct.error`."""
    types = {}
    entries = start + (6 if content[start : start + 1] == b"\0" else 8)
    for kind, first, last in _boxes(content, entries, end):
        entry = _Reader(content, first, last)
        version = entry.number(4) >> 24
        if kind == b"infe" and version in (2, 3):
            id = entry.number(2 if version == 2 else 4)
            entry.number(2)
            type = entry.number(4).to_bytes(4, "big")
            if type in _TYPES:
                types[id] = type
    return types


def _extents(places: _Reader) -> Iterator[tuple[int, int, int, int]]:
    """Of an `iloc`: item, in what it is, from where, how long. Raises `struct.error`."""
    version = places.number(4) >> 24
    sizes = places.number(2)
    offset, length, base, index = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    wide = 2 if version < 2 else 4
    left = _MOST_EXTENTS
    for _ in range(places.number(wide)):
        id = places.number(wide)
        where = places.number(2) & 15 if version else _IN_FILE
        places.number(2)
        begin = places.number(base)
        for _ in range(places.number(2)):
            places.number(index if version else 0)
            start = begin + places.number(offset)
            yield id, where, start, places.number(length)
            left -= 1
            if left < 0:
                raise struct.error


class _Reader:
    """Numbers, one after the other."""

    def __init__(self, data: bytes, start: int, end: int) -> None:
        self._data = data
        self._at = start
        self._end = end

    def number(self, length: int) -> int:
        """Of so many bytes. Raises `struct.error`."""
        start, self._at = self._at, self._at + length
        if self._at > self._end:
            raise struct.error
        return int.from_bytes(self._data[start : self._at], "big")


def _boxes(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, and where the content is."""
    while at + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, at)
        if size < 8 or at + size > end:
            return
        yield kind, at + 8, at + size
        at += size
