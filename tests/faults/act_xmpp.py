# SPDX-License-Identifier: Apache-2.0
"""What happens to the XMPP server, and to the TCP connection that leads to it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from tests.faults.stage import HIT, Stage
from tests.faults.wire import BOTH, Trouble, Way

Act = Callable[[Stage], Awaitable[None]]

_AWAY_S = 0.3
_PAST_THE_BARRIER_S = 40.0
"""The gateway gives a barrier 30 s."""


async def killed(stage: Stage) -> None:
    """SIGKILL, and started again."""
    stage.lose_xmpp()
    stage.servers.xmpp.kill()
    await asyncio.sleep(_AWAY_S)
    await stage.restart_xmpp()


async def stopped(stage: Stage) -> None:
    """SIGTERM, and started again."""
    stage.lose_xmpp()
    await stage.servers.xmpp.stop()
    await stage.restart_xmpp()


async def frozen(stage: Stage) -> None:
    """SIGSTOP for 5 s."""
    await _frozen(stage, 5.0)


async def frozen_long(stage: Stage) -> None:
    """SIGSTOP for longer than a barrier may take."""
    await _frozen(stage, _PAST_THE_BARRIER_S)


async def _frozen(stage: Stage, seconds: float) -> None:
    stage.servers.xmpp.freeze()
    await asyncio.sleep(seconds)
    stage.servers.xmpp.thaw()


async def cut(stage: Stage) -> None:
    """Reset, and refused for a while."""
    stage.wire.refused.add(HIT)
    stage.wire.cut(HIT)
    await asyncio.sleep(stage.lasts(2, 60))
    stage.wire.refused.clear()


def half_open(*ways: Way) -> Act:
    """Everything in these directions is swallowed, until the gateway has noticed.

    In a short run nobody waits for that: the connection is reset after 3 s.
    """

    async def act(stage: Stage) -> None:
        stage.wire.spoil(HIT, Trouble(swallowed=frozenset(ways)))
        await asyncio.sleep(stage.lasts(3, 2 * _PAST_THE_BARRIER_S))
        stage.wire.cut(HIT)

    return act


async def slow(stage: Stage) -> None:
    """1 kB/s in both directions."""
    stage.wire.spoil(HIT, Trouble(bytes_per_s=dict.fromkeys(BOTH, 1000)))
    await asyncio.sleep(stage.lasts(4, _PAST_THE_BARRIER_S))
    stage.wire.spoil(HIT, Trouble())


async def slow_reader(stage: Stage) -> None:
    """Takes 10 bytes/s of what the gateway writes."""
    stage.wire.spoil(HIT, Trouble(bytes_per_s={Way.OUT: 10}))
    await asyncio.sleep(stage.lasts(4, _PAST_THE_BARRIER_S))
    stage.wire.spoil(HIT, Trouble())


async def delayed(stage: Stage) -> None:
    """Everything is 2 s late."""
    stage.wire.spoil(HIT, Trouble(delay_s=2.0))
    await asyncio.sleep(stage.lasts(3, 20))
    stage.wire.spoil(HIT, Trouble())
    await asyncio.sleep(2.0)


def broken_stanza(way: Way) -> Act:
    """Reset in the middle of a stanza."""

    async def act(stage: Stage) -> None:
        stage.wire.break_in(HIT, way)
        await asyncio.sleep(2.0)

    return act
