# SPDX-License-Identifier: Apache-2.0
"""The files that a client sends: where it has put them, and what it says of them (REQ-448)."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from xml.etree.ElementTree import Element

from gateway.events import FileKind, SentFile
from gateway.xmpp.codec.enclosing import (
    FALLBACK,
    JINGLE_FILE,
    METADATA,
    OOB,
    REFERENCE,
    SFS,
    SIMS,
    URL_DATA,
    is_url,
    place,
)

STICKER = "{urn:xmpp:stickers:0}sticker"
_SFS, _SIMS, _OOB = f"{{{SFS}}}file-sharing", f"{{{REFERENCE}}}reference", f"{{{OOB}}}x"
_ENCRYPTED = "{urn:xmpp:esfs:0}"
_AES_256 = "urn:xmpp:ciphers:aes-256-gcm-nopadding:0"
_HASH = "{urn:xmpp:hashes:2}hash"
_STANDS_FOR = frozenset({OOB, SFS, SIMS, REFERENCE})
_AESGCM = re.compile(r"aesgcm://\S{1,2000}")
_MOST_DIGITS = 15
_LONGEST = 10_000


@dataclass(frozen=True, slots=True)
class Sharing:
    """What files a message sends."""

    files: tuple[SentFile, ...] = ()
    stand_ins: tuple[str, ...] = ()
    """Parts of the body that are there for clients that know nothing of that, the longest first:
    some clients count wrongly, and an address is one all the same."""


@dataclass(slots=True)
class Seen:
    """What of a message may be about files, while it is read."""

    shared: dict[str, list[Element]] = field(default_factory=dict)
    """By their names."""
    parts: list[tuple[int, int | None]] = field(default_factory=list)
    """Of the body, that stand in for files; without an end, up to its end."""
    is_sticker: bool = False

    def take(self, child: Element) -> None:
        """An element of the message."""
        if child.tag in (_SFS, _SIMS, _OOB):
            self.shared.setdefault(child.tag, []).append(child)
        elif child.tag == STICKER:
            self.is_sticker = True
        elif child.get("for") in _STANDS_FOR:  # XEP-0428 §2.2
            for part in child.findall(f"{{{FALLBACK}}}body"):
                self.parts.append((place(part.get("start")) or 0, place(part.get("end"))))


_NOTHING = Sharing()


def sharing(body: str, seen: Seen | None, *, is_spoiler: bool = False) -> Sharing:
    """The best of what the client says: stateless file sharing (XEP-0447), else SIMS (XEP-0385),
    else out-of-band data for which the body stands, if there is one (XEP-0066 §3), else an
    encrypted link and nothing beside it (XEP-0454). A link in a text is no file."""
    said = body.strip()
    if seen is None:
        if not said.startswith("aesgcm:"):
            return _NOTHING
        seen = Seen()
    parts = [body[start:end] for start, end in seen.parts]
    out_of_band = list(_read(seen.shared.get(_OOB, []), _of_oob))
    found = list(_read(seen.shared.get(_SFS, []), _of_sfs))
    found = found or list(_read(seen.shared.get(_SIMS, []), _of_sims))
    if not found and (parts or not said or said in _urls(out_of_band)):
        found = out_of_band
    if not found and _AESGCM.fullmatch(said):
        found = [{"url": said}]
    if not found:
        return _NOTHING
    urls = _urls(found) | _urls(out_of_band)
    stand_ins = {*parts, *(word for word in body.split() if word in urls)} - {""}
    beside: dict[str, Any] = {"kind": FileKind.STICKER} if seen.is_sticker else {}
    files = (SentFile(**each, **beside, is_spoiler=is_spoiler) for each in found)
    return Sharing(tuple(files), tuple(sorted(stand_ins, key=len, reverse=True)))


def _urls(files: list[dict[str, Any]]) -> set[str]:
    return {each["url"] for each in files}


def _read(
    elements: list[Element], read: Callable[[Element], dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Those that say where the file is, each once."""
    known = set()
    for facts in map(read, elements):
        if facts.get("url") and facts["url"] not in known:
            known.add(facts["url"])
            yield facts


def _is_reachable(url: str | None) -> bool:
    return url is not None and (is_url(url) or _AESGCM.fullmatch(url) is not None)


def _of_sfs(element: Element) -> dict[str, Any]:
    sources = element.find(f"{{{SFS}}}sources")
    url = "" if sources is None else _source(sources)
    is_file = element.get("disposition") == "attachment"
    return {**_facts(element, METADATA), "url": url, "as_file": is_file}


def _source(sources: Element) -> str:
    for child in sources:
        if child.tag == URL_DATA and _is_reachable(target := child.get("target")):
            return target or ""
        if child.tag == f"{_ENCRYPTED}encrypted" and (url := _unlocked(child)):
            return url
    return ""


def _unlocked(encrypted: Element) -> str:
    """XEP-0448 §3: the same as a link with its key."""
    inner = encrypted.find(f"{{{SFS}}}sources")
    url = "" if inner is None else _source(inner)
    if encrypted.get("cipher") != _AES_256 or not url.startswith("https://"):
        return ""
    key, iv = (_bytes(encrypted.findtext(f"{_ENCRYPTED}{name}")) for name in ("key", "iv"))
    plain = url.removeprefix("https").partition("#")[0]
    return f"aesgcm{plain}#{iv.hex()}{key.hex()}" if key and iv else ""


def _of_sims(element: Element) -> dict[str, Any]:
    shared = element.find(f"{{{SIMS}}}media-sharing")
    if shared is None:
        return {}
    sources = shared.findall(f"{{{SIMS}}}sources/{{{REFERENCE}}}reference")
    urls = [source.get("uri", "") for source in sources]
    url = next(filter(_is_reachable, urls), "")
    return {**_facts(shared, JINGLE_FILE), "url": url}


def _of_oob(element: Element) -> dict[str, Any]:
    url = (element.findtext(f"{{{OOB}}}url") or "").strip()
    described = (element.findtext(f"{{{OOB}}}desc") or "")[:_LONGEST]
    return {"url": url, "description": described} if _is_reachable(url) else {}


def _facts(element: Element, namespace: str) -> dict[str, Any]:
    """XEP-0446 §3, and what XEP-0234 has of that."""
    file = element.find(f"{{{namespace}}}file")
    if file is None:
        return {}

    def text_of(name: str) -> str:
        return (file.findtext(f"{{{namespace}}}{name}") or "").strip()[:_LONGEST]

    length = _number(text_of("length"))
    return {
        "name": text_of("name"),
        "media_type": text_of("media-type").lower(),
        "size": _number(text_of("size")),
        "width": _number(text_of("width")) or None,
        "height": _number(text_of("height")) or None,
        "duration_s": None if length is None else length / 1000,
        "description": text_of("desc"),
        "sha256": _sha256(file),
    }


def _number(said: str) -> int | None:
    is_number = said.isascii() and said.isdigit() and len(said) <= _MOST_DIGITS
    return int(said) if is_number else None


def _sha256(file: Element) -> str:
    for each in file.findall(_HASH):
        digest = _bytes(each.text) if each.get("algo") == "sha-256" else b""
        if len(digest) == 32:
            return digest.hex()
    return ""


def _bytes(said: str | None) -> bytes:
    """Of base64; nothing if it is none."""
    try:
        return base64.b64decode((said or "").strip(), validate=True)
    except ValueError:
        return b""
