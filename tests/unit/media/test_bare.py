# SPDX-License-Identifier: Apache-2.0
"""Pictures of users go to networks without where they were taken (REQ-724)."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import AsyncIterator
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from gateway.media.bare import BARED, bare, items
from gateway.media.types import sniffed
from tests.recordings import recorded

_GPS = 0x8825
_FORMS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF")


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
    photo = _photo(form, **more) + b"secret film"
    sent = await _bared(photo, f"image/{form.lower()}", piece)
    assert len(sent) == len(photo)
    assert b"secret" in photo
    assert b"secret" not in sent
    with Image.open(io.BytesIO(photo)) as before, Image.open(io.BytesIO(sent)) as after:
        assert before.tobytes() == after.tobytes()
        assert dict(after.getexif()) == {0x0112: 6}
        assert not after.getexif().get_ifd(_GPS)


async def test_req_724_whatever_stands_before_it() -> None:
    """An Exif of an odd length has one more byte, which belongs to nothing (RIFF)."""
    part = b"EXIF" + struct.pack("<I", 7) + b"secret!\0"
    part += (
        b"XMP " + struct.pack("<I", 10) + b"<secret/>\n" + b"ANMF" + struct.pack("<I", 4) + b"kept"
    )
    photo = b"RIFF" + struct.pack("<I", len(part) + 4) + b"WEBP" + part
    sent = await _bared(photo, "image/webp", 5)
    assert (b"secret" in sent, len(sent), sent[-4:]) == (False, len(photo), b"kept")


async def test_what_does_not_say_how_long_it_is_stays_whole() -> None:
    part = b"VP8 " + struct.pack("<I", 4) + b"kept"
    for length in (0, 8):
        photo = b"RIFF" + struct.pack("<I", length) + b"WEBP" + part
        assert await _bared(photo, "image/webp", 5) == photo


async def test_req_724_nor_who_made_it() -> None:
    photo = _photo("JPEG")
    for number in (0xE3, 0xEB, 0xEF):
        told = bytes((0xFF, number)) + struct.pack(">H", 14) + b"secret maker"
        sent = await _bared(photo[:2] + told + photo[2:], "image/jpeg", 99)
        assert (b"secret" in sent, len(sent)) == (False, len(photo) + len(told))
    colours = bytes((0xFF, 0xE2)) + struct.pack(">H", 14) + b"ICC_PROFILE\0"
    assert colours in await _bared(photo[:2] + colours + photo[2:], "image/jpeg", 99)


# --- GIF -----------------------------------------------------------------------------------------


def _blocks(data: bytes) -> bytes:
    parts = [data[at : at + 255] for at in range(0, len(data), 255)]
    return b"".join(bytes((len(part),)) + part for part in parts) + b"\0"


_XMP = b"<x:xmpmeta>secret place</x:xmpmeta>"
_MAGIC = bytes((1, *range(255, -1, -1), 0))
"""It follows XMP, which is no block: whoever reads it as blocks comes to their end here."""
_SAID = (
    b"\x21\xfe" + _blocks(b"secret " * 99),
    b"\x21\xff\x0bXMP DataXMP" + _XMP + _MAGIC,
    b"\x21\xff\x0bsecret12345" + _blocks(b"secret"),
    b"\x21\x42" + _blocks(b"secret"),
)


@pytest.mark.parametrize("piece", [1, 7, 65_536])
@pytest.mark.parametrize("said", _SAID, ids=["comment", "xmp", "app", "unknown"])
async def test_req_724_a_gif_shows_its_picture_alone(said: bytes, piece: int) -> None:
    made = io.BytesIO()
    frames = [Image.effect_noise((60, 40), 90).convert("P") for _ in range(4)]
    frames[0].save(made, "GIF", save_all=True, append_images=frames[1:], loop=7, duration=70)
    plain = made.getvalue()
    at = plain.index(b"\x21\xff\x0bNETSCAPE2.0")
    film = plain[:at] + said + plain[at:] + b"secret"
    sent = await _bared(film, "image/gif", piece)
    assert (len(sent), b"secret" in sent, sent.startswith(plain[:at])) == (len(film), False, True)
    assert sent[:-6].endswith(plain[at:])
    with Image.open(io.BytesIO(plain)) as before, Image.open(io.BytesIO(sent)) as after:
        assert (after.info["loop"], after.info["duration"]) == (7, 70)
        for number in range(4):
            before.seek(number)
            after.seek(number)
            assert before.convert("RGB").tobytes() == after.convert("RGB").tobytes()


async def test_a_gif_with_something_of_no_app_is_left_as_it_is() -> None:
    photo = _photo("GIF")
    at = 13 + (3 << (photo[10] & 7) + 1)
    assert photo[10] & 0x80
    said = photo[:at] + b"\x21\xff\0" + photo[at:]
    assert await _bared(said, "image/gif", 9) == said


# --- AVIF, HEIC ----------------------------------------------------------------------------------


@pytest.mark.parametrize("piece", [7, 65_536])
async def test_req_724_an_avif_shows_its_picture_alone(piece: int) -> None:
    photo = _photo("AVIF", xmp=b"<x>secret place</x>")
    sent = await _bared(photo, "image/avif", piece)
    assert (len(sent), b"secret" in photo, b"secret" in sent) == (len(photo), True, False)
    with Image.open(io.BytesIO(photo)) as before, Image.open(io.BytesIO(sent)) as after:
        assert before.tobytes() == after.tobytes()
        assert before.getexif().get_ifd(_GPS)
        assert 0x010F not in after.getexif()
        assert not after.getexif().get_ifd(_GPS)


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", len(content) + 8, kind) + content


def _item(number: int, kind: bytes, version: int) -> bytes:
    id = struct.pack(">H" if version == 2 else ">I", number)
    return _box(b"infe", bytes((version, 0, 0, 0)) + id + bytes(2) + kind + b"\0")


@pytest.mark.parametrize(
    ("version", "is_inside"), [(0, False), (1, False), (1, True), (2, False), (2, True)]
)
async def test_req_724_where_the_list_says_that_something_is_told(
    version: int, *, is_inside: bool
) -> None:
    """As telephones write it: Exif and XMP among the data, or small ones in the list itself."""
    exif, xmp, picture = b"\0\0\0\6Exif\0\0secret place where", b"<secret/>", b"a picture"
    data = picture + exif + xmp
    wide = ">H" if version < 2 else ">I"

    def places(start: int) -> bytes:
        said = bytes((version, 0, 0, 0)) + b"\x44\x40" + struct.pack(wide, 3)
        lengths = ((1, 0, picture), (2, len(picture), exif), (3, len(picture + exif), xmp))
        for number, at, part in lengths:
            said += struct.pack(wide, number)
            said += struct.pack(">H", 1 if is_inside else 0) if version else b""
            said += struct.pack(">HIHII", 0, start, 1, at, len(part))
        return _box(b"iloc", said)

    kinds = ((1, b"hvc1"), (2, b"Exif"), (3, b"mime"))
    types = b"".join(_item(number, kind, 2 if version < 2 else 3) for number, kind in kinds)
    named = _box(b"iinf", bytes(4) + struct.pack(">H", 3) + types)

    def file(start: int) -> bytes:
        inside = _box(b"idat", data) if is_inside else b""
        listed = _box(b"meta", bytes(4) + _box(b"hdlr", b"pict") + named + places(start) + inside)
        return _box(b"ftyp", b"heic") + listed + (b"" if is_inside else _box(b"mdat", data))

    start = 0 if is_inside else file(0).index(picture)
    photo = file(start)
    assert photo.count(b"secret") == 2
    for piece in (1, 10, 10_000):
        sent = await _bared(photo, "image/heic", piece)
        assert (len(sent), b"secret" in sent, picture in sent) == (len(photo), False, True)
        at = photo.index(exif)
        assert sent[at : at + len(exif)] == (b"\0\0\0\0II*\0\x08" + bytes(len(exif)))[: len(exif)]
        assert sent[:at] == photo[:at]


@pytest.mark.parametrize("brand", [b"heic", b"heis", b"hevx", b"msf1", b"mif2", b"avcs", b"crx "])
async def test_what_makes_it_a_picture_is_left(brand: bytes) -> None:
    """It is no film, of which that is taken."""
    photo = _box(b"ftyp", brand + bytes(4)) + _box(b"meta", b"the list") + _box(b"mdat", b"data")
    media_type = sniffed(photo, "video/mp4")
    sent = await _bared(photo, media_type, 1000) if media_type in BARED else photo
    assert sent == photo


def _places(*extents: tuple[int, int]) -> bytes:
    """Of one Exif item."""
    said = bytes(4) + b"\x44\0" + struct.pack(">HHHH", 1, 2, 0, len(extents))
    return _box(b"iloc", said + b"".join(struct.pack(">II", *each) for each in extents))


def _listing(*extents: tuple[int, int]) -> bytes:
    kinds = _box(b"iinf", bytes(4) + struct.pack(">H", 1) + _item(2, b"Exif", 2))
    listed = _box(b"meta", bytes(4) + kinds + _places(*extents))
    return _box(b"ftyp", b"heic") + listed


async def test_many_places_are_no_work_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each box of the file was held against each place that its list names, even if it is empty:
    two thousand million times, while nobody else had a turn."""
    covered, cover = [], items._Extent.cover

    def counted(extent: items._Extent, data: bytearray, at: int) -> None:
        covered.append(extent)
        cover(extent, data, at)

    monkeypatch.setattr(items._Extent, "cover", counted)
    extents = [(0, 0), (900, 10), (0, 1 << 31)] * 100
    photo = _listing(*extents) * 3 + _box(b"free", b"") * 500
    sent = await _bared(photo, "image/heic", 10_000)
    assert len(sent) == len(photo)
    assert len(covered) <= len(extents) + 3 + 3 + 500


