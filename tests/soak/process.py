# SPDX-License-Identifier: Apache-2.0
"""The gateway as `dragoman run` runs it, with the scripted network and a probe beside it.

SIGUSR1 asks the probe for a line, SIGUSR2 for one with the objects counted. Retention is the
product's own, with its times shortened, so that an hour sees what otherwise takes days.
"""

from __future__ import annotations

import asyncio
import ctypes
import functools
import gc
import json
import re
import signal
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gateway import app
from gateway import config as tree
from gateway.bridge import addresses
from gateway.config import Config
from gateway.config.values import Duration
from gateway.ids import NetworkName
from gateway.store import pruning
from gateway.xmpp import jid
from gateway.xmpp.codec import xml
from tests.scripted.adapter import ScriptedAdapter, ScriptedSettings

HOST = "localhost"
COMPONENT = "scripted.localhost"
NETWORK = NetworkName("scripted")
_LAG_EVERY_S = 0.25
_TYPES_SHOWN = 25
_ATTEMPT_S = 10
"""Sends that the network does not answer come to an end within the patience of the people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What the process is told."""

    database: str
    probe: str
    """File to which the probe's lines go."""
    secret: str
    component_port: int
    network_port: int
    prune_every_s: float
    keep_s: float
    """How long what is settled is kept."""


class Probe:
    """Says what only the process itself knows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._longest_lag_s = 0.0

    async def run(self) -> None:
        """Measure how late the loop is."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, self.say)
        loop.add_signal_handler(signal.SIGUSR2, functools.partial(self.say, deep=True))
        while True:
            began = time.monotonic()
            await asyncio.sleep(_LAG_EVERY_S)
            late = time.monotonic() - began - _LAG_EVERY_S
            self._longest_lag_s = max(self._longest_lag_s, late)

    def say(self, *, deep: bool = False) -> None:
        """Write a line."""
        tasks = Counter(map(_name, asyncio.all_tasks()))
        said: dict[str, Any] = {
            "tasks": sum(tasks.values()),
            "names": dict(tasks),
            "lag_ms": round(self._longest_lag_s * 1e3, 1),
        }
        self._longest_lag_s = 0.0
        if deep:
            gc.collect()
            types = Counter(type(item).__qualname__ for item in gc.get_objects())
            said["objects"] = sum(types.values())
            said["blocks"] = sys.getallocatedblocks()
            said["malloc_mib"] = round(_malloc_bytes() / (1024 * 1024), 2)
            said["types"] = dict(types.most_common(_TYPES_SHOWN))
        with self._path.open("a") as file:
            file.write(json.dumps(said) + "\n")


class _Mallinfo(ctypes.Structure):
    """struct mallinfo2 of glibc, <malloc.h>."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    )


def _malloc_bytes() -> int:
    """What malloc has given out and not got back: large objects, and what SQLite and ssl hold."""
    mallinfo2 = ctypes.CDLL(None).mallinfo2
    mallinfo2.restype = _Mallinfo
    said = mallinfo2()
    return int(said.uordblks + said.hblkhd)


def _name(task: asyncio.Task[Any]) -> str:
    if task.get_name().startswith("Task-"):
        return str(getattr(task.get_coro(), "__qualname__", "unnamed"))
    return re.sub(r"[0-9]+", "#", task.get_name())


def _fill_caches() -> None:
    """They are bounded; full from the start, they do not look like a leak until they are.

    That of the addresses of contacts takes 50,000, a day of newcomers here: it gets less room.
    """
    vars(addresses).update(_CACHE_LIMIT=500)
    for number in range(20_000):
        filler = f"00000000-0000-0000-0000-{number:012}"
        xml.attribute(filler)
        jid.split(f"{filler}@{HOST}/{number}")
        jid.make(f"filler-{number}", COMPONENT)


def _configuration(job: Job) -> Config:
    return Config(
        xmpp=tree.Xmpp(server=tree.Server(port=job.component_port, domain=tree.Domain(HOST))),
        store=tree.Store(database=Path(job.database)),
        delivery=tree.Delivery(
            alias_retention=Duration(job.keep_s), attempt_limit=Duration(_ATTEMPT_S)
        ),
        log=tree.Log(format="json"),
        networks={
            NETWORK: tree.Network(
                adapter="scripted",
                domain=tree.Domain(COMPONENT),
                secret=tree.Secret(job.secret),
                settings=ScriptedSettings(port=job.network_port),
            )
        },
    )


def main(job: Job) -> int:
    """Run until SIGTERM."""
    probe = Probe(Path(job.probe))
    run_gateway = app._main

    async def with_probe(config: Config) -> None:
        probing = asyncio.create_task(probe.run(), name="probe")
        await run_gateway(config)
        probing.cancel()

    vars(app).update(
        _main=with_probe,
        Gateway=functools.partial(app.Gateway, adapters={"scripted": lambda: ScriptedAdapter}),
    )
    vars(pruning).update(_EVERY_S=job.prune_every_s, _BOUNCES_S=job.keep_s, _DOUBLES_S=job.keep_s)
    _fill_caches()
    return app.run(_configuration(job))


def command(job: Job) -> list[str | Path]:
    """How the process is started."""
    return [sys.executable, "-m", "tests.soak.process", json.dumps(asdict(job))]


if __name__ == "__main__":
    raise SystemExit(main(Job(**json.loads(sys.argv[1]))))
