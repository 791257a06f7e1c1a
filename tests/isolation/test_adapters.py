# SPDX-License-Identifier: Apache-2.0
"""An adapter that cannot start or stop: the other networks of the process run."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, ClassVar

import pytest

from gateway.adapter import NetworkContext
from gateway.bridge.links import readiness
from gateway.bridge.links.readiness import TROUBLE
from gateway.registry import BrokenAdapter, adapter_class
from tests.isolation.town import HOME, OTHER, Town, user
from tests.isolation.trouble import PanicException, TroubledAdapter

_WAYS = ("raises", "exits", "panics", "hangs")


async def _fail(way: str) -> None:
    match way:
        case "raises":
            raise OSError("the adapter's file is gone")
        case "exits":
            raise SystemExit(3)
        case "panics":
            raise PanicException
        case "hangs":
            await asyncio.Event().wait()


class _Sick(TroubledAdapter):
    start_fails: ClassVar[str] = ""
    stop_fails: ClassVar[str] = ""
    starts: ClassVar[int] = 0

    async def start(self) -> None:
        type(self).starts += 1
        await _fail(self.start_fails)

    async def stop(self) -> None:
        await _fail(self.stop_fails)


@pytest.mark.parametrize("way", _WAYS)
async def test_an_adapter_that_does_not_start(
    tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "_LIMIT_S", 5.0)
    sick: Any = type("Sick", (_Sick,), {"start_fails": way, "starts": 0})
    async with Town(tmp_path, other_adapter=sick) as town:
        await town.settle_in()
        before = await town.probe()
        await town.until(lambda: sick.starts >= 2)
        assert {line["network"] for line in town.logged("network_not_started")} == {"other"}
        await town.unharmed(before)
        write = town.servers[OTHER].send
        write(f"<message from='x@{HOME}/x' to='{OTHER}' type='chat'><body>login</body></message>")
        await town.until(lambda: town.inboxes[user("x")].lines)
        assert town.inboxes[user("x")].lines == [TROUBLE]
        await town.link("far0", OTHER, wait=False)
        waiting = town.send("far0", "waits", domain=OTHER)
        await town.until(lambda: town.inboxes[user("far0")].statuses)
        assert town.inboxes[user("far0")].statuses == [f"Not connected: {TROUBLE}"]
        sick.start_fails = ""
        await town.until(lambda: waiting in town.inboxes[user("far0")].receipts, 15)


@pytest.mark.parametrize("way", _WAYS)
async def test_an_adapter_that_does_not_stop(
    tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "_LIMIT_S", 5.0)
    sick = type("Sick", (_Sick,), {"stop_fails": way})
    async with Town(tmp_path, other_adapter=sick) as town:
        await town.settle_in()
    assert [line["network"] for line in town.logged("network_not_stopped")] == ["other"]


class _Unmade(TroubledAdapter):
    way: ClassVar[str] = ""

    def __init__(self, context: NetworkContext) -> None:
        super().__init__(context)
        _fail(self.way).send(None)


@pytest.mark.parametrize("way", ["raises", "exits", "panics"])
async def test_an_adapter_that_cannot_be_made(tmp_path: Path, way: str) -> None:
    sick = type("Sick", (_Unmade,), {"way": way})
    async with Town(tmp_path, other_adapter=sick) as town:
        await town.settle_in()
        (line,) = town.logged("network_unusable")
        assert line["network"] == "other"
        before = await town.probe()
        message = town.send("near", "hello", domain=OTHER)
        write = town.servers[OTHER].send
        write(f"<presence from='{user('near')}' to='{OTHER}' type='subscribe'/>")
        write(f"<presence from='{user('near')}' to='bob@{OTHER}' type='subscribe'/>")
        write(
            f"<iq from='{user('near')}/x' to='{OTHER}' type='get' id='q'><query xmlns='x'/></iq>"
        )
        inbox = town.inboxes[user("near")]
        await town.until(lambda: {"q", message} <= set(inbox.errors) and inbox.statuses)
        assert {*inbox.errors.values(), *inbox.statuses} == {TROUBLE}
        assert not inbox.presences
        await town.unharmed(before)


@pytest.mark.parametrize("error", [RuntimeError, SyntaxError, SystemExit, PanicException])
def test_an_adapter_that_cannot_be_imported_is_told_in_a_sentence(
    error: type[BaseException],
) -> None:
    def load() -> object:
        raise error("its library is broken")

    with pytest.raises(BrokenAdapter, match="its library is broken"):
        adapter_class("sick", {"sick": load})
