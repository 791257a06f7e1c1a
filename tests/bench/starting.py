# SPDX-License-Identifier: Apache-2.0
"""From the start of the process to its stream. Run as a program it is that process."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
import time
from pathlib import Path

from tests.bench import house
from tests.bench.measure import Figure, Group
from tests.bench.peer_process import peers

_ACCOUNTS = 1_000
_CONTACTS_EACH = 5
_GOAL_S = 2.0


async def measure(directory: Path, repetitions: int) -> Group:
    """Starts of the whole process, imports included."""
    seeded = directory / "seeded"
    seeded.mkdir()
    await house.seed(seeded, _ACCOUNTS, contacts_each=_CONTACTS_EACH)
    up, live = [], []
    for repetition in range(repetitions):
        copied = shutil.copytree(seeded, directory / str(repetition))
        async with peers(_ACCOUNTS) as other:
            began = time.monotonic()
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "tests.bench.starting", str(copied)),
                *(str(other.ports.xmpp), str(other.ports.network)),
            )
            try:
                up.append(await other.up() - began)
                live.append(await other.live(_ACCOUNTS) - began)
            finally:
                process.send_signal(signal.SIGTERM)
                await process.wait()
    return Group(
        title=f"Start with {_ACCOUNTS:,} accounts",
        note=(
            f"From the start of the process, imports included; {_CONTACTS_EACH} contacts each. "
            "Sessions log in after the stream is up, 8 at a time."
        ),
        figures=[
            Figure(what="stream up", unit="s", values=up, goal=_GOAL_S, less_is_better=True),
            Figure(what="all accounts connected", unit="s", values=live, less_is_better=True),
        ],
    )


async def _run(directory: Path, ports: house.Ports) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with house.running(directory, ports):
        await stop.wait()


if __name__ == "__main__":
    from gateway.ops.logs import set_up_logs

    set_up_logs("warning", "console")
    ports = house.Ports(int(sys.argv[2]), int(sys.argv[3]), has_relay="relay" in sys.argv[4:])
    asyncio.run(_run(Path(sys.argv[1]), ports))
