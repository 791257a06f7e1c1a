# SPDX-License-Identifier: Apache-2.0
"""Pictures and films without what cameras and apps write beside them: where and when they were
taken, by whom, and what they showed before they were cut (REQ-724).

It is overwritten where it stands, while the file comes: so the file is as long as it was, and
nothing of it is decoded. What is broken goes on as it is. `pictures.py`, `gifs.py`, `boxes.py` and
`items.py` know what stands where in which type.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from gateway.media.bare.boxes import film, sound
from gateway.media.bare.gifs import gif
from gateway.media.bare.items import heif
from gateway.media.bare.pictures import jpeg, png, webp
from gateway.media.bare.source import Format, Source

BARED: Mapping[str, Format] = {
    "image/jpeg": jpeg, "image/png": png, "image/webp": webp, "image/gif": gif,
    "image/avif": heif, "image/heic": heif, "image/heif": heif,
    "video/mp4": film, "video/quicktime": film, "video/3gpp": film,
    "audio/mp4": sound, "audio/quicktime": sound, "audio/3gpp": sound,
}  # fmt: skip
_PIECE = 16 * 1024


async def bare(chunks: AsyncIterator[bytes], media_type: str) -> AsyncIterator[bytes]:
    """The same file, of the same length. ``media_type``: one of `BARED`."""
    held = bytearray()
    source = Source(chunks)
    async for piece in BARED[media_type](source):
        held += piece
        if len(held) >= _PIECE:
            yield bytes(held)
            held.clear()
    if held:
        yield bytes(held)
    async for piece in source.through():
        yield piece
