# SPDX-License-Identifier: Apache-2.0
"""A program of its own: reads a picture that a stranger has made, says what it is, and writes a
small one.

Run by `gateway.media.images`, one process for each picture: nothing of the gateway is in its
memory, and it gives itself limits before it looks at a byte. It is run by its path, so it imports
nothing of the gateway.
"""

from __future__ import annotations

# What Pillow imports when it needs it has to be there before no file can be opened any more.
import copy  # noqa: F401
import ctypes
import io
import json
import os
import resource
import sys

from PIL import (
    Image,
    ImageOps,
    MpoImagePlugin,  # noqa: F401
    TiffImagePlugin,  # noqa: F401
    WebPImagePlugin,  # noqa: F401
)

_SMALLER = (1, 0.75, 0.5, 0.375, 0.25)
"""Parts of the longer edge that is wished for. The first that makes it small enough counts."""
_ORIENTATION = 0x0112
"""EXIF; from 5 on the picture lies on its side."""
_MAX_PIXELS = 25_000_000
_MEMORY = 512 * 1024 * 1024
_CPU_S = 5
_NO_NEW_PRIVS = 38
"""Of prctl(2): what it would start gets no rights that it has not itself."""
_REFUSED = 3
"""Exit code: it is no picture that is shown. The reason is on standard error."""


class _NotShown(Exception):
    """It is not shown, for this reason."""


def _limit() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_NO_NEW_PRIVS, 1, 0, 0, 0)
    for what, most in (
        (resource.RLIMIT_AS, _MEMORY),
        (resource.RLIMIT_CPU, _CPU_S),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 3),
        (resource.RLIMIT_NPROC, 0),
    ):
        resource.setrlimit(what, (most, most))


def _look(
    data: bytes, formats: list[str], edge: int, most: int
) -> tuple[dict[str, object], bytes]:
    """What it is, and a small one, which is empty with a reason if there is none. Raises whatever
    is wrong with it."""
    with Image.open(io.BytesIO(data), formats=formats) as picture:
        width, height = picture.size
        if "exif" in picture.info and picture.getexif().get(_ORIENTATION, 1) >= 5:
            width, height = height, width
        seen: dict[str, object] = {
            "type": "image/jpeg" if _is_jpeg(picture) else picture.get_format_mimetype(),
            "width": width,
            "height": height,
            "is_animated": not _is_jpeg(picture) and getattr(picture, "is_animated", False),
        }
        try:
            return seen, _shrink(picture, edge, most)
        except _NotShown as reason:
            return {**seen, "refused": str(reason)}, b""
        except Exception as error:  # as in `main`
            return {**seen, "refused": type(error).__name__}, b""


def _is_jpeg(picture: Image.Image) -> bool:
    """Some cameras put several into one file (MPO); the first is the picture."""
    return picture.format in ("JPEG", "MPO")


def _shrink(picture: Image.Image, edge: int, most: int) -> bytes:
    """As PNG, or as JPEG where it was one or gets too large; of one that moves how it begins.
    Without what else was in the file, such as where it was taken."""
    width, height = picture.size
    if width * height > _MAX_PIXELS:
        raise _NotShown(f"it has {width} x {height} pixels")
    picture.draft("RGB", (2 * edge, 2 * edge))  # JPEG alone: decodes it smaller
    turned = ImageOps.exif_transpose(picture)
    is_clear = turned.has_transparency_data
    plain = turned.convert("RGBA" if is_clear else "RGB")
    for part in _SMALLER:
        plain.thumbnail((int(edge * part), int(edge * part)), Image.Resampling.LANCZOS)
        for kind in ("JPEG",) if _is_jpeg(picture) else ("PNG",) if is_clear else ("PNG", "JPEG"):
            made = io.BytesIO()
            plain.save(made, kind, optimize=True)
            if made.tell() <= most:
                return made.getvalue()
    raise _NotShown("it does not get small")


def main() -> int:
    """Standard input to standard output: a line of JSON, then the small picture.

    Arguments: formats, separated by commas; the longer edge of the small one, in pixels; how many
    bytes that may have.
    """
    os.nice(10)
    Image.preinit()
    _limit()
    formats, edge, most = sys.argv[1:]
    try:
        seen, made = _look(sys.stdin.buffer.read(), formats.split(","), int(edge), int(most))
    except Exception as error:  # what it says may have something of the picture in it
        print(type(error).__name__, file=sys.stderr)  # noqa: T201
        return _REFUSED
    sys.stdout.buffer.write(json.dumps(seen).encode() + b"\n" + made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
