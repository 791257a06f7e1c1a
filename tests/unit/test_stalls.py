# SPDX-License-Identifier: Apache-2.0
"""The detector of a loop that is held up."""

from __future__ import annotations

import asyncio
import time

import pytest

from gateway.store import Store
from gateway.store.pruning import Pruning
from gateway.tasks import Tasks
from tests.clock import VirtualClock
from tests.stalls import Stalls, had_s


@pytest.mark.parametrize("computes", [False, True])
async def test_what_holds_up_the_loop_is_found(
    computes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def mistake(*_: object) -> None:
        end = time.thread_time() + 0.3
        if computes:
            while time.thread_time() < end:
                pass
        else:
            time.sleep(0.3)  # noqa: ASYNC251 - as a call to the disk or to a server does

    monkeypatch.setattr(Pruning, "once", mistake)
    clock, tasks = VirtualClock(), Tasks("test")

    with Stalls(0.2) as stalls:
        tasks.spawn(_pruning(clock).run(), "pruning")
        await clock.advance(301)
        await tasks.cancel()
    (found,) = stalls.found
    assert found.startswith("Pruning.run (")
    assert "held up the loop for 0." in found


def _pruning(clock: VirtualClock) -> Pruning:
    store: Store = None  # type: ignore[assignment]
    return Pruning(
        store, clock, alias_retention_s=86_400.0, dead_letters_s=86_400.0, files_s=86_400.0
    )


async def test_the_time_that_one_had_goes_on_while_one_waits_or_computes() -> None:
    """And not while others have the processors; how busy those are is not ours to say."""
    began = had_s()
    await asyncio.sleep(0.1)
    computed = time.thread_time() + 0.1
    while time.thread_time() < computed:
        pass
    assert had_s() - began > 0.15


async def test_a_slow_callback_of_a_test_that_cancels_its_own_handle_is_not_ours() -> None:
    loop = asyncio.get_running_loop()
    done = loop.create_future()

    def slow() -> None:
        handle.cancel()
        time.sleep(0.3)
        done.set_result(None)

    with Stalls(0.2) as stalls:
        handle = loop.call_soon(slow)
        await done
    assert stalls.found == []


async def test_waiting_as_one_should_is_not() -> None:
    with Stalls(0.2) as stalls:
        await Tasks("test").spawn(asyncio.sleep(0.3), "waits")
    assert stalls.found == []
