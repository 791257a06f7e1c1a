# SPDX-License-Identifier: Apache-2.0
"""What a file is, by its first bytes (REQ-723). What somebody says it is counts only where bytes
cannot tell, and never makes it something that runs in a browser."""

from __future__ import annotations

import re
from collections.abc import Mapping

SCALED = ("image/png", "image/jpeg", "image/webp")
"""Pictures of which small ones are made."""
MEASURED = (*SCALED, "image/gif")
"""Pictures whose size is found out, and whether they move; clients fetch these of themselves."""
PICTURES = (*MEASURED, "image/avif")
"""What networks are given as pictures. Others are files, for most apps."""

HEAD_BYTES = 4096
"""So many of its first bytes tell what it is."""
UNKNOWN = "application/octet-stream"

_STARTS: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"\xff\x0a", "image/jxl"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "image/jxl"),
    (b"%PDF-", "application/pdf"),
    (b"ID3", "audio/mpeg"),
    (b"fLaC", "audio/flac"),
    (b"#!AMR", "audio/amr"),
    (b"caff", "audio/x-caf"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"Rar!\x1a\x07", "application/vnd.rar"),
    (b"\x1f\x8b\x08", "application/gzip"),
    (b"BZh", "application/x-bzip2"),
    (b"\xfd7zXZ\0", "application/x-xz"),
    (b"\x28\xb5\x2f\xfd", "application/zstd"),
)
_BRANDS: Mapping[bytes, str] = {
    b"M4A ": "audio/mp4",
    b"M4B ": "audio/mp4",
    b"qt  ": "video/quicktime",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"heim": "image/heic",
    b"heis": "image/heic",
    b"hevc": "image/heic",
    b"hevx": "image/heic",
    b"mif1": "image/heif",
    b"mif2": "image/heif",
    b"msf1": "image/heif",
    b"avci": "image/heif",
    b"avcs": "image/heif",
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"3gp4": "video/3gpp",
    b"3gp5": "video/3gpp",
    b"3gp6": "video/3gpp",
    b"crx ": "image/x-canon-cr3",
}
"""Of ISO 14496-12 files, at offset 8; another one is an MP4. Whatever is a picture has to be here:
what makes it one is nothing that a film needs, and is taken from those."""
_OLD_BOXES = (b"wide", b"free", b"skip")
"""May stand before the others in a film that does not say what it is (as QuickTime was
until it did, and as some cameras write it still)."""
_RIFFS: Mapping[bytes, str] = {
    b"WEBP": "image/webp",
    b"WAVE": "audio/wav",
    b"AVI ": "video/x-msvideo",
}
_ZIPS = (
    "application/zip",
    "application/epub+zip",
    "application/vnd.android.package-archive",
)
_ZIP_FAMILIES = (
    "application/vnd.oasis.opendocument.",
    "application/vnd.openxmlformats-officedocument.",
)
_TEXTS = (
    "text/plain", "text/csv", "text/markdown", "text/calendar", "text/vcard", "text/x-diff",
    "application/json",
)  # fmt: skip
_ACTIVE = re.compile(
    rb"\s*<(?:!|\?|html|head|body|script|svg|iframe|title|meta|style|link|table|div|img|form|object|"
    rb"embed|a\s|p\s?>|h1|x:|math)",
    re.IGNORECASE,
)
_TYPE = re.compile(r"[a-z]{1,20}/[a-z0-9.+-]{1,100}")
_BINARY = re.compile(rb"[\0-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_IN_BROWSERS = re.compile(
    r"image/(?:png|jpeg|gif|webp|avif|bmp|heic|jxl)|(?:audio|video)/[\w.+-]+", re.ASCII
)
MARKUP = "text/html"
"""Whatever a browser might run: HTML, SVG, XML. Never shown, always saved."""


def sniffed(head: bytes, claimed: str = "") -> str:
    """The type of a file that begins so; ``claimed`` is what somebody says, without parameters."""
    head, claimed = head[:HEAD_BYTES], claimed if _TYPE.fullmatch(claimed) else ""
    for start, kind in _STARTS:
        if head.startswith(start):
            return kind
    return _contained(head, claimed) or _text(head, claimed) or UNKNOWN


def uploadable(head: bytes, claimed: str) -> str:
    """What the service is told that it is: never something that runs where it is shown (REQ-723),
    whatever a stranger has said."""
    kind = sniffed(head, claimed)
    return UNKNOWN if kind == MARKUP else kind


def is_shown(kind: str) -> bool:
    """Whether a browser may show it in a page of its own, rather than save it (REQ-444): nothing
    that can run. With ``nosniff``, from an origin without cookies."""
    return _IN_BROWSERS.fullmatch(kind) is not None


def _contained(head: bytes, claimed: str) -> str:
    """Containers, which may have this or that in them."""
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "video/mp4")
    if head[:4] == b"RIFF":
        return _RIFFS.get(head[8:12], "")
    if head[:4] == b"OggS":
        return "video/ogg" if b"\x80theora" in head[:300] else "audio/ogg"
    if head[:4] == b"\x1aE\xdf\xa3":
        is_matroska = b"matroska" in head[:64]
        as_said = claimed if claimed in ("audio/webm", "audio/x-matroska") else ""
        return as_said or ("video/x-matroska" if is_matroska else "video/webm")
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return claimed if claimed in _ZIPS or claimed.startswith(_ZIP_FAMILIES) else _ZIPS[0]
    return "video/quicktime" if _is_old_film(head) else _frames(head)


def _is_old_film(head: bytes) -> bool:
    """QuickTime without ``ftyp``. Words may stand there in a text as well, which has no such
    lengths before them."""
    at = 0
    while head[at + 4 : at + 8] in _OLD_BOXES and (size := int.from_bytes(head[at : at + 4])) >= 8:
        at += size
    if not _BINARY.search(head[at : at + 4]):
        return False
    if head[at + 4 : at + 8] == b"moov":
        return head[at + 12 : at + 16] in (b"mvhd", b"cmov", b"rmra")
    return head[at + 4 : at + 8] == b"mdat"


def _frames(head: bytes) -> str:
    """MPEG audio that begins with a frame (ISO 11172-3, layers II and III; ISO 13818-7)."""
    if len(head) < 2 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return ""
    if head[1] & 0xF6 == 0xF0:
        return "audio/aac"
    return "audio/mpeg" if head[1] & 0x06 in (0x02, 0x04) else ""


def _text(head: bytes, claimed: str) -> str:
    for mark in _BOMS:
        if head.startswith(mark):
            return (
                MARKUP
                if _ACTIVE.match(head.removeprefix(mark).replace(b"\0", b""))
                else "text/plain"
            )
    if _ACTIVE.match(head):
        return MARKUP
    if not head or _BINARY.search(head):
        return ""
    try:
        head.decode()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # not the end, where a sign may be cut
            return ""
    return claimed if claimed in _TEXTS else "text/plain"
