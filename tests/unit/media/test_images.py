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
from gateway.media.work import Work

MOST = 96 * 1024
_PIECE = 2**20
_ADLER = 65521


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
    whole, rest = divmod(length, _PIECE)
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    # After a full flush nothing refers to what was before: the same bytes mean the same again.
    piece = packer.compress(bytes(_PIECE)) + packer.flush(zlib.Z_FULL_FLUSH)
    end = packer.compress(bytes(rest)) + packer.flush()
    sum_ = length % _ADLER << 16 | 1  # of zeros (RFC 1950, 8.2)
    return b"\x78\xda" + piece * whole + end + struct.pack(">I", sum_)


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
    picture = await Images().shrink(data, user="alice")
    assert len(picture.data) <= MOST
    assert picture.hash == hashlib.sha1(picture.data).hexdigest()
    assert picture.type == f"image/{kind}"
    with Image.open(io.BytesIO(picture.data)) as shown:
        assert shown.format == kind.upper()
        assert shown.size == (picture.width, picture.height)
        assert shown.size[0] == max(shown.size) <= 256
        assert shown.size[0] / shown.size[1] == pytest.approx(1.5, rel=0.03)


async def test_a_small_one_does_not_grow() -> None:
    picture = await Images().shrink(made("PNG", size=(31, 17)), user="alice")
    assert (picture.width, picture.height) == (31, 17)


@pytest.mark.parametrize("kind", ["WEBP", "PNG"])
async def test_req_346_what_moves_is_shown_as_it_begins(kind: str) -> None:
    picture = await Images().shrink(moving(kind), user="alice")
    with Image.open(io.BytesIO(picture.data)) as shown:
        assert getattr(shown, "n_frames", 1) == 1
        red, _, _ = shown.convert("RGB").split()
        assert red.getpixel((9, 9)) in range(200, 256)


async def test_what_is_seen_through_stays_so() -> None:
    out = io.BytesIO()
    Image.new("RGBA", (400, 400), (255, 0, 0, 90)).save(out, "WEBP", lossless=True)
    picture = await Images().shrink(out.getvalue(), user="alice")
    with Image.open(io.BytesIO(picture.data)) as shown:
        assert shown.getpixel((5, 5)) == (255, 0, 0, 90)


async def test_it_is_turned_as_the_camera_says_and_says_no_more_where_that_was() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "secret camera"
    picture = await Images().shrink(made("JPEG", size=(600, 400), exif=exif), user="alice")
    assert picture.height > picture.width
    assert b"secret" not in picture.data


async def test_the_same_is_the_same() -> None:
    data, both = made("PNG"), Images()
    assert await both.shrink(data, user="alice") == await both.shrink(data, user="alice")


