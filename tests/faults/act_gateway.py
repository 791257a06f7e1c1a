# SPDX-License-Identifier: Apache-2.0
"""What happens to the gateway's own process, its disk and its clock."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random

from tests.faults.stage import Stage
from tests.gateway_process import COMMAND

Act = Callable[[Stage], Awaitable[None]]

_MOMENTS = 2
_CLOCK = "clock"


def stopped(seed: int) -> Act:
    """SIGTERM at random moments, and started again each time."""

    async def act(stage: Stage) -> None:
        random = Random(seed)
        for _ in range(_MOMENTS):
            await asyncio.sleep(random.random() * 0.8)
            code = await stage.gateway.stop()
            assert code == 0, f"exit code {code}\n{stage.gateway.log_tail()}"
            stage.planned += 1
            await stage.gateway.start()

    return act


def killed(seed: int) -> Act:
    """SIGKILL at random moments, and started again each time."""

    async def act(stage: Stage) -> None:
        random = Random(seed)
        for _ in range(_MOMENTS):
            await asyncio.sleep(random.random() * 0.8)
            stage.gateway.kill()
            await stage.gateway.start()

    return act


async def second_instance(stage: Stage) -> None:
    """Refused, with who holds the database; the first one goes on."""
    for _ in range(2):
        second = await asyncio.create_subprocess_exec(
            COMMAND,
            "run",
            "--config",
            stage.gateway.config_file,
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await second.communicate()
        assert second.returncode == 1, said.decode()
        assert f"{stage.gateway.database} is in use by" in said.decode()
        assert str(stage.gateway.pid) in said.decode(), f"it does not say by whom: {said.decode()}"
        assert stage.gateway.running


async def disk_full(stage: Stage) -> None:
    """No file of the process may grow, nor be written at all."""
    _, most = resource.prlimit(stage.gateway.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(stage.gateway.pid, resource.RLIMIT_FSIZE, (0, most))
    await asyncio.sleep(stage.lasts(3, 60))
    assert stage.gateway.running, stage.gateway.log_tail()
    refused = set(stage.hit.errors().values())
    assert refused == {"resource-constraint"}, f"refused with {refused}"
    resource.prlimit(stage.gateway.pid, resource.RLIMIT_FSIZE, (most, most))


async def disk_slow(stage: Stage) -> None:
    """Each fsync takes half a second longer."""
    slowing = await asyncio.create_subprocess_exec(
        "strace",
        "--quiet=all",
        "--follow-forks",
        "--trace=fsync,fdatasync",
        "--inject=fsync,fdatasync:delay_exit=500000",
        f"--output={stage.directory / 'strace'}",
        f"--attach={stage.gateway.pid}",
    )
    await asyncio.sleep(stage.lasts(4, 60))
    slowing.terminate()
    await slowing.wait()
    delayed = (stage.directory / "strace").read_text().count("(DELAYED)")
    assert delayed, "nothing was delayed"


def clock(seconds: int) -> Act:
    """Somebody sets the clock of the machine."""

    async def act(stage: Stage) -> None:
        set_clock(stage.directory, seconds)
        await asyncio.sleep(stage.lasts(3, 20))
        (at,) = stage.query("SELECT committed_at FROM outbound ORDER BY id DESC LIMIT 1")[0]
        assert abs(at - time.time() - seconds) < 60, "the gateway's clock was not changed"

    return act


def clock_env(directory: Path) -> dict[str, str]:
    """An environment in which `set_clock` works (libfaketime)."""
    library = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)
    assert library is not None, "libfaketime is missing; scripts/bootstrap peers installs it"
    set_clock(directory, 0)
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(directory / _CLOCK),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


def set_clock(directory: Path, seconds: int) -> None:
    """How far the gateway's clock is from the real one."""
    draft = directory / f"{_CLOCK}.new"
    draft.write_text(f"{seconds:+d}s\n")
    draft.replace(directory / _CLOCK)
