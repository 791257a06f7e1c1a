# SPDX-License-Identifier: Apache-2.0
"""Finds callbacks of the event loop that hold it up, in every test.

What counts is the time in which a callback computed or waited, not the time in which the machine
had no processor for it: on a loaded machine that is most of what a clock on the wall shows. The
kernel counts both (``/proc/thread-self/schedstat``).
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from pathlib import Path
from types import CodeType
from typing import Any

LIMIT_S = 1.0
"""Four times the most that was seen, in a flood. The goal of 50 ms is for `make bench`."""
_OURS = ("gateway", "adapters")
_SCHEDSTAT = Path("/proc/thread-self/schedstat")
_run = asyncio.Handle._run


class Stalls:
    """Patches the loop's handles while it is entered."""

    def __init__(self, limit_s: float = LIMIT_S) -> None:
        self._limit_s = limit_s
        self._starved_s = 0.0
        self.found: list[str] = []

    def __enter__(self) -> Stalls:
        self._starved_s = starved_s()
        stalls = self

        def run(handle: asyncio.Handle) -> None:
            began, callback = time.perf_counter(), handle._callback  # type: ignore[attr-defined]
            _run(handle)  # which may cancel the handle, and then it has none
            if time.perf_counter() - began > stalls._limit_s:
                stalls._judge(callback, time.perf_counter() - began)

        self._before = asyncio.Handle._run
        asyncio.Handle._run = run  # type: ignore[method-assign, assignment]
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.Handle._run = self._before  # type: ignore[method-assign]

    def _judge(self, callback: Any, took_s: float) -> None:
        now_s = starved_s()
        starved, self._starved_s = now_s - self._starved_s, now_s
        held_s = took_s - starved
        name = whose(callback)
        if held_s > self._limit_s and name:
            self.found.append(f"{name} held up the loop for {held_s:.2f} s")


def starved_s() -> float:
    """How long this thread has waited for a processor so far."""
    return int(_SCHEDSTAT.read_text().split()[1]) / 1e9


def had_s() -> float:
    """A clock that stands still while any thread of this process waits for a processor: what takes
    long by it does so on a machine of its own, too. Threads that starve together make it slow."""
    starved = 0
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # it has just ended
            starved += int((task / "schedstat").read_text().split()[1])
    return time.perf_counter() - starved / 1e9


def whose(callback: Any) -> str:
    """The function of ours that a callback runs, or nothing if it is of a test or a library."""
    owner = getattr(callback, "__self__", None)
    if isinstance(owner, asyncio.Task):
        code: CodeType | None = getattr(owner.get_coro(), "cr_code", None)
        if code is None:
            return ""
        return f"{code.co_qualname} ({code.co_filename})" if _is_ours(code.co_filename) else ""
    protocol = getattr(owner, "_protocol", None) or owner
    module = type(protocol).__module__ if protocol is not None else callback.__module__
    if module.partition(".")[0] not in _OURS:
        return ""
    return f"{type(protocol).__name__}, {getattr(callback, '__name__', 'a callback')}"


def _is_ours(file: str) -> bool:
    return any(f"/{package}/" in file for package in _OURS) and "/tests/" not in file
