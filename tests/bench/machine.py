# SPDX-License-Identifier: Apache-2.0
"""The machine, by name: figures without it mean nothing."""

from __future__ import annotations

import os
import platform
import sqlite3
import statistics
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

_BLOCK = b"x" * 4096


def describe(directory: Path) -> dict[str, str]:
    """What the figures depend on. ``directory`` is where the databases will be."""
    fsync_us, worst_us = _fsync_us(directory)
    return {
        "CPU": f"{cpu_model()}, {os.cpu_count()} cores",
        "System": f"{platform.system()} {platform.release()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "SQLite": sqlite3.sqlite_version,
        "slixmpp": version("slixmpp"),
        "fsync of 4 KiB": f"{fsync_us:.0f} µs (median; worst {worst_us:.0f} µs)",
        "Date": time.strftime("%Y-%m-%d", time.gmtime()),
        "Load before": load(),
    }


def load() -> str:
    """How busy the machine was in the last minute."""
    return f"{os.getloadavg()[0]:.2f}"


def cpu_model() -> str:
    """As the kernel names it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _fsync_us(directory: Path) -> tuple[float, float]:
    times = []
    with tempfile.TemporaryFile(dir=directory) as file:
        for _ in range(200):
            file.write(_BLOCK)
            file.flush()
            before = time.perf_counter()
            os.fsync(file.fileno())
            times.append((time.perf_counter() - before) * 1e6)
    return statistics.median(times), max(times)
