# SPDX-License-Identifier: Apache-2.0
"""Starts `tests.bench.peers` and talks to it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from tests.bench.house import Ports


class Peers:
    """The XMPP server and the network, in another process."""

    def __init__(self, process: asyncio.subprocess.Process, ports: Ports) -> None:
        self._process = process
        self.ports = ports

    async def up(self) -> float:
        """Monotonic time at which the component's handshake was done."""
        return float((await self._ask(op="up"))["at"])

    async def live(self, count: int) -> float:
        """Monotonic time at which so many accounts had connected and acknowledged something."""
        return float((await self._ask(op="live", count=count))["at"])

    async def traffic(
        self, directions: Sequence[str], *, count: int, conversations: int, window: int = 1
    ) -> float:
        """Send ``count`` messages ``in`` or ``out``. Returns the seconds until all arrived."""
        answer = await self._ask(
            op="traffic",
            directions=directions,
            count=count,
            conversations=conversations,
            window=window,
        )
        return float(answer["seconds"])

    async def answer_after(self, seconds: float) -> None:
        """Let the network take its time from now on."""
        await self._ask(op="slow", seconds=seconds)

    async def probe(self, accounts: int, contacts_each: int) -> None:
        """Ask for the presence of every contact, until each has answered."""
        await self._ask(op="probe", accounts=accounts, contacts_each=contacts_each)

    async def enter(self, sessions: int, members: int = 2, accounts: int = 1) -> None:
        """So many sessions of so many users are in a room, which has so many members beside."""
        await self._ask(op="enter", sessions=sessions, members=members, accounts=accounts)

    async def link(self, members: int) -> None:
        """The gateway's own account is in a linked group with so many members beside it."""
        await self._ask(op="link", members=members)

    async def visit(self, user: int) -> float:
        """A user comes into the linked group. Returns the seconds until they are in."""
        return float((await self._ask(op="visit", user=user))["seconds"])

    async def leave(self, user: int) -> None:
        """They leave it."""
        await self._ask(op="leave", user=user)

    async def speak(self, count: int, sessions: int, *, by_xmpp: bool = False) -> None:
        """Say so much in the room, one thing when all sessions have the last one. ``by_xmpp``: it
        is they who say it, in turns."""
        await self._ask(op="speak", count=count, sessions=sessions, by_xmpp=by_xmpp)

    async def busy(self, *, members: int, per_s: float, seconds: float) -> dict[str, Any]:
        """Many talk in the room for a while. ``orders``: in how many the sessions were told it;
        ``is_complete``: whether all of it, once."""
        return await self._ask(op="busy", members=members, per_s=per_s, seconds=seconds)

    async def _ask(self, **request: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        return await _line(self._process)


async def _line(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise RuntimeError("the peers of the benchmark have ended; see the error above")
    return dict(json.loads(line))


@asynccontextmanager
async def peers(people: int) -> AsyncIterator[Peers]:
    """Run the peers."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.bench.peers", str(people)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Peers(process, Ports(**await _line(process)))
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()
