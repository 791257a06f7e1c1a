# SPDX-License-Identifier: Apache-2.0
"""Sounds and films of users, by the ffmpeg of this machine (REQ-448, REQ-724)."""

from __future__ import annotations

import asyncio
import os
import resource
import struct
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Thread, current_thread
from typing import Any

import pytest
from msgspec import structs

from gateway.adapter import Upload
from gateway.errors import Transient
from gateway.events import FileFacts, FileKind
from gateway.media import ffmpeg, sounds
from gateway.media.children import run
from gateway.media.ffmpeg import Ffmpeg
from gateway.media.levels import RATE, Levels
from gateway.media.sounds import Sounds
from gateway.media.spool import Spool, spool
from gateway.media.work import Work
from tests.recordings import recorded

_VOICE = FileFacts(kind=FileKind.VOICE, name="rec.m4a", media_type="audio/mp4")
_FILM = FileFacts(kind=FileKind.VIDEO, name="film.mp4", media_type="video/mp4")
_OGG = ("audio/ogg",)


async def _in_chunks(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 5_000):
        yield data[start : start + 5_000]


@asynccontextmanager
async def _prepared(
    facts: FileFacts, data: bytes, found: Ffmpeg | None = None, voice_types: tuple[str, ...] = _OGG
) -> AsyncIterator[tuple[Upload, bytes]]:
    """What is sent, and all its bytes."""
    work = Work()
    by = Sounds(found or Ffmpeg.find("auto", work), work)
    upload = Upload(facts=structs.replace(facts, size=len(data)), chunks=_in_chunks(data))
    async with by.prepared(upload, lambda: None, user="alice", voice_types=voice_types) as sent:
        yield sent, b"".join([chunk async for chunk in sent.chunks])
    assert work.idle.is_set()


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        ("m4a", _VOICE),
        ("webm", FileFacts(kind=FileKind.AUDIO, name="rec.webm", media_type="audio/webm")),
    ],
)
async def test_req_448_a_voice_message_is_made_what_the_network_plays(
    kind: str, facts: FileFacts
) -> None:
    recording = recorded(kind, 12)
    assert len(recording) > 2**16  # of which ffmpeg skips no more, unless it is told to
    async with _prepared(facts, recording) as (sent, data):
        said = sent.facts
        assert (said.kind, said.name, said.media_type) == (FileKind.VOICE, "rec.ogg", "audio/ogg")
        assert said.size == len(data)
        assert said.duration_s == pytest.approx(12, abs=0.1)
        assert data.startswith(b"OggS")
        assert b"OpusHead" in data[:100]
        assert b"+52.5" not in data
        assert len(sent.waveform) == 100
        assert max(sent.waveform) == 1024
        assert sent.waveform[1] < sent.waveform[4] < sent.waveform[7]  # it gets louder


async def test_req_448_one_that_is_good_as_it_is_gets_its_shape() -> None:
    opus = recorded("opus")
    for facts, data, types in (
        (FileFacts(kind=FileKind.VOICE, name="a.ogg", media_type="audio/ogg"), opus, _OGG),
        (_VOICE, recorded("m4a"), ()),
    ):
        async with _prepared(facts, data, voice_types=types) as (sent, got):
            assert got == data
            assert (sent.facts.kind, sent.facts.name) == (FileKind.VOICE, facts.name)
            assert sent.facts.duration_s == pytest.approx(2, abs=0.1)
            assert len(sent.waveform) == 100


async def test_req_448_music_is_no_voice_message() -> None:
    sound = FileFacts(kind=FileKind.AUDIO, name="a.ogg", media_type="audio/ogg")
    async with _prepared(sound, recorded("opus")) as (sent, data):
        assert (data, sent.facts.kind, sent.waveform) == (recorded("opus"), FileKind.AUDIO, ())
        assert sent.facts.duration_s == pytest.approx(2, abs=0.1)
    async with _prepared(_VOICE, recorded("song")) as (sent, data):
        assert data == recorded("song")
        assert (sent.facts.kind, sent.facts.name) == (FileKind.AUDIO, "rec.m4a")
        assert sent.facts.duration_s == pytest.approx(2, abs=0.1)
        assert not sent.waveform


def _turned(film: bytes) -> bytes:
    """Filmed upright: the matrix of its first track says that (ISO 14496-12 §8.3)."""
    upright = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    turned = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
    before, of_film, after = film.partition(upright)
    return before + of_film + after.replace(upright, turned)


