# SPDX-License-Identifier: Apache-2.0
"""Media in messages: the fields of a Message that hold them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .errors import bad
from .files import Files, Stored

Json = dict[str, Any]

KINDS = (
    "photo",
    "document",
    "video",
    "animation",
    "audio",
    "voice",
    "video_note",
    "sticker",
)
_FACTS = {
    "document": (),
    "video": ("width", "height", "duration"),
    "animation": ("width", "height", "duration"),
    "audio": ("duration",),
    "voice": ("duration",),
    "video_note": ("length", "duration"),
    "sticker": ("width", "height"),
}
"""What each of them always has; what is not said is found out by Telegram, or 0."""
_OTHER_FACTS = {"audio": ("performer", "title"), "sticker": ("emoji",)}
_WITHOUT_NAME = ("voice", "video_note", "sticker")
_STICKER = 512
"""How many pixels at least one side of a sticker has."""
_VOICES = (b"OggS", b"ID3", b"\xff\xfb", b"\xff\xf3")


def medium(files: Files, kind: str, stored: Stored, facts: Mapping[str, Any]) -> Json:
    """The field of a Message that holds a file as this kind of medium.

    `facts` are parameters of the method that sends it; `thumbnail` is a file.
    """
    if kind == "photo":
        sizes = stored.sizes or files.photo(stored.data)
        return {"photo": [size.photo_size() for size in sizes]}
    if kind == "voice" and not (stored.mime == "audio/ogg" or stored.data[:4].startswith(_VOICES)):
        kind = "document"
    files.keep(stored).kind = kind
    made = stored.json(with_name=kind not in _WITHOUT_NAME)
    if stored.mime and kind not in ("video_note", "sticker"):
        made["mime_type"] = stored.mime
    made |= {name: facts.get(name, _found_out(stored, name)) for name in _FACTS[kind]}
    made |= {name: facts[name] for name in _OTHER_FACTS.get(kind, ()) if facts.get(name)}
    if kind == "sticker":
        made |= _sticker(stored)
    if thumbnail := facts.get("thumbnail"):
        made["thumbnail"] = _thumbnail(files, thumbnail)
    if kind != "animation":
        return {kind: made}
    as_document = ("file_id", "file_unique_id", "file_size", "file_name", "mime_type", "thumbnail")
    return {"animation": made, "document": {k: v for k, v in made.items() if k in as_document}}


def check_same_kind(kind: str, stored: Stored) -> None:
    """ApiError for a file_id that is of something else."""
    if stored.kind not in ("", kind):
        was, wanted = (
            each.replace("_", " ").title().replace(" ", "") for each in (stored.kind, kind)
        )
        raise bad(f"can't use file of type {was} as {wanted}")


def _found_out(stored: Stored, name: str) -> int:
    unknown = _STICKER if stored.kind == "sticker" else 0
    return int(getattr(stored, name, 0)) or unknown


def _thumbnail(files: Files, stored: Stored) -> Json:
    """At most 320 pixels wide and high."""
    return files.photo(stored.data, sides=(320,))[0].photo_size()


def _sticker(stored: Stored) -> Json:
    ending = stored.name.rpartition(".")[2]
    return {"type": "regular", "is_animated": ending == "tgs", "is_video": ending == "webm"}
