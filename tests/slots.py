# SPDX-License-Identifier: Apache-2.0
"""More tests at once than there are processors, but not more that compute.

A test with the mark ``waits`` spends its time waiting for real servers: for a barrier, for a
server that was killed to come back, for a limit to pass. Others at real servers wait half of
theirs. What computes takes one of as many slots as there are processors, so that nothing is slower
than alone; what is done at real servers takes one of as many others, as servers compute too.

These come first, in this order: all workers begin with a part of the list, so one of them waits at
its servers, and few others start any, while the rest compute.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from enum import IntEnum
from pathlib import Path

import pytest

_LOOK_EVERY_S = 0.02
PROCESSORS = len(os.sched_getaffinity(0))
AT_ONCE = PROCESSORS + 1
"""How many tests run side by side. Real servers compute as well: with more, times say nothing."""


class Kind(IntEnum):
    """What a test does most of its time, in the order in which they come."""

    WAITS = 0
    AT_SERVERS = 1
    COMPUTES = 2


def kind(item: pytest.Item) -> Kind:
    """What a test does most of its time."""
    if item.get_closest_marker("waits") is not None:
        return Kind.WAITS
    network = item.callspec.params.get("network_name") if hasattr(item, "callspec") else None
    is_at_servers = item.path.parent.name == "e2e" or network == "matrix"
    return Kind.AT_SERVERS if is_at_servers else Kind.COMPUTES


@contextmanager
def slot(folder: Path, kind: Kind) -> Iterator[None]:
    """Held while a test runs. ``folder``: of all who run side by side."""
    if kind is Kind.WAITS:
        yield
        return
    names = [f"slot-{kind.name.lower()}-{number}" for number in range(PROCESSORS)]
    with ExitStack() as stack:
        files = [stack.enter_context((folder / name).open("w")) for name in names]
        while not any(_is_ours(file.fileno()) for file in files):
            time.sleep(_LOOK_EVERY_S)
        yield


def _is_ours(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
