# SPDX-License-Identifier: Apache-2.0
"""Each cell of the matrix: a burst both ways, the fault in its middle, and the judgement."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.cells import CELLS, Cell
from tests.faults.play import play
from tests.faults.stage import Servers

pytestmark = pytest.mark.waits

COUNT = 100
SOAK_COUNT = 1000


@pytest.fixture
def servers(cell: Cell, request: pytest.FixtureRequest) -> Servers:
    """Those that the cell needs; the others are not started."""
    name = "with_ejabberd" if cell.server == "ejabberd" else "with_prosody"
    found: Servers = request.getfixturevalue(name)
    return found


def _short() -> Iterator[object]:
    for cell in CELLS:
        if not cell.soak_only:
            marks = [pytest.mark.thorough] if cell.thorough else []
            yield pytest.param(cell, marks=marks, id=cell.name)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("cell", list(_short()))
async def test_cell(cell: Cell, servers: Servers, tmp_path: Path) -> None:
    await play(cell, servers, tmp_path, COUNT, is_soak=False)


@pytest.mark.soak
@pytest.mark.parametrize("cell", CELLS, ids=lambda c: c.name)
async def test_cell_at_length(cell: Cell, servers: Servers, tmp_path: Path) -> None:
    await play(cell, servers, tmp_path, SOAK_COUNT, is_soak=True)
