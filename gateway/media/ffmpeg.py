# SPDX-License-Identifier: Apache-2.0
"""Sounds and films of strangers, measured and converted by ffmpeg, where the machine has it.

It is a process of its own with limits (`leash`), sees nothing but the file, and is told what that
is: it guesses nothing, and opens nothing that a file names. Each user has one at a time, so a film
that keeps it busy is waited for by its sender alone.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import structlog

from gateway.media.children import run
from gateway.media.levels import FORMAT, RATE, Levels
from gateway.media.spool import Spool
from gateway.media.turns import Turns
from gateway.media.work import Work

log = structlog.get_logger("ffmpeg")

OFF, ON_PATH = "off", "auto"
VOICE_TYPE = "audio/ogg"
"""What `Ffmpeg.voice` makes: Opus in Ogg (RFC 7845)."""
_LEASH = Path(__file__).with_name("leash.py")
"""Never imported."""
_CONTAINERS: Mapping[str, str] = {
    "audio/mp4": "mov", "audio/3gpp": "mov", "video/mp4": "mov", "video/3gpp": "mov",
    "video/quicktime": "mov", "audio/quicktime": "mov",
    "audio/ogg": "ogg", "video/ogg": "ogg",
    "audio/webm": "matroska", "video/webm": "matroska", "audio/x-matroska": "matroska",
    "video/x-matroska": "matroska",
    "audio/mpeg": "mp3", "audio/aac": "aac", "audio/amr": "amr", "audio/flac": "flac",
    "audio/wav": "wav", "video/x-msvideo": "avi",
}  # fmt: skip
"""What reads a type. No playlists, and nothing that leads to other files."""
_SAYS_LENGTH = ("mov", "matroska", "flac", "wav")
"""Whose beginning says how long the whole is; of others it is guessed from the size."""
_CODECS = (
    "aac,opus,libopus,vorbis,amrnb,amrwb,mp3,mp3float,flac,alac,pcm_s16le,pcm_u8,"
    "h264,hevc,vp8,libvpx-vp9,vp9,libdav1d,av1,mpeg4,h263,theora,mjpeg"
)
_MEMORY = 768 * 1024 * 1024
_CPU_S = 30
_LIMIT_S = 100.0
"""Real time: the machine may be busy."""
_MOST_WRITTEN = 64 * 1024 * 1024
"""Also of what it keeps of its input on the disk: in many files it has to go back."""
_AT_ONCE, _EACH = 2, 1
_MOST_SAID = 256 * 1024
_LONGEST_S = 3600
"""Of a sound that is listened to. A longer one goes as it is."""
_MAX_EDGE = 2**16
_MUSIC = frozenset({"artist", "album", "album_artist", "albumartist"})
_ASKED = (
    "format=duration:format_tags:stream=codec_type,codec_name,width,height:stream_tags:"
    "stream_disposition=attached_pic:stream_side_data=rotation"
)
_KBITS = 32
"""A second: speech is as good as it was recorded."""


class FfmpegFailed(Exception):
    """It cannot be measured or converted: broken, of a kind that is not known, or a trap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a sound or a film is."""

    duration_s: float | None
    width: int | None = None
    """As it is shown, in pixels."""
    height: int | None = None
    codec: str = ""
    """Of its sound."""
    is_music: bool = False
    """It names who plays it, or has a picture of that."""


class _Stream(msgspec.Struct):
    codec_type: str = ""
    codec_name: str = ""
    width: int = 0
    height: int = 0
    tags: dict[str, str] = {}
    disposition: dict[str, int] = {}
    side_data_list: list[dict[str, Any]] = []


class _Format(msgspec.Struct):
    duration: str = ""
    tags: dict[str, str] = {}


class _Said(msgspec.Struct):
    streams: list[_Stream] = []
    format: _Format = msgspec.field(default_factory=_Format)


class Ffmpeg:
    """The programs of this machine. One for the process."""

    def __init__(self, ffmpeg: str, ffprobe: str, work: Work) -> None:
        """``ffmpeg``, ``ffprobe``: their paths."""
        self._ffmpeg = ffmpeg
        self._ffprobe = ffprobe
        self._work = work
        self._turns = Turns(_AT_ONCE, _EACH)

    @classmethod
    def find(cls, setting: str, work: Work) -> Ffmpeg | None:
        """``setting``: `ON_PATH`, `OFF`, or the path of ffmpeg, which has ffprobe beside it. None
        if there is none; then files go as they are."""
        if setting == OFF:
            return None
        found = shutil.which("ffmpeg") if setting == ON_PATH else setting
        probe = shutil.which("ffprobe", path=str(Path(found).parent)) if found else None
        if found is None or probe is None:
            log.info("no_ffmpeg", setting=setting)
            return None
        return cls(found, probe, work)

    @asynccontextmanager
    async def turn(self, user: str) -> AsyncIterator[None]:
        """Wait for one for what is done in the block."""
        async with self._turns.turn(user):
            yield

    async def measure(self, file: Spool, media_type: str) -> Measured:
        """A sound or a film, or how it begins. Raises `FfmpegFailed`."""
        said = bytearray()
        command = [self._ffprobe, "-v", "quiet", *_source(media_type), "-show_entries", _ASKED]
        command += ["-of", "json=compact=1"]
        await self._run(command, file, said.extend, _MOST_SAID)
        try:
            known = msgspec.json.decode(said, type=_Said)
        except msgspec.DecodeError:
            raise FfmpegFailed("it said something else") from None
        says_length = file.is_whole or _CONTAINERS[media_type] in _SAYS_LENGTH
        return _measured(known, trusts_length=says_length)

    async def listen(self, file: Spool, media_type: str) -> Levels:
        """How loud a sound is in each moment. Raises `FfmpegFailed`."""
        return await self._heard(file, media_type, [])

    async def voice(self, file: Spool, media_type: str, codec: str, to: Spool) -> Levels:
        """Likewise, and make an Opus in Ogg of it, without what else is in the file. ``codec``: of
        the sound that it has. Raises `FfmpegFailed`."""
        kept = ["copy"] if codec == "opus" else ["libopus", "-b:a", f"{_KBITS}k", "-ac", "1"]
        out = ["-map", "0:a:0", "-c:a", *kept, "-map_metadata", "-1", "-f", "ogg"]
        levels = await self._heard(file, media_type, [*out, f"pipe:{to.fd}"], to.fd)
        to.rewind()
        if not to.size:
            raise FfmpegFailed("it wrote nothing")
        return levels

    async def frame(self, file: Spool, media_type: str, edge: int, most: int) -> bytes:
        """How a film begins, as a JPEG with sides of at most ``edge`` pixels, and at most ``most``
        bytes. Raises `FfmpegFailed`."""
        made = bytearray()
        scaled = f"scale={edge}:{edge}:force_original_aspect_ratio=decrease"
        command = [self._ffmpeg, "-v", "error", "-nostdin", "-threads", "1"]
        command += [*_source(media_type), "-map", "0:v:0", "-frames:v", "1", "-vf", scaled]
        command += ["-map_metadata", "-1", "-pix_fmt", "yuvj420p", "-f", "mjpeg", "pipe:1"]
        await self._run(command, file, made.extend, most)
        if not 0 < len(made) <= most:
            raise FfmpegFailed("there is nothing to be seen")
        return bytes(made)

    async def _heard(self, file: Spool, media_type: str, more: list[str], *fds: int) -> Levels:
        levels = Levels()

        async def take(piece: bytes) -> None:
            await asyncio.to_thread(levels.take, piece)  # it takes milliseconds

        command = [self._ffmpeg, "-v", "error", "-nostdin", "-threads", "1"]
        command += [*_source(media_type), *more, "-map", "0:a:0", "-ac", "1", "-ar", str(RATE)]
        command += ["-f", FORMAT, "-flush_packets", "0", "pipe:1"]  # in large pieces
        await self._run(command, file, take, 2 * RATE * _LONGEST_S, *fds)
        if not levels.duration_s:
            raise FfmpegFailed("there is nothing to be heard")
        return levels

    async def _run(self, command: list[str], file: Spool, take: Any, most: int, *fds: int) -> None:
        """Raises `FfmpegFailed`."""
        limits = map(str, (_MEMORY, _CPU_S, _MOST_WRITTEN))
        leash = [sys.executable, "-I", "-S", str(_LEASH), *limits]
        try:
            with self._work:
                code, _ = await run(
                    [*leash, *command], file.rewind(), take, most=most, limit_s=_LIMIT_S, fds=fds
                )
        except OSError as error:
            raise FfmpegFailed(str(error)) from error
        if code != 0:
            raise FfmpegFailed(f"it ended with {code}")


def _source(media_type: str) -> list[str]:
    """Options of what is read. Raises `FfmpegFailed` if it is of no known type."""
    container = _CONTAINERS.get(media_type)
    if container is None:
        raise FfmpegFailed("it is of a type that is not looked at")
    only = ["-protocol_whitelist", "cache,pipe", "-codec_whitelist", _CODECS]
    # It may skip all that there is: what recorders write is read from its end.
    return [*only, "-read_ahead_limit", "-1", "-f", container, "-i", "cache:pipe:0"]


def _measured(said: _Said, *, trusts_length: bool) -> Measured:
    """What is said is not believed: it may have been taken over."""
    try:
        seconds = float(said.format.duration)
    except ValueError:
        seconds = 0.0
    pictures = [one for one in said.streams if one.codec_type == "video"]
    covers = [one for one in pictures if one.disposition.get("attached_pic")]
    films = [one for one in pictures if one not in covers]
    sounds = [one for one in said.streams if one.codec_type == "audio"]
    tags = {tag.lower() for tag in chain(said.format.tags, *(one.tags for one in sounds))}
    width, height = _size(films[0]) if films else (None, None)
    return Measured(
        duration_s=seconds if trusts_length and 0 < seconds < 1e6 else None,
        width=width,
        height=height,
        codec=sounds[0].codec_name if sounds else "",
        is_music=bool(covers or tags & _MUSIC),
    )


def _size(film: _Stream) -> tuple[int | None, int | None]:
    """As it is to be held."""
    if not (0 < film.width < _MAX_EDGE and 0 < film.height < _MAX_EDGE):
        return None, None
    turns = [data.get("rotation", 0) for data in film.side_data_list]
    is_turned = any(isinstance(turn, int | float) and turn % 180 == 90 for turn in turns)
    return (film.height, film.width) if is_turned else (film.width, film.height)
