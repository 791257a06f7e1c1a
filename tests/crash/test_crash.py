# SPDX-License-Identifier: Apache-2.0
"""Kill the gateway before and after each of its I/Os, start it again, and judge what remains.

For every point: what the user sent is on the network exactly once and has its receipt; what the
contact sent has come under exactly one id, in order; nothing was acknowledged, sent or confirmed
that was not on the disk (REQ-412, REQ-901 to REQ-914).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from tests.crash.groups import group_world, prepare_group, talk
from tests.crash.telegram_network import TelegramNetwork
from tests.crash.world import Scenario, World, prepare, world

_CODE, _PROVED = r"/own (\d{8})", r"(are here from now on)"
_AT_ONCE = 4
"""Runs side by side: most of a run is waiting."""


async def _one_after_the_other(w: World) -> None:
    await w.until(w.server.up.is_set)
    w.says("u1")
    await w.until(lambda: w.answered("u1"))
    w.bob_says("in1")
    w.bob_says("in2")
    await w.until(lambda: w.has("in1", "in2"))


async def _all_at_once(w: World) -> None:
    await w.until(w.server.up.is_set)
    w.says("u1")
    w.bob_says("in1")
    w.says("u2")
    w.bob_says("in2")
    await w.until(lambda: w.answered("u1", "u2") and w.has("in1", "in2"))


async def _from_elsewhere(w: World) -> None:
    await w.until(w.server.up.is_set)
    w.says_elsewhere("own1")
    w.bob_says("in1")
    await w.until(lambda: w.has("in1") and w.has_own("own1"))
    w.says("u1")
    await w.until(lambda: w.answered("u1"))


async def _proved_and_in_own_chat(w: World) -> None:
    """Alice is told a code, sends it to her bot in Telegram, and then talks with bob there."""
    await w.until(w.server.up.is_set)
    await w.until(lambda: bool(w.found(_CODE)))
    assert isinstance(w.network, TelegramNetwork)
    w.network.proves(w.found(_CODE))
    await w.until(lambda: bool(w.found(_PROVED)))
    w.bob_says("in1")
    w.says_elsewhere("own1")
    await w.until(lambda: w.has("in1", "You: own1"))
    w.says("u1")
    w.bob_says("in2")
    await w.until(lambda: w.answered("u1") and w.has("in2"))


SCENARIOS = [
    Scenario(
        name="one after the other",
        play=_one_after_the_other,
        texts=("u1",),
        incoming=("in1", "in2"),
    ),
    Scenario(
        name="all at once",
        play=_all_at_once,
        texts=("u1", "u2"),
        incoming=("in1", "in2"),
    ),
    Scenario(
        name="server dies too",
        play=_all_at_once,
        forgetful_server=True,
        texts=("u1", "u2"),
        incoming=("in1", "in2"),
    ),
    Scenario(
        name="no keys",
        play=_one_after_the_other,
        adapter="forgetful",
        texts=("u1",),
        incoming=("in1", "in2"),
    ),
    Scenario(
        name="telegram",
        play=_one_after_the_other,
        adapter="telegram",
        texts=("u1",),
        incoming=("in1", "in2"),
    ),
    Scenario(
        name="telegram, own chats",
        play=_proved_and_in_own_chat,
        adapter="telegram",
        in_own_chat=True,
        texts=("u1",),
        incoming=("in1", "You: own1", "in2"),
        notices=("/own ", "are here from now on"),
    ),
    Scenario(
        name="own messages",
        play=_from_elsewhere,
        privileged=True,
        texts=("u1",),
        incoming=("in1",),
        own=("own1",),
    ),
]


@pytest.mark.timeout(180)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
async def test_killed_at_every_io(
    scenario: Scenario,
    after: bool,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    template = tmp_path / "template"
    template.mkdir()
    await prepare(template, scenario.adapter, in_own_chat=scenario.in_own_chat)

    def run(directory: Path, kill_at: int) -> AbstractAsyncContextManager[World]:
        return world(scenario, template, directory, kill_at=kill_at, after=after)

    never_committed = await _killed_everywhere(run, after, tmp_path, record_property)
    assert after or never_committed > 0


@pytest.mark.timeout(240)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("is_linked", [False, True], ids=["own", "linked"])
async def test_killed_at_every_io_in_a_group_of_telegram(
    is_linked: bool,
    after: bool,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """Texts, edits, reactions and files, both ways; of alice's at most one is uncertain. The bot
    is hers, or that of the gateway."""
    template = tmp_path / "template"
    template.mkdir()
    past = await prepare_group(template, is_linked=is_linked)
    scenario = Scenario(name="in a group", play=talk, adapter="telegram", is_linked=is_linked)

    def run(directory: Path, kill_at: int) -> AbstractAsyncContextManager[World]:
        return group_world(scenario, template, directory, past, kill_at=kill_at, after=after)

    never_committed = await _killed_everywhere(run, after, tmp_path, record_property)
    assert after or never_committed > 0


async def _killed_everywhere(
    run_in: Callable[[Path, int], AbstractAsyncContextManager[World]],
    after: bool,
    folder: Path,
    record_property: Callable[[str, object], None],
) -> int:
    """``run_in``: a run in this directory that is killed at the n-th I/O. Returns how many texts
    died before their commit."""
    async with run_in(folder / "reference", 0) as reference:
        await reference.run()
        assert reference.killed == 0
        trace = reference.job.trace.read_text().split()
    assert {"commit", "stream", "network"} == set(trace)
    gate = asyncio.Semaphore(_AT_ONCE)

    async def killed_at(number: int) -> World:
        async with gate, run_in(folder / f"run{number}", number) as run:
            try:
                await run.run()
            except BaseException as error:
                seams = run.job.trace.read_text().split()
                error.add_note(f"killed {'after' if after else 'before'} I/O {number}: {seams}")
                raise
            return run

    async with asyncio.TaskGroup() as group:
        runs = [group.create_task(killed_at(number)) for number in range(1, len(trace) + 1)]
    killed = sum(run.result().killed for run in runs)
    never_committed = sum(run.result().never_committed for run in runs)
    record_property("killed at", f"{killed} of {len(runs)} I/Os")
    record_property("texts that died before their commit", never_committed)
    # A few fall away when two commits of the reference run happen to share one transaction.
    assert killed >= len(runs) * 0.8
    return never_committed
