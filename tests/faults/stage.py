# SPDX-License-Identifier: Apache-2.0
"""One gateway process with real servers around it, and two pairs of people who talk."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import sqlite3
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.demo.login import Talk
from tests.faults import files
from tests.faults.files import Shared
from tests.faults.people import PASSWORD, Pair
from tests.faults.web import Web
from tests.faults.wire import Wire
from tests.gateway_process import GatewayProcess, matrix_network
from tests.peers.matrix_client import MatrixClient
from tests.peers.ports import free_port
from tests.peers.synapse import Synapse
from tests.peers.xmpp_client import XmppClient
from tests.peers.xmpp_server import XmppServer
from tests.scenario.web import WebHost

HIT = "matrix.localhost"
SPARED = "other.localhost"
COMPONENTS = {domain: secrets.token_hex(16) for domain in (HIT, SPARED)}

_numbers = itertools.count(1)
_POLL_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """What cells share, one of each for a test process."""

    xmpp: XmppServer
    synapse: Synapse
    spared: Synapse
    """The homeserver that nothing happens to."""


@dataclass(slots=True, kw_only=True)
class Stage:
    """What a fault may reach."""

    servers: Servers
    directory: Path
    gateway: GatewayProcess
    wire: Wire
    web: Web
    hit: Pair
    control: Pair
    files: Shared | None
    is_soak: bool
    began: float = 0.0
    """When the fault began, on the monotonic clock."""
    ended: float = 0.0
    planned: int = 0
    """Stops of the gateway that were asked for."""

    @property
    def pairs(self) -> tuple[Pair, Pair]:
        """Everybody."""
        return (self.hit, self.control)

    def lasts(self, normal_s: float, soak_s: float) -> float:
        """How long a fault lasts in this run."""
        return soak_s if self.is_soak else normal_s

    def of(self, domain: str) -> list[dict[str, Any]]:
        """What all gateway processes have logged about a component."""
        return [entry for entry in self.gateway.log(all=True) if entry.get("domain") == domain]

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Read from the gateway's database, beside the gateway."""
        uri = f"{self.gateway.database.as_uri()}?mode=ro"
        database = sqlite3.connect(uri, uri=True, timeout=10)
        try:
            return database.execute(sql).fetchall()
        finally:
            database.close()

    def committed(self) -> list[str]:
        """Stanza ids of the journal, in the order in which it took them."""
        rows = self.query("SELECT stanza_id FROM outbound WHERE stanza_id <> '' ORDER BY id")
        return [row[0] for row in rows]

    async def settled(self, timeout_s: float, *, archived: bool) -> None:
        """Until nobody waits for anything any more.

        With ``archived`` it is enough for a text to be in alice's archive.
        """
        deadline = time.monotonic() + timeout_s
        open_rows = (
            "SELECT (SELECT count(*) FROM outbound WHERE state = 0),"
            " (SELECT count(*) FROM inbound WHERE state < 2)"
        )
        for pair in self.pairs:
            await self._answers(pair, deadline)
        while True:
            waiting = self.query(open_rows)[0]
            missing = self._missing() or [
                text for pair in self.pairs async for text in pair.awaited(archived=archived)
            ]
            if waiting == (0, 0) and not missing:
                break
            assert time.monotonic() < deadline, (
                f"open rows (outbound, inbound): {waiting}; missing: {missing}\n"
                f"{self.gateway.log_tail()}"
            )
            await asyncio.sleep(_POLL_S)
        for pair in self.pairs:
            await pair.alice.ping()

    def _missing(self) -> list[str]:
        """Who waits for what, of that which somebody can still wait for."""
        committed = set(self.committed())
        missing = []
        for pair in self.pairs:
            taken = {text for id, text in pair.said.items() if id in committed}
            missing += sorted(taken - set(pair.at_bob()))[:2]
            missing += sorted(set(pair.bob_said) - set(pair.by_bob()))[:2]
        return missing

    async def _answers(self, pair: Pair, deadline: float) -> None:
        """Until the gateway answers; what was sent to it before, it has read by then."""
        while True:
            try:
                answer = await pair.alice.iq(
                    pair.gateway, "<ping xmlns='urn:xmpp:ping'/>", timeout=5
                )
            except AssertionError:
                answer = None
            if answer is not None and answer.type == "result":
                return
            assert time.monotonic() < deadline, f"the gateway does not answer: {answer}"
            await asyncio.sleep(_POLL_S * 4)

    async def restart_xmpp(self) -> None:
        """Start the XMPP server, and let the clients come back."""
        await self.servers.xmpp.start()
        await asyncio.gather(*(pair.reconnect() for pair in self.pairs))

    def lose_xmpp(self) -> None:
        """The clients' connections are gone with their server."""
        for pair in self.pairs:
            pair.online.clear()


