# SPDX-License-Identifier: Apache-2.0
"""Films of users go to networks without where they were taken, and play as before (REQ-724)."""

from __future__ import annotations

import json
import struct
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.media.bare import bare, boxes
from gateway.media.types import HEAD_BYTES, sniffed
from tests.recordings import recorded

_LOCI = b"loci"
"""Location information, as ffmpeg and 3GP have it (3GPP TS 26.244 §8.10)."""
_TOLD = (_LOCI, b"+52.5", b"secret", b"location")
_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_ROUND = bytes.fromhex("ffcc8263f8554a938814587a02521fdd")


async def bared(data: bytes, media_type: str, *sizes: int) -> bytes:
    """What is sent of a file that comes in pieces of such sizes, over and over."""

    async def chunks() -> AsyncIterator[bytes]:
        at = 0
        while at < len(data):
            for size in sizes or (len(data),):
                yield data[at : at + size] or b""
                at += size
                if at >= len(data):
                    return

    return b"".join([piece async for piece in bare(chunks(), media_type)])


def _run(*command: str) -> bytes:
    done = subprocess.run(command, check=True, capture_output=True, timeout=60)
    assert not done.stderr
    return done.stdout


def _said(file: Path) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Tags of a film, and what its tracks are."""
    asked = ("-show_format", "-show_streams", "-of", "json")
    found = json.loads(_run("ffprobe", "-v", "error", *asked, str(file)))
    tags = {**found["format"].get("tags", {})}
    for track in found["streams"]:
        tags |= {f"{track['index']} {name}": said for name, said in track.pop("tags", {}).items()}
    return tags, found["streams"]


def _frames(file: Path) -> bytes:
    """What is seen and heard, each moment of it."""
    return _run("ffmpeg", "-v", "error", "-i", str(file), "-f", "framemd5", "-")


@pytest.mark.parametrize(
    ("kind", "media_type"),
    [
        ("telephone", "video/mp4"),
        ("camera", "video/quicktime"),
        ("fragments", "video/mp4"),
        ("3gp", "video/3gpp"),
    ],
)
async def test_req_724_a_film_does_not_say_where_it_was_taken_and_plays(
    kind: str, media_type: str, tmp_path: Path
) -> None:
    taken, sent = tmp_path / "taken", tmp_path / "sent"
    taken.write_bytes(recorded(kind))
    sent.write_bytes(await bared(taken.read_bytes(), media_type, 1000))
    before, tracks = _said(taken)
    assert before["location"].startswith("+52.5")
    after, left = _said(sent)
    assert (left, _frames(sent)) == (tracks, _frames(taken))
    assert sent.stat().st_size == taken.stat().st_size
    brands = {"major_brand", "minor_version", "compatible_brands"}
    about = {name for name in after if name.partition(" ")[2] not in _OF_TRACKS}
    assert about == brands
    assert any(word in taken.read_bytes() for word in _TOLD)
    assert not any(word in sent.read_bytes() for word in _TOLD)


_OF_TRACKS = ("language", "handler_name", "vendor_id", "encoder")
"""What is left of them names the programs that have made them."""


async def test_req_724_a_sound_keeps_the_names_of_a_song_alone(tmp_path: Path) -> None:
    for kind, said in (("m4a", _LOCI), ("song", b"Somebody")):
        taken, sent = tmp_path / f"{kind}.taken", tmp_path / f"{kind}.sent"
        taken.write_bytes(recorded(kind))
        sent.write_bytes(await bared(taken.read_bytes(), "audio/mp4", 777))
        assert said in taken.read_bytes()
        assert (said in sent.read_bytes()) == (kind == "song")
        assert _frames(sent) == _frames(taken)
        if kind == "song":
            assert _said(sent)[0]["artist"] == "Somebody"


def _box(kind: bytes, content: bytes = b"", *, is_wide: bool = False) -> bytes:
    if is_wide:
        return struct.pack(">I4sQ", 1, kind, len(content) + 16) + content
    return struct.pack(">I4s", len(content) + 8, kind) + content


_SECRET = b"secret place"
_PLAYED = {b"moov": b"mvex", b"trak": b"tref", b"mdia": b"hdlr"}
_FILM = _box(b"ftyp", b"isom") + _box(b"mdat", b"film")


@pytest.mark.parametrize("is_wide", [False, True])
@pytest.mark.parametrize(
    "inside",
    [(), (b"moov",), (b"moov", b"trak"), (b"moov", b"trak", b"mdia")],
    ids=["file", "moov", "trak", "mdia"],
)
@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (b"udta", _box(b"\xa9xyz", _SECRET)),
        (b"meta", bytes(4) + _SECRET),
        (b"uuid", _XMP + _SECRET),
        (b"free", _SECRET),
        (b"skip", _SECRET),
        (b"sefd", _SECRET),
        (b"prft", _SECRET),
    ],
)
async def test_req_724_what_is_told_becomes_free_space(
    kind: bytes, content: bytes, inside: tuple[bytes, ...], *, is_wide: bool
) -> None:
    said = _box(kind, content, is_wide=is_wide)
    for around in reversed(inside):
        said = _box(around, _box(_PLAYED[around], b"kept") + said, is_wide=is_wide)
    sent = await bared(said + _FILM, "video/mp4", 5)
    assert (len(sent), _SECRET in sent) == (len(said + _FILM), False)
    assert sent.endswith(_FILM)
    assert sent.count(b"free") == 1
    for around in inside:
        assert around + (b"" if is_wide else _box(_PLAYED[around], b"kept")) in sent
    # What was made so stays so.
    assert await bared(sent, "video/mp4") == sent


_LATE_MOOV = _box(b"moov", _box(b"mvex", b"kept"))


@pytest.mark.parametrize(
    ("before", "is_told"),
    [
        (_FILM + _LATE_MOOV, False),
        (_FILM + _LATE_MOOV + _box(b"free"), False),
        # It is not certain that there is nothing left that is played.
        (_LATE_MOOV + _FILM, True),
        (_FILM + _LATE_MOOV + _box(b"moof") + _box(b"mdat"), True),
        (_box(b"ftyp", b"isom") + _LATE_MOOV, True),
    ],
    ids=["after", "free", "ahead", "fragments", "without"],
)
async def test_req_724_nor_what_cameras_append_to_it(before: bytes, *, is_told: bool) -> None:
    """Some, with a way that was flown, are no boxes."""
    after = b"\1\2\3\4\1\2\3\4" + _SECRET + bytes(32)
    for sizes in ((), (1,), (3, 8)):
        sent = await bared(before + after, "video/mp4", *sizes)
        assert sent.startswith(before)
        assert sent[len(before) :] == (after if is_told else bytes(len(after)))


async def test_req_724_a_film_of_an_old_camera_does_not_say_it_either(tmp_path: Path) -> None:
    """One that does not say what it is."""
    film = recorded("camera")
    old = film[:4] + b"skip" + film[8:]
    media_type = sniffed(old[:HEAD_BYTES])
    taken, sent = tmp_path / "taken", tmp_path / "sent"
    taken.write_bytes(old)
    sent.write_bytes(await bared(old, media_type, 1000))
    assert b"+52.5" in old
    assert b"+52.5" not in sent.read_bytes()
    assert _frames(sent) == _frames(taken)


@pytest.mark.parametrize("version", [bytes(4), b""], ids=["iso", "quicktime"])
async def test_req_724_a_song_does_not_say_who_has_bought_it(
    version: bytes, tmp_path: Path
) -> None:
    """Nor what a recorder says under names of its own; a picture of it may be large."""

    def item(kind: bytes, said: bytes) -> bytes:
        return _box(kind, _box(b"data", b"\0\0\0\1" + bytes(4) + said))

    kept = item(b"\xa9nam", b"Song") + item(b"covr", bytes(2 << 20)) + item(b"\xa9ART", b"Us")
    told = [item(kind, b"secret") for kind in (b"apID", b"ownr", b"\0\0\0\1", b"\xa9xyz")]
    names = _box(b"hdlr", bytes(8) + b"mdir" + bytes(13))
    own_names = _box(b"keys", bytes(4) + b"secret")
    songs = _box(b"ilst", told[0] + told[1] + kept + told[2] + told[3])
    said = _box(b"udta", _box(b"meta", version + names + own_names + songs))
    file = recorded("m4a")
    at = file.index(b"udta") - 4
    moov = file.index(b"moov") - 4
    index = _box(b"moov", file[moov + 8 : at] + said)
    taken, sent = tmp_path / "taken", tmp_path / "sent"
    taken.write_bytes(file[:moov] + index)
    sent.write_bytes(await bared(taken.read_bytes(), "audio/mp4", 999))
    assert sent.stat().st_size == taken.stat().st_size
    assert b"secret" not in sent.read_bytes()
    assert kept in sent.read_bytes()
    assert _frames(sent) == _frames(taken)
    if version:
        assert (_said(sent)[0]["title"], _said(sent)[0]["artist"]) == ("Song", "Us")


async def test_a_book_that_is_read_to_somebody_keeps_its_chapters() -> None:
    chapters = _box(b"udta", _box(b"chpl", b"One"))
    said = _box(b"moov", chapters + _box(b"udta", _box(b"loci", _SECRET)))
    sent = await bared(said + _FILM, "audio/mp4", 9)
    assert (chapters in sent, _SECRET in sent, len(sent)) == (True, False, len(said + _FILM))


async def test_what_a_film_says_of_how_it_is_shown_stays() -> None:
    said = _box(b"moov", _box(b"trak", _box(b"uuid", _ROUND + b"<around/>")))
    assert await bared(said + _FILM, "video/mp4", 9) == said + _FILM


@pytest.mark.parametrize(("version", "width"), [(0, 4), (1, 8)])
async def test_req_724_nor_when_it_was_taken(version: int, width: int) -> None:
    begin, dates, rest = bytes((version, 0, 0, 1)), b"\xe6" * 2 * width, b"rest" * 20
    for inside in (
        (b"moov", b"mvhd"),
        (b"moov", b"trak", b"tkhd"),
        (b"moov", b"trak", b"mdia", b"mdhd"),
    ):
        taken, wanted = begin + dates + rest, begin + bytes(2 * width) + rest
        for around in reversed(inside):
            taken, wanted = _box(around, taken), _box(around, wanted)
        assert await bared(taken + _FILM, "video/mp4", 3) == wanted + _FILM


_SAID = _box(b"udta", _SECRET)


@pytest.mark.parametrize(
    ("data", "is_told"),
    [
        # Longer than what it is in: players take it for as long as that.
        (_box(b"moov", struct.pack(">I4s", 1000, b"udta") + _SECRET) + _FILM, False),
        (struct.pack(">I4s", 2**32 - 1, b"udta") + _SECRET, False),
        (struct.pack(">I4sQ", 1, b"udta", 2**64 - 1) + _SECRET, False),
        (struct.pack(">I4s", 0, b"udta") + _SECRET, False),
        (_box(b"moov", struct.pack(">I4s", 0, b"udta") + _SECRET) + _FILM, False),
        # Too short to be one: nobody knows what follows.
        (struct.pack(">I4s", 7, b"udta") + _SECRET, True),
        (struct.pack(">I4sQ", 1, b"udta", 15) + _SECRET, True),
        (_box(b"moov", struct.pack(">I4s", 1, b"udta")) + _FILM + _SAID, False),
        (b"\0\0\0\x20\1\2\3\4" + _SECRET, True),
        # In boxes of which there is but one.
        (_box(b"moov", _box(b"moov", _SAID)), False),
        (_box(b"mdat", _SAID) + _FILM, True),
        (_SAID[:-4], False),
        (_SAID[:7], False),
    ],
    ids=range(13),
)  # fmt: skip
async def test_boxes_that_lie(data: bytes, is_told: bool) -> None:
    for sizes in ((), (1,), (3, 8)):
        sent = await bared(data, "video/mp4", *sizes)
        assert (len(sent), _SECRET in sent) == (len(data), is_told)
        assert sent.endswith(_FILM) == data.endswith(_FILM)


async def test_many_boxes_are_no_work_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boxes, "_MOST_BOXES", 50)
    sent = await bared(_box(b"udta") * 60 + _FILM, "video/mp4")
    assert (sent.count(b"free"), sent.count(b"udta")) == (50, 10)


_KINDS = [b"moov", b"trak", b"mdia", b"mvhd", b"mdhd", b"udta", b"uuid", b"mdat", b"free", b"meta"]
_content = st.binary(max_size=40)
_boxes = st.recursive(
    st.builds(_box, st.sampled_from(_KINDS), _content, is_wide=st.booleans()),
    lambda inner: st.builds(
        _box, st.sampled_from(_KINDS), st.lists(inner).map(b"".join), is_wide=st.booleans()
    ),
)
_sizes = st.lists(st.integers(1, 40), min_size=1, max_size=5)


@settings(max_examples=50)
@given(st.lists(st.one_of(_boxes, _content)).map(b"".join), _sizes)
async def test_where_a_file_is_cut_does_not_matter(data: bytes, sizes: list[int]) -> None:
    for media_type in ("video/mp4", "audio/mp4", "image/avif"):
        whole = await bared(data, media_type)
        assert len(whole) == len(data)
        assert await bared(data, media_type, *sizes) == whole
