# SPDX-License-Identifier: Apache-2.0
"""Building the gateway for a benchmark: seeded databases, a configuration, the running whole."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.adapter import Linked
from gateway.app import Gateway
from gateway.bridge.accounts import Account, Accounts
from gateway.config import Config, Domain, Host, Network, Secret, Server, Xmpp
from gateway.config import Store as StoreFiles
from gateway.config.tree import Limits
from gateway.config.values import Rate
from gateway.ids import NetworkName, RemoteRoomId, RemoteUserId, UserJid
from gateway.store import Store, Transaction, addresses, contacts, conversations, portals
from gateway.store.contacts import ContactRow, Subscription
from gateway.store.portals import Portal
from gateway.store.secrets import SecretBox
from gateway.tasks import SystemClock
from tests.bench import stanzas
from tests.bench.measure import settle_garbage
from tests.scripted.adapter import ScriptedAdapter, ScriptedSettings

NETWORK = NetworkName("scripted")
_NO_LIMITS = Limits(**dict.fromkeys(Limits.__struct_fields__, Rate((1_000_000, 1))))


RELAY = "relay"
"""The gateway's own account on the network,"""
LINKED = "#room"
"""and the local part of the room of the group that is linked, if any is."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the peers listen."""

    xmpp: int
    network: int
    has_relay: bool = False
    """The gateway has an account of its own."""


def database(directory: Path) -> Path:
    """Of a benchmark's gateway."""
    return directory / "dragoman.db"


def secret_box(directory: Path) -> SecretBox:
    """Of a benchmark's gateway."""
    return SecretBox.load(directory / "dragoman.db.key", has_secrets=False)


async def seed(directory: Path, count: int, *, contacts_each: int = 1) -> None:
    """Make a database with linked accounts that have contacts and chats."""
    store = await Store.open(database(directory))
    try:
        found = Accounts(NETWORK, store, secret_box(directory), SystemClock())
        await asyncio.gather(
            *(link(found, store, number, contacts_each) for number in range(count))
        )
    finally:
        await store.close()


async def seed_portal(directory: Path) -> None:
    """Make a database with a group that is linked for people without an account."""
    store = await Store.open(database(directory))

    def unit(db: Transaction) -> None:
        room = RemoteRoomId("!room")
        by = UserJid(f"owner@{SERVER}")
        portals.link(db, NETWORK, Portal(room=room, members_only=False, linked_by=by), time.time())
        portals.tell(db, NETWORK, room)
        addresses.assign(db, NETWORK, RemoteUserId(room), LINKED)

    try:
        await store.write(unit)
    finally:
        await store.close()


async def link(accounts: Accounts, store: Store, number: int, contacts_each: int = 1) -> Account:
    """Link one account, without a dialogue."""
    linked = Linked(
        realm="scripted",
        remote_id=RemoteUserId(stanzas.person(number)),
        secret=f"token-{stanzas.person(number)}".encode(),
    )
    account = await accounts.link(UserJid(stanzas.user(number)), linked)

    def unit(db: Transaction) -> None:
        for friend in map(RemoteUserId, stanzas.contacts(number, contacts_each)):
            row = ContactRow(
                name=friend.title(),
                to_user=Subscription.GRANTED,
                from_user=Subscription.GRANTED,
            )
            addresses.assign(db, NETWORK, friend, friend)
            contacts.put(db, account.id, friend, row)
            conversations.chat(db, account.id, friend)

    await store.write(unit)
    return account


def config(directory: Path, ports: Ports) -> Config:
    """As the file would give it."""
    return Config(
        xmpp=Xmpp(server=Server(host=Host("127.0.0.1"), port=ports.xmpp, domain=Domain(SERVER))),
        store=StoreFiles(database=database(directory)),
        limits=_NO_LIMITS,
        networks={
            NETWORK: Network(
                adapter=str(NETWORK),
                domain=Domain(stanzas.COMPONENT),
                secret=Secret(stanzas.SECRET),
                settings=ScriptedSettings(
                    port=ports.network, house=RELAY if ports.has_relay else ""
                ),
            )
        },
    )


SERVER = stanzas.SERVER


def gateway(
    directory: Path, ports: Ports, adapter: type[ScriptedAdapter] = ScriptedAdapter
) -> Gateway:
    """The whole gateway, with the scripted adapter."""
    return Gateway(config(directory, ports), SystemClock(), {NETWORK: lambda: adapter})


@asynccontextmanager
async def running(
    directory: Path, ports: Ports, adapter: type[ScriptedAdapter] = ScriptedAdapter
) -> AsyncIterator[None]:
    """The whole gateway on this loop."""
    async with started(gateway(directory, ports, adapter)):
        yield


@asynccontextmanager
async def started(whole: Gateway) -> AsyncIterator[None]:
    """A gateway that was made, with nothing left to collect from its start."""
    async with AsyncExitStack() as stack:
        await whole.start(stack)
        settle_garbage()
        try:
            yield
        finally:
            await whole.stop()
