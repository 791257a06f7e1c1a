# SPDX-License-Identifier: Apache-2.0
"""Files: on Telegram's servers for ever, below an address for an hour; or on the disk of a server
that somebody runs for themselves."""

from __future__ import annotations

import hashlib
import io
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from .errors import bad

Json = dict[str, Any]

LARGEST_DOWNLOAD = 20 * 1024**2
LARGEST_UPLOAD = 50 * 1024**2
LARGEST_UPLOAD_LOCAL = 2000 * 1024**2
LARGEST_PHOTO = 10 * 1024**2
_SIDES = (90, 320, 800, 1280)
"""The longer sides of the sizes in which a photo is kept."""


@dataclass(eq=False)
class Stored:
    """One file."""

    data: bytes
    name: str = ""
    mime: str = ""
    size: int = 0
    """Its size; larger than its data if the rest does not matter."""
    file_id: str = field(default_factory=lambda: f"AgAD{secrets.token_urlsafe(30)}")
    kind: str = ""
    """As what it was sent first, such as document."""
    width: int = 0
    height: int = 0
    sizes: list[Stored] = field(default_factory=list)
    """Of a photo: all in which it is there, this one too."""

    def __post_init__(self) -> None:
        self.size = self.size or len(self.data)

    @property
    def file_unique_id(self) -> str:
        """The same for the same bytes, wherever they are."""
        return f"AQAD{hashlib.sha256(self.data + str(self.size).encode()).hexdigest()[:12]}"

    def json(self, *, with_name: bool = True) -> Json:
        """What all kinds of files have in common."""
        made: Json = {
            "file_id": self.file_id,
            "file_unique_id": self.file_unique_id,
            "file_size": self.size,
        }
        if with_name and self.name:
            made["file_name"] = self.name
        return made

    def photo_size(self) -> Json:
        """A PhotoSize."""
        return {**self.json(with_name=False), "width": self.width, "height": self.height}


@dataclass(frozen=True)
class LocalDisk:
    """Where a server with ``--local`` has its files (its ``--dir``)."""

    directory: Path
    called: str = ""
    """What the server calls it, if that is something else: it may run in a container."""

    def put(self, token: str, stored: Stored, number: int) -> str:
        """As the vendor's server does it: below a directory that is called like the token of the
        bot. Returns where it is, as the server says it."""
        ending = stored.name.rpartition(".")[2] if "." in stored.name else "bin"
        place = f"{token}/{stored.kind or 'document'}s/file_{number}.{ending}"
        path = self.directory / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(stored.data)
        os.truncate(path, stored.size)
        return f"{self.called or self.directory}/{place}"


class Files:
    """All files, by their ids and by the addresses that are valid now."""

    def __init__(self) -> None:
        """Nothing is there yet."""
        self.local: LocalDisk | None = None
        """With one, the server runs with ``--local``."""
        self._by_id: dict[str, Stored] = {}
        self._addresses: dict[tuple[int, str], Stored] = {}

    def keep(self, stored: Stored) -> Stored:
        """From now on it can be asked for."""
        self._by_id[stored.file_id] = stored
        return stored

    def find(self, file_id: str) -> Stored:
        """The file with this id; ApiError if there is none."""
        if file_id not in self._by_id:
            raise bad("wrong file_id or the file is temporarily unavailable")
        return self._by_id[file_id]

    def again(self, file_id: str) -> Stored:
        """The same file, in another message: with another id for the same bytes."""
        old = self.find(file_id)
        if old.sizes:
            return self._photo([_copy(size) for size in old.sizes])[-1]
        return self.keep(_copy(old))

    @property
    def largest_upload(self) -> int:
        """Bytes."""
        return LARGEST_UPLOAD if self.local is None else LARGEST_UPLOAD_LOCAL

    def address(self, bot_id: int, token: str, file_id: str) -> Json:
        """A File, whose address is valid until `expire`; or its absolute path."""
        stored = self.find(file_id)
        if self.local is not None:
            path = self.local.put(token, stored, len(self._by_id))
            return {**stored.json(with_name=False), "file_path": path}
        if stored.size > LARGEST_DOWNLOAD:
            raise bad("file is too big")
        ending = stored.name.rpartition(".")[2] if "." in stored.name else "bin"
        path = f"files/file_{len(self._addresses)}.{ending}"
        self._addresses[bot_id, path] = stored
        return {**stored.json(with_name=False), "file_path": path}

    def at(self, bot_id: int, path: str) -> Stored | None:
        """What is at an address, for who has the token of this bot."""
        return self._addresses.get((bot_id, path))

    def expire(self) -> None:
        """An hour passes: all addresses are void, the ids stay."""
        self._addresses.clear()

    def photo(self, data: bytes, sides: Sequence[int] = _SIDES) -> list[Stored]:
        """A photo, made anew in some sizes, the smallest first, with nothing of its metadata."""
        if len(data) > LARGEST_PHOTO:
            raise bad(
                f"file of size {len(data)} bytes is too big for a photo;"
                f" the maximum size is {LARGEST_PHOTO} bytes"
            )
        try:
            with Image.open(io.BytesIO(data)) as opened:
                whole = opened.convert("RGB")
        except (UnidentifiedImageError, OSError):
            raise bad("IMAGE_PROCESS_FAILED") from None
        if sum(whole.size) > 10000 or max(whole.size) > 20 * min(whole.size):
            raise bad("PHOTO_INVALID_DIMENSIONS")
        longest = max(whole.size)
        fitting = {min(side, longest) for side in sides}
        return self._photo([_scaled(whole, side) for side in sorted(fitting)])

    def _photo(self, sizes: list[Stored]) -> list[Stored]:
        for size in sizes:
            self.keep(size).sizes = sizes
        return sizes


def _copy(old: Stored) -> Stored:
    return Stored(
        old.data, old.name, old.mime, old.size, kind=old.kind, width=old.width, height=old.height
    )


def _scaled(whole: Image.Image, side: int) -> Stored:
    factor = side / max(whole.size)
    size = (max(1, round(whole.width * factor)), max(1, round(whole.height * factor)))
    out = io.BytesIO()
    whole.resize(size).save(out, "JPEG")
    return Stored(
        out.getvalue(), "photo.jpg", "image/jpeg", kind="photo", width=size[0], height=size[1]
    )
