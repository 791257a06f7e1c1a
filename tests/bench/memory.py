# SPDX-License-Identifier: Apache-2.0
"""How much memory contacts take, once each of them has been asked for."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from pathlib import Path

from tests.bench import house
from tests.bench.measure import Figure, Group
from tests.bench.peer_process import peers

_ACCOUNTS = 100
_CONTACTS_EACH = 1_000
_CONTACTS = _ACCOUNTS * _CONTACTS_EACH
_GOAL_MIB = 100.0
_REPETITIONS = 3
_KIB = 1024


async def measure(directory: Path, repetitions: int) -> Group:
    """The same accounts with one contact each and with a thousand, every contact probed."""
    grown, whole = [], []
    for repetition in range(min(repetitions, _REPETITIONS)):
        few = await _resident_mib(directory / f"few-{repetition}", 1)
        many = await _resident_mib(directory / f"many-{repetition}", _CONTACTS_EACH)
        grown.append(many - few)
        whole.append(many)
    return Group(
        title=f"Memory with {_CONTACTS:,} contacts",
        note=(
            f"Resident memory of the process after start, {_ACCOUNTS} accounts connected, and one "
            "presence probe of its user answered for each contact. Growth: compared with one "
            "contact each."
        ),
        figures=[
            Figure(
                what=f"growth with {_CONTACTS:,} contacts",
                unit="MiB",
                values=grown,
                goal=_GOAL_MIB,
                less_is_better=True,
            ),
            Figure(what="the whole process", unit="MiB", values=whole, less_is_better=True),
        ],
    )


async def _resident_mib(directory: Path, contacts_each: int) -> float:
    directory.mkdir()  # noqa: ASYNC240 - nothing else runs here
    await house.seed(directory, _ACCOUNTS, contacts_each=contacts_each)
    async with peers(_ACCOUNTS) as other:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tests.bench.starting", str(directory)),
            *(str(other.ports.xmpp), str(other.ports.network)),
        )
        try:
            await other.up()
            await other.live(_ACCOUNTS)
            await other.probe(_ACCOUNTS, contacts_each)
            return resident_mib(process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            await process.wait()


def resident_mib(process: int) -> float:
    """What a process has in memory now."""
    status = Path(f"/proc/{process}/status").read_text()
    found = re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
    assert found is not None
    return int(found[1]) / _KIB