BAD: dict[str, bytes] = {
    "empty": b"",
    "text": b"hello",
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
    "html": b"<!DOCTYPE html><html></html>",
    "gif": made("GIF", "P"),
    "bmp": made("BMP"),
    "tiff": made("TIFF"),
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
    began, work = time.monotonic(), Work()
    with pytest.raises(BadPicture):
        await Images(work).shrink(BAD[name], user="alice")
    assert time.monotonic() - began < 15
    assert work.idle.is_set()


@pytest.mark.parametrize("name", ["thin-bomb", "long-text"])
async def test_what_only_looks_bad_costs_no_more(name: str) -> None:
    """Whether it is shown or not."""
    try:
        picture = await Images().shrink(BAD[name], user="alice")
    except BadPicture:
        return
    assert len(picture.data) <= MOST


SAID = '{"type": "image/png", "width": 9, "height": 9, "is_animated": false, "refused": "x"}'


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("while True: pass", "ended"),
        ("raise MemoryError", "ended"),
        ("import os; os.kill(os.getpid(), 9)", "ended"),
        ("import os; os.write(1, b'x' * 200_000)", "ended|else"),
        ("import os; os.write(1, b'GIF89a')", "something else"),
        ("import os\nwhile True: os.write(1, b'x' * 65536)", "ended with (-9|255)"),
        ("import os\nwhile True: os.write(2, b'x' * 65536)", "ended with (-9|255)"),
        (f"print({SAID!r}); print('x' * 98_304)", "large"),
        (f"print({SAID.replace('image/png', 'text/html')!r})", "something else"),
        (f"print({SAID.replace('9', '-9')!r})", "something else"),
        (f"print({SAID.replace('9', '1' * 30)!r})", "something else"),
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
        await Images().shrink(made("PNG"), user="alice")


async def test_the_decoder_has_limits_and_nothing_of_ours(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder = images._DECODER.read_text()
    asks = (
        "\n"
        "    limits = [resource.getrlimit(w)[1] for w in (resource.RLIMIT_AS,"
        " resource.RLIMIT_CPU, resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC,"
        " resource.RLIMIT_FSIZE)]\n"
        "    said = f'{ctypes.CDLL(None).prctl(39, 0, 0, 0, 0)} {limits}'\n"
        "    said += f' {sorted(os.environ)} {os.getcwd()}'\n"
        "    print(said, file=sys.stderr)\n    return 3\n"
    )
    changed = tmp_path / "decoder.py"
    changed.write_text(
        decoder.replace("    _limit()\n    formats", f"    _limit(){asks}    formats")
    )
    monkeypatch.setattr(images, "_DECODER", changed)
    with pytest.raises(BadPicture) as refused:
        await Images().shrink(b"x", user="alice")
    assert "1 [536870912, 5, 3, 0, 0]" in str(refused.value)
    assert "PATH" not in str(refused.value)
    assert str(refused.value).endswith(" /")
    assert resource.getrlimit(resource.RLIMIT_CPU)[1] == resource.RLIM_INFINITY


async def test_one_for_which_somebody_waits_does_not_wait_for_the_others() -> None:
    both = Images()
    many = [asyncio.create_task(both.shrink(made("PNG"), user="alice")) for _ in range(4)]
    await asyncio.sleep(0)
    await both.shrink(made("PNG"), user="alice", is_awaited=True)
    assert not all(task.done() for task in many)
    await asyncio.gather(*many)


async def test_who_has_many_pictures_keeps_nobody_else_waiting(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder = tmp_path / "decoder.py"
    decoder.write_text("import time; time.sleep(0.1)")
    monkeypatch.setattr(images, "_DECODER", decoder)
    both, order = Images(), list[str]()

    async def look(user: str) -> None:
        with pytest.raises(BadPicture):
            await both.look(b"x", user=user, edge=9, most=9)
        order.append(user)

    many = [asyncio.create_task(look("mallory")) for _ in range(5)]
    await asyncio.sleep(0)
    await look("alice")
    assert order.count("mallory") <= 2
    monkeypatch.setattr(images, "_PATIENCE_S", 0.0)
    with pytest.raises(BadPicture, match="too long"):
        await both.look(b"x", user="alice", edge=9, most=9)
    await asyncio.gather(*many)


# --- pictures in files --------------------------------------------------------------------------


def camera(size: tuple[int, int], kind: str = "JPEG", orientation: int = 6) -> bytes:
    """A photo that says how it was held, and where."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "secret camera"
    exif.get_ifd(0x8825)[2] = (52.0, 30.0, 59.0)
    return made(kind, size=size, exif=exif)


LOOKS: dict[str, tuple[bytes, tuple[str, int, int, bool]]] = {
    "jpeg": (made("JPEG"), ("image/jpeg", 600, 400, False)),
    "png": (made("PNG"), ("image/png", 600, 400, False)),
    "webp": (made("WEBP"), ("image/webp", 600, 400, False)),
    "gif": (made("GIF", "P"), ("image/gif", 600, 400, False)),
    "moving gif": (moving("GIF"), ("image/gif", 50, 50, True)),
    "moving webp": (moving("WEBP"), ("image/webp", 50, 50, True)),
    "moving png": (moving("PNG"), ("image/apng", 50, 50, True)),
    "turned jpeg": (camera((600, 400)), ("image/jpeg", 400, 600, False)),
    "turned png": (camera((600, 400), "PNG"), ("image/png", 400, 600, False)),
    "turned webp": (camera((600, 400), "WEBP"), ("image/webp", 400, 600, False)),
    "upright jpeg": (camera((600, 400), orientation=3), ("image/jpeg", 600, 400, False)),
    "with a zip behind": (made("PNG") + b"PK\x03\x04" * 9, ("image/png", 600, 400, False)),
    "with a page behind": (
        made("GIF", "P") + b"<html><script>alert(1)</script>", ("image/gif", 600, 400, False)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LOOKS)
async def test_req_724_what_a_picture_is_and_a_small_one(name: str) -> None:
    data, expected = LOOKS[name]
    seen, small = await Images().look(data, user="alice", edge=120, most=8_000)
    assert (seen.type, seen.width, seen.height, seen.is_animated) == expected
    assert small is not None
    assert len(small.data) <= 8_000
    assert max(small.width, small.height) <= 120
    assert (small.width > small.height) == (seen.width > seen.height)
    with Image.open(io.BytesIO(small.data)) as shown:
        assert shown.size == (small.width, small.height)
        assert shown.format in ("PNG", "JPEG")
        assert not shown.getexif()
        assert getattr(shown, "n_frames", 1) == 1
    for secret in (b"secret", b"Exif", b"PK\x03\x04", b"script"):
        assert secret not in small.data


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (made("PNG")[:3_000], (600, 400)),
        (camera((600, 400))[:3_000], (400, 600)),
        (made("GIF", "P")[:3_000], (600, 400)),
        (bomb(8_000, 8_000), (8_000, 8_000)),
    ],
    ids=["png", "jpeg", "gif", "bomb"],
)  # fmt: skip
async def test_req_724_how_a_file_begins_tells_its_size(
    data: bytes, size: tuple[int, int]
) -> None:
    seen, small = await Images().look(data, user="alice", edge=120, most=8_000)
    assert (seen.width, seen.height) == size
    assert small is None
    assert seen.refused in ("OSError", f"it has {size[0]} x {size[1]} pixels")


@pytest.mark.parametrize("name", [name for name in BAD if name not in ("gif", "thin-bomb",
    "long-text", "bomb", "cut-png", "cut-jpeg")])  # fmt: skip
async def test_req_724_what_is_no_picture_is_not_looked_at(name: str) -> None:
    with pytest.raises(BadPicture):
        await Images().look(BAD[name], user="alice", edge=120, most=8_000)


async def test_what_cannot_be_small_enough_has_no_small_one() -> None:
    seen, small = await Images().look(made("PNG"), user="alice", edge=120, most=50)
    assert small is None
    assert seen.refused == "it does not get small"
