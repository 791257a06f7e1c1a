# SPDX-License-Identifier: Apache-2.0
"""The gateway in a process of its own, which kills itself at the n-th I/O."""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from adapters.telegram import TelegramAdapter, TelegramSettings
from adapters.telegram.request import SharedRequest
from adapters.telegram.settings import ServerUrl
from gateway import config as tree
from gateway.adapter import Secret
from gateway.app import Gateway
from gateway.config import Config
from gateway.config.tree import Fetch, Http
from gateway.config.values import Listen, Reachable, WebAddress
from gateway.ids import NetworkName
from gateway.ops.logs import set_up_logs
from gateway.store import writer
from gateway.xmpp.connection import Connection
from tests.peers.ports import LOOPBACK
from tests.scripted import adapter as scripted

HOST = "example.org"
COMPONENT = "scripted.example.org"
SECRET = "component secret"
NETWORK = NetworkName("scripted")
ADAPTERS: dict[str, Callable[[], object]] = {
    "scripted": lambda: scripted.ScriptedAdapter,
    "forgetful": lambda: scripted.ForgetfulAdapter,
    "telegram": lambda: TelegramAdapter,
}
_SPEED = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One life of a gateway."""

    directory: Path
    server_port: int
    network_port: int
    adapter: str
    kill_at: int = 0
    """Number of the I/O at which it dies; 0 for never."""
    after: bool = False
    """It dies after that I/O, not before."""
    relay_token: str = ""
    """Of the gateway's own bot on Telegram, if it has one."""
    web_port: int = 0
    """Where alice has put her files; with one, those of others have addresses too."""

    @property
    def database(self) -> Path:
        """Beside it lies the key."""
        return self.directory / "dragoman.db"

    @property
    def trace(self) -> Path:
        """One line for each I/O that was begun."""
        return self.directory / "trace"

    @property
    def log(self) -> Path:
        """JSON lines."""
        return self.directory / "log"


class FastClock:
    """The real time, ten times as fast: what waits two seconds for a barrier waits 0.2."""

    def now(self) -> float:
        """Seconds since the epoch, the same for every process."""
        return time.time() * _SPEED

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic() * _SPEED

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds / _SPEED)


class Seams:
    """Counts the I/O, and kills the process at the one that the job names."""

    def __init__(self, trace: Path, kill_at: int, *, after: bool) -> None:
        self._kill_at = kill_at
        self._after = after
        self._trace = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._lock = threading.Lock()
        self.count = 0
        self.armed = True
        """What is done while it is not is neither counted nor cut short."""

    def cut(self, owner: Any, name: str, kind: str) -> None:
        """Put the seam around a function of a module or class."""
        work = getattr(owner, name)
        if inspect.iscoroutinefunction(work):
            setattr(owner, name, self._awaited(work, kind))
            return

        @functools.wraps(work)
        def seam(*args: Any) -> Any:
            is_last = self._begin(kind)
            if is_last and not self._after:
                os.kill(os.getpid(), signal.SIGKILL)
            try:
                return work(*args)
            finally:
                if is_last:
                    os.kill(os.getpid(), signal.SIGKILL)

        setattr(owner, name, seam)

    def _awaited(self, work: Any, kind: str) -> Any:
        """The same around a coroutine: what is after it is after all that it has waited for."""

        @functools.wraps(work)
        async def seam(*args: Any, **named: Any) -> Any:
            is_last = self._begin(kind)
            if is_last and not self._after:
                os.kill(os.getpid(), signal.SIGKILL)
            try:
                return await work(*args, **named)
            finally:
                if is_last:
                    os.kill(os.getpid(), signal.SIGKILL)

        return seam

    def _begin(self, kind: str) -> bool:
        if not self.armed:
            return False
        with self._lock:
            self.count += 1
            os.write(self._trace, f"{kind}\n".encode())
            return self.count == self._kill_at


def configuration(job: Job) -> Config:
    """What an admin would have written."""
    return Config(
        xmpp=tree.Xmpp(
            server=tree.Server(port=job.server_port, domain=tree.Domain(HOST)),
        ),
        store=tree.Store(database=job.database),
        http=Http(
            listen=Listen(f"{LOOPBACK}:0"),
            public_url=WebAddress(f"https://{LOOPBACK}:1/chat" if job.web_port else ""),
        ),
        fetch=Fetch(
            allow=(Reachable.parse(LOOPBACK),) if job.web_port else (),
            allow_http=bool(job.web_port),
            ports=(job.web_port,) if job.web_port else (),
        ),
        networks={
            NETWORK: tree.Network(
                adapter=job.adapter,
                domain=tree.Domain(COMPONENT),
                secret=tree.Secret(SECRET),
                settings=_settings(job),
            )
        },
    )


def _settings(job: Job) -> msgspec.Struct:
    if job.adapter == "telegram":
        api_url = ServerUrl(f"http://{LOOPBACK}:{job.network_port}")
        token = Secret(job.relay_token) if job.relay_token else None
        return TelegramSettings(api_url=api_url, poll_timeout=1, relay_token=token)
    return scripted.ScriptedSettings(port=job.network_port)


def live(job: Job) -> None:
    """Run until SIGTERM, or until the I/O of the job."""
    log_to(job.log)
    cut_all(Seams(job.trace, job.kill_at, after=job.after))
    asyncio.run(_main(job))


def log_to(path: Path) -> None:
    """JSON lines, and whatever else the process says."""
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 2)
    os.close(log)
    set_up_logs("debug", "json")


def cut_all(seams: Seams) -> None:
    """All I/O that a gateway does on the scripted network, or on Telegram."""
    seams.cut(writer, "_commit_group", "commit")
    seams.cut(Connection, "write", "stream")
    seams.cut(scripted._Wire, "write", "network")
    seams.cut(SharedRequest, "do_request", "network")


async def _main(job: Job) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    gateway = Gateway(configuration(job), FastClock(), ADAPTERS)
    async with AsyncExitStack() as stack:
        await gateway.start(stack)
        await stop.wait()
        await gateway.stop()
