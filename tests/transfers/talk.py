# SPDX-License-Identifier: Apache-2.0
"""People who talk all the time, in all chats and both ways, and how long each message took.

Time in which the machine had no processor for those who carry a message does not count: it is
taken from the kernel (``/proc/PID/task/PID/schedstat``), as in `tests.stalls`. Where there are
other tests beside this one, that is most of it.
"""

from __future__ import annotations

import asyncio
import bisect
import itertools
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from tests.transfers.homeserver import CHATS, Chat
from tests.transfers.world import World, contact

_WINDOW = 10
"""So many of one chat and direction are under way at the most: a machine that is too slow for all
of them has fewer."""
_SAMPLED_S = 0.01


@dataclass(frozen=True, slots=True)
class Waited:
    """One message."""

    where: str
    """Chat and direction."""
    sent_at: float
    heard_at: float
    starved_s: float

    @property
    def seconds(self) -> float:
        """How long it took, as far as that was anybody's doing."""
        return max(0.0, self.heard_at - self.sent_at - self.starved_s)


@dataclass
class Starved:
    """How long messages have waited for a processor, at any time of the past: as long as whoever
    of those that carry them waited longest."""

    pids: Sequence[int]
    _at: list[float] = field(default_factory=list)
    _waited: list[float] = field(default_factory=list)
    _last: dict[Path, float] = field(default_factory=dict)

    def sample(self) -> None:
        """Look."""
        now, last = time.monotonic(), self._last
        self._last = {thread: s for pid in self.pids for thread, s in _starved_s(pid).items()}
        waited = 0.0
        if self._at:
            longest = max(s - last.get(thread, s) for thread, s in self._last.items())
            waited = self._waited[-1] + min(longest, now - self._at[-1])
        self._at.append(now)
        self._waited.append(waited)

    async def run(self) -> None:
        """Look all the time."""
        while True:
            self.sample()
            await asyncio.sleep(_SAMPLED_S)

    def between(self, begin: float, end: float) -> float:
        """In these seconds."""
        return self._until(end) - self._until(begin)

    def _until(self, at: float) -> float:
        return self._waited[max(0, bisect.bisect(self._at, at) - 1)]


def _starved_s(pid: int) -> dict[Path, float]:
    """Each thread of a process: messages go through that of the database as well."""
    found = {}
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):  # it has ended
            found[thread] = int((thread / "schedstat").read_text().split()[1]) / 1e9
    return found


@dataclass
class Talk:
    """What goes on in all chats."""

    world: World
    starved: Starved
    line: aiohttp.ClientWebSocketResponse
    waited: list[Waited] = field(default_factory=list)
    _free: dict[str, asyncio.Semaphore] = field(default_factory=dict)
    _under_way: dict[str, float] = field(default_factory=dict)
    """Texts, and when they were said."""
    twice: list[str] = field(default_factory=list)

    async def say(self, chat: Chat, direction: str, per_s: float) -> None:
        """One side of one chat."""
        where = f"{chat.name} {direction}"
        free = self._free[where] = asyncio.Semaphore(_WINDOW)
        began = time.monotonic()
        for number in itertools.count():
            await free.acquire()
            await asyncio.sleep(began + number / per_s - time.monotonic())
            if time.monotonic() - began > (number + 1) / per_s:
                began = time.monotonic() - number / per_s  # nothing is made up for
            body = f"{where} {number}"
            self._under_way[body] = time.monotonic()
            if direction == "in":
                await self.line.send_json({"chat": chat.name, "body": body})
            else:
                client = self.world.clients[chat.account]
                client.send_message(contact(chat), body, id=body, receipt=False)

    async def hear_users(self, account: str) -> None:
        """What comes to the client of a user."""
        async for stanza in self.world.clients[account].inbox.follow():
            if stanza.kind == "message" and " in " in (stanza.body or ""):
                assert stanza.type == "chat", str(stanza)
                self._heard(stanza.body or "", time.monotonic())

    async def hear_friends(self) -> None:
        """What comes to the homeserver."""
        async for message in self.line:
            body, at = json.loads(message.data)
            self._heard(body, at)

    def _heard(self, body: str, at: float) -> None:
        sent_at = self._under_way.pop(body, None)
        if sent_at is None:
            self.twice.append(body)
            return
        where = body.rpartition(" ")[0]
        starved_s = self.starved.between(sent_at, at)
        self.waited.append(Waited(where, sent_at, at, starved_s))
        self._free[where].release()

    async def all_heard(self) -> None:
        """Until nothing is under way."""
        async with asyncio.timeout(60):
            while self._under_way:  # noqa: ASYNC110 - it is heard of elsewhere
                await asyncio.sleep(_SAMPLED_S)

    def since(self, at: float) -> dict[str, list[Waited]]:
        """What was said from then on, by chat and direction."""
        found: dict[str, list[Waited]] = {where: [] for where in self._free}
        for each in self.waited:
            if each.sent_at >= at:
                found[each.where].append(each)
        return found


@asynccontextmanager
async def talking(world: World, per_s: float) -> AsyncIterator[Talk]:
    """So many messages a second, in all chats and both ways alike."""
    starved = Starved(world.pids)
    starved.sample()
    await world.remote.ask("keyed")
    async with world.remote.line() as line, asyncio.TaskGroup() as group:
        talk = Talk(world, starved, line)
        each = per_s / (2 * len(CHATS))
        hearing = [group.create_task(talk.hear_users(account)) for account in world.clients]
        hearing += [group.create_task(talk.hear_friends()), group.create_task(starved.run())]
        saying = [
            group.create_task(talk.say(chat, direction, each))
            for chat in CHATS
            for direction in ("in", "out")
        ]
        yield talk
        for task in saying:
            task.cancel()
        await talk.all_heard()
        for task in hearing:
            task.cancel()
