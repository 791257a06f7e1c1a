# SPDX-License-Identifier: Apache-2.0
"""A gateway in a process of its own, on a disk that takes nothing more when a test wants it.

``python -m tests.crash.disk <directory> <server port> <network port> <fault>``, and then ``break``
or ``mend`` on standard input, each answered by a line. The log lies on the same disk.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from gateway.adapter import Linked
from gateway.app import Gateway
from gateway.ids import RemoteUserId, UserJid
from gateway.ops.logs import set_up_logs
from tests.crash.victim import ADAPTERS, FastClock, Job, configuration

FULL = "full"
"""A small file system of its own (a mount and user namespace needs no root): ENOSPC."""
IO_ERROR = "io-error"
"""No file may grow: EFBIG, which SQLite calls an I/O error."""
_CHUNK = b"\0" * 4096


def _break(disk: Path, fault: str) -> None:
    if fault == IO_ERROR:
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
        return
    filler = os.open(disk / "filler", os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        while True:
            os.write(filler, _CHUNK)
    except OSError:
        os.close(filler)


def _mend(disk: Path, fault: str) -> None:
    if fault == IO_ERROR:
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    else:
        (disk / "filler").unlink()


async def _main(job: Job, fault: str) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    gateway = Gateway(configuration(job), FastClock(), ADAPTERS)

    def told() -> None:
        {b"break": _break, b"mend": _mend}[os.read(0, 100).strip()](job.directory, fault)
        os.write(1, b"done\n")

    async with AsyncExitStack() as stack:
        await gateway.start(stack)
        linked = Linked(realm="scripted", remote_id=RemoteUserId("alice"), secret=b"token-alice")
        account = await gateway._networks[0].logins.link(UserJid("alice@example.org"), linked)
        while account.link is None or account.link.session is None:  # noqa: ASYNC110  no event tells
            await asyncio.sleep(0.01)
        loop.add_reader(0, told)
        os.write(1, b"done\n")
        await stop.wait()
        await gateway.stop()


def main() -> None:
    """Live on the disk until SIGTERM."""
    directory, server_port, network_port, fault = sys.argv[1:]
    if fault == FULL:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", directory], check=True)
    job = Job(
        directory=Path(directory),
        server_port=int(server_port),
        network_port=int(network_port),
        adapter="scripted",
    )
    log = os.open(job.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 2)
    os.close(log)
    set_up_logs("debug", "json")
    asyncio.run(_main(job, fault))


if __name__ == "__main__":
    main()
