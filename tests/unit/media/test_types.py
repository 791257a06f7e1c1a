# SPDX-License-Identifier: Apache-2.0
"""What files are, whatever somebody says they are."""

from __future__ import annotations

import io
import wave
import zipfile

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.media.types import HEAD_BYTES, MARKUP, UNKNOWN, is_shown, sniffed
from tests.unit.media.test_images import made

SVG = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"


def _zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        packed.writestr("a", "b")
    return out.getvalue()


def _wav() -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(100))
    return out.getvalue()


def _mp4(brand: str) -> bytes:
    return b"\0\0\0\x20ftyp" + brand.encode() + b"\0\0\0\0isom"


ODT = "application/vnd.oasis.opendocument.text"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


@pytest.mark.parametrize(
    ("data", "claimed", "expected"),
    [
        (made("PNG"), "", "image/png"),
        (made("PNG"), "text/html", "image/png"),
        (made("JPEG"), "image/png", "image/jpeg"),
        (made("GIF", "P"), "application/javascript", "image/gif"),
        (made("WEBP"), "", "image/webp"),
        (made("TIFF"), "", "image/tiff"),
        (made("BMP"), "image/bmp", UNKNOWN),
        (_wav(), "text/plain", "audio/wav"),
        (_mp4("isom"), "", "video/mp4"),
        (_mp4("M4A "), "", "audio/mp4"),
        (_mp4("qt  "), "", "video/quicktime"),
        (_mp4("heic"), "", "image/heic"),
        (_mp4("hevc"), "video/mp4", "image/heic"),
        (_mp4("msf1"), "", "image/heif"),
        (_mp4("crx "), "", "image/x-canon-cr3"),
        (b"\0\0\0\x08wide\1\x31\x2d\0mdat" + bytes(20), "", "video/quicktime"),
        (b"\0\0\0\x14free" + bytes(12) + b"\0\0\0\1mdat", "", "video/quicktime"),
        (b"\0\0\2\0moov\0\0\0\x6cmvhd", "image/png", "video/quicktime"),
        (b"\0\0\2\0moov\0\0\0\x6cfree", "", UNKNOWN),
        (b"\0\0\0\x08wide\0\0\0\x08wide", "", UNKNOWN),
        (b"\0\0\0\7skip\0\0\0\0mdat", "", UNKNOWN),
        (b"the mdat box, or moov", "", "text/plain"),
        (b"yes free moov", "", "text/plain"),
        (b"<svgmdat\0", "", MARKUP),
        (b"OggS\0\x02" + bytes(20) + b"\x01\x13OpusHead", "", "audio/ogg"),
        (b"OggS\0\x02" + bytes(20) + b"\x01\x2a\x80theora", "", "video/ogg"),
        (b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\x82\x84webm", "", "video/webm"),
        (b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\x82\x84webm", "audio/webm", "audio/webm"),
        (b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\x82\x84webm", "text/html", "video/webm"),
        (b"\x1aE\xdf\xa3\x93B\x82\x88matroska", "", "video/x-matroska"),
        (b"ID3\x04\0", "", "audio/mpeg"),
        (b"\xff\xfb\x90\x64" + bytes(20), "", "audio/mpeg"),
        (b"\xff\xf1\x50\x80" + bytes(20), "", "audio/aac"),
        (b"#!AMR\n", "", "audio/amr"),
        (b"%PDF-1.7\n", "text/plain", "application/pdf"),
        (_zip(), "", "application/zip"),
        (_zip(), ODT, ODT),
        (_zip(), DOCX, DOCX),
        (_zip(), "text/html", "application/zip"),
        (_zip(), f"{ODT}\r\nX: y", "application/zip"),
        (b"hello\n", "", "text/plain"),
        (b"a;b\n", "text/csv", "text/csv"),
        (b"{}", "application/json", "application/json"),
        (b"alert(1)", "text/javascript", "text/plain"),
        (b"alert(1)", "application/javascript", "text/plain"),
        (b"hello", "text/html", "text/plain"),
        (b"hello", "image/svg+xml", "text/plain"),
        (b"\xff\xfeh\0i\0", "text/plain", "text/plain"),
        (b"x" * (HEAD_BYTES - 1) + b"\xc3", "", "text/plain"),
        (b"\xc3\xc3 no text", "text/plain", UNKNOWN),
        (b"MZ\x90\0\x03\0", "image/png", UNKNOWN),
        (b"\x7fELF\x02\x01", "text/plain", UNKNOWN),
        (b"", "image/png", UNKNOWN),
        (b"PNG\r\n\x1a\n\0", "image/png", UNKNOWN),
        (SVG, "image/png", MARKUP),
        (SVG, "image/svg+xml", MARKUP),
        (b"\xef\xbb\xbf  " + SVG, "text/plain", MARKUP),
        (b"\xff\xfe" + SVG.decode().encode("utf-16-le"), "text/plain", MARKUP),
        (b"<!-- x --> \n<!-- y --><ScRiPt>", "text/plain", MARKUP),
        (b"<?xml version='1.0'?><x/>", "application/json", MARKUP),
        (b"<!DOCTYPE html>", "text/csv", MARKUP),
        (b"\n\t <HTML>\0", "", MARKUP),
        (b"<!-- " + b"x" * HEAD_BYTES, "text/plain", MARKUP),
        (b"<3 you", "text/plain", "text/plain"),
    ],
)
def test_req_723_the_bytes_tell(data: bytes, claimed: str, expected: str) -> None:
    assert sniffed(data[:HEAD_BYTES], claimed) == expected


@given(st.binary(max_size=200), st.text(max_size=50))
@example(b"<html>", "image/png")
@example(b"hello", "text/html")
def test_req_723_nothing_that_runs_is_shown(data: bytes, claimed: str) -> None:
    kind = sniffed(data, claimed)
    assert not (is_shown(kind) and data.lstrip().startswith((b"<html", b"<svg", b"<script")))
    assert kind.isascii()
    assert kind.isprintable()
    assert not is_shown(kind) or kind.startswith(("image/", "audio/", "video/"))


@pytest.mark.parametrize(
    "kind",
    [MARKUP, UNKNOWN, "image/svg+xml", "text/xml", "application/pdf", "text/javascript",
     "image/tiff", "application/xhtml+xml", "text/plain", "image/png\n", "audio/ä",
     "TEXT/PLAIN", ""],
)  # fmt: skip
def test_req_723_these_are_saved_and_not_shown(kind: str) -> None:
    assert not is_shown(kind)


@pytest.mark.parametrize(
    "kind", ["image/png", "image/gif", "image/heic", "audio/ogg", "audio/x-caf", "video/mp4"]
)
def test_these_are_shown(kind: str) -> None:
    assert is_shown(kind)
