# SPDX-License-Identifier: Apache-2.0
"""The end of tasks, and of the process."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest
from structlog.testing import capture_logs

from gateway import tasks
from gateway.tasks import CutOff, Panic, SystemClock, Tasks, contained, is_cancelled, within
from gateway.xmpp.stream import ServerSettings

_PROCESS = """
import asyncio, os, signal, types
from gateway import app, tasks
from gateway.config import tree

app._END_LIMIT_S = 0.1

class Gateway:
    def __init__(self, *_):
        pass
    async def start(self, stack):
        self.tasks = asyncio.create_task(self.deaf())
        await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGTERM)
    async def deaf(self):
        while True:
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                pass
    async def stop(self):
        {stop}

app.Gateway = Gateway
asyncio.run(app._main(types.SimpleNamespace(process=tree.Process())))
"""


async def test_who_does_not_end_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "_END_LIMIT_S", 0.05)
    over = False

    async def deaf() -> None:
        while not over:
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                continue

    owner = Tasks("test")
    task = owner.spawn(deaf(), "deaf")
    await asyncio.sleep(0)
    with capture_logs() as logs:
        async with asyncio.timeout(5):
            await owner.cancel()
    assert [(log["event"], log["task"]) for log in logs] == [("task_does_not_end", "test:deaf")]
    over = True
    await task


async def test_cancelled_from_within() -> None:
    async def leaks() -> None:
        raise asyncio.CancelledError

    with pytest.raises(CutOff):
        await within(SystemClock(), 5, leaks())
    assert not is_cancelled()


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, type("P", (BaseException,), {})])
async def test_what_no_program_should_catch_is_a_panic(error: type[BaseException]) -> None:
    async def fails() -> None:
        raise error("gone")

    with pytest.raises(Panic, match="gone"):
        await contained(fails)
    # In a task it would end the loop, not only the task.
    with pytest.raises(Panic):
        await asyncio.create_task(contained(fails))


async def test_contained_work_can_be_cancelled_whatever_it_makes_of_it() -> None:
    async def exits() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            raise SystemExit

    task = asyncio.create_task(contained(exits))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def test_a_time_that_is_none_does_not_confuse_the_timers() -> None:
    await SystemClock().sleep(float("nan"))


def _exit_code(stop: str) -> int:
    code = _PROCESS.replace("{stop}", stop)
    return subprocess.run([sys.executable, "-c", code], timeout=20, check=False).returncode


def test_a_task_that_does_not_end_does_not_keep_the_process() -> None:
    assert _exit_code("pass") == 0


def test_a_second_signal_ends_the_process_at_once() -> None:
    assert _exit_code("os.kill(os.getpid(), signal.SIGINT); await asyncio.sleep(60)") == 1


def test_settings_do_not_show_the_secret() -> None:
    settings = ServerSettings(
        domain="net.example", secret="hush", host="::1", port=1, server_domain="home.example"
    )
    assert "hush" not in repr(settings)
