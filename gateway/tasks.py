# SPDX-License-Identifier: Apache-2.0
"""Supervised tasks, and the clock of the process."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

if TYPE_CHECKING:
    from gateway.adapter import Clock

log = structlog.get_logger("tasks")

T = TypeVar("T")

_END_LIMIT_S = 10.0
"""Real time, since whoever wants us to stop waits in real time too."""


class SystemClock:
    """The real time. Tests inject another one with the same methods."""

    def now(self) -> float:
        """Seconds since the epoch, UTC."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait. What is no number is no time, and would confuse the timers of everybody."""
        await asyncio.sleep(0 if math.isnan(seconds) else seconds)


class CutOff(Exception):
    """Code that is not ours was cancelled, and not by us."""


class Panic(Exception):
    """Code that is not ours raised what is derived from `BaseException` alone."""


def is_cancelled() -> bool:
    """Whether somebody cancelled the running task; libraries raise CancelledError without that."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def contained(call: Callable[..., Awaitable[T]], *args: Any) -> T:
    """Await code that is not ours: however it ends, an `Exception` is the worst that comes of it.

    `SystemExit` and `KeyboardInterrupt` would end the loop for everybody, and extension modules
    have panics that no ``except Exception`` sees: they are a `Panic` here. A cancellation that
    nobody has asked for is a `CutOff`; that of the running task stays what it is.
    """
    try:
        return await call(*args)
    except (Exception, GeneratorExit):
        raise
    except BaseException as error:
        if is_cancelled():
            raise asyncio.CancelledError from error
        if isinstance(error, asyncio.CancelledError):
            raise CutOff("cancelled from within") from error
        raise Panic(f"{type(error).__name__}: {error}") from error


def contained_now(call: Callable[..., T], *args: Any) -> T:
    """The same for a call that awaits nothing."""
    try:
        return call(*args)
    except Exception:
        raise
    except BaseException as error:
        raise Panic(f"{type(error).__name__}: {error}") from error


def forget(task: asyncio.Future[Any]) -> None:
    """Nobody waits for this any more: however it ends, it is not reported."""

    def ended(done: asyncio.Future[Any]) -> None:
        if not done.cancelled():
            done.exception()

    task.add_done_callback(ended)


async def within(clock: Clock, seconds: float, work: Awaitable[T]) -> T:
    """The result of ``work``, which is cancelled after this time. Raises `TimeoutError`.

    Work that takes no notice of that is left behind. If it is cancelled from within, that is a
    `CutOff` here.
    """
    task = asyncio.ensure_future(work)
    limit = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait((task, limit), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise TimeoutError
        if task.cancelled():
            raise CutOff("cancelled from within")
        return task.result()
    finally:
        if not task.done():
            forget(task)
            task.cancel()
        limit.cancel()


class Tasks:
    """Owns every background task of one part of the house: name, strong reference, error report.

    A task that raises is reported once and costs nobody else anything; what should happen again is
    a loop of its own inside the task.
    """

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._running: set[asyncio.Task[Any]] = set()
        self.is_ending = False
        """`cancel` was called: a task that is cancelled now is so for good."""

    def spawn(
        self,
        work: Coroutine[Any, Any, Any],
        name: str,
        *,
        done: Callable[[], object] | None = None,
    ) -> asyncio.Task[Any]:
        """Start ``work``. ``done`` is called when it ends, however it ends."""
        task = asyncio.get_running_loop().create_task(work, name=f"{self._owner}:{name}")
        self._running.add(task)
        task.add_done_callback(self._ended)
        if done is not None:
            task.add_done_callback(lambda _: done())
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("task_failed", task=task.get_name(), exc_info=error)

    async def cancel(self) -> None:
        """Cancel all tasks and wait until they have ended. Who does not end is left behind."""
        self.is_ending = True
        current = asyncio.current_task()
        tasks = [task for task in self._running if task is not current]
        for task in tasks:
            task.cancel()
        if tasks:
            _, rest = await asyncio.wait(tasks, timeout=_END_LIMIT_S)
            for task in rest:
                log.error("task_does_not_end", task=task.get_name())
