# SPDX-License-Identifier: Apache-2.0
"""The shape of a sound, as apps draw it: how loud it is in each part."""

from __future__ import annotations

import sys

RATE = 4000
"""Samples a second, each of two bytes, in this machine's order. Speech is below half of it."""
FORMAT = f"s16{sys.byteorder[0]}e"
"""As ffmpeg calls that."""
LOUDEST = 1024
_PARTS = 100
_BLOCK = RATE // 20 * 2
"""Bytes of which the loudest sample counts."""
_QUIET = 655
"""Where nothing is louder than 2 % there is noise alone, which is not drawn as if it were loud."""


class Levels:
    """Takes samples while they come."""

    def __init__(self) -> None:
        self._rest = b""
        self._peaks: list[int] = []

    def take(self, piece: bytes) -> None:
        """Some bytes of it."""
        data = self._rest + piece
        end = len(data) - len(data) % _BLOCK
        samples = memoryview(data)[:end].cast("h")
        for start in range(0, end // 2, _BLOCK // 2):
            block = samples[start : start + _BLOCK // 2]
            self._peaks.append(max(max(block), -min(block)))
        self._rest = data[end:]

    @property
    def duration_s(self) -> float:
        """Of what was taken."""
        return (len(self._peaks) * _BLOCK + len(self._rest)) / 2 / RATE

    def waveform(self) -> tuple[int, ...]:
        """Parts of the same length, each from 0 to 1024; none of a sound of no length. The loudest
        is 1024, as voices are recorded at any strength."""
        peaks = self._peaks
        if not peaks:
            return ()
        loudest = max(*peaks, _QUIET)
        parts = []
        for part in range(_PARTS):
            begin, end = (len(peaks) * each // _PARTS for each in (part, part + 1))
            parts.append(max(peaks[begin : max(end, begin + 1)]) * LOUDEST // loudest)
        return tuple(parts)
