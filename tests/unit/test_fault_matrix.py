# SPDX-License-Identifier: Apache-2.0
"""docs/developer/fault-matrix.md is what its generator makes, and has every cell that exists."""

from __future__ import annotations

import pytest

from tests.faults import page
from tests.faults.cells import CELLS
from tests.faults.judge import Control, Counts
from tests.faults.results import Result

_COUNTS = Counts(
    in_sent=100, in_arrived=103, in_distinct=100, in_repeats=3,
    out_sent=100, out_arrived=97, out_receipts=97, out_errors=2, out_died=1,
)  # fmt: skip


def _results() -> list[Result]:
    return [
        Result(
            cell=cell.name,
            server=cell.server,
            fault=cell.fault,
            isolated=cell.isolated,
            passed=True,
            is_soak=False,
            breaks=1,
            hit=_COUNTS,
            spared=_COUNTS,
            control=Control(p95_before_ms=10.0, p95_during_ms=12.0, without_us_ms=5.0),
            seconds=9.7,
        )
        for cell in CELLS
        if not cell.soak_only
    ]


def test_names_are_unique() -> None:
    assert len({cell.name for cell in CELLS}) == len(CELLS)


def test_the_committed_page_is_of_the_generators_form_and_complete() -> None:
    committed = page.PAGE.read_text()
    assert committed.startswith(f"{page.HEAD}\n## Cells\n\n"), "make faults writes it anew"
    sample = page.render(_results(), {"Date": "2026-11-22"})
    assert (
        committed.splitlines()[: page.HEAD.count("\n") + 5]
        == (sample.splitlines()[: page.HEAD.count("\n") + 5])
    )
    rows = page.rows_of(committed)
    assert [(server, fault) for server, fault, *_ in rows] == [
        (cell.server, cell.fault) for cell in CELLS
    ]
    assert len({len(row) for row in rows}) == 1


def test_a_row_says_what_was_counted() -> None:
    rows = page.rows_of(page.render(_results(), {}))
    cut = next(row for row in rows if row[:2] == ["Prosody", "TCP cut"])
    assert cut[2:] == [
        "100", "100", "3", "100", "97", "97", "2", "1", "1", "10 ms", "12 ms", "10",
    ]  # fmt: skip
    killed = next(row for row in rows if row[:2] == ["Prosody", "killed"])
    assert killed[-3:-1] == ["-", "-"]


def test_a_cell_that_was_not_played_is_missed() -> None:
    with pytest.raises(KeyError, match="prosody-killed"):
        page.render(_results()[1:], {})
