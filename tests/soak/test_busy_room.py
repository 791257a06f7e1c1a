# SPDX-License-Identifier: Apache-2.0
"""A busy room: 1,000 members, 100 sessions, 5 messages a second. Nothing is lost, doubled or in
another order for anybody."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bench import house
from tests.bench.peer_process import peers
from tests.bench.stall import stall_ms

_MEMBERS, _SESSIONS, _PER_S = 1_000, 100, 5.0


async def _talk(directory: Path, seconds: float, note: Callable[[str, object], None]) -> None:
    await house.seed(directory, 1)
    found: dict[str, object] = {}
    async with peers(1) as other, house.running(directory, other.ports):
        await other.up()
        await other.live(1)

        async def work() -> None:
            found.update(await other.busy(members=_MEMBERS, per_s=_PER_S, seconds=seconds))

        joined = await stall_ms(other.enter(_SESSIONS, _MEMBERS))
        note("longest stall while all join, ms", round(joined, 1))
        note("longest stall while they talk, ms", round(await stall_ms(work()), 1))
    assert found == {"orders": 1, "is_complete": True}


@pytest.mark.timeout(120)
async def test_a_busy_room(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """A tenth of a minute."""
    await _talk(tmp_path, 6, record_property)


@pytest.mark.soak
@pytest.mark.timeout(300)
async def test_a_busy_room_for_a_minute(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """With the figure of the longest stall."""
    await _talk(tmp_path, 60, record_property)
