# SPDX-License-Identifier: Apache-2.0
"""A file as the content of an event, without what is said of it. No I/O.

Matrix spec, client-server API, "m.image", "m.file", "m.audio", "m.video", "Media captions";
MSC3245 and MSC3246 (voice messages), MSC4193 (spoilers).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.matrix.inbound import as_dict
from gateway.adapter import Thumbnail
from gateway.events import FileFacts, FileKind

_TYPES: Mapping[FileKind, str] = {
    FileKind.IMAGE: "m.image",
    FileKind.STICKER: "m.image",
    FileKind.AUDIO: "m.audio",
    FileKind.VOICE: "m.audio",
    FileKind.VIDEO: "m.video",
    FileKind.VIDEO_NOTE: "m.video",
}
"""What is not in here is a file."""
STICKER = "m.sticker"
"""The specification has none whose file is encrypted: such a one is a picture."""
SPOILER = "page.codeberg.everypizza.msc4193.spoiler"
_VOICE, _AUDIO = "org.matrix.msc3245.voice", "org.matrix.msc1767.audio"
VOICE_TYPE = "audio/ogg"
"""With Opus in it: what all apps record and play."""
_WORDS = ("body", "format", "formatted_body", "m.mentions", "m.relates_to", "m.new_content")


def file_content(
    facts: FileFacts, where: Mapping[str, Any], waveform: Sequence[int] = ()
) -> dict[str, Any]:
    """``where``: the ``url``, or the ``file`` of one that is encrypted. ``waveform``: see
    `gateway.adapter.Upload`."""
    content: dict[str, Any] = {
        "msgtype": _type(facts),
        "filename": facts.name,
        "info": _info(facts),
        **where,
    }
    if facts.kind is FileKind.STICKER and "url" in where:
        content |= {"msgtype": STICKER, "body": facts.description or facts.name}
    if facts.is_spoiler:
        content[SPOILER] = True
    if facts.kind is FileKind.VOICE:
        content[_VOICE] = {}
        if facts.duration_s is not None:  # apps do not take one of which they are not told that
            content[_AUDIO] = {"duration": _milliseconds(facts.duration_s)}
            if waveform:
                content[_AUDIO]["waveform"] = list(waveform)
    return content


def thumbnail_info(thumbnail: Thumbnail, where: Mapping[str, Any]) -> dict[str, Any]:
    """What ``info`` says of a small picture. ``where``: as in `file_content`."""
    return {
        **{f"thumbnail_{name}": place for name, place in where.items()},
        "thumbnail_info": {
            "mimetype": thumbnail.media_type,
            "size": len(thumbnail.data),
            "w": thumbnail.width,
            "h": thumbnail.height,
        },
    }


def with_caption(file: Mapping[str, Any], caption: str) -> dict[str, Any]:
    """ "Media captions": a body that is not the name says something of the file. Stickers have
    none: with one it is a picture."""
    if not caption:
        return {"body": file["filename"], **file}
    is_sticker = file["msgtype"] == STICKER
    return {**file, "body": caption, **({"msgtype": "m.image"} if is_sticker else {})}


def as_event(content: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The type of a message, and its content: stickers have a type of their own ("m.sticker")."""
    if content.get("msgtype") != STICKER:
        return "m.room.message", dict(content)
    without = ("msgtype", "filename")
    return STICKER, {name: value for name, value in content.items() if name not in without}


def file_in(content: Mapping[str, Any]) -> dict[str, Any] | None:
    """The same of a message that is there, or None if it has no file."""
    name = content.get("filename", content.get("body"))
    is_file = content.get("msgtype") in ("m.file", *_TYPES.values())
    is_there = isinstance(content.get("url"), str) or bool(as_dict(content.get("file")))
    if not is_file or not is_there or not isinstance(name, str):
        return None
    kept = {key: value for key, value in content.items() if key not in _WORDS}
    return {**kept, "filename": name}


def _type(facts: FileFacts) -> str:
    if facts.kind is FileKind.ANIMATION:
        return "m.video" if facts.media_type.startswith("video/") else "m.image"
    return _TYPES.get(facts.kind, "m.file")


def _info(facts: FileFacts) -> dict[str, Any]:
    said = {
        "mimetype": facts.media_type or None,
        "size": facts.size,
        "w": facts.width,
        "h": facts.height,
        "duration": None if facts.duration_s is None else _milliseconds(facts.duration_s),
    }
    return {name: value for name, value in said.items() if value is not None}


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
