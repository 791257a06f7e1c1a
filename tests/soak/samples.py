# SPDX-License-Identifier: Apache-2.0
"""What a process needs, seen from outside, and whether that grows."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_KIB = 1024
_MIB = 1024 * 1024
_PROBE_LIMIT_S = 30.0
_TIMERS = (
    *(" limit", " timer", "._open_gate_later"),
    *(":own presence", ":presence pace", ":presence hidden", ":probes"),
)
_OPEN_ROWS = (
    "SELECT (SELECT count(*) FROM inbound WHERE state < 2),"
    " (SELECT count(*) FROM outbound WHERE state = 0)"
)

_TRACE = (
    "SELECT group_concat(row, ', ') FROM ("
    "SELECT 'inbound ' || stanza_id || ' state ' || state || ' bounces ' || bounces || ', '"
    " || round(unixepoch() - committed_at) || ' s old' AS row FROM inbound"
    " WHERE instr(payload, CAST(? AS BLOB)) UNION ALL "
    "SELECT 'outbound ' || stanza_id || ' state ' || state || ', '"
    " || round(unixepoch() - committed_at) || ' s old' FROM outbound"
    " WHERE instr(payload, CAST(? AS BLOB)))"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One look."""

    at_s: float
    rss_mib: float
    fds: int
    threads: int
    tasks: int
    lag_ms: float
    open_rows: int
    database_mib: float
    cpu_s: float
    names: dict[str, int] = field(default_factory=dict)
    objects: int = 0
    """That the garbage collector knows."""
    blocks: int = 0
    """Of Python's own allocator, in use."""
    malloc_mib: float = 0.0
    """Of the C library's allocator, in use."""
    types: dict[str, int] = field(default_factory=dict)

    @property
    def held(self) -> tuple[int, int, int]:
        """What must be the same whenever nothing happens: tasks, descriptors, threads."""
        return self.tasks - self.timers, self.fds, self.threads

    @property
    def timers(self) -> int:
        """Tasks that only wait for a time: they end by themselves, after what they watched."""
        return sum(self.timers_by_name().values())

    def timers_by_name(self) -> dict[str, int]:
        """How many of each kind."""
        return {name: count for name, count in self.names.items() if name.endswith(_TIMERS)}


class Observer:
    """Takes samples of one gateway process."""

    def __init__(self, pid: int, database: Path, probe: Path) -> None:
        self._proc = Path(f"/proc/{pid}")
        self._pid = pid
        self._database = database
        self._probe = probe
        self._began = time.monotonic()

    async def sample(self, *, deep: bool = False) -> Sample:
        """Look now. Raises `TimeoutError` when the process does not answer."""
        said = await self._ask(signal.SIGUSR2 if deep else signal.SIGUSR1)
        return Sample(
            at_s=round(time.monotonic() - self._began, 1),
            rss_mib=round(int(self._status("VmRSS").split()[0]) / _KIB, 2),
            fds=sum(1 for _ in (self._proc / "fd").iterdir()),
            threads=int(self._status("Threads")),
            open_rows=sum(self._query(_OPEN_ROWS)),
            database_mib=round(self._size() / _MIB, 2),
            cpu_s=self._cpu_s(),
            **said,
        )

    async def _ask(self, number: signal.Signals) -> dict[str, Any]:
        before = self._probe.stat().st_size if self._probe.exists() else 0
        os.kill(self._pid, number)
        async with asyncio.timeout(_PROBE_LIMIT_S):
            while True:
                await asyncio.sleep(0.02)
                if self._probe.exists() and self._probe.stat().st_size > before:
                    text = self._probe.read_bytes()[before:].decode()
                    if text.endswith("\n"):
                        return dict(json.loads(text.splitlines()[-1]))

    def _status(self, name: str) -> str:
        for line in (self._proc / "status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return line.partition(":")[2].strip()
        raise AssertionError(f"no {name} in /proc")

    def _cpu_s(self) -> float:
        fields = (self._proc / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _size(self) -> int:
        files = (Path(f"{self._database}{end}") for end in ("", "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def trace(self, text: str) -> str:
        """Where a text is that did not arrive: its rows in the journals, and how old they are."""
        rows = self._query(_TRACE, text, text)[0]
        return str(rows or "not in the journals")

    def _query(self, sql: str, *values: str) -> tuple[Any, ...]:
        database = sqlite3.connect(f"{self._database.as_uri()}?mode=ro", uri=True, timeout=5)
        try:
            return tuple(database.execute(sql, values).fetchone())
        finally:
            database.close()


def slope_per_h(points: Sequence[tuple[float, float]]) -> float:
    """Theil and Sen: the median of the slopes between all points; a few outliers do nothing."""
    slopes = [
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for index, earlier in enumerate(points)
        for later in points[index + 1 :]
        if later[0] > earlier[0]
    ]
    return statistics.median(slopes) * 3600 if slopes else 0.0
