# SPDX-License-Identifier: Apache-2.0
"""Films, and sounds, in boxes: MP4, M4A, 3GP and MOV (ISO 14496-12; QuickTime File Format).

What it takes to play one is left. What telephones and cameras add stands in boxes beside that,
which become free space: so nobody has to know all of these.
"""

from __future__ import annotations

import re
import sys
from collections.abc import AsyncIterator, Callable, Mapping

from gateway.media.bare.source import Source

_MOST_BOXES = 200_000
"""A film that was made for streaming has some for each second."""
_MOST_READ = 1024 * 1024
"""Of a box that is changed."""
_KIND = re.compile(rb"[ -~\xa9]{4}")
_TO_THE_END = sys.maxsize
_UUID, _META, _ILST = b"uuid", b"meta", b"ilst"
_DATA = (b"mdat", b"imda", b"moof")
"""What is played, and in a film that is made while it is sent, what leads to it."""
_ROUND = bytes.fromhex("ffcc8263f8554a938814587a02521fdd")
"""A film that is all around who sees it says so here (Spherical Video V1)."""

Needed = Mapping[bytes, frozenset[bytes]]
"""What is left in a box that is opened."""
Changes = Mapping[bytes, Callable[[bytes], bytes]]
"""What becomes of the content of a box that is left: something of the same length."""


def _kinds(*names: str) -> frozenset[bytes]:
    return frozenset(name.encode("latin-1") for name in names)


TOP = b""
"""The file itself, as a box."""
PLAYED: Needed = {
    TOP: _kinds(
        *("ftyp", "styp", "pdin", "moov", "moof", "mfra", "mdat", "imda"),
        *("sidx", "ssix", "emsg", "pssh"),
    ),
    b"moov": _kinds("mvhd", "trak", "mvex", "iods", "pssh", "cmov", "rmra", "clip", "ctab"),
    b"trak": _kinds(
        *("tkhd", "edts", "mdia", "tref", "trgr", "tapt", "clip", "matt", "load", "imap", "kmat"),
        "txas",
    ),
    b"mdia": _kinds("mdhd", "hdlr", "minf", "elng"),
}
"""Of a film: no `udta`, no `meta`, no `prft`, which says when it was taken, and nothing that only
one maker knows."""
_HEARD: Needed = {
    **PLAYED,
    b"moov": PLAYED[b"moov"] | _kinds("udta"),
    b"udta": _kinds("meta", "chpl"),
    _META: _kinds("hdlr", "ilst"),
    _ILST: _kinds(
        *("©nam", "©ART", "aART", "©alb", "©wrt", "©gen", "gnre", "©day", "trkn", "disk", "cpil"),
        *("tmpo", "covr", "cprt", "©grp", "©lyr", "©cmt", "©too", "©nrt", "©pub", "©dir", "pgap"),
        *("sonm", "soar", "soaa", "soal", "soco", "sosn", "desc", "ldes", "rtng", "stik", "hdvd"),
        *("tvsh", "tvsn", "tves", "tven", "tvnn", "pcst", "catg", "keyw", "purl", "egid", "shwm"),
        *("©wrk", "©mvn", "©mvi", "©mvc", "©st3", "----"),
    ),
}
"""Of a sound also what a song is called, who plays it, and its chapters: apps show these. Not who
has bought it, nor what has a name of its own in a list (QuickTime), such as where it was taken."""


async def film(source: Source) -> AsyncIterator[bytes]:
    """One that is left to be played alone."""
    async for piece in opened(source, PLAYED, DATED):
        yield piece


async def sound(source: Source) -> AsyncIterator[bytes]:
    """One that keeps the names that a song has."""
    async for piece in opened(source, _HEARD, DATED):
        yield piece


def opened(source: Source, needed: Needed, changes: Changes) -> AsyncIterator[bytes]:
    """A file of boxes, with what is ``needed``."""
    return _Boxes(source, needed, changes).inside(TOP, _TO_THE_END)


class _Boxes:
    """Goes through a file."""

    def __init__(self, source: Source, needed: Needed, changes: Changes) -> None:
        self._source = source
        self._needed = needed
        self._changes = changes
        self._left = _MOST_BOXES
        self._has_data = self._is_over = False
        """What is played has come; and then what tells how, so that there is no more of it."""

    async def inside(self, kind: bytes, length: int) -> AsyncIterator[bytes]:
        """What a box of that kind has in so many bytes. One that says it is longer than that is
        not believed. After one that cannot be, all goes on as it is, but for what cameras append
        to a file that is over: all that is played is in boxes (ISO 14496-12 §4.2)."""
        rest = self._source.through
        while length >= 8 and self._left > 0:
            self._left -= 1
            head = await self._source.take(8)
            size = int.from_bytes(head[:4], "big")
            if size == 1 and length >= 16:
                head += await self._source.take(8)
                size = int.from_bytes(head[8:], "big")
            elif size == 0:
                size = length
            length -= len(head)
            is_one = kind == _ILST or _KIND.fullmatch(head[4:8])
            if size < len(head) or not is_one:
                if kind == TOP and self._is_over:
                    head, rest = bytes(len(head)), self._source.blanked
                yield head
                break
            if kind == TOP:
                self._note(head[4:8])
            size = min(size - len(head), length)
            length -= size
            async for piece in self._box(head, size, self._needed[kind]):
                yield piece
        async for piece in rest(length):
            yield piece

    def _note(self, kind: bytes) -> None:
        """One of the file itself comes."""
        if kind in _DATA:
            self._has_data, self._is_over = True, False
        elif kind == b"moov":
            self._is_over = self._has_data

    async def _box(
        self, head: bytes, length: int, needed: frozenset[bytes]
    ) -> AsyncIterator[bytes]:
        kind, id = head[4:8], b""
        if kind == _UUID:
            id = await self._source.take(min(len(_ROUND), length))
        if kind not in needed and id != _ROUND:
            yield head[:4] + b"free" + head[8:] + bytes(len(id))
            content = self._source.blanked(length - len(id))
        elif kind in self._changes and length <= _MOST_READ:
            yield head + self._changes[kind](await self._source.take(length))
            return
        elif kind in self._needed:
            # In QuickTime it has no version.
            has_version = kind == _META and await self._source.peek(min(4, length)) == bytes(4)
            version = await self._source.take(4 if has_version else 0)
            yield head + version
            content = self.inside(kind, length - len(version))
        else:
            yield head + id
            content = self._source.through(length - len(id))
        async for piece in content:
            yield piece


def _undated(content: bytes) -> bytes:
    """Of a box that begins with when it was made, and when it was changed."""
    end = 20 if content[:1] == b"\1" else 12
    return content[:4] + bytes(len(content[4:end])) + content[end:]


DATED: Changes = dict.fromkeys((b"mvhd", b"tkhd", b"mdhd"), _undated)
