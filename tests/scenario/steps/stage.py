# SPDX-License-Identifier: Apache-2.0
"""What all steps share."""

from __future__ import annotations

import asyncio

from tests.scenario.house import House
from tests.scenario.patterns import Names, shown

LIMIT_S = 5.0


class Stage:
    """A script while it is played, in a house."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.clock, self.server, self.network = house.clock, house.server, house.network
        self.web = house.web
        self.names: Names = {"web": house.web.base}
        self._seen_texts = 0
        self._seen_commands = 0
        self._expected_logs: set[str] = set()

    async def begin(self) -> None:
        """Start the gateway."""
        await self.house.start()
        await self.house.connected()

    async def end(self) -> None:
        """What was not expected fails the script, whether it was sent, logged or done."""
        await self.clock.settle()
        self._nothing_waits()
        self._nothing_unseen()
        assert not self.server.violations, f"the server would end the stream: {self.server}"
        bad = [
            log
            for log in self.house.logs
            if log["log_level"] in ("error", "critical")
            and log["event"] not in self._expected_logs
        ]
        assert not bad, f"logged as errors: {bad}"

    def state(self) -> str:
        """For a failure: what else there is."""
        waiting = list(vars(self.server.received)["_queue"])
        stanzas = "\n".join(map(shown, waiting)) or "  nothing"
        logs = "\n".join(f"  {log}" for log in self.house.logs[-12:])
        return f"\nsent by the gateway and not looked at yet:\n{stanzas}\n\nlog:\n{logs}"

    def _nothing_waits(self) -> None:
        waiting = list(vars(self.server.received)["_queue"])
        assert not waiting, "unexpected:\n" + "\n".join(map(shown, waiting))

    def _nothing_unseen(self) -> None:
        unseen = [
            *self.network.sent[self._seen_texts :],
            *self.network.commands[self._seen_commands :],
        ]
        assert not unseen, f"unexpected on the network: {unseen}"

    async def _forget(self) -> None:
        """What belongs to the set-up is not looked at."""
        await self.clock.settle()
        self.server.received = asyncio.Queue()
        await self.house.forget_presence()
        self._seen_texts = len(self.network.sent)
        self._seen_commands = len(self.network.commands)
