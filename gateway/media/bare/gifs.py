# SPDX-License-Identifier: Apache-2.0
"""GIF: comments, XMP, and whatever else apps put beside the picture (GIF89a)."""

from __future__ import annotations

from collections.abc import AsyncIterator

from gateway.media.bare.source import Source

_MOST_BLOCKS = 500_000
"""Each has at most 255 bytes."""
_FRAME, _EXTENSION, _END = b"\x2c", b"\x21", b"\x3b"
_SHOWN = (b"\xf9", b"\x01")
"""Extensions that are a part of the picture (GIF89a, 23 and 25)."""
_OF_APP = b"\xff"
_NO_APP = b"\xff\0"
"""One that ends before it has said of which app it is."""
_APPS = (b"NETSCAPE2.0", b"ANIMEXTS1.0", b"ICCRGBG1012")
"""What they say is how often it moves, and which colours it has."""


async def gif(source: Source) -> AsyncIterator[bytes]:
    """One picture, or many that follow each other."""
    head = await source.take(13)
    yield head
    async for piece in source.through(_colours(head[10:11])):
        yield piece
    left = _MOST_BLOCKS
    while left > 0:
        kind = await source.take(1)
        yield kind
        if kind == _END:
            async for piece in source.blanked():
                yield piece
        is_kept, begin = True, b""
        if kind == _EXTENSION:
            begin, is_kept = await _extension(source)
            yield begin
        elif kind == _FRAME:
            place = await source.take(9)
            yield place
            # The colours of this one, and with how many bits they are named.
            async for piece in source.through(_colours(place[8:]) + 1):
                yield piece
        else:
            return
        block = b"" if begin == _NO_APP else kind
        while block and left > 0:
            left -= 1
            length = await source.take(1)
            block = await source.take(int.from_bytes(length, "big"))
            yield length + (block if is_kept else bytes(len(block)))


async def _extension(source: Source) -> tuple[bytes, bool]:
    """How one begins, and whether its blocks are kept."""
    label = await source.take(1)
    if label != _OF_APP:
        return label, label in _SHOWN
    length = await source.take(1)
    app = await source.take(int.from_bytes(length, "big"))
    is_kept = app in _APPS
    return label + length + (app if is_kept else bytes(len(app))), is_kept


def _colours(flags: bytes) -> int:
    """How long the table is that follows, if one does (GIF89a, 18 and 20)."""
    flag = int.from_bytes(flags, "big")
    return 3 << (flag & 7) + 1 if flag & 0x80 else 0
