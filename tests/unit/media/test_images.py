# SPDX-License-Identifier: Apache-2.0
"""Pictures as strangers make them, good and bad."""

from __future__ import annotations

import asyncio
import hashlib
import io
import resource
import struct
import time
import zlib
from typing import Any

import pytest
from PIL import Image

from gateway.media import images
from gateway.media.images import BadPicture, Images

MOST = 96 * 1024


def made(kind: str, mode: str = "RGB", size: tuple[int, int] = (600, 400), **more: Any) -> bytes:
    """A picture full of noise, which no format makes small."""
    noise = Image.effect_noise(size, 90).convert(mode)
    out = io.BytesIO()
    noise.save(out, kind, **more)
    return out.getvalue()


def _chunk(kind: bytes, data: bytes) -> bytes:
    sum_ = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + sum_


def squeezed(length: int) -> bytes:
    """So many zeros, without ever having them: what this process has had at most is counted for
    those that it starts later."""
    packer, packed, piece = zlib.compressobj(9), b"", b"\0" * 2**20
    for start in range(0, length, len(piece)):
        packed += packer.compress(piece[: length - start])
    return packed + packer.flush()


def bomb(width: int, height: int, rows: int | None = None) -> bytes:
    """A PNG of a few bytes that says that it is of this size."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    packed = squeezed((3 * width + 1) * (height if rows is None else rows))
    body = _chunk(b"IHDR", head) + _chunk(b"IDAT", packed) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def moving(kind: str) -> bytes:
    """Two pictures, one after the other."""
    frames = [Image.new("RGB", (50, 50), colour) for colour in ("red", "blue")]
    out = io.BytesIO()
    frames[0].save(out, kind, save_all=True, append_images=frames[1:], duration=100)
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (made("PNG"), "png"),
        (made("PNG", "L"), "png"),
        (made("PNG", "P"), "png"),
        (made("PNG", "1"), "png"),
        (made("PNG", "I;16"), "png"),
        (made("PNG", "RGBA"), "png"),
        (made("PNG", "LA"), "png"),
        (made("WEBP"), "png"),
        (made("JPEG", quality=95), "jpeg"),
        (made("JPEG", "CMYK"), "jpeg"),
        (made("JPEG", "L"), "jpeg"),
    ],
)
async def test_req_330_pictures_are_made_small(data: bytes, kind: str) -> None:
    picture = await Images().shrink(data)
    assert len(picture.data) <= MOST
    assert picture.hash == hashlib.sha1(picture.data).hexdigest()
    assert picture.type == f"image/{kind}"
    with Image.open(io.BytesIO(picture.data)) as shown:
        assert shown.format == kind.upper()
        assert shown.size == (picture.width, picture.height)
        assert shown.size[0] == max(shown.size) <= 256
        assert shown.size[0] / shown.size[1] == pytest.approx(1.5, rel=0.03)


async def test_a_small_one_does_not_grow() -> None:
    picture = await Images().shrink(made("PNG", size=(31, 17)))
    assert (picture.width, picture.height) == (31, 17)


async def test_what_is_seen_through_stays_so() -> None:
    out = io.BytesIO()
    Image.new("RGBA", (400, 400), (255, 0, 0, 90)).save(out, "WEBP", lossless=True)
    picture = await Images().shrink(out.getvalue())
    with Image.open(io.BytesIO(picture.data)) as shown:
        assert shown.getpixel((5, 5)) == (255, 0, 0, 90)


async def test_it_is_turned_as_the_camera_says_and_says_no_more_where_that_was() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "secret camera"
    picture = await Images().shrink(made("JPEG", size=(600, 400), exif=exif))
    assert picture.height > picture.width
    assert b"secret" not in picture.data


async def test_the_same_is_the_same() -> None:
    data, both = made("PNG"), Images()
    assert await both.shrink(data) == await both.shrink(data)


BAD: dict[str, bytes] = {
    "empty": b"",
    "text": b"hello",
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
    "html": b"<!DOCTYPE html><html></html>",
    "gif": made("GIF", "P"),
    "bmp": made("BMP"),
    "tiff": made("TIFF"),
    "moving-webp": moving("WEBP"),
    "moving-png": moving("PNG"),
    "cut-png": made("PNG")[:2_000],
    "cut-jpeg": made("JPEG")[:2_000],
    "cut-webp": made("WEBP")[:2_000],
    "head-of-png": made("PNG")[:8],
    "wide-bomb": bomb(60_000, 60_000, rows=3),
    "bomb": bomb(8_000, 8_000),
    "thin-bomb": bomb(20_000_000, 1, rows=1) + b"x",
    "zero": bomb(0, 0),
    "negative": bomb(2**31, 1, rows=0),
    "long-text": made("PNG")[:33]
    + _chunk(b"zTXt", b"a\0\0" + squeezed(200_000_000))
    + made("PNG")[33:],
    "large": b"\x89PNG\r\n\x1a\n" + b"x" * (9 * 2**20),
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nquit\n",
}  # fmt: skip


@pytest.mark.parametrize("name", [name for name in BAD if name not in ("thin-bomb", "long-text")])
async def test_req_330_bad_pictures_are_refused(name: str) -> None:
    began, busy = time.monotonic(), Images()
    with pytest.raises(BadPicture):
        await busy.shrink(BAD[name])
    assert time.monotonic() - began < 15
    assert busy.idle.is_set()


@pytest.mark.parametrize("name", ["thin-bomb", "long-text"])
async def test_what_only_looks_bad_costs_no_more(name: str) -> None:
    """Whether it is shown or not."""
    try:
        picture = await Images().shrink(BAD[name])
    except BadPicture:
        return
    assert len(picture.data) <= MOST


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("while True: pass", "ended"),
        ("raise MemoryError", "ended"),
        ("import os; os.kill(os.getpid(), 9)", "ended"),
        ("import os; os.write(1, b'x' * 200_000)", "large"),
        ("import os; os.write(1, b'GIF89a')", "something else"),
        ("", "something else"),
    ],
)
async def test_a_decoder_that_was_taken_over_is_not_believed(
    program: str, reason: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder = tmp_path / "decoder.py"
    decoder.write_text(program)
    monkeypatch.setattr(images, "_DECODER", decoder)
    monkeypatch.setattr(images, "_LIMIT_S", 1.0)
    with pytest.raises(BadPicture, match=reason):
        await Images().shrink(made("PNG"))


async def test_the_decoder_has_limits_and_nothing_of_ours(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder = images._DECODER.read_text()
    asks = (
        "\n"
        "    limits = [resource.getrlimit(w)[1] for w in (resource.RLIMIT_AS,"
        " resource.RLIMIT_CPU, resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC,"
        " resource.RLIMIT_FSIZE)]\n"
        "    said = f'{limits} {sorted(os.environ)} {os.getcwd()}'\n"
        "    print(said, file=sys.stderr)\n    return 3\n"
    )
    changed = tmp_path / "decoder.py"
    changed.write_text(decoder.replace("    _limit()\n    try", f"    _limit(){asks}    try"))
    monkeypatch.setattr(images, "_DECODER", changed)
    with pytest.raises(BadPicture) as refused:
        await Images().shrink(b"x")
    assert "[536870912, 5, 3, 0, 0]" in str(refused.value)
    assert "PATH" not in str(refused.value)
    assert str(refused.value).endswith(" /")
    assert resource.getrlimit(resource.RLIMIT_CPU)[1] == resource.RLIM_INFINITY


async def test_one_for_which_somebody_waits_does_not_wait_for_the_others() -> None:
    both = Images()
    many = [asyncio.create_task(both.shrink(made("PNG"))) for _ in range(4)]
    await asyncio.sleep(0)
    await both.shrink(made("PNG"), is_awaited=True)
    assert not all(task.done() for task in many)
    await asyncio.gather(*many)