async def test_req_447_448_how_long_and_how_large_a_film_is_that_nobody_has_said() -> None:
    film = recorded("film")
    for held, size in ((film, (64, 48)), (_turned(film), (48, 64))):
        async with _prepared(_FILM, held) as (sent, data):
            assert data == held
            assert (sent.facts.width, sent.facts.height) == size
            assert sent.facts.duration_s == pytest.approx(2, abs=0.1)
            small = sent.thumbnail
            assert small is not None
            scale = small.width / size[0]
            assert (small.height, max(small.width, small.height)) == (size[1] * scale, 640)
            assert small.data.startswith(b"\xff\xd8\xff")
    said = FileFacts(kind=FileKind.VIDEO, media_type="video/mp4", duration_s=9, width=7, height=5)
    async with _prepared(said, recorded("film")) as (sent, data):
        assert (sent.facts.width, sent.facts.height, sent.facts.duration_s) == (7, 5, 9)


async def test_of_a_large_one_the_beginning_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sounds, "_MOST", 8_000)
    monkeypatch.setattr(sounds, "_BEGINNING", 7_000)
    kept: list[int] = []
    fill = Spool.fill

    async def noted(self: Spool, chunks: AsyncIterator[bytes], most: int) -> None:
        await fill(self, chunks, most)
        kept.append(self.size)

    monkeypatch.setattr(Spool, "fill", noted)
    film, voice = recorded("streamed", 10), recorded("m4a")
    async with _prepared(_FILM, film) as (sent, data):
        assert (data, kept.pop()) == (film, 10_000)
        assert (sent.facts.width, sent.facts.duration_s) == (64, 10)
    async with _prepared(_VOICE, voice) as (sent, data):
        assert (data, kept.pop()) == (voice, 10_000)
        assert (sent.facts.kind, sent.facts.duration_s) == (FileKind.VOICE, None)


# --- files that are made to do harm -------------------------------------------------------------

_DOINGS = {
    "hangs": "exec sleep 60",
    "dies": "kill -SEGV $$",
    "never ends": "exec yes",
    "complains without an end": "exec yes >&2",
    "says nothing": "true",
    "says something else": "echo '{\"streams\": 7}'",
    "lies": 'echo \'{"format": {"duration": "-1"}, "streams": [{"codec_type": "video",'
    ' "width": 90000000, "height": 1}]}\'',
}


@pytest.mark.parametrize("doing", _DOINGS)
async def test_req_448_724_what_cannot_be_looked_at_goes_as_it_is(
    doing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ffmpeg, "_LIMIT_S", 1.0)
    program = tmp_path / "ffmpeg"
    program.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{_DOINGS[doing]}\n")
    program.chmod(0o700)
    both = Ffmpeg(str(program), str(program), Work())
    async with _prepared(_FILM, b"data", both) as (sent, data):
        assert data == b"data"
        assert sent.facts == structs.replace(_FILM, size=4)


@pytest.mark.parametrize(
    "data",
    [
        b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"\0\0\0\x18ftypM4A \0\0\0\0" + bytes(4000),
        b"",
    ],
    ids=["playlist", "list", "nonsense", "empty"],
)
async def test_req_724_nothing_is_guessed_and_nothing_opened(data: bytes) -> None:
    async with _prepared(_VOICE, data) as (sent, got):
        assert got == data
        assert sent.facts == structs.replace(_VOICE, size=len(data))


async def test_req_724_it_has_limits_and_nothing_of_ours() -> None:
    asks = (
        "import os, resource as r; print([r.getrlimit(w)[1] for w in (r.RLIMIT_AS, r.RLIMIT_CPU,"
        "r.RLIMIT_FSIZE, r.RLIMIT_NOFILE)], sorted(os.environ), os.getcwd(), os.nice(0),"
        "'NoNewPrivs:\\t1' in open('/proc/self/status').read())"
    )
    said, program = bytearray(), [sys.executable, "-I", "-S", "-c", asks]
    leash = [sys.executable, "-I", "-S", str(ffmpeg._LEASH), "1000000000", "7", "4096"]
    code, _ = await run([*leash, *program], b"", said.extend, most=1000, limit_s=20)
    nice = min(19, os.nice(0) + 10)
    assert (code, said.decode()) == (0, f"[1000000000, 7, 4096, 16] ['LC_CTYPE'] / {nice} True\n")
    assert resource.getrlimit(resource.RLIMIT_CPU)[1] == resource.RLIM_INFINITY


