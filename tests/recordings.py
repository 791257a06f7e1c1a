# SPDX-License-Identifier: Apache-2.0
"""Sounds and films as clients record them, made by ffmpeg."""

from __future__ import annotations

import functools
import subprocess
import tempfile
from pathlib import Path

_SOUND = ("-f", "lavfi", "-i", "sine=f=300:d={s}:r=48000,volume='min(1,t)':eval=frame")
_FILM = ("-f", "lavfi", "-i", "testsrc=s=64x48:r=5:d={s}")
_WHERE = ("-metadata", "location=+52.5+013.4/")
_BOTH = (
    *("-metadata", "title=secret", "-metadata", "make=secret", "-metadata", "comment=secret"),
    *("-metadata", "creation_time=2026-11-30T09:00:00Z", "-c:a", "aac", "-c:v", "mpeg4"),
)
_KINDS: dict[str, tuple[str, ...]] = {
    # As Android's recorder does: what tells how to read it stands at the end.
    "m4a": (*_SOUND, *_WHERE, "-c:a", "aac", "-f", "ipod"),
    "song": (*_SOUND, "-metadata", "artist=Somebody", "-c:a", "aac", "-f", "ipod"),
    "webm": (*_SOUND, "-c:a", "libopus", "-f", "webm"),
    "opus": (*_SOUND, "-c:a", "libopus", "-f", "ogg"),
    "film": (*_SOUND, *_FILM, "-c:a", "aac", "-c:v", "mpeg4", "-f", "mp4"),
    "telephone": (*_FILM, *_SOUND, *_WHERE, *_BOTH, "-f", "mp4"),
    "camera": (*_FILM, *_SOUND, *_WHERE, *_BOTH, "-movflags", "use_metadata_tags", "-f", "mov"),
    "fragments": (
        *(*_FILM, *_SOUND, *_WHERE, *_BOTH),
        *("-movflags", "frag_keyframe+empty_moov", "-f", "mp4"),
    ),
    "3gp": (*_FILM, *_WHERE, "-c:v", "mpeg4", "-f", "3gp"),
    "streamed": (*_FILM, "-c:v", "mpeg4", "-movflags", "+faststart", "-f", "mp4"),
}


@functools.cache
def recorded(kind: str, seconds: float = 2) -> bytes:
    """One of them."""
    with tempfile.TemporaryDirectory() as directory:
        made = Path(directory, "made")
        options = [each.format(s=seconds) for each in _KINDS[kind]]
        subprocess.run(["ffmpeg", "-v", "error", *options, str(made)], check=True, timeout=60)
        return made.read_bytes()
