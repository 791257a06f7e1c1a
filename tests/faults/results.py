# SPDX-License-Identifier: Apache-2.0
"""What a cell has counted, as a file."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from tests.faults.judge import Control, Counts

DIRECTORY = Path(os.environ.get("DRAGOMAN_FAULTS", Path(__file__).parents[2] / ".faults"))


@dataclass(slots=True, kw_only=True)
class Result:
    """One cell, once."""

    cell: str
    server: str
    fault: str
    isolated: bool
    passed: bool
    is_soak: bool
    breaks: int
    """How often the stream or the process ended without being asked to."""
    hit: Counts
    spared: Counts
    control: Control
    seconds: float
    load: float | None = None
    """How busy the machine was in the last minute of it."""
    date: str = field(default_factory=lambda: time.strftime("%Y-%m-%d", time.gmtime()))


def write(result: Result) -> None:
    """One file for each cell; the newest run counts."""
    DIRECTORY.mkdir(exist_ok=True)
    data = msgspec.json.format(msgspec.json.encode(result))
    (DIRECTORY / f"{result.cell}.json").write_bytes(data + b"\n")


def read(directory: Path) -> list[Result]:
    """All that there are."""
    return [
        msgspec.json.decode(path.read_bytes(), type=Result)
        for path in sorted(directory.glob("*.json"))
    ]
