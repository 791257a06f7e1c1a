# SPDX-License-Identifier: Apache-2.0
"""Files that people send. No I/O.

Bot API, "PhotoSize" to "Sticker", getFile: bots may fetch what is not larger than 20 MB. What a
file is called there (``file_id``) is good for as long as the bot is.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from telegram import Message, PhotoSize, Sticker

from gateway.events import FileKind, RemoteFile
from gateway.text import clean

LARGEST: Final = 20 * 1000 * 1000
"""Bytes. The documents say MB, and the server means a bit more."""
_KINDS: Final = (
    ("animation", FileKind.ANIMATION, "video/mp4"),  # before the document, which it is as well
    ("sticker", FileKind.STICKER, "image/webp"),
    ("voice", FileKind.VOICE, "audio/ogg"),
    ("audio", FileKind.AUDIO, ""),
    ("video_note", FileKind.VIDEO_NOTE, "video/mp4"),
    ("video", FileKind.VIDEO, "video/mp4"),
    ("document", FileKind.FILE, ""),
)
_SMALL = 250
"""Pixels: no picture is shown smaller than so."""
_MOST_NAME, _NAME_END = 200, 20
_MOST_TYPE = 100


def shared(message: Message) -> tuple[RemoteFile, ...]:
    """The file of a message; none if it has none, or one that bots may not fetch: by a server with
    ``--local`` they may fetch any."""
    file = _file(message)
    if file is None or ((file.size or 0) > LARGEST and not message.get_bot().local_mode):
        return ()
    return (file,)


def _file(message: Message) -> RemoteFile | None:
    is_spoiler = bool(message.has_media_spoiler)
    if message.photo:
        return _photo(message.photo, is_spoiler=is_spoiler)
    for name, kind, usual in _KINDS:
        found: Any = getattr(message, name)
        if found:
            length = getattr(found, "length", None)
            return RemoteFile(
                reference=found.file_id,
                kind=kind,
                name=_name(getattr(found, "file_name", None) or ""),
                media_type=_media_type(found, usual),
                size=found.file_size,
                width=getattr(found, "width", length),
                height=getattr(found, "height", length),
                duration_s=_seconds(found),
                description=clean(found.emoji or "") if isinstance(found, Sticker) else "",
                is_spoiler=is_spoiler,
                thumbnail=_thumbnail(getattr(found, "thumbnail", None)),
            )
    return None


def _photo(sizes: Sequence[PhotoSize], *, is_spoiler: bool) -> RemoteFile:
    """Telegram has each in several sizes, all of them JPEGs."""
    *smaller, whole = sorted(sizes, key=lambda size: size.width * size.height)
    small = next((size for size in smaller if max(size.width, size.height) >= _SMALL), None)
    return RemoteFile(
        reference=whole.file_id,
        kind=FileKind.IMAGE,
        media_type="image/jpeg",
        size=whole.file_size,
        width=whole.width,
        height=whole.height,
        is_spoiler=is_spoiler,
        thumbnail=_thumbnail(small),
    )


def _thumbnail(size: PhotoSize | None) -> RemoteFile | None:
    if size is None:
        return None
    return RemoteFile(
        reference=size.file_id,
        kind=FileKind.IMAGE,
        size=size.file_size,
        width=size.width,
        height=size.height,
    )


def _media_type(file: Any, usual: str) -> str:
    if isinstance(file, Sticker):
        moving = "video/webm" if file.is_video else usual
        return "application/x-tgsticker" if file.is_animated else moving
    return clean(getattr(file, "mime_type", None) or usual)[:_MOST_TYPE]


def _seconds(file: Any) -> float | None:
    found = getattr(file, "duration", None)
    return found.total_seconds() if isinstance(found, timedelta) else None


def _name(name: str) -> str:
    """A long one without what is in its middle: its end says what kind of file it is."""
    name = " ".join(clean(name).split())
    if len(name) <= _MOST_NAME:
        return name
    return f"{name[: _MOST_NAME - _NAME_END]}…{name[-_NAME_END:]}"