_SETTINGS = {"allow_private_homeservers": True, "max_gap": 5000}
"""A gap is filled up to a bound and named beyond it: here it shall be filled whatever it takes."""


@asynccontextmanager
async def stage(
    servers: Servers,
    directory: Path,
    *,
    same_component: bool,
    is_soak: bool,
    has_files: bool = False,
    env: Mapping[str, str] | None = None,
) -> AsyncIterator[Stage]:
    """Everything started and everybody linked.

    With ``same_component`` the pair that is to be spared uses the component of the other one;
    their homeserver is always another one. With ``has_files`` the hit pair can share some.
    """
    async with AsyncExitStack() as stack:
        xmpp = servers.xmpp
        host, port = WebHost(), free_port()
        if has_files:
            await host.start()
            stack.push_async_callback(host.stop)
        wire = await stack.enter_async_context(Wire(xmpp.component_port))
        web = await stack.enter_async_context(Web(servers.synapse.url))
        networks = {
            domain.partition(".")[0]: matrix_network(
                domain, xmpp.components[domain], settings=_SETTINGS
            )
            for domain in (HIT, SPARED)
        }
        gateway = GatewayProcess(
            directory / "gateway",
            component_port=wire.port,
            networks=networks,
            more=files.settings(host, xmpp.upload_domain, port) if has_files else None,
            env=env or {},
        )
        await stack.enter_async_context(gateway)
        spared = HIT if same_component else SPARED
        hit = await _pair(stack, xmpp, servers.synapse, HIT)
        control = await _pair(stack, xmpp, servers.spared, spared)
        login = "login here" if has_files else "login"
        await asyncio.gather(hit.meet(web.url, login), control.meet(servers.spared.url, login))
        for pair in (hit, control):
            await stack.enter_async_context(pair.watched())
            pair.online.set()
        yield Stage(
            servers=servers,
            directory=directory,
            gateway=gateway,
            wire=wire,
            web=web,
            hit=hit,
            control=control,
            files=files.Shared(hit, host, port) if has_files else None,
            is_soak=is_soak,
        )


async def _pair(stack: AsyncExitStack, xmpp: XmppServer, synapse: Synapse, gateway: str) -> Pair:
    number = next(_numbers)

    async def on_matrix(name: str) -> MatrixClient:
        user = f"{name}{number}"
        await synapse.add_user(user, PASSWORD)
        return await stack.enter_async_context(MatrixClient(synapse.url, user, PASSWORD))

    user = f"alice{number}"
    xmpp.add_user(user, PASSWORD)
    alice = XmppClient(user, PASSWORD, port=xmpp.c2s_port, ca_file=xmpp.ca_file)
    await stack.enter_async_context(alice)
    phone = await on_matrix("alice")
    bob = await on_matrix("bob")
    return Pair(alice, phone, bob, gateway, Talk(alice, gateway))


def p95_ms(latencies: Sequence[float]) -> float | None:
    """The 95th percentile, or None without any."""
    if not latencies:
        return None
    ordered = sorted(latencies)
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))] * 1000, 1)