async def test_req_724_places_that_overlap() -> None:
    at = len(_listing((0, 0), (0, 0), (0, 0))) + 8
    photo = _listing((at + 30, 10), (at, 25), (at + 5, 30)) + _box(b"mdat", b"s" * 40 + b"left")
    assert at + 44 == len(photo)
    for piece in (1, 7, 10_000):
        sent = await _bared(photo, "image/heic", piece)
        assert (len(sent), sent[:at], sent[-4:]) == (len(photo), photo[:at], b"left")
        assert sent[at:-4] == (b"\0\0\0\0II*\0\x08").ljust(40, b"\0")


@pytest.mark.parametrize("piece", [1, 1000])
async def test_req_724_whatever_fills_the_place_before_it(piece: int) -> None:
    photo = _photo("JPEG").replace(b"\xff\xe1", b"\xff\xff\xff\xe1")
    sent = await _bared(photo, "image/jpeg", piece)
    assert (b"secret" in photo, b"secret" in sent, len(sent)) == (True, False, len(photo))
    assert sent.count(b"\xff\xff\xff\xe1") == photo.count(b"\xff\xff\xff\xe1")


async def test_req_724_so_do_all_pictures_of_one_file() -> None:
    photo = _photo("JPEG") + _photo("JPEG", 1)
    sent = await _bared(photo, "image/jpeg", 1000)
    assert (b"secret" in sent, len(sent), sent.count(b"\xff\xd8\xff")) == (False, len(photo), 2)


@pytest.mark.parametrize("media_type", BARED)
async def test_what_is_broken_goes_on_as_it_is(media_type: str) -> None:
    form = media_type.removeprefix("image/").upper()
    whole = _photo(form) if form in _FORMS else recorded("telephone")
    for data in (b"", b"\xff", whole[:11], os.urandom(50_000), bytes(300_000)):
        assert len(await _bared(data, media_type, 999)) == len(data)
    for end in range(0, 700, 13):
        assert len(await _bared(whole[:end], media_type, 99)) == end
