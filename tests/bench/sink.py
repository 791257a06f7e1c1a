# SPDX-License-Identifier: Apache-2.0
"""A component without a server: bytes are handed in, what it writes is counted."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import structlog
from slixmpp.xmlstream import XMLStream

from gateway.app import Context
from gateway.bridge.accounts import Account
from gateway.bridge.network import Network
from gateway.bridge.network_settings import NetworkSettings
from gateway.bridge.outbound.actors import Limits
from gateway.bridge.outbound.wanted import Incoming
from gateway.config.tree import Fetch
from gateway.ids import RemoteUserId
from gateway.media.fetch import Guard
from gateway.media.images import Images
from gateway.media.pictures import Pictures
from gateway.media.sounds import Sounds
from gateway.media.turns import Turns
from gateway.media.uploads import Uploads
from gateway.media.work import Work
from gateway.store import Store
from gateway.tasks import SystemClock
from gateway.xmpp.access import AccessList
from gateway.xmpp.approvals import Approvals
from gateway.xmpp.component import Component, ComponentSettings
from gateway.xmpp.connection import Connection, ConnectionHooks
from gateway.xmpp.dispatch import Dispatch
from gateway.xmpp.limits import LimitSettings, Rate
from gateway.xmpp.neighbours import Neighbours
from gateway.xmpp.stream import ServerSettings
from tests.bench import house, stanzas
from tests.scripted.adapter import IllustratedAdapter, ScriptedSettings


class Sink(asyncio.Transport):
    """Takes everything."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0
        self.on_write: Callable[[bytes], None] = lambda _: None

    def write(self, data: Any) -> None:
        """Count it."""
        self.bytes += len(data)
        self.on_write(bytes(data))

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """It never holds anything."""

    def is_closing(self) -> bool:
        """Never."""
        return False

    def abort(self) -> None:
        """Nothing is open."""


def shake_hands(stream: XMLStream) -> Sink:
    """Connect a slixmpp stream to nothing. Returns where its bytes go."""
    sink = Sink()
    stream.connection_made(sink)
    stream.data_received(stanzas.OPENING)
    stream.data_received(stanzas.HANDSHAKE)
    return sink


class CountingNetwork(Network):
    """Takes what is wanted in chats and only counts it."""

    taken = 0

    def wants(self, account: Account, contact: RemoteUserId, wanted: Incoming) -> None:
        """The end of the way that is measured."""
        self.taken += 1


@dataclass(frozen=True, slots=True)
class Bench:
    """A component with its way in and its way out."""

    network: CountingNetwork
    store: Store
    component: Component
    connection: Connection
    sink: Sink
    accounts: list[Account]


@asynccontextmanager
async def component(directory: Path, accounts: int) -> AsyncIterator[Bench]:
    """A real component of a real network, whose stream ends in a `Sink`."""
    async with AsyncExitStack() as stack:
        store = await Store.open(house.database(directory))
        stack.push_async_callback(store.close)
        http = await stack.enter_async_context(aiohttp.ClientSession())
        context = Context(
            name=house.NETWORK,
            settings=ScriptedSettings(port=1),
            log=structlog.get_logger("bench"),
            clock=SystemClock(),
            http=http,
        )
        network = CountingNetwork(
            NetworkSettings(name=house.NETWORK, domain=stanzas.COMPONENT, limits=Limits()),
            IllustratedAdapter(context),
            store,
            house.secret_box(directory),
            images := Images(),
            Uploads(
                Guard(Fetch()),
                images,
                Pictures(images, Work()),
                Sounds(None, Work()),
                Turns(1, 1),
            ),
        )
        linked = [await house.link(network.accounts, store, number) for number in range(accounts)]
        component = Component(_settings(store), network, Neighbours(context.clock))
        connection = Connection(
            stanzas.COMPONENT,
            stanzas.SECRET,
            ("127.0.0.1", 1),
            ConnectionHooks(
                ready=component.stream._ready,
                stanza=Dispatch(component).take,
                may_be_long=lambda _: False,
                excessive=lambda _: None,
                pressure=lambda _: None,
            ),
            SystemClock(),
        )
        sink = shake_hands(connection)
        yield Bench(network, store, component, connection, sink, linked)
        await store.drain()


_NO_LIMIT = Rate(1_000_000_000, 1.0)
"""Measured like any other, and never reached."""


def _settings(store: Store) -> ComponentSettings:
    return ComponentSettings(
        server=ServerSettings(
            domain=stanzas.COMPONENT,
            secret=stanzas.SECRET,
            host="127.0.0.1",
            port=1,
            server_domain=stanzas.SERVER,
        ),
        local_domains=(stanzas.SERVER,),
        use_privileges=True,
        access=AccessList(("*",)),
        approvals=Approvals(store, SystemClock(), lambda _: False),
        limits=LimitSettings(
            **{field.name: _NO_LIMIT for field in dataclasses.fields(LimitSettings)}
        ),
        name="Scripted",
        kind="scripted",
        addresses={},
    )
