# SPDX-License-Identifier: Apache-2.0
"""Users come and go: memory stays flat, and no task, descriptor, thread or text is lost."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.soak.report import Report
from tests.soak.samples import slope_per_h
from tests.soak.world import Soak, plan_for


def _judge(report: Report, record_property: Callable[[str, object], None]) -> None:
    for name, value in report.figures().items():
        record_property(name, value)
    directory = os.environ.get("SOAK_REPORT")
    if directory:
        report.write(Path(directory))
    assert not report.problems(), report.text()


@pytest.mark.timeout(300)
async def test_users_come_and_go(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """A third of a minute."""
    _judge(await Soak(plan_for(20), tmp_path).run(), record_property)


@pytest.mark.soak
async def test_users_come_and_go_for_an_hour(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """SOAK_MINUTES makes it another time; SOAK_REPORT names a directory for the report."""
    minutes = float(os.environ.get("SOAK_MINUTES", "60"))
    _judge(await Soak(plan_for(minutes * 60), tmp_path).run(), record_property)


def test_slope_is_robust() -> None:
    """A growth of 2 an hour is found under outliers, and none where there is none."""
    growing = [(t, 100 + t / 1800 + (50 if t % 700 == 0 else 0)) for t in range(0, 3600, 10)]
    assert slope_per_h(growing) == pytest.approx(2, rel=0.05)
    assert slope_per_h([(t, 100 + t % 7) for t in range(0, 3600, 10)]) == pytest.approx(0, abs=0.1)
