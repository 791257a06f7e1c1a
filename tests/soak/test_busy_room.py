# SPDX-License-Identifier: Apache-2.0
"""A busy room: 1,000 members, 100 sessions, 5 messages a second. Nothing is lost, doubled or in
another order for anybody, be the sessions of one user or of a hundred who share the room; or of a
hundred without an account, for whom the gateway's own speaks in a group of 5,000."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.bench import house, relay
from tests.bench.peer_process import peers
from tests.bench.stall import stall_ms
from tests.scripted.adapter import ScriptedAdapter, TrustedAdapter
from tests.stalls import Stalls

_MEMBERS, _SESSIONS, _PER_S = 1_000, 100, 5.0
_FEW, _SHARERS, _THOUSAND = 100, 20, 1_000
_STALL_S = 0.05


async def _talk(
    directory: Path, accounts: int, seconds: float, note: Callable[[str, object], None]
) -> None:
    await house.seed(directory, accounts)
    found: dict[str, object] = {}
    adapter = ScriptedAdapter if accounts == 1 else TrustedAdapter
    async with peers(accounts) as other, house.running(directory, other.ports, adapter):
        await other.up()
        await other.live(accounts)

        async def work() -> None:
            found.update(await other.busy(members=_MEMBERS, per_s=_PER_S, seconds=seconds))

        joined = await stall_ms(other.enter(_SESSIONS, _MEMBERS, accounts))
        note("longest stall while all join, ms", round(joined, 1))
        note("longest stall while they talk, ms", round(await stall_ms(work()), 1))
    assert found == {"orders": 1, "is_complete": True}


async def _fan_out(directory: Path, seconds: float, note: Callable[[str, object], None]) -> None:
    """A thousand sessions of twenty users, of whom each is told all that is said."""
    await house.seed(directory, _SHARERS)
    found: dict[str, object] = {}
    async with (
        peers(_SHARERS) as other,
        house.running(directory, other.ports, TrustedAdapter),
    ):
        await other.up()
        await other.live(_SHARERS)

        async def work() -> None:
            found.update(await other.busy(members=_FEW, per_s=_PER_S, seconds=seconds))

        await other.enter(_THOUSAND, _FEW, _SHARERS)
        with Stalls(_STALL_S) as stalls:
            note("longest stall, ms", round(await stall_ms(work()), 1))
    assert found == {"orders": 1, "is_complete": True}
    assert not stalls.found


async def _relayed(directory: Path, seconds: float, note: Callable[[str, object], None]) -> None:
    await house.seed_portal(directory)
    found: dict[str, object] = {}
    async with peers(1) as other, house.running(directory, replace(other.ports, has_relay=True)):
        joined = await stall_ms(relay.fill(other, relay.PEOPLE))

        async def work() -> None:
            found.update(await other.busy(members=relay.MEMBERS, per_s=_PER_S, seconds=seconds))

        note("longest stall while all join, ms", round(joined, 1))
        with Stalls(_STALL_S) as stalls:
            note("longest stall while they talk, ms", round(await stall_ms(work()), 1))
    assert found == {"orders": 1, "is_complete": True}
    assert not stalls.found


@pytest.mark.timeout(120)
async def test_a_busy_relay(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """A tenth of a minute."""
    await _relayed(tmp_path, 6, record_property)


@pytest.mark.soak
@pytest.mark.timeout(300)
async def test_a_busy_relay_for_a_minute(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """With the figure of the longest stall."""
    await _relayed(tmp_path, 60, record_property)


@pytest.mark.timeout(120)
async def test_req_556_a_thousand_sessions(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    await _fan_out(tmp_path, 4, record_property)


@pytest.mark.soak
@pytest.mark.timeout(300)
async def test_req_556_a_thousand_sessions_for_a_minute(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    await _fan_out(tmp_path, 60, record_property)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("accounts", [1, _SESSIONS])
async def test_a_busy_room(
    tmp_path: Path, accounts: int, record_property: Callable[[str, object], None]
) -> None:
    """A tenth of a minute."""
    await _talk(tmp_path, accounts, 6, record_property)


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.parametrize("accounts", [1, _SESSIONS])
async def test_a_busy_room_for_a_minute(
    tmp_path: Path, accounts: int, record_property: Callable[[str, object], None]
) -> None:
    """With the figure of the longest stall."""
    await _talk(tmp_path, accounts, 60, record_property)
