# SPDX-License-Identifier: Apache-2.0
"""Telegram and the XMPP server, in a process of their own. Run as a program it is both of them.

One JSON request per line on stdin, one answer per line on stdout.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.bench import stanzas
from tests.bench.house import Ports
from tests.bench.xmpp_server import FakeServer
from tests.peers.bot_api import BotApi

_TURN_S = 0.02


@dataclass(frozen=True, slots=True)
class Others:
    """Both, as they are told what to do."""

    ports: Ports
    tokens: tuple[str, ...]
    """Of the bots; somebody has written to each of them."""
    _process: asyncio.subprocess.Process

    async def polled(self) -> None:
        """Return when all bots wait for updates, and all that was said is told."""
        await self._ask(op="polled")

    async def say(self, count: int, per_s: float) -> float:
        """So many people, in turns, write to their bots. Returns the seconds until their last
        word is told by XMPP."""
        return float((await self._ask(op="say", count=count, per_s=per_s))["seconds"])

    async def _ask(self, **request: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        return await _line(self._process)


@asynccontextmanager
async def others(bots: int) -> AsyncIterator[Others]:
    """Run them."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.bench.bot_api", str(bots)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1024 * 1024,
    )
    try:
        told = await _line(process)
        yield Others(Ports(told["xmpp"], told["network"]), tuple(told["tokens"]), process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


async def _line(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise RuntimeError("Telegram has ended; see the error above")
    return dict(json.loads(line))


class _Both:
    def __init__(self, telegram: BotApi, bots: int) -> None:
        self.server = FakeServer()
        self._people = [telegram.person(f"Friend {number}") for number in range(bots)]
        self.bots = [telegram.bot(f"Bot {number}", f"b{number}_bot") for number in range(bots)]
        for person, bot in zip(self._people, self.bots, strict=True):
            person.start(bot)
        self._missing = bots
        """So many messages are not told yet."""
        self._told = asyncio.Event()
        self.server.on_message = self._heard

    async def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Carry out one request."""
        if request["op"] == "polled":
            await self._told.wait()
            for bot in self.bots:
                await bot.updates.polled(60)
            return {}
        return {"seconds": await self._say(request["count"], request["per_s"])}

    async def _say(self, count: int, per_s: float) -> float:
        self._missing = count
        self._told.clear()
        began, said = time.monotonic(), 0
        while said < count:
            due = min(count, int((time.monotonic() - began) * per_s) + 1)
            for number in range(said, due):
                place = number % len(self.bots)
                body = f"{stanzas.BODY} {began} {number}"
                self._people[place].say(self.bots[place], body)
            said = due
            await asyncio.sleep(_TURN_S)
        async with asyncio.timeout(120):
            await self._told.wait()
        return time.monotonic() - began

    def _heard(self, sender: str, is_receipt: bool) -> None:
        if not sender or is_receipt:  # the gateway itself speaks, too
            return
        self._missing -= 1
        if not self._missing:
            self._told.set()


async def _main(bots: int) -> None:
    loop = asyncio.get_running_loop()
    async with BotApi() as telegram:
        both = _Both(telegram, bots)
        listener = await loop.create_server(lambda: both.server, "127.0.0.1", 0)
        requests = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(requests), sys.stdin)
        ports = {
            "xmpp": listener.sockets[0].getsockname()[1],
            "network": int(telegram.url.rpartition(":")[2]),
        }
        _print({**ports, "tokens": [bot.token for bot in both.bots]})
        while line := await requests.readline():
            _print(await both.answer(json.loads(line)))
        listener.close()


def _print(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1])))
