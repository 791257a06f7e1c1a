# SPDX-License-Identifier: Apache-2.0
"""The files of a message, in chats and groups alike. No I/O.

Matrix spec, client-server API, "m.room.message msgtypes", "Media captions", "m.sticker"; MSC3245
(voice messages), MSC4193 (spoilers), MSC4230 (pictures that move), MSC4274 (galleries). As in
`inbound`, nothing here raises for what strangers have written: what cannot be a file is none, and
stays words (REQ-458).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

from adapters.matrix.file_content import SPOILER, STICKER
from adapters.matrix.inbound import MAX_BODY_BYTES, as_dict
from adapters.matrix.sealed_files import SMALL_HEIGHT, SMALL_WIDTH, reference_in, small_of
from adapters.matrix.styles import formatted_words
from adapters.matrix.text import clean, without_reply_fallback
from gateway.events import FileKind, RemoteFile
from gateway.text.html import Styled

_KINDS: Mapping[object, FileKind] = {
    "m.image": FileKind.IMAGE,
    "m.file": FileKind.FILE,
    "m.audio": FileKind.AUDIO,
    "m.video": FileKind.VIDEO,
    STICKER: FileKind.STICKER,
}
_GALLERIES = ("m.gallery", "dm.filament.gallery")
_VOICE = ("m.voice", "org.matrix.msc3245.voice")
_MOVES = ("is_animated", "org.matrix.msc4230.is_animated", "fi.mau.gif")
"""The last one is what bridges say of films without sound."""
_MADE_SMALL = ("image/jpeg", "image/png", "image/webp")
"""By homeservers, whatever the gateway itself makes small. Of a GIF they show one frame."""
_LARGE = 100_000
"""Bytes. A smaller picture is shown as soon as its small one would be."""
_MAX_NAME, _NAME_END = 200, 20
_MAX_TYPE_BYTES = 100
_MAX_DESCRIPTION_BYTES = 1_000


def files_in(kind: str, content: Mapping[str, Any], page: str) -> tuple[RemoteFile, ...]:
    """The files that a message shares: all of them, or none if one cannot be had. ``page``: where
    it is seen."""
    shared = [content]
    if kind == "m.room.message" and _is_gallery(content):
        items = content.get("itemtypes")
        shared = items if isinstance(items, list) else []
        shared = [{**as_dict(item), "msgtype": as_dict(item).get("itemtype")} for item in shared]
    found = [_file(kind, one, page) for one in shared]
    files = tuple(file for file in found if file is not None)
    return files if len(files) == len(found) else ()


def caption_in(content: Mapping[str, Any]) -> Styled:
    """What is said of the files; empty if nothing is. Spec, "Media captions"."""
    body, name = content.get("body"), content.get("filename")
    has_caption = _is_gallery(content) or (_is_text(name) and name != body)
    if not has_caption or not _is_text(body):
        return Styled("")
    return formatted_words(content) or Styled(without_reply_fallback(body))


def _is_gallery(content: Mapping[str, Any]) -> bool:
    return content.get("msgtype") in _GALLERIES


def _file(kind: str, content: Mapping[str, Any], page: str) -> RemoteFile | None:
    msgtype = kind if kind == STICKER else content.get("msgtype")
    shown = _KINDS.get(msgtype) if isinstance(msgtype, str) else None
    reference = reference_in(content)
    if shown is None or (shown is FileKind.STICKER and kind != STICKER) or not reference:
        return None
    info, body = as_dict(content.get("info")), content.get("body")
    is_sticker = shown is FileKind.STICKER
    name = content.get("filename")
    duration = _number(info.get("duration"))
    return RemoteFile(
        reference=reference,
        page=page,
        kind=_kind(shown, content, info),
        name="" if is_sticker else _name(name if _is_text(name) else body),
        description=_line(body, _MAX_DESCRIPTION_BYTES) if is_sticker else "",
        media_type=_line(info.get("mimetype"), _MAX_TYPE_BYTES),
        size=_number(info.get("size")),
        width=_number(info.get("w")),
        height=_number(info.get("h")),
        duration_s=None if duration is None else duration / 1000,
        is_spoiler=content.get(SPOILER) is True,
        thumbnail=_thumbnail(info, reference),
    )


def _thumbnail(info: Mapping[str, Any], reference: str) -> RemoteFile | None:
    """Spec, "ThumbnailInfo": that which was sent with it, encrypted as the file is; or of a large
    picture one that the homeserver makes."""
    sent = reference_in({"file": info.get("thumbnail_file"), "url": info.get("thumbnail_url")})
    if not sent:
        return _made_there(info, reference)
    about = as_dict(info.get("thumbnail_info"))
    return RemoteFile(
        reference=sent,
        kind=FileKind.IMAGE,
        media_type=_line(about.get("mimetype"), _MAX_TYPE_BYTES),
        size=_number(about.get("size")),
        width=_number(about.get("w")),
        height=_number(about.get("h")),
    )


def _made_there(info: Mapping[str, Any], reference: str) -> RemoteFile | None:
    """Spec, "GET /_matrix/client/v1/media/thumbnail/{serverName}/{mediaId}". Of what is encrypted
    there is none."""
    small, size = small_of(reference), _number(info.get("size"))
    if not small or info.get("mimetype") not in _MADE_SMALL or size is None or size < _LARGE:
        return None
    width, height = _number(info.get("w")) or 0, _number(info.get("h")) or 0
    if not width or not height:
        return RemoteFile(reference=small, kind=FileKind.IMAGE)
    part = min(SMALL_WIDTH / width, SMALL_HEIGHT / height, 1)
    return RemoteFile(
        reference=small,
        kind=FileKind.IMAGE,
        width=max(1, round(width * part)),
        height=max(1, round(height * part)),
    )


def _kind(shown: FileKind, content: Mapping[str, Any], info: Mapping[str, Any]) -> FileKind:
    if shown is FileKind.AUDIO and any(name in content for name in _VOICE):
        return FileKind.VOICE
    moves = info.get("mimetype") == "image/gif" or any(info.get(name) is True for name in _MOVES)
    if shown in (FileKind.IMAGE, FileKind.VIDEO) and moves:
        return FileKind.ANIMATION
    return shown


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and bool(clean(value, MAX_BODY_BYTES).strip())


def _line(value: object, max_bytes: int) -> str:
    return " ".join(clean(value, max_bytes).split()) if isinstance(value, str) else ""


def _name(value: object) -> str:
    """A long one without what is in its middle: its end says what kind of file it is."""
    name = _line(value, MAX_BODY_BYTES)
    if len(name) <= _MAX_NAME:
        return name
    return f"{name[: _MAX_NAME - _NAME_END]}…{name[-_NAME_END:]}"


def _number(value: object) -> int | None:
    """A number of bytes, pixels or milliseconds, if it can be one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 <= value < 1 << 53 else None
