# SPDX-License-Identifier: Apache-2.0
"""More tests at once than there are processors, but not more that compute.

A test with the mark ``waits`` spends its time waiting for real servers: for a barrier, for a
server that was killed to come back, for a limit to pass. All others take one of as many slots as
there are processors, so that none of them is slower than alone.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

_LOOK_EVERY_S = 0.02
PROCESSORS = len(os.sched_getaffinity(0))
AT_ONCE = PROCESSORS + 1
"""How many tests run side by side. Real servers compute as well: with more, times say nothing."""


@contextmanager
def slot() -> Iterator[None]:
    """Held while a test computes. Only tests that run side by side need one."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    if run is None:
        yield
        return
    folder = Path(tempfile.gettempdir()) / f"dragoman-slots-{run}"
    folder.mkdir(exist_ok=True)
    with ExitStack() as stack:
        files = [stack.enter_context((folder / str(n)).open("w")) for n in range(PROCESSORS)]
        while not any(map(_is_ours, (file.fileno() for file in files))):
            time.sleep(_LOOK_EVERY_S)
        yield


def _is_ours(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
