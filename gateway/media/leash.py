# SPDX-License-Identifier: Apache-2.0
"""A program of its own: gives itself limits and becomes another one, which works on what strangers
have made.

Run by `gateway.media.ffmpeg`. It is run by its path, so it imports nothing of the gateway.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys

_NO_NEW_PRIVS = 38
"""Of prctl(2): no program that it starts gets rights that it has not itself."""


def main() -> None:
    """Arguments: bytes of memory, seconds of computing, bytes of each file that is written; then
    the program with its own arguments."""
    memory, cpu_s, written = map(int, sys.argv[1:4])
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.nice(10)
    for what, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_FSIZE, written),
        (resource.RLIMIT_NOFILE, 16),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))
    os.execv(sys.argv[4], sys.argv[4:])


if __name__ == "__main__":
    main()
