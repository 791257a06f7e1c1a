# SPDX-License-Identifier: Apache-2.0
"""What becomes of the gateway, and of time."""

from __future__ import annotations

from tests.scenario.patterns import fill
from tests.scenario.steps.stage import Stage
from tests.scenario.steps.vocabulary import said, step

_UNITS = {"s": 1, "min": 60, "h": 3600, "days": 86400}


class GatewaySteps(Stage):
    """Of the process."""

    @step("time passes: <n> (s|min|h|days)")
    async def passes(self, number: str, unit: str) -> None:
        await self.clock.advance(int(number) * _UNITS[unit])

    @step("the machine sleeps: <n> (s|min|h|days)")
    async def leaps(self, number: str, unit: str) -> None:
        await self.clock.leap(int(number) * _UNITS[unit])

    @step("gateway (is killed|restarts)")
    async def restarts(self, how: str) -> None:
        await self.clock.settle()
        self.server.up.clear()
        await (self.house.kill() if how == "is killed" else self.house.stop())
        await self.house.start()
        await self.house.connected()

    @step("gateway (stops|starts)")
    async def stops(self, how: str) -> None:
        await self.clock.settle()
        if how == "stops":
            await self.house.stop()
        else:
            await self.house.start()
            await self.house.connected()

    @step("database: <rest> = <rest>")
    async def database(self, sql: str, expected: str) -> None:
        await self.clock.settle()
        ((found,),) = self.house.query(fill(sql, self.names))
        assert str(found) == fill(expected, self.names), found

    @step("log has: (\\w+)")
    async def log_has(self, event: str) -> None:
        self._expected_logs.add(event)
        events = [log["event"] for log in self.house.logs]
        assert event in events, events

    @step("log has once: (\\w+)")
    async def log_has_once(self, event: str) -> None:
        assert [log["event"] for log in self.house.logs].count(event) == 1

    @step("log never has: <text>")
    async def log_never_has(self, text: str) -> None:
        logs = [log for log in self.house.logs if log["log_level"] != "debug"]
        assert said(text) not in repr(logs), logs
