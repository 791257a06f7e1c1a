# SPDX-License-Identifier: Apache-2.0
"""A loop that hangs ends its process; one that only was stopped does not. In real time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from gateway.ops.loopwatch import EXIT_STUCK

_PROCESS = """
import asyncio, re, sys, time
from gateway.ops import loopwatch
from gateway.ops.loopwatch import LoopWatch
from gateway.ops.logs import set_up_logs

def hang_in_sleep(seconds):
    secret = "hunter-two"
    time.sleep(seconds)

def hang_in_regex():
    re.match("(a+)+$", "a" * 60 + "b")  # holds the interpreter for years

async def main():
    with LoopWatch(STUCK) as watch:
        await asyncio.sleep(0.3)
        print("ready", flush=True)
        BODY
    print("figures", watch.stalls, round(watch.longest_s), flush=True)

loopwatch._DUMP_S = 0.5
set_up_logs("info", "json")
asyncio.run(main())
"""


def _start(body: str, stuck_s: float) -> subprocess.Popen[str]:
    code = _PROCESS.replace("STUCK", str(stuck_s)).replace("BODY", body)
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _end(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    said, complained = process.communicate(timeout=40)
    return process.returncode, said, complained


def _logged(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        if line.startswith("{"):
            yield json.loads(line)


def test_a_loop_that_hangs_ends_the_process_with_its_stacks() -> None:
    code, _, complained = _end(_start("hang_in_sleep(60)", 1.0))
    assert code == EXIT_STUCK == 70
    assert "The loop has not turned for 1 s" in complained
    assert "in hang_in_sleep" in complained
    assert "hunter-two" not in complained


def test_a_loop_that_hangs_with_the_interpreter_locked() -> None:
    code, _, complained = _end(_start("hang_in_regex()", 0.5))
    assert code == -signal.SIGPROF
    assert "in hang_in_regex" in complained


def test_a_reader_of_the_log_that_hangs_does_not_save_the_process() -> None:
    """The loop hangs because nobody reads its log, and nobody reads the stacks either."""
    body = "sys.stderr.write('x' * 1_000_000)"
    with _start(body, 0.5) as process:
        assert process.wait(timeout=40) == EXIT_STUCK


def test_a_process_that_was_stopped_goes_on() -> None:
    """Also one that was busy before it was stopped and is busy after it."""
    busy = "end = time.process_time() + 0.8\n        while time.process_time() < end: pass"
    with _start(busy, 3.0) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.4)
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(3.5)
        os.kill(process.pid, signal.SIGCONT)
        code, _, complained = _end(process)
    assert code == 0, complained


def test_a_pause_is_told_from_a_stall() -> None:
    with _start("await asyncio.sleep(1)", 30.0) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(1.5)
        os.kill(process.pid, signal.SIGCONT)
        code, _, complained = _end(process)
    assert code == 0
    assert "process_paused" in [log["event"] for log in _logged(complained)]


def test_a_loop_that_was_held_up_says_where() -> None:
    code, said, complained = _end(
        _start("loopwatch._AGAIN_S = 0; hang_in_sleep(1.5); await asyncio.sleep(0.4)", 30.0)
    )
    assert code == 0
    stalls = [log for log in _logged(complained) if log["event"] == "loop_stalled"]
    (line,) = [log for log in stalls if "hang_in_sleep" in log["where"]]
    assert line["where"].startswith("hang_in_sleep (<string>:9) < main (<string>:")
    assert line["task"] == "Task-1"
    assert line["lag_s"] > 0.9
    assert "hunter-two" not in complained
    _, count, longest = said.splitlines()[-1].split()
    assert int(count) == len(stalls)
    assert int(longest) >= 1


def test_stalls_are_said_once_a_minute_and_counted() -> None:
    code, said, complained = _end(
        _start("[(hang_in_sleep(1), await asyncio.sleep(0.3)) for _ in range(3)]", 30.0)
    )
    assert code == 0
    assert int(said.splitlines()[-1].split()[1]) >= 3
    assert len([log for log in _logged(complained) if log["event"] == "loop_stalled"]) == 1


def test_computing_without_a_pause_is_a_stall() -> None:
    code, said, complained = _end(
        _start("sum(range(150_000_000)); await asyncio.sleep(0.3)", 30.0)
    )
    assert code == 0
    assert int(said.splitlines()[-1].split()[1]) >= 1, complained
    assert "loop_stalled" in complained
