# SPDX-License-Identifier: Apache-2.0
"""More tests at once than there are processors, but not more that compute.

A test with the mark ``waits`` spends its time waiting for real servers: for a barrier, for a
server that was killed to come back, for a limit to pass. All others take one of as many slots as
there are processors, so that none of them is slower than alone.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

_LOOK_EVERY_S = 0.02
PROCESSORS = len(os.sched_getaffinity(0))
AT_ONCE = PROCESSORS + 1
"""How many tests run side by side. Real servers compute as well: with more, times say nothing."""


@contextmanager
def slot(folder: Path) -> Iterator[None]:
    """Held while a test computes. ``folder``: of all who run side by side."""
    with ExitStack() as stack:
        files = [stack.enter_context((folder / f"slot-{n}").open("w")) for n in range(PROCESSORS)]
        while not any(_is_ours(file.fileno()) for file in files):
            time.sleep(_LOOK_EVERY_S)
        yield


def _is_ours(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
