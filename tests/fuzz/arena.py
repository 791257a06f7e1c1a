# SPDX-License-Identifier: Apache-2.0
"""A whole gateway to which things are done, and what must be true of it all the same."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from gateway.bridge.inbound.wellformed import must_be_whole
from gateway.config.tree import Limits
from gateway.config.values import Rate
from gateway.events import RemoteEvent
from gateway.ids import UserJid
from gateway.text import is_clean
from tests.fuzz.choices import Choices
from tests.fuzz.files import HERE, HOSTED
from tests.fuzz.ledger import Ledger
from tests.fuzz.stanzas import USERS, stanza
from tests.fuzz.strict import StrictServer
from tests.scenario.house import GATEWAY, HOME, SECRET, House, Options
from tests.scenario.web import Hosted
from tests.scripted.adapter import ScriptedSession
from tests.scripted.server import ScriptedNetwork

NAMES = ("alice", "carol", "dave")
_NO_LIMITS = Limits(**dict.fromkeys(Limits.__struct_fields__, Rate((1_000_000, 1))))
"""What is too much gets no answer, and that is not what is looked for here."""
_BATCH = 100
"""Stanzas at most between two looks."""
_END_S = 720.0
"""What the network does not take ends after 10 min."""
_RETRY_S = 70.0


def is_storable(event: RemoteEvent) -> bool:
    """What is not becomes a dead letter, of which the user and the log are told."""
    try:
        must_be_whole(event)
    except (TypeError, ValueError):
        return False
    named = (getattr(event, name, None) for name in ("contact", "room", "id", "up_to", "message"))
    return all(is_clean(value or "") for value in named)


class CountingNetwork(ScriptedNetwork):
    """Counts texts by their first word and forgets them; knows repetitions by their key."""

    def __init__(self) -> None:
        super().__init__()
        self.marks: Counter[str] = Counter()
        self.unclear: set[str] = set()
        """Marks of texts whose acceptance was not told."""
        self._by_key: dict[str, str] = {}

    def _send(self, request: dict[str, Any], account: str) -> dict[str, Any] | None:
        if request["key"] in self._by_key:
            return {"id": self._by_key[request["key"]]}
        answer = super()._send(request, account)
        for text in self.sent:
            mark = text.body.partition(" ")[0] + " "
            self.marks[mark] += 1
            self._by_key[text.key] = text.id
            if answer is None:
                self.unclear.add(mark)
        self.sent.clear()
        return answer


class Arena:
    """One gateway with three linked users, on a loop of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(self._loop_failed)
        self.inputs = 0
        self.ledger = Ledger()
        self.network = CountingNetwork()
        self._loop_errors: list[str] = []
        self._breaks = 1
        """Connections that there may have been: ours to break."""
        self._waiting = 0
        self._stack = AsyncExitStack()
        self.house: House
        self.run(self._open())

    def run(self, work: Any) -> Any:
        """Carry a coroutine out."""
        return self.loop.run_until_complete(work)

    async def _open(self) -> None:
        folder = self._stack.enter_context(tempfile.TemporaryDirectory())
        server = StrictServer(HOME, GATEWAY, SECRET)
        server.others = "answer"
        options = Options(adapter="files", limits=_NO_LIMITS, has_pages=True, uploads=True)
        self.house = await self._stack.enter_async_context(
            House(Path(folder), options, server=server, network=self.network)
        )
        web = self.house.web
        web.files |= {path: Hosted(data) for path, data in HOSTED.items()}
        self.network.files |= {f"r{number}": b"x" * number for number in range(4)}
        await self.house.start()
        await self.house.connected()
        for user, name in zip(USERS, NAMES, strict=False):
            await self.house.link(user, name)
        await self.look()

    def close(self) -> None:
        """Let all come to rest, judge, and end the gateway. Raises AssertionError."""
        try:
            self.run(self._end())
        finally:
            self.abandon()

    def abandon(self) -> None:
        """End the gateway."""
        self.run(self._stack.aclose())
        self.run(self.loop.shutdown_default_executor())
        self.loop.close()

    async def _end(self) -> None:
        network = self.network
        network.mute = False
        network.faults.clear()
        await self.look()
        await self.house.clock.advance(_END_S)
        await self.look()
        problems = [*self.ledger.problems(network.marks, network.unclear), *self.trouble()]
        assert not problems, "\n".join(problems[:20])

    def trouble(self) -> list[str]:
        """What can be seen to be wrong at any time."""
        # The server answers what nobody asked, which is the very sign of a second gateway.
        self._forgive("second_gateway")
        bad = [log for log in self.house.logs if log["log_level"] in ("error", "critical")]
        found = [
            f"logged: {log['event']} {log}".replace("\\n", "\n") for log in bad
        ] + self._loop_errors
        found += [f"a server would object: {what}" for what in self.house.server.violations]
        if self.house.server.attempts > self._breaks:
            found.append(f"{self.house.server.attempts} connections instead of {self._breaks}")
        return found

    def _loop_failed(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._loop_errors.append(f"the loop says: {context}")

    async def look(self) -> None:
        """Let everything happen that can, and note what was said."""
        await self.house.clock.settle()
        self._waiting = 0
        received = self.house.server.received
        while not received.empty():
            self.ledger.received(received.get_nowait())
        problems = self.trouble()
        assert not problems, "\n".join(problems[:20])

    # --- what is done ---------------------------------------------------------------------------

    async def stanza(self, choices: Choices) -> None:
        """The server sends one, and does not wait."""
        self.inputs += 1
        text, said = stanza(choices, self.inputs)
        text = text.replace(HERE, self.house.web.base)
        said["number"], said["text"] = str(self.inputs), text
        self.ledger.sent(said)
        self.house.server.send(text)
        self._waiting += 1
        if self._waiting >= _BATCH:
            await self.look()

    async def raw(self, data: bytes) -> None:
        """The server sends these bytes, whatever they are, and ends the stream."""
        connection = self.house.component.stream._connection
        assert connection is not None, "there is no stream"
        connection.data_received(data)
        await self.house.clock.settle()
        self.ledger.wrong.clear()
        self._forget_answers()
        if connection.ended.is_set() or data.count(b"<") != data.count(b">"):
            await self.lose_stream()
        problems = self.trouble()
        assert not problems, "\n".join(problems[:20])

    def _forget_answers(self) -> None:
        """What answers raw bytes cannot be told apart."""
        while not self.house.server.received.empty():
            self.house.server.received.get_nowait()

    async def events(self, user: str, events: list[RemoteEvent]) -> None:
        """A session hands over whatever the network made up."""
        self.inputs += len(events)
        account = self.house.bridge.accounts.of(UserJid(user))
        session = account.link.session if account is not None and account.link else None
        if not isinstance(session, ScriptedSession):
            return
        committing = asyncio.ensure_future(session._account.commit(events))
        await self.house.clock.settle()
        if not all(map(is_storable, events)):
            self._forgive("events_not_committed", "dead_letter")
        await self.look()
        if committing.done() and (error := committing.exception()) is not None:
            raise AssertionError(f"{events} raised {error!r}") from error
        committing.cancel()
        await asyncio.wait([committing])

    def _forgive(self, *logged: str) -> None:
        """These errors belong to what was just done; the user was told of it."""
        logs = self.house.logs
        logs[:] = [log for log in logs if log["event"] not in logged]

    async def lose_stream(self) -> None:
        """And connect again."""
        self.inputs += 1
        await self.look()
        self.ledger.lost()
        self._breaks += 1
        self.house.server.cut()
        await self._come_back()

    async def restart(self, *, killed: bool) -> None:
        """The gateway."""
        self.inputs += 1
        await self.look()
        self.ledger.lost()
        self._breaks += 1
        self.house.server.up.clear()
        await (self.house.kill() if killed else self.house.stop())
        await self.house.start()
        await self._come_back()

    async def _come_back(self) -> None:
        await self.house.clock.advance(_RETRY_S)
        await self.house.connected()
        await self.look()

    async def wait(self, seconds: float) -> None:
        """Time passes."""
        self.inputs += 1
        await self.look()
        await self.house.clock.advance(seconds)
        await self.look()

    async def break_network(self, how: int) -> None:
        """It hangs up, is silent, refuses."""
        self.inputs += 1
        await self.look()
        network = self.house.network
        if how == 0:
            network.cut()
        elif how == 1:
            network.mute = not network.mute
        elif how == 2:
            network.faults.append({"silent": "after"})
        else:
            kinds = ("transient", "forbidden", "too-large", "unsupported", "not-found")
            network.faults.append({"error": kinds[how % len(kinds)], "text": "No\x00."})
        await self.look()
