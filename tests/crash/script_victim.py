# SPDX-License-Identifier: Apache-2.0
"""A gateway process for a script: its clock is moved from outside, by lines on a socket."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.clock import VirtualClock
from tests.crash.victim import Seams, cut_all, log_to
from tests.scenario.house import House, Options


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptJob:
    """One life of a gateway in a script."""

    directory: Path
    server_port: int
    network_port: int
    web_port: int
    options: Options
    now: float
    """Seconds since the epoch."""
    passed: float
    """Seconds since the script began."""
    control_port: int
    """Where somebody listens who moves the clock."""
    kill_at: int = 0
    after: bool = False

    @property
    def trace(self) -> Path:
        """One line for each I/O that was begun."""
        return self.directory / "trace"

    @property
    def log(self) -> Path:
        """JSON lines."""
        return self.directory / "log"


def live(job: ScriptJob) -> None:
    """Run until it is told to stop, or until the I/O of the job."""
    log_to(job.log)
    seams = Seams(job.trace, job.kill_at, after=job.after)
    cut_all(seams)
    asyncio.run(_Victim(job, seams).run())


class _Victim:
    def __init__(self, job: ScriptJob, seams: Seams) -> None:
        self._job = job
        self._seams = seams
        self._clock = VirtualClock(job.now - job.passed, passed=job.passed)
        self._house = House(job.directory, job.options, clock=self._clock)
        # They are played by the process of the test.
        self._house.server.port = job.server_port
        self._house.network.port = job.network_port
        self._house.web.port = job.web_port

    async def run(self) -> None:
        """Do what the lines say, one after the other."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._job.control_port)
        self._seams.armed = False
        await self._house.start()
        self._seams.armed = True
        while line := await reader.readline():
            order = json.loads(line)
            answer = await getattr(self, f"_{order.pop('op')}")(**order)
            writer.write(json.dumps(answer).encode() + b"\n")
            if answer == "bye":
                break
        writer.close()

    async def _arm(self, on: bool) -> None:
        self._seams.armed = on

    async def _turns(self) -> bool:
        """Whether anything happened."""
        busy = await self._clock._turns()
        await asyncio.sleep(0.001)
        return await self._clock._turns() or busy

    async def _advance(self, end: float) -> tuple[float, bool]:
        """Until something leaves the process, or until then: when that was, and whether it is
        ``end`` and nobody else wakes up before."""
        before = self._seams.count
        while self._clock.wake_next(end):
            await self._clock._turns()
            if self._seams.count != before:
                return self._clock.monotonic(), False
        return end, True

    async def _leap(self, seconds: float) -> None:
        await self._clock.leap(seconds)

    async def _link(self, user: str, name: str) -> None:
        await self._house.link(user, name)

    async def _change_setting(self, user: str, name: str, value: str) -> None:
        await self._house.change_setting(user, name, value)

    async def _new_code(self, user: str) -> str:
        return await self._house.new_code(user)

    async def _forget_presence(self) -> None:
        await self._house.forget_presence()

    async def _stop(self) -> Any:
        await self._house.stop()
        return "bye"
