# SPDX-License-Identifier: Apache-2.0
"""A large roster: every change of its user comes once for each contact, and every device asks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

from tests.bench import house, sink, stanzas
from tests.bench.measure import Figure, Group, rates, settle_garbage

_CONTACTS = 5_000
_PROBES = 1_000
_GOAL_IN = 50_000
"""So that one change a second takes a tenth of a processor (REQ-306)."""
_GOAL_S = 10.0
_SHOWS = ("away", "dnd", "xa", "chat")


async def measure(directory: Path, repetitions: int) -> Group:
    """Changes of one user's presence in, answers to the probes of their server out."""
    async with sink.component(directory, 0) as bench:
        await house.link(bench.network.accounts, bench.store, 0, _CONTACTS)
        bench.network.load()
        bench.component.stream._has_answered = True
        changes = await rates(_CONTACTS, repetitions, partial(_change, bench))
        spent, lasted = [], []
        for _ in range(repetitions):
            used, took = await _ask(bench)
            spent.append(used * 1000 / _PROBES)
            lasted.append(took)
    return Group(
        title=f"Presence with {_CONTACTS:,} contacts",
        note=(
            "A change: what one user's server sends to all puppets when a device changes, from "
            f"bytes to the end of the dispatch. Probes: {_PROBES:,} at once, when a device comes; "
            "answered at most 200 a second, the loop's CPU counted."
        ),
        figures=[
            Figure(what="presence in", unit="/s", values=changes, goal=_GOAL_IN),
            Figure(what="loop per probe and answer", unit="ms", values=spent, less_is_better=True),
            Figure(
                what=f"all {_PROBES:,} answered",
                unit="s",
                values=lasted,
                goal=_GOAL_S,
                less_is_better=True,
            ),
        ],
    )


def _change(bench: sink.Bench, first: int) -> Callable[[], Awaitable[None]]:
    show = _SHOWS[first // _CONTACTS % len(_SHOWS)]
    sender = f"{stanzas.user(0)}/phone"
    return partial(
        _take,
        bench,
        list(
            stanzas.reads(
                f"<presence from='{sender}' to='{friend}@{stanzas.COMPONENT}'><show>{show}</show>"
                "<priority>5</priority><c xmlns='http://jabber.org/protocol/caps' hash='sha-1'"
                " node='https://example.org/client' ver='QgayPKawpkPSDYmwT/WM94uAlu0='/>"
                "<x xmlns='vcard-temp:x:update'><photo/></x></presence>"
                for friend in stanzas.contacts(0, _CONTACTS)
            )
        ),
    )


async def _take(bench: sink.Bench, data: Sequence[bytes]) -> None:
    for read in data:
        bench.connection.data_received(read)
        await asyncio.sleep(0)


async def _ask(bench: sink.Bench) -> tuple[float, float]:
    data = list(stanzas.reads(stanzas.probe(0, friend) for friend in stanzas.contacts(0, _PROBES)))
    settle_garbage()
    waves = bench.network._attendance.waves
    used, began = time.thread_time(), time.monotonic()
    await _take(bench, data)
    while waves._turns:  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.05)
    return time.thread_time() - used, time.monotonic() - began
