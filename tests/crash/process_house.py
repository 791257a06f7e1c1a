# SPDX-License-Identifier: Apache-2.0
"""The house of a script whose gateway is a process, and dies at a given I/O.

When it dies it is started again at once, and whoever was waiting for it is told, so that they can
do again what they did: a server delivers again what was not taken, and time goes on.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from tests.clock import VirtualClock
from tests.crash.script_victim import ScriptJob, live
from tests.crash.world import end_of
from tests.scenario.house import GATEWAY, HOME, SECRET, House
from tests.scenario.server import FakeServer
from tests.scenario.web import WebHost

_processes = multiprocessing.get_context("forkserver")
_LIMIT_S = 30.0
_GRACE_S = 0.001
_LOOK_S = 0.02
_KILLED = -9

Ask = Callable[..., Awaitable[Any]]


class Died(Exception):
    """The gateway ended in the middle of what was asked of it, and is there again."""


async def _nobody(*_: object, **__: object) -> None:
    return None


@dataclass(slots=True)
class RecordingServer(FakeServer):
    """Keeps every stanza."""

    record: list[Element] = field(default_factory=list)

    def _judge(self, element: Element, writer: asyncio.StreamWriter) -> None:
        FakeServer._judge(self, element, writer)
        self.record.append(element)


class RemoteClock(VirtualClock):
    """Moves the clock of the process together with its own."""

    def __init__(self) -> None:
        super().__init__()
        self.ask: Ask = _nobody

    async def settle(self) -> None:
        """Until nothing happens any more, neither here nor there."""
        while True:
            busy = await self._turns()
            busy = await self._asked("turns") is not False or busy
            await asyncio.sleep(_GRACE_S)
            if not busy and not await self._turns():
                return

    async def advance(self, seconds: float) -> None:
        """Let time pass there; whenever something leaves the process, let it have its effect."""
        await self.settle()
        end = self._passed + seconds
        done = False
        while not done:
            self._passed, done = await self._asked("advance", end=end) or (self._passed, False)
            await self.settle()

    async def leap(self, seconds: float) -> None:
        """Let time pass at once."""
        await self._asked("leap", seconds=seconds)
        self._passed += seconds
        await self.settle()

    async def _asked(self, op: str, **arguments: Any) -> Any:
        """None if it died of that."""
        try:
            return await self.ask(op, **arguments)
        except Died:
            return None


@dataclass(slots=True)
class ProcessHouse(House):
    """The gateway is a process."""

    kill_at: int = 0
    """Number of the I/O, counted over all lives; 0 for never."""
    after: bool = False
    deaths: int = 0
    on_death: Callable[[], None] = lambda: None
    _ios: int = 0
    """Of earlier lives."""
    _process: ForkServerProcess | None = None
    _control: asyncio.Server | None = None
    _port: int = 0
    _called: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = field(
        default_factory=asyncio.Queue
    )
    _line: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    _read: int = 0
    """How far the log has been read."""

    async def __aenter__(self) -> ProcessHouse:
        await House.__aenter__(self)
        self._control = await asyncio.start_server(self._take_call, "127.0.0.1", 0)
        self._port = self._control.sockets[0].getsockname()[1]
        assert isinstance(self.clock, RemoteClock)
        self.clock.ask = self.ask
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._end(kill=True)
        assert self._control is not None
        self._control.close()
        await self._control.wait_closed()
        await House.__aexit__(self, *error)

    async def _take_call(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._called.put_nowait((reader, writer))

    # --- the gateway's life ---------------------------------------------------------------------

    async def start(self) -> None:
        """Start the process, on the database of before if there was one."""
        job = ScriptJob(
            directory=self.folder,
            server_port=self.server.port,
            network_port=self.network.port,
            web_port=self.web.port,
            options=self.options,
            now=self.clock.now(),
            passed=self.clock.monotonic(),
            control_port=self._port,
            kill_at=max(0, self.kill_at - self._ios) if not self.deaths else 0,
            after=self.after,
        )
        self._process = _processes.Process(target=live, args=(job,))
        self._process.start()
        async with asyncio.timeout(_LIMIT_S):
            self._line = await self._called.get()

    async def stop(self) -> None:
        """A planned stop."""
        try:
            await self._order("stop")
        except ConnectionError:
            await self._bury()
        else:
            await self._end()

    async def kill(self) -> None:
        """SIGKILL."""
        await self._end(kill=True)

    async def link(self, user: str, name: str) -> None:
        """Link an account as a login does, and wait until it is live."""
        self.network.tokens[f"token-{name}"] = name
        await self._unharmed("link", user=user, name=name)

    async def change_setting(self, user: str, name: str, value: str) -> None:
        """Change a setting of an account, as its user does."""
        await self._unharmed("change_setting", user=user, name=name, value=value)

    async def new_code(self, user: str) -> str:
        """What links a group for a user, which anybody may then join."""
        return str(await self._unharmed("new_code", user=user))

    async def forget_presence(self) -> None:
        """What was shown to users was shown long ago."""
        await self._unharmed("forget_presence")

    async def _unharmed(self, op: str, **arguments: Any) -> Any:
        """What nobody would do again is not cut short."""
        await self._order("arm", on=False)
        answer = await self._order(op, **arguments)
        await self.clock.settle()
        await self._order("arm", on=True)
        return answer

    async def ask(self, op: str, **arguments: Any) -> Any:
        """Have the process do something. Raises `Died`, and then it is there again."""
        if self._line is None:
            return (arguments["end"], True) if op == "advance" else False
        try:
            answer = await self._order(op, **arguments)
        except ConnectionError:
            await self._bury()
            await self.start()
            if not self.server.refusal and not self.server.mute and self.server.listens:
                await self._up()
            raise Died from None
        self._read_log()
        return answer

    async def _order(self, op: str, **arguments: Any) -> Any:
        assert self._line is not None
        reader, writer = self._line
        writer.write(json.dumps({"op": op, **arguments}).encode() + b"\n")
        async with asyncio.timeout(_LIMIT_S):
            line = await reader.readline()
        if not line:
            raise ConnectionResetError
        return json.loads(line)

    async def _bury(self) -> None:
        """It has died of itself: wait until all that it had written is read."""
        code = await self._end()
        if code != _KILLED:
            raise RuntimeError(f"exit code {code}\n{(self.folder / 'log').read_text()[-4000:]}")
        self.deaths += 1
        while self.server._all or self.network._all_writers:  # noqa: ASYNC110
            await asyncio.sleep(_GRACE_S)
        self.on_death()

    async def connected(self) -> None:
        """Wait until the stream stands; a process that dies before that is followed by another."""
        await self._up()
        await self.clock.settle()

    async def _up(self) -> None:
        async with asyncio.timeout(_LIMIT_S):
            while not self.server.up.is_set():
                if self._process is not None and not self._process.is_alive():
                    await self._bury()
                    await self.start()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.server.up.wait(), _LOOK_S)

    async def _end(self, *, kill: bool = False) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        if kill:
            process.kill()
        try:
            async with asyncio.timeout(_LIMIT_S):
                code = await end_of(process)
        except TimeoutError:
            process.kill()
            code = await end_of(process)
        process.close()
        if self._line is not None:
            self._line[1].close()
            self._line = None
        self._ios += self.ios_of_this_life()
        self._read_log()
        return code

    # --- what lies inside -----------------------------------------------------------------------

    @property
    def record(self) -> list[Element]:
        """Every stanza that the server has got, but the barriers."""
        assert isinstance(self.server, RecordingServer)
        return self.server.record

    def ios_of_this_life(self) -> int:
        """How many I/Os were begun since the process was started."""
        trace = self.folder / "trace"
        return trace.read_bytes().count(b"\n") if trace.exists() else 0

    @property
    def ios(self) -> int:
        """Of all lives that have ended."""
        return self._ios

    def _read_log(self) -> None:
        path = self.folder / "log"
        if not path.exists():
            return
        with path.open("rb") as file:
            file.seek(self._read)
            data = file.read()
        end = data.rfind(b"\n") + 1
        self._read += end
        for line in data[:end].splitlines():
            if line.startswith(b"{"):
                entry = json.loads(line)
                self.logs.append({"log_level": entry.pop("level", ""), **entry})


def process_house(
    folder: Path, options: Any, *, web_port: int = 0, kill_at: int = 0, after: bool = False
) -> ProcessHouse:
    """A house that is not entered yet, in a folder of its own. ``web_port``: where files are, so
    that their addresses are those of another house; any, by default."""
    folder.mkdir()
    return ProcessHouse(
        folder,
        options,
        clock=RemoteClock(),
        server=RecordingServer(HOME, GATEWAY, SECRET),
        web=WebHost(port=web_port),
        kill_at=kill_at,
        after=after,
    )
