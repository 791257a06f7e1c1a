"""Run the demo. `ONCE=1`: play it, print the transcript and exit."""

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

from tests.demo.play import BOB_JID, play
from tests.demo.screen import Screen
from tests.demo.stage import GATEWAY, Stage
from tests.peers.process import PeerError

_LIMIT_S = 120.0


async def demo(directory: Path, screen: Screen, *, once: bool) -> int:
    """Set up, play, compare, wait. Returns the exit code."""
    started = time.monotonic()
    stage = Stage(directory)
    async with AsyncExitStack() as stack:
        try:
            async with asyncio.timeout(_LIMIT_S):
                await stage.set_up(stack, screen)
                outcome = await play(stage, screen)
        except Exception as error:
            for reason in _reasons(error):
                screen.error(f"The demo failed: {reason}")
            screen.log_tail(stage.gateway.log_file, stage.gateway.log_tail())
            return 1
        screen.transcript(outcome)
        screen.summary(outcome, time.monotonic() - started)
        if not outcome.good:
            screen.log_tail(stage.gateway.log_file, stage.gateway.log_tail())
            return 1
        if not once:
            screen.invitation(stage, BOB_JID, GATEWAY)
            return await _stay(stage, screen)
    return 0


def _reasons(error: BaseException) -> Iterator[str]:
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _reasons(part)
    elif isinstance(error, PeerError | AssertionError):
        yield str(error)
    elif isinstance(error, TimeoutError):
        yield "something did not happen in time"
    else:
        yield repr(error)


async def _stay(stage: Stage, screen: Screen) -> int:
    while stage.running:  # noqa: ASYNC110  no event tells
        await asyncio.sleep(0.5)
    screen.error("One of the processes has ended by itself.")
    screen.log_tail(stage.gateway.log_file, stage.gateway.log_tail())
    return 1


async def _until_told() -> int:
    """SIGTERM and Ctrl-C end the demo in order: everything it started is stopped."""
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()
    told: list[signal.Signals] = []

    def end(number: signal.Signals) -> None:
        told.append(number)
        if len(told) == 1:  # a second Ctrl-C must not interrupt the cleaning up
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, end, number)
    screen = Screen()
    once = os.environ.get("ONCE", "") not in ("", "0")
    try:
        with tempfile.TemporaryDirectory(prefix="dragoman-demo-") as directory:
            return await demo(Path(directory), screen, once=once)
    except asyncio.CancelledError:
        if not told:
            raise
        screen.say("Stopped; everything is cleaned up.")
        return 0 if told[0] is signal.SIGINT else 128 + told[0]


if __name__ == "__main__":
    sys.exit(asyncio.run(_until_told()))
