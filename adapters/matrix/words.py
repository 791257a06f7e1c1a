# SPDX-License-Identifier: Apache-2.0
"""What a message says and shows, in chats and groups alike. No I/O.

Matrix spec, client-server API, "Instant Messaging" (the msgtypes), "Media captions". As in
`inbound`, nothing here raises for what strangers have written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from adapters.matrix.file_content import STICKER
from adapters.matrix.files import caption_in, files_in
from adapters.matrix.inbound import BEACONS, CALLS, MAX_BODY_BYTES, as_dict
from adapters.matrix.places import place_in
from adapters.matrix.polls import poll_in, poll_words, result_in
from adapters.matrix.styles import formatted_words
from adapters.matrix.text import clean, cleaned, without_reply_fallback
from gateway.events import RemoteFile
from gateway.text import moved, tree
from gateway.text.html import Styled
from gateway.text.wording import Words, tr

_MEDIA = {
    "m.image": tr("image"),
    "m.file": tr("file"),
    "m.audio": tr("audio"),
    "m.video": tr("video"),
    STICKER: tr("sticker"),
}


class Told(NamedTuple):
    """What a message says and shows."""

    words: Styled
    files: tuple[RemoteFile, ...] = ()


def told_by(kind: str, content: Mapping[str, Any], speaker: str = "", link: str = "") -> Told:
    """The words for a message, with their styles, and its files. Another person than the contact
    is named. ``link``: to the message, for what words cannot say (REQ-458)."""
    before, words, files = _said(kind, content, speaker, link)
    said = words.text
    if before:
        said = Words("{before}{said}", {"before": before, "said": said})
    text = cleaned(said, MAX_BODY_BYTES)
    return Told(Styled(text, tree(moved(words.spans, len(before)), len(text))), files)


def _said(
    kind: str, content: Mapping[str, Any], speaker: str, link: str
) -> tuple[str, Styled, tuple[RemoteFile, ...]]:
    """What stands before the words, they themselves, and the files."""
    relation = as_dict(content.get("m.relates_to"))
    mark = ""
    if relation.get("rel_type") == "m.replace" and isinstance(content.get("m.new_content"), dict):
        content = content["m.new_content"]
        mark = "✏ "
    msgtype = content.get("msgtype") if kind == "m.room.message" else ""
    if msgtype == "m.emote":
        words = formatted_words(content) or Styled(_body(content))
        return (f"{mark}* {speaker} " if speaker else f"{mark}/me "), words, ()
    before = f"{speaker}: {mark}" if speaker else mark
    if files := files_in(kind, content, link):
        words = caption_in(content)
        if before and not words.text:  # it has to be said whose they are
            words = Styled(", ".join(f"📎 {file.name or file.kind}" for file in files))
        return before, words, files
    formatted = formatted_words(content) if msgtype in ("m.text", "m.notice") else None
    if formatted is not None:
        return before, formatted, ()
    plain = _described(kind, content, link)
    if isinstance(relation.get("m.in_reply_to"), dict):
        answer = without_reply_fallback(plain)
        plain = plain if answer == plain else answer
    return before, Styled(plain), ()


def _described(kind: str, content: Mapping[str, Any], link: str) -> str:
    if (poll := poll_in(kind, content)) is not None:
        return poll_words(poll)
    if result := result_in(kind, content):
        return result
    if kind in CALLS:
        return _elsewhere(tr("📞 call"), "", link)
    if kind in BEACONS:
        described = content.get("description")
        return _elsewhere(tr("live location"), described, link)
    msgtype = content.get("msgtype") if kind == "m.room.message" else kind
    if msgtype in ("m.text", "m.notice"):
        return _body(content)
    if isinstance(msgtype, str) and msgtype in _MEDIA:
        return _media(_MEDIA[msgtype], content, link)
    if msgtype == "m.location":
        return place_in(content) or _elsewhere(tr("location"), content.get("body"), link)
    return _elsewhere(tr("a kind of message that is not bridged yet"), _body(content), link)


def _elsewhere(what: str, words: object, link: str) -> str:
    """One line for what is shown by apps of the network."""
    said = words.rstrip() if isinstance(words, str) else ""
    line = Words("[{what}] {said}", {"what": what, "said": said})
    if not said:
        line = Words("[{what}]", {"what": what})
    return Words("{line} — {link}", {"line": line, "link": link}) if link else line


def _body(content: Mapping[str, Any]) -> str:
    body = content.get("body")
    has_text = isinstance(body, str) and clean(body, MAX_BODY_BYTES).strip()
    return body if isinstance(body, str) and has_text else tr("[message without text]")


def _media(what: str, content: Mapping[str, Any], link: str) -> str:
    """Spec, "Media captions": with a ``filename`` that differs, the body is a caption."""
    body, filename = content.get("body"), content.get("filename")
    caption = ""
    if isinstance(filename, str) and filename.strip():
        caption = body if isinstance(body, str) and body != filename else ""
        body = filename
    if what == "audio" and "org.matrix.msc3245.voice" in content:
        what = tr("voice message")
    described = _elsewhere(what, body, link)
    if not caption.strip():
        return described
    return Words("{described}\n{caption}", {"described": described, "caption": caption})
