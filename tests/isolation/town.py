# SPDX-License-Identifier: Apache-2.0
"""One gateway, two networks, some twenty accounts that do well, and one that does not."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import structlog

from gateway.adapter import Adapter, Linked
from gateway.app import Gateway
from gateway.bridge.accounts import Account
from gateway.bridge.links.link import LinkState
from gateway.bridge.network import Network
from gateway.config import Config
from gateway.config.tree import Delivery, Server, Xmpp
from gateway.config.tree import Network as NetworkConfig
from gateway.config.tree import Store as StoreConfig
from gateway.config.values import Domain, Duration
from gateway.ids import NetworkName, RemoteUserId, UserJid
from gateway.secret import Secret
from tests.isolation.switch import Switch
from tests.isolation.trouble import Trouble, TroubledAdapter
from tests.scenario.patterns import ACCEPT
from tests.scenario.server import FakeServer
from tests.scripted.adapter import ScriptedSettings
from tests.scripted.server import ScriptedNetwork
from tests.stalls import had_s

HOME = "home.example"
SECRET = "component-secret"
PASSWORD = "user-secret"
NET, OTHER = "net.example", "other.example"
FASTER = 20
_LIMIT_S = 5.0
_LOOK_EVERY_S = 0.02
_TRIES = 3
_NOISE_S = 0.1
"""A p95 below this says nothing: server, network and those who look are in the same process."""
_PEOPLE = [f"well{number:02}" for number in range(17)]
_ELSEWHERE = [f"far{number}" for number in range(3)]


class FastClock:
    """Real time, in which everything takes a twentieth of it: patience of a minute is three
    seconds, so what the machine had no processor for does not count."""

    def __init__(self) -> None:
        self._now = self._looked_at = 0.0
        self._starved = 0.0

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        now = time.perf_counter()
        if now - self._looked_at > _LOOK_EVERY_S:
            self._looked_at, self._starved = now, now - had_s()
        self._now = max(self._now, now - self._starved)
        return self._now * FASTER

    async def sleep(self, seconds: float) -> None:
        end = self.monotonic() + seconds
        while True:
            left = end - self.monotonic()
            await asyncio.sleep(max(0.0, left / FASTER))
            if self.monotonic() >= end:
                return


@dataclass(slots=True)
class Inbox:
    """What a user got."""

    bodies: list[str] = field(default_factory=list)
    receipts: list[str] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)
    """Id of a message, and the sentence with which it came back."""
    statuses: list[str] = field(default_factory=list)
    """Of the gateway."""
    lines: list[str] = field(default_factory=list)
    """From the gateway."""
    presences: list[tuple[str, str]] = field(default_factory=list)
    """Kind and sender, of puppets."""


@dataclass(slots=True)
class Town:
    """Enter it to start everything."""

    folder: Path
    other_adapter: type[Adapter] = TroubledAdapter
    """Of the second network."""
    network: ScriptedNetwork = field(default_factory=ScriptedNetwork)
    elsewhere: ScriptedNetwork = field(default_factory=ScriptedNetwork)
    servers: dict[str, FakeServer] = field(default_factory=dict)
    logs: list[MutableMapping[str, Any]] = field(default_factory=list)
    inboxes: dict[str, Inbox] = field(default_factory=lambda: defaultdict(Inbox))
    gateway: Gateway = None  # type: ignore[assignment]
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    # --- life -----------------------------------------------------------------------------------

    async def __aenter__(self) -> Town:
        processors = structlog.get_config()["processors"]
        before, processors[:] = processors[:], [self._capture]
        self._stack.callback(lambda: processors.__setitem__(slice(None), before))
        for network, people in ((self.network, _PEOPLE), (self.elsewhere, _ELSEWHERE)):
            network.people = {"bob": "Bob", "eve": "Eve"}
            network.tokens = {f"token-{name}": name for name in people}
            await self._stack.enter_async_context(network)
        switch = await self._stack.enter_async_context(Switch())
        for domain in (NET, OTHER):
            server = self.servers[domain] = FakeServer(HOME, domain, SECRET)
            await server.start()
            self._stack.push_async_callback(server.stop)
            switch.ports[domain] = server.port
            reading = asyncio.create_task(self._read(server))
            self._stack.callback(reading.cancel)
        adapters = {NET: lambda: TroubledAdapter, OTHER: lambda: self.other_adapter}
        self.gateway = Gateway(self._config(switch.port), FastClock(), adapters)
        await self.gateway.start(self._stack)
        self._stack.push_async_callback(self.gateway.stop)
        return self

    async def __aexit__(self, *_: object) -> None:
        for trouble in TroubledAdapter.troubles.values():
            trouble.is_over = True
        await self._stack.aclose()
        TroubledAdapter.troubles.clear()

    async def settle_in(self) -> None:
        """The streams are up, and the accounts that do well are linked and live."""
        for server in self.servers.values():
            async with asyncio.timeout(_LIMIT_S):
                await server.up.wait()
        for name in _PEOPLE:
            await self.link(name)
        if self.other_adapter is TroubledAdapter:
            for name in _ELSEWHERE:
                await self.link(name, OTHER)

    def _capture(self, _: Any, level: str, event: MutableMapping[str, Any]) -> str:
        self.logs.append({"log_level": level, **event})
        raise structlog.DropEvent

    def _config(self, port: int) -> Config:
        return Config(
            xmpp=Xmpp(server=Server(domain=Domain(HOME), port=port)),
            store=StoreConfig(database=self.folder / "g.db", key_file=self.folder / "g.key"),
            delivery=Delivery(attempt_warning=Duration(10), attempt_limit=Duration(20)),
            networks={
                NetworkName(domain.partition(".")[0]): NetworkConfig(
                    adapter=domain,
                    domain=Domain(domain),
                    secret=Secret(SECRET),
                    settings=ScriptedSettings(port=network.port),
                )
                for domain, network in ((NET, self.network), (OTHER, self.elsewhere))
            },
        )

    async def _read(self, server: FakeServer) -> None:
        while True:
            element = await server.received.get()
            self._note(element, server.component)
            self._changed.set()

    def _note(self, element: Element, domain: str) -> None:
        inbox = self.inboxes[element.get("to", "").partition("/")[0]]
        sender = element.get("from", "").partition("/")[0]
        body = element.findtext(f"{ACCEPT}body")
        if element.tag == f"{ACCEPT}presence":
            status = element.findtext(f"{ACCEPT}status")
            if status is not None and sender == domain:
                inbox.statuses.append(status)
            elif sender != domain:
                inbox.presences.append((element.get("type", ""), sender))
        elif element.get("type") == "error":
            said = [child.text or "" for child in element.iter() if child.tag.endswith("}text")]
            inbox.errors[element.get("id", "")] = "".join(said)
        elif body is not None and sender == domain:
            inbox.lines.append(body)
        elif body is not None:
            inbox.bodies.append(body)
        received = element.find("{urn:xmpp:receipts}received")
        if received is not None:
            inbox.receipts.append(received.get("id", ""))

    async def until(self, condition: Callable[[], object], limit_s: float = _LIMIT_S) -> None:
        """Wait until something is true; it is looked at again every few milliseconds."""
        began = had_s()
        while not condition():
            assert had_s() - began < limit_s, f"in vain; log: {self.logs[-10:]}"
            self._changed.clear()
            waiting = asyncio.ensure_future(self._changed.wait())
            await asyncio.wait([waiting], timeout=_LOOK_EVERY_S)
            waiting.cancel()

    # --- people ---------------------------------------------------------------------------------

    def bridge(self, domain: str = NET) -> Network:
        """The network with this domain."""
        name = domain.partition(".")[0]
        return next(network for network in self.gateway._networks if network.name == name)

    def account(self, name: str, domain: str = NET) -> Account:
        """Somebody's account."""
        account = self.bridge(domain).accounts.of(user(name))
        assert account is not None
        return account

    def is_live(self, name: str, domain: str = NET) -> bool:
        """Whether an account is connected."""
        link = self.account(name, domain).link
        return link is not None and link.phase is LinkState.LIVE

    async def link(self, name: str, domain: str = NET, *, wait: bool = True) -> None:
        """Link an account."""
        network = self.network if domain == NET else self.elsewhere
        token = f"token-{name}-{next(self._numbers)}"
        network.tokens[token] = name
        linked = Linked(realm="scripted", remote_id=RemoteUserId(name), secret=token.encode())
        await self.bridge(domain).logins.link(user(name), linked)
        if wait:
            await self.until(lambda: self.is_live(name, domain))

    def newcomer(self, point: str, way: str) -> tuple[str, Trouble]:
        """A name that nobody has, and its trouble."""
        name = f"sick{next(self._numbers)}"
        trouble = TroubledAdapter.troubles[name] = Trouble(point, way)
        self.network.passwords[name] = PASSWORD
        return name, trouble

    def send(self, name: str, body: str, *, domain: str = NET, contact: str = "bob") -> str:
        """A user writes. Returns the id of the message."""
        message = f"id{next(self._numbers)}"
        self.servers[domain].send(
            f"<message from='{user(name)}/x' to='{contact}@{domain}' type='chat' id='{message}'>"
            f"<body>{body}</body><request xmlns='urn:xmpp:receipts'/></message>"
        )
        return message

    def beside(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do something while others are looked at."""
        task = asyncio.create_task(work)
        self._stack.callback(task.cancel)
        return task

    def logged(self, event: str) -> list[MutableMapping[str, Any]]:
        """Lines of the log."""
        return [line for line in self.logs if line["event"] == event]

    # --- those who do well ----------------------------------------------------------------------

    async def probe(self, rounds: int = 1) -> list[float]:
        """Everybody who does well writes and is written to. Returns how long each took."""
        everybody = [(name, NET) for name in _PEOPLE]
        if self.other_adapter is TroubledAdapter:
            everybody += [(name, OTHER) for name in _ELSEWHERE]
        times: list[float] = []
        for _ in range(rounds):
            for start in range(0, len(everybody), 4):
                some = everybody[start : start + 4]
                both: list[Awaitable[float]] = []
                for name, domain in some:
                    both += [self._out(name, domain), self._in(name, domain)]
                times += await asyncio.gather(*both)
        return times

    async def _out(self, name: str, domain: str) -> float:
        network = self.network if domain == NET else self.elsewhere
        start = had_s()
        body = f"out {next(self._numbers)}"
        message = self.send(name, body, domain=domain)
        inbox = self.inboxes[user(name)]
        await self.until(lambda: message in inbox.receipts)
        took = had_s() - start
        sent = [text.body for text in network.sent[-200:] if text.sender == name]
        assert sent.count(body) == 1
        assert inbox.receipts.count(message) == 1
        return took

    async def _in(self, name: str, domain: str) -> float:
        network = self.network if domain == NET else self.elsewhere
        start = had_s()
        body = f"in {next(self._numbers)}"
        network.says(name, "bob", body)
        inbox = self.inboxes[user(name)]
        await self.until(lambda: body in inbox.bodies[-5:])
        return had_s() - start

    async def unharmed(self, before: Sequence[float], noise_s: float = _NOISE_S) -> None:
        """While the trouble lasts: the 95th percentile has at most doubled, order is kept.

        A disk that others use as well takes a quarter of a second now and then, so the best of
        three tries counts. Trouble of an account would last.
        """
        allowed = max(2 * p95(before), noise_s)
        during = []
        for _ in range(_TRIES):
            during.append(p95(await self.probe()))
            if during[-1] <= allowed:
                break
        self.check_order()
        said = ", ".join(f"{time * 1e3:.1f}" for time in during)
        assert during[-1] <= allowed, f"p95 {p95(before) * 1e3:.1f} → {said} ms"

    def check_order(self) -> None:
        """Each of those who do well got each message once, in the order in which it was said."""
        for name in [*_PEOPLE, *_ELSEWHERE]:
            inbox = self.inboxes[user(name)]
            numbers = [int(body.split()[1]) for body in inbox.bodies]
            assert numbers == sorted(set(numbers)), name
            assert not inbox.errors, name
            assert inbox.statuses[-1:] in ([], ["Connected"]), name


def user(name: str) -> UserJid:
    """Bare JID of a user."""
    return UserJid(f"{name}@{HOME}")


def p95(times: Sequence[float]) -> float:
    """95th percentile."""
    return statistics.quantiles(times, n=20)[-1]
