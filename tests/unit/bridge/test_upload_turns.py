# SPDX-License-Identifier: Apache-2.0
"""Who waits for whose files on their way to the upload service, and how long."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gateway.bridge.files.putting import Flow, Putting
from gateway.bridge.files.uploads import _whose
from gateway.media.put import PutRefused
from gateway.store import files
from gateway.store.files import FileRow, Uploaded
from gateway.store.journal import InboundRow
from tests.clock import VirtualClock

_FILE = cast("FileRow", SimpleNamespace(id=1))


class _Bench(Putting):
    """Whose files take as long as a test says, and then fail."""

    def __init__(self, takes_s: float, bytes_a_second: int = 0) -> None:
        self.clock = VirtualClock()
        self.tried: list[int] = []
        self.takes_s = takes_s
        self.rate = bytes_a_second
        settings = SimpleNamespace(uploaders=("gateway",))
        store = SimpleNamespace(reader=None)
        ground = SimpleNamespace(clock=self.clock, settings=settings, store=store)
        super().__init__(cast("Any", ground), cast("Any", None))
        self._slots = cast("Any", SimpleNamespace(ready=self._ready))

    async def _ready(self, file: FileRow) -> None:
        """At once."""

    def come(self, account: int, conversation: int, count: int) -> list[asyncio.Task[Any]]:
        """So many files, by the gateway's own address if need be."""
        file = cast("FileRow", SimpleNamespace(id=account or conversation))
        row = cast("InboundRow", SimpleNamespace(account=account, conversation=conversation))
        return [
            asyncio.ensure_future(self.put_there(file, _whose(row), has_address=True))
            for _ in range(count)
        ]

    async def _uploaded(self, file: FileRow, flow: Flow) -> Uploaded:
        self.tried.append(file.id)
        for _ in range(round(self.takes_s)):
            await self.clock.sleep(1)
            flow.moved_at = self.clock.monotonic()
            flow.received += self.rate
        raise PutRefused("it is over", is_final=True)


@pytest.fixture(autouse=True)
def _there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "get", lambda db, file: _FILE)


async def _end(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_req_446_files_of_one_shared_room_take_no_turns_of_another() -> None:
    bench = _Bench(50)
    tasks = [*bench.come(0, 1, 6), *bench.come(0, 2, 6)]
    await bench.clock.settle()
    assert sorted(bench.tried) == [1] * 4 + [2] * 4
    await _end(tasks)


async def test_req_446_after_trouble_those_that_waited_are_not_tried() -> None:
    bench = _Bench(500)
    tasks = bench.come(1, 1, 10)
    await bench.clock.advance(130)
    assert bench.tried == [1] * 4
    assert all(task.done() for task in tasks)
    await _end(tasks)


async def test_req_446_nobody_waits_for_the_turns_of_others_without_end() -> None:
    bench = _Bench(5_000, bytes_a_second=20_000)
    others = [task for account in range(1, 5) for task in bench.come(account, account, 4)]
    last = bench.come(9, 9, 1)
    await bench.clock.advance(50)
    assert not last[0].done()
    await bench.clock.advance(15)
    assert last[0].done()
    assert last[0].result() is None
    assert 9 not in bench.tried
    assert not any(task.done() for task in others)
    await _end([*others, *last])


async def test_req_446_what_hardly_moves_has_failed_and_what_moves_has_not() -> None:
    trickles, flows = _Bench(500, bytes_a_second=100), _Bench(500, bytes_a_second=20_000)
    (slow,), (fast,) = trickles.come(1, 1, 1), flows.come(1, 1, 1)
    for bench in (trickles, flows):
        await bench.clock.advance(80)
    assert slow.done()
    assert not fast.done()
    await _end([slow, fast])
