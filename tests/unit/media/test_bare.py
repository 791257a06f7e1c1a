# SPDX-License-Identifier: Apache-2.0
"""Pictures of users go to networks without where they were taken (REQ-724)."""

from __future__ import annotations

import io
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from gateway.media.bare import BARED, bare

_GPS = 0x8825


def _photo(form: str, turn: int = 6, **more: Any) -> bytes:
    exif = Image.Exif()
    exif[0x010F] = "secret camera"
    exif[0x0112] = turn
    exif.get_ifd(_GPS)[2] = (52.0, 30.0, 59.0)
    out = io.BytesIO()
    Image.effect_noise((300, 200), 90).convert("RGB").save(out, form, exif=exif, **more)
    return out.getvalue()


def _told() -> PngImagePlugin.PngInfo:
    told = PngImagePlugin.PngInfo()
    told.add_text("Author", "secret name")
    told.add_itxt("XML:com.adobe.xmp", "<x>secret place</x>", zip=False)
    return told


async def _bared(data: bytes, media_type: str, piece: int) -> bytes:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(data), piece):
            yield data[start : start + piece]

    return b"".join([chunk async for chunk in bare(chunks(), media_type)])


@pytest.mark.parametrize("piece", [7, 65_536])
@pytest.mark.parametrize(
    ("form", "more"),
    [
        ("JPEG", {"comment": "secret", "xmp": b"<x>secret place</x>"}),
        ("JPEG", {"progressive": True, "quality": 95}),
        ("PNG", {"pnginfo": _told()}),
        ("WEBP", {"xmp": b"<x>secret place</x>"}),
    ],
    ids=["jpeg", "progressive", "png", "webp"],
)
async def test_req_724_a_picture_does_not_say_where_it_was_taken(
    form: str, more: dict[str, Any], piece: int
) -> None:
    photo = _photo(form, **more) + (b"" if form == "WEBP" else b"secret film")
    sent = await _bared(photo, f"image/{form.lower()}", piece)
    assert len(sent) == len(photo)
    assert b"secret" in photo
    assert b"secret" not in sent
    with Image.open(io.BytesIO(photo)) as before, Image.open(io.BytesIO(sent)) as after:
        assert before.tobytes() == after.tobytes()
        assert dict(after.getexif()) == {0x0112: 6}
        assert not after.getexif().get_ifd(_GPS)


async def test_req_724_so_do_all_pictures_of_one_file() -> None:
    photo = _photo("JPEG") + _photo("JPEG", 1)
    sent = await _bared(photo, "image/jpeg", 1000)
    assert (b"secret" in sent, len(sent), sent.count(b"\xff\xd8\xff")) == (False, len(photo), 2)


@pytest.mark.parametrize("media_type", BARED)
async def test_what_is_broken_goes_on_as_it_is(media_type: str) -> None:
    whole = _photo(media_type.partition("/")[2].upper())
    for data in (b"", b"\xff", whole[:11], os.urandom(50_000), bytes(300_000)):
        assert len(await _bared(data, media_type, 999)) == len(data)
    for end in range(0, 700, 13):
        assert len(await _bared(whole[:end], media_type, 99)) == end
