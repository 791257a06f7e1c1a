# SPDX-License-Identifier: Apache-2.0
"""The other side, in a process of its own: the XMPP server and the scripted network.

Started by `peer_process.Peers`. One JSON request per line on stdin, one answer per line on stdout.
Every conversation has a window: the next message is sent when one of the last has arrived.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from tests.bench import stanzas
from tests.bench.house import LINKED, RELAY
from tests.bench.xmpp_server import FakeServer
from tests.scripted.adapter import token_of_house
from tests.scripted.server import ScriptedNetwork

_FORGET_S = 0.02
_ONLINE_AT_ONCE = 20


class _Traffic:
    """Messages of one direction, in a closed loop, until enough have arrived."""

    def __init__(self, both: _Both, inbound: bool, request: dict[str, Any]) -> None:
        self._both = both
        self._inbound = inbound
        self._to_send = self._missing = request["count"]
        self._done = asyncio.Event()
        self._conversations = request["conversations"]
        self._window = request["window"]

    async def run(self) -> float:
        """Returns the seconds it took."""
        began = time.monotonic()
        for _ in range(self._window):
            for number in range(self._conversations):
                self._send(number)
        async with asyncio.timeout(60):
            await self._done.wait()
        return time.monotonic() - began

    def arrived(self, sender: str, receipt: bool) -> None:
        """A message of a contact, or a receipt of one, has come to its user."""
        if receipt == self._inbound:
            return
        self._missing -= 1
        if self._missing == 0:
            self._done.set()
        self._send(int(sender.removeprefix(stanzas.contact(0)[:-1])))

    def _send(self, number: int) -> None:
        if self._to_send == 0:
            return
        self._to_send -= 1
        if self._inbound:
            self._both.network.says(stanzas.person(number), stanzas.contact(number), stanzas.BODY)
        else:
            name = f"bench-{next(self._both.ids)}"
            self._both.server.write(stanzas.chat(number, name).encode())


class _Both:
    """The two peers, and the requests to them."""

    def __init__(self, people: int) -> None:
        self.ids = itertools.count()
        self.server = FakeServer()
        self.network = ScriptedNetwork(
            people={stanzas.contact(number): "Friend" for number in range(people)},
            tokens={f"token-{stanzas.person(n)}": stanzas.person(n) for n in range(people)},
        )
        self.network.tokens[token_of_house(RELAY)] = RELAY
        self._traffic: list[_Traffic] = []
        self._in_room: dict[str, Callable[..., Awaitable[dict[str, Any]]]] = {
            "enter": self._enter,
            "busy": self._busy,
            "speak": self._speak,
            "link": self._link,
            "visit": self._visit,
            "leave": self._leave,
        }
        self._room = ""
        self._invited_to = asyncio.Event()
        self._told: list[str] = []
        """Accounts in the room, each of which is told all that is said there."""
        self._sessions: set[str] = set()
        self.server.on_message = self._arrived

    def _arrived(self, sender: str, receipt: bool) -> None:
        for traffic in self._traffic:
            traffic.arrived(sender, receipt)

    async def forget(self) -> None:
        """The scripted network looks for doubles in everything it was ever sent."""
        while True:
            await asyncio.sleep(_FORGET_S)
            self.network.sent.clear()

    async def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Carry out one request."""
        match request["op"]:
            case "up":
                await self.server.up.wait()
                return {"at": self.server.up_at}
            case "live":
                acknowledged = self.network.acknowledged
                await self.network.until(lambda: len(acknowledged) >= request["count"], 60)
                return {"at": time.monotonic()}
            case "traffic":
                return {"seconds": await self._run(request)}
            case "slow":
                self.network.answer_s = request["seconds"]
                return {}
            case "probe":
                return await self._probe(request["accounts"], request["contacts_each"])
            case op:
                return await self._in_room[op](**request)

    async def _run(self, request: dict[str, Any]) -> float:
        self._traffic = [
            _Traffic(self, direction == "in", request) for direction in request["directions"]
        ]
        return max(await asyncio.gather(*(traffic.run() for traffic in self._traffic)))

    # --- a room ---------------------------------------------------------------------------------

    async def _enter(
        self, *, sessions: int, members: int, accounts: int, **_: Any
    ) -> dict[str, Any]:
        if not self._room:
            listed = [{"user": stanzas.contact(0), "name": "Friend"}]
            listed += ({"user": stanzas.person(n), "name": f"Me {n}"} for n in range(accounts))
            listed += ({"user": f"m{n}", "name": f"Member {n}"} for n in range(members - 2))
            self.server.on_invitation = self._invited
            for number in range(accounts):
                me, told = stanzas.person(number), {"members": listed, "is_new": True}
                self._invited_to.clear()
                self.network.event(me, "room", room="!room", **told)
                await self._invited_to.wait()
            self._told = [stanzas.person(number) for number in range(accounts)]
        devices = (f"{stanzas.user(n % accounts)}/s{n}" for n in range(sessions))
        missing = set(devices) - self._sessions
        self._sessions |= missing
        self.server.on_entered = missing.discard
        for session in tuple(missing):
            self._join(session, "Me")
        async with asyncio.timeout(60):
            while missing:  # noqa: ASYNC110 - the answers come from another process
                await asyncio.sleep(_FORGET_S)
        return {}

    def _join(self, session: str, nick: str) -> None:
        joining = "<x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='0'/></x>"
        self.server.write(
            f"<presence from='{session}' to='{self._room}/{nick}'>{joining}</presence>".encode()
        )

    def _invited(self, room: str) -> None:
        self._room = room
        self._invited_to.set()

    async def _link(self, *, members: int, **_: Any) -> dict[str, Any]:
        """The gateway's own account tells of a linked group."""
        self._room, self._told = f"{LINKED}@{stanzas.COMPONENT}", [RELAY]
        listed = [{"user": RELAY, "name": "Relay"}, {"user": stanzas.contact(0), "name": "Friend"}]
        listed += ({"user": f"m{n}", "name": f"Member {n}"} for n in range(members - 2))
        self.network.event(
            RELAY, "room", room="!room", name="Room", members=listed, is_private=False
        )
        told = self.network.last_position(RELAY)
        await self.network.until(lambda: self.network.acknowledged[RELAY] >= told, 60)
        return {}

    async def _visit(self, *, user: int, **_: Any) -> dict[str, Any]:
        """Somebody comes who has no account. Returns the seconds until they are in."""
        session, entered = f"{stanzas.user(user)}/s{user}", asyncio.Event()
        self.server.on_entered = lambda other: entered.set() if other == session else None
        began = time.monotonic()
        self._join(session, f"Me {user}")
        async with asyncio.timeout(60):
            await entered.wait()
        self._sessions.add(session)
        return {"seconds": time.monotonic() - began}

    async def _leave(self, *, user: int, **_: Any) -> dict[str, Any]:
        session, left = f"{stanzas.user(user)}/s{user}", asyncio.Event()
        self.server.on_left = lambda other: left.set() if other == session else None
        self.server.write(
            f"<presence type='unavailable' from='{session}' to='{self._room}/Me {user}'/>".encode()
        )
        async with asyncio.timeout(60):
            await left.wait()
        self._sessions.discard(session)
        return {}

    async def _speak(
        self, *, count: int, sessions: int, by_xmpp: bool, **_: Any
    ) -> dict[str, Any]:
        done, left = asyncio.Event(), count * sessions
        say = self._say_by_xmpp if by_xmpp else self._say

        def arrived(_: str, __: bool) -> None:
            nonlocal left
            left -= 1
            if not left:
                done.set()
            elif left % sessions == 0:
                say()

        self.server.on_message = arrived
        say()
        async with asyncio.timeout(60):
            await done.wait()
        return {}

    async def _busy(
        self, *, members: int, per_s: float, seconds: float, **_: Any
    ) -> dict[str, Any]:
        """Many talk for a while: a third of it is said by XMPP. Returns what went wrong."""
        heard: dict[str, list[str]] = {session: [] for session in self._sessions}
        self.server.on_said = lambda session, body: heard[session].append(body)
        count = round(per_s * seconds)
        began = time.monotonic()
        for number in range(count):
            await asyncio.sleep(max(0.0, began + number / per_s - time.monotonic()))
            self._say_one_of_many(number, members)
        async with asyncio.timeout(60):
            while min(map(len, heard.values())) < count:  # noqa: ASYNC110 - another process
                await asyncio.sleep(_FORGET_S)
        await asyncio.sleep(1)  # what comes twice comes soon
        # Two that are under way at once may go past each other on their way to the network.
        [order, *others] = heard.values()
        wrong = [each for each in others if each != order]
        said = sorted(f"text {number}" for number in range(count))
        return {"orders": 1 + len(wrong), "is_complete": sorted(order) == said}

    def _say_one_of_many(self, number: int, members: int) -> None:
        if number % 3:
            said = {"sender": f"m{number % (members - 2)}", "id": f"b{number}"}
            event = {"room": "!room", "body": f"text {number}", **said}
            for account in self._told:
                self.network.event(account, "room-message", **event)
        else:
            session = sorted(self._sessions)[number % len(self._sessions)]
            self._say_as(session, f"b{number}", f"text {number}")

    def _say(self) -> None:
        message = f"r{next(self.ids)}"
        said = {"sender": stanzas.contact(0), "id": message, "body": stanzas.BODY}
        for account in self._told:
            self.network.event(account, "room-message", room="!room", **said)

    def _say_by_xmpp(self) -> None:
        number = next(self.ids)
        session = sorted(self._sessions)[number % len(self._sessions)]
        self._say_as(session, f"x{number}", f"{stanzas.ESCAPED_BODY} {number}")

    def _say_as(self, session: str, name: str, body: str) -> None:
        self.server.write(
            f"<message from='{session}' to='{self._room}' type='groupchat' id='{name}'>"
            f"<body>{body}</body></message>".encode()
        )

    async def _probe(self, accounts: int, contacts_each: int) -> dict[str, Any]:
        """Every user asks for the presence of all their contacts, some users at a time: the pace
        of the answers is that of each user."""
        missing: set[str] = set()
        self.server.on_presence = missing.discard
        for first in range(0, accounts, _ONLINE_AT_ONCE):
            for number in range(first, min(first + _ONLINE_AT_ONCE, accounts)):
                names = stanzas.contacts(number, contacts_each)
                missing.update(names)
                for name in names:
                    self.server.write(stanzas.probe(number, name).encode())
            async with asyncio.timeout(60):
                while missing:  # noqa: ASYNC110 - the answers come from another process
                    await asyncio.sleep(_FORGET_S)
        return {}


async def _main(people: int) -> None:
    loop = asyncio.get_running_loop()
    both = _Both(people)
    listener = await loop.create_server(lambda: both.server, "127.0.0.1", 0)
    requests = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(requests), sys.stdin)
    async with both.network:
        forgetting = asyncio.ensure_future(both.forget())
        _print({"xmpp": listener.sockets[0].getsockname()[1], "network": both.network.port})
        while line := await requests.readline():
            _print(await both.answer(json.loads(line)))
        forgetting.cancel()
    listener.close()


def _print(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(_main(int(sys.argv[1])))
