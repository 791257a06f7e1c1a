# SPDX-License-Identifier: Apache-2.0
"""What the XMPP server does, and sees of the gateway."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from xml.etree.ElementTree import Element

from tests.scenario.patterns import ACCEPT, Mismatch, fill, match, parse, shown
from tests.scenario.steps.stage import LIMIT_S, Stage
from tests.scenario.steps.vocabulary import said, step


class ServerSteps(Stage):
    """Before and during the play."""

    @step("given <jid> is linked as <who>")
    async def given_linked(self, user: str, account: str) -> None:
        await self.house.link(user, account)
        await self._forget()

    @step("given <who> is a contact of <jid>")
    async def given_contact(self, contact: str, user: str) -> None:
        puppet = f"{contact}@{self.server.component}"
        for kind in ("subscribe", "subscribed"):
            self.server.send(f"<presence type='{kind}' from='{user}' to='{puppet}'/>")
            await self.clock.settle()
        await self._forget()

    @step("given <jid> has got a code<name>")
    async def given_code(self, user: str, name: str | None) -> None:
        """Which links a group, so that anybody may join it."""
        self.names[name or "_"] = await self.house.new_code(user)

    @step("<jid> sets (\\w+): (\\S+)")
    async def sets(self, user: str, name: str, value: str) -> None:
        await self.house.change_setting(user, name, value)

    @step("given all that is settled")
    async def given_settled(self) -> None:
        await self.clock.advance(3)
        await self._forget()

    @step("server sends:")
    async def server_sends(self, xml: str) -> None:
        self.server.send(fill(xml, self.names))
        await self.clock.settle()

    @step("server sends in pieces of <n> bytes:")
    async def server_sends_in_pieces(self, size: str, xml: str) -> None:
        await self.server.send_in_pieces(fill(xml, self.names), int(size))
        await self.clock.settle()

    @step("server sends <n> times:")
    async def server_sends_often(self, times: str, xml: str) -> None:
        """With {n} for the number."""
        for number in range(1, int(times) + 1):
            self.server.send(fill(xml, {**self.names, "n": str(number)}))
        await self.clock.settle()

    @step("(\\S+@\\S+/\\S+) tells the gateway <text>")
    async def tells(self, device: str, text: str) -> None:
        self.server.send(
            f"<message from='{device}' to='{self.server.component}' type='chat'>"
            f"<body>{said(text)}</body></message>"
        )
        await self.clock.settle()

    @step("server sends a body of <text>:")
    async def server_sends_body(self, text: str, xml: str) -> None:
        self.server.send(fill(xml, {**self.names, "body": said(text)}))
        await self.clock.settle()

    @step("gateway (?:answers|sends):")
    async def gateway_sends(self, xml: str) -> None:
        for pattern in parse(xml):
            match(pattern, await self._received(pattern), self.names)

    @step("gateway sends in any order:")
    async def gateway_sends_unordered(self, xml: str) -> None:
        """For what different parts of the gateway say at the same time."""
        patterns = list(parse(xml))
        while patterns:
            actual = await self._received(patterns[0])
            for pattern in patterns:
                with suppress(Mismatch):
                    match(pattern, actual, self.names)
                    patterns.remove(pattern)
                    break
            else:
                match(patterns[0], actual, self.names)

    async def _received(self, expected: Element) -> Element:
        try:
            async with asyncio.timeout(LIMIT_S):
                return await self.server.received.get()
        except TimeoutError:
            raise Mismatch(f"nothing came; expected:\n{shown(expected)}") from None

    @step("gateway sends <n> times:")
    async def gateway_sends_often(self, times: str, xml: str) -> None:
        """Stanzas that are all like these."""
        for _ in range(int(times)):
            await self.gateway_sends(xml)

    @step("gateway sends presences of <n> occupants to <jid>")
    async def gateway_sends_presences(self, number: str, session: str) -> None:
        """Different ones, whatever they say of them."""
        senders = set()
        for _ in range(int(number)):
            async with asyncio.timeout(LIMIT_S):
                actual = await self.server.received.get()
            assert actual.tag == f"{ACCEPT}presence", shown(actual)
            assert actual.get("to") == session, shown(actual)
            senders.add(actual.get("from"))
        assert len(senders) == int(number), senders

    @step("gateway sends at length <n>:")
    async def gateway_sends_long(self, length: str, xml: str) -> None:
        """The parts of one text, each like the pattern, until their bodies are of that length."""
        found, ids = 0, set()
        (pattern,) = parse(xml)
        while found < int(length):
            async with asyncio.timeout(LIMIT_S):
                actual = await self.server.received.get()
            match(pattern, actual, dict(self.names))
            found += len(actual.findtext("{jabber:component:accept}body") or "")
            ids.add(actual.get("id"))
        assert found == int(length), f"{found} characters came"
        assert len(ids) > 1, "one part only"

    @step("nothing more is sent")
    async def nothing_more(self) -> None:
        await self.clock.settle()
        self._nothing_waits()

    @step("server holds barriers")
    async def holds_barriers(self) -> None:
        self.server.answers_barriers = False

    @step("server answers barriers")
    async def answers_barriers(self) -> None:
        self.server.answer_barriers()
        await self.clock.settle()

    @step("the last barrier is called (\\w+)")
    async def names_barrier(self, name: str) -> None:
        self.names[name] = self.server.barriers[-1]

    @step("our server has been up for <n> s")
    async def up_for(self, seconds: str) -> None:
        self.server.uptime_s = int(seconds)

    @step("other servers (answer|are silent|are shown)")
    async def other_servers(self, how: str) -> None:
        self.server.others = how
        await self.clock.settle()

    @step("probes are shown")
    async def shows_probes(self) -> None:
        self.server.shows_probes = True

    @step("server grants on each stream:")
    async def server_grants(self, xml: str) -> None:
        self.server.grants = xml

    @step("stream breaks")
    async def stream_breaks(self) -> None:
        await self.clock.settle()
        self.server.cut()
        await self.clock.settle()

    @step("gateway connects")
    async def connects(self) -> None:
        await self.clock.advance(2)
        await self.house.connected()
