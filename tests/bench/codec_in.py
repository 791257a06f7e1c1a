# SPDX-License-Identifier: Apache-2.0
"""Codec and dispatch in: from bytes to the record that the bridge gets, without a server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import XMLPullParser

from tests.bench import sink, stanzas
from tests.bench.measure import Figure, Group, rates
from tests.bench.stock import PLUGINS, StockComponent

_USERS = 100
_COUNT = 8_000
_STOCK_COUNT = 1_000
_GOAL = 50_000

Make = Callable[[int, str], str]

_KINDS: Sequence[tuple[str, Make]] = (
    ("chat message, 5 extensions", stanzas.chat),
    ("disco#info request, answered", stanzas.info_request),
    ("presence", stanzas.presence),
    ("mixed 8 : 1 : 1", stanzas.mixed),
)


async def measure(directory: Path, repetitions: int) -> Group:
    """One figure for each kind of stanza."""
    figures = []
    async with sink.component(directory, _USERS) as bench:
        for what, make in _KINDS:

            def ours(first: int, make: Make = make) -> Callable[[], Awaitable[None]]:
                return partial(_take, bench, _stream(make, first, _COUNT))

            def raw(first: int, make: Make = make) -> Callable[[], Awaitable[None]]:
                return partial(_forward, _stream(make, first, _COUNT))

            figures.append(
                Figure(
                    what=what,
                    unit="/s",
                    values=await rates(_COUNT, repetitions, ours),
                    goal=_GOAL,
                    raw=await rates(_COUNT, repetitions, raw),
                    stock=await _stock(make, repetitions),
                )
            )
        expected = (1 + repetitions) * (_COUNT + _COUNT * 8 // 10)
        if bench.network.taken != expected:
            raise AssertionError(f"{bench.network.taken} of {expected} texts reached the bridge")
    return Group(
        title="Codec and dispatch in, no server",
        note=(
            "Bytes → Connection.data_received → record for the bridge; per second of CPU. "
            f"Raw: XMLPullParser alone. Stock: slixmpp's handlers, {len(PLUGINS)} plugins."
        ),
        figures=figures,
    )


def _stream(make: Make, first: int, count: int) -> list[bytes]:
    numbers = range(first, first + count)
    return list(stanzas.reads(make(number % _USERS, f"id-{number:08x}") for number in numbers))


async def _take(bench: sink.Bench, data: Sequence[bytes]) -> None:
    for read in data:
        bench.connection.data_received(read)
        await asyncio.sleep(0)


async def _forward(data: Sequence[bytes]) -> None:
    """What any program with a standard parser has to spend."""
    parser: XMLPullParser[Any] = XMLPullParser(("start", "end"))
    parser.feed(stanzas.OPENING)
    (_, root) = next(stanzas.events(parser))
    depth = 0
    for read in data:
        parser.feed(read)
        for event, _ in stanzas.events(parser):
            if event == "start":
                depth += 1
            else:
                depth -= 1
                if depth == 0:
                    root.clear()


async def _stock(make: Make, repetitions: int) -> list[float]:
    stock = StockComponent()

    def work(first: int) -> Callable[[], Awaitable[None]]:
        return partial(stock.take, _stream(make, first, _STOCK_COUNT))

    try:
        return await rates(_STOCK_COUNT, min(repetitions, 3), work)
    finally:
        stock.close()
