# SPDX-License-Identifier: Apache-2.0
"""The coverage-guided fuzzer, for so many inputs; what it finds fails with its bytes."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Record = Callable[[str, object], None]
_ROOT = Path(__file__).parents[2]


def _fuzz(target: str, inputs: int, directory: Path) -> int:
    prefix = f"-artifact_prefix={directory}/"
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.guided", target, str(inputs), prefix],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    said = re.search(r"^inputs (\d+)$", done.stdout, re.MULTILINE)
    assert done.returncode == 0, done.stderr[-6000:]
    assert said, done.stderr[-6000:]
    return int(said[1])


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("target", "inputs"), [("sync", 30_000), ("bare", 10_000), ("talk", 3_000), ("stream", 40)]
)
def test_guided(target: str, inputs: int, tmp_path: Path, record_property: Record) -> None:
    """A little of each."""
    record_property("inputs", _fuzz(target, inputs, tmp_path))


@pytest.mark.soak
@pytest.mark.parametrize(
    ("target", "inputs"),
    [("sync", 300_000), ("bare", 100_000), ("talk", 20_000), ("stream", 400)],
)
def test_guided_for_long(
    target: str, inputs: int, tmp_path: Path, record_property: Record
) -> None:
    """Ten times as much."""
    record_property("inputs", _fuzz(target, inputs, tmp_path))