async def test_one_that_says_too_much_did_not_do_its_work_though_it_ended_in_time() -> None:
    """A busy machine looks at what it has said only when it is gone."""
    seen: list[bytes] = []

    def wait(process: int) -> None:
        while Path(f"/proc/{process}").exists():
            time.sleep(0.01)

    async def take(said: bytes) -> None:
        seen.append(said)
        await asyncio.to_thread(wait, int(said.split()[0]))

    program = [sys.executable, "-I", "-S", "-c", "import os; print(os.getpid(), 'x' * 100)"]
    code, _ = await run(program, b"", take, most=50, limit_s=20)
    assert (code, len(seen)) == (None, 1)


async def test_a_file_does_not_wait_for_its_turn_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sounds, "_PATIENCE_S", 0.1)
    both = Ffmpeg("/nowhere", "/nowhere", Work())
    async with (
        both.turn("alice"),
        asyncio.timeout(5),
        _prepared(_VOICE, b"data", both) as (sent, got),
    ):
        assert (got, sent.facts.kind) == (b"data", FileKind.VOICE)


async def test_a_disk_that_is_full_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(Transient, match="no room") as told:
        async with _prepared(_VOICE, b"data"):
            pass
    assert told.value.is_certain


async def test_without_ffmpeg_everything_goes_as_it_is(tmp_path: Path) -> None:
    work = Work()
    assert Ffmpeg.find("off", work) is None
    assert Ffmpeg.find(str(tmp_path / "ffmpeg"), work) is None
    upload = Upload(facts=_VOICE, chunks=_in_chunks(b"data"))
    by = Sounds(None, work)
    async with by.prepared(upload, lambda: None, user="alice", voice_types=_OGG) as sent:
        assert sent is upload


async def test_what_is_on_the_disk_has_no_name_and_goes() -> None:
    async with spool(Work()) as kept:
        await kept.fill(_in_chunks(bytes(9_999)), 100_000)
        assert os.fstat(kept.fd).st_nlink == 0
        assert b"".join([piece async for piece in kept.chunks()]) == bytes(9_999)
        fd = kept.fd
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(fd)


async def test_a_sound_is_not_listened_to_by_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes milliseconds for each piece, in which nothing else would happen."""
    threads: list[Thread] = []
    take = Levels.take

    def noted(self: Levels, piece: bytes) -> None:
        threads.append(current_thread())
        take(self, piece)

    monkeypatch.setattr(Levels, "take", noted)
    async with _prepared(_VOICE, recorded("m4a")) as (sent, _):
        assert (sent.facts.media_type, len(sent.waveform)) == ("audio/ogg", 100)
    assert threads
    assert current_thread() not in threads
    monkeypatch.setattr(ffmpeg, "_LONGEST_S", 1)
    async with _prepared(_VOICE, recorded("m4a")) as (sent, data):
        assert (data, sent.waveform) == (recorded("m4a"), ())


# --- the shape of a sound -----------------------------------------------------------------------


def _samples(*values: int) -> bytes:
    return struct.pack(f"={len(values)}h", *values)


@pytest.mark.parametrize(
    ("data", "seconds", "first", "last"),
    [
        (b"", 0, None, None),
        (_samples(*[0] * RATE), 1, 0, 0),
        (_samples(*[10, -10] * RATE), 2, 15, 15),
        (_samples(*[0] * RATE, *[-32768] * RATE), 2, 0, 1024),
        (_samples(*[4000] * RATE, *[-2000] * RATE), 2, 1024, 512),
    ],
    ids=["nothing", "silence", "noise", "loud", "quieter"],
)
def test_the_shape_of_a_sound(
    data: bytes, seconds: float, first: int | None, last: int | None
) -> None:
    levels = Levels()
    for start in range(0, len(data), 777):  # samples and blocks are cut anywhere
        levels.take(data[start : start + 777])
    assert levels.duration_s == seconds
    shape = levels.waveform()
    assert (shape[:1], shape[-1:]) == (
        (() if first is None else (first,)), (() if last is None else (last,))
    )  # fmt: skip
    assert len(shape) in (0, 100)
