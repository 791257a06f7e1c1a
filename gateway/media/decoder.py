# SPDX-License-Identifier: Apache-2.0
"""A program of its own: reads a picture that a stranger has made, and writes a small one.

Run by `gateway.media.images`, one process for each picture: nothing of the gateway is in its
memory, and it gives itself limits before it looks at a byte. It is run by its path, so it imports
nothing of the gateway.
"""

from __future__ import annotations

import io
import os
import resource
import sys

# What Pillow imports when it needs it has to be there before no file can be opened any more.
from PIL import (
    Image,
    ImageOps,
    MpoImagePlugin,  # noqa: F401
    TiffImagePlugin,  # noqa: F401
    WebPImagePlugin,  # noqa: F401
)

_EDGES = (256, 192, 128, 96, 64)
"""The longer one, in pixels; REQ-330 permits 512. The first that makes it small enough counts."""
_MAX_PIXELS = 25_000_000
_FORMATS = ("PNG", "JPEG", "WEBP")
_MEMORY = 512 * 1024 * 1024
_CPU_S = 5
_REFUSED = 3
"""Exit code: it is no picture that is shown. The reason is on standard error."""


class _NotShown(Exception):
    """It is not shown, for this reason."""


def _limit() -> None:
    for what, most in (
        (resource.RLIMIT_AS, _MEMORY),
        (resource.RLIMIT_CPU, _CPU_S),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 3),
        (resource.RLIMIT_NPROC, 0),
    ):
        resource.setrlimit(what, (most, most))


def _shrink(data: bytes, most: int) -> bytes:
    """The picture as PNG, or as JPEG where it was one or gets too large. Without what else was in
    the file, such as where it was taken. Raises whatever is wrong with it."""
    with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
        width, height = picture.size
        if width * height > _MAX_PIXELS:
            raise _NotShown(f"it has {width} x {height} pixels")
        if getattr(picture, "n_frames", 1) > 1:
            raise _NotShown("it moves")
        is_jpeg = picture.format in ("JPEG", "MPO")
        picture.draft("RGB", (2 * _EDGES[0], 2 * _EDGES[0]))  # JPEG alone: decodes it smaller
        turned = ImageOps.exif_transpose(picture)
        is_clear = turned.has_transparency_data
        plain = turned.convert("RGBA" if is_clear else "RGB")
    for edge in _EDGES:
        plain.thumbnail((edge, edge), Image.Resampling.LANCZOS)
        for kind in ("JPEG",) if is_jpeg else ("PNG",) if is_clear else ("PNG", "JPEG"):
            made = io.BytesIO()
            plain.save(made, kind, optimize=True)
            if made.tell() <= most:
                return made.getvalue()
    raise _NotShown("it does not get small")


def main() -> int:
    """Standard input to standard output. The argument: how many bytes it may write."""
    os.nice(10)
    Image.preinit()
    _limit()
    try:
        made = _shrink(sys.stdin.buffer.read(), int(sys.argv[1]))
    except _NotShown as reason:
        print(reason, file=sys.stderr)  # noqa: T201
        return _REFUSED
    except Exception as error:  # what it says may have something of the picture in it
        print(type(error).__name__, file=sys.stderr)  # noqa: T201
        return _REFUSED
    sys.stdout.buffer.write(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
