# SPDX-License-Identifier: Apache-2.0
"""Watches the event loop: says when it was held up and where, and ends the process if it hangs.

While the loop stands still the server goes on filling a socket that nobody reads, and what is in
it dies with the process. A process that ends makes the server bounce instead, and is started again
by its supervisor (REQ-914).

Time is measured in turns of the watching thread, so a process that was stopped (SIGSTOP), or whose
machine slept, is not taken for one that hangs; nor does the wall clock matter. A call that holds
the interpreter lock stops that thread too: for those a timer of the kernel counts the CPU time.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import signal
import sys
import threading
import time
from types import FrameType

import structlog

log = structlog.get_logger("loop")

EXIT_STUCK = os.EX_SOFTWARE
"""Of a process whose loop did not turn: 70."""
_BEAT_S = 0.25
_LAG_S = 0.5
"""A loop that comes so late is worth a line."""
_AGAIN_S = 60.0
"""Between two such lines."""
_DUMP_S = 5.0
"""For writing the stacks: whoever should read them may hang too."""
_SHOWN = 4
"""Frames of a stack, innermost first."""


class LoopWatch:
    """A context manager around the life of a running loop. Real time, whatever clock is used."""

    def __init__(self, stuck_s: float) -> None:
        self._stuck_s = stuck_s
        self._thread_id = threading.get_ident()
        self._over = threading.Event()
        self._beats = 0
        self._beat_at = self._cpu_at = 0.0
        self._where = ""
        self._task = ""
        """Those of accounts are named after network and account."""
        self._said_at = -_AGAIN_S
        self._unsaid = 0
        self.stalls = 0
        """How often the loop was held up."""
        self.longest_s = 0.0

    def __enter__(self) -> LoopWatch:
        faulthandler.enable(all_threads=True)
        faulthandler.register(signal.SIGPROF, all_threads=True, chain=True)
        self._loop = asyncio.get_running_loop()
        self._note()
        self._timer = self._loop.call_later(_BEAT_S, self._beat)
        self._thread = threading.Thread(target=self._watch, name="loop watch", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._over.set()
        self._thread.join(_BEAT_S * 4)
        signal.setitimer(signal.ITIMER_PROF, 0)
        faulthandler.unregister(signal.SIGPROF)

    # --- the loop -------------------------------------------------------------------------------

    def _note(self) -> None:
        self._beats += 1
        self._beat_at, self._cpu_at = time.monotonic(), time.process_time()
        signal.setitimer(signal.ITIMER_PROF, 2 * self._stuck_s)

    def _beat(self) -> None:
        lag_s = time.monotonic() - self._beat_at - _BEAT_S
        if lag_s > _LAG_S:
            self._late(lag_s, time.process_time() - self._cpu_at)
        self._where = self._task = ""
        self._note()
        self._timer = self._loop.call_later(_BEAT_S, self._beat)

    def _late(self, lag_s: float, cpu_s: float) -> None:
        if not self._where and cpu_s < lag_s / 10:
            # Neither thread ran, nor was the processor used; a busy machine gives a share.
            log.info("process_paused", seconds=round(lag_s, 1))
            return
        self.stalls += 1
        self.longest_s = max(self.longest_s, lag_s)
        now = time.monotonic()
        if now - self._said_at < _AGAIN_S:
            self._unsaid += 1
            return
        where = self._where or "a call that holds the interpreter"
        log.warning(
            "loop_stalled",
            lag_s=round(lag_s, 2),
            where=where,
            task=self._task,
            unsaid=self._unsaid,
        )
        self._said_at, self._unsaid = now, 0

    # --- the thread -----------------------------------------------------------------------------

    def _watch(self) -> None:
        beats, still_s = self._beats, 0.0
        while not self._over.wait(_BEAT_S):
            if self._beats != beats:
                beats, still_s = self._beats, 0.0
                continue
            still_s += _BEAT_S
            if still_s > _LAG_S:
                self._where = _stack(sys._current_frames().get(self._thread_id))
                task = asyncio.current_task(self._loop)
                self._task = "" if task is None else task.get_name()
            if still_s >= self._stuck_s:
                self._end()

    def _end(self) -> None:
        """The loop may hold any lock, and the log's reader may be what it waits for."""
        writing = threading.Thread(target=self._dump, daemon=True)
        writing.start()
        writing.join(_DUMP_S)
        os._exit(EXIT_STUCK)

    def _dump(self) -> None:
        text = f"The loop has not turned for {self._stuck_s:g} s. The process ends; its stacks:\n"
        os.write(2, text.encode())
        faulthandler.dump_traceback(2, all_threads=True)


def _stack(frame: FrameType | None) -> str:
    """The innermost frames, without any values: those hold contents."""
    shown: list[str] = []
    while frame is not None and len(shown) < _SHOWN:
        file = "/".join(frame.f_code.co_filename.split("/")[-2:])
        shown.append(f"{frame.f_code.co_name} ({file}:{frame.f_lineno})")
        frame = frame.f_back
    return " < ".join(shown)
