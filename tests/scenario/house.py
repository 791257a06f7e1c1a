# SPDX-License-Identifier: Apache-2.0
"""The gateway under test: started, restarted and killed within the process of the test."""

from __future__ import annotations

import asyncio
import sqlite3
import traceback
from collections.abc import MutableMapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import structlog

from gateway.adapter import (
    AccountContext,
    Adapter,
    Capabilities,
    Linked,
    NetworkContext,
    Session,
)
from gateway.app import Gateway
from gateway.bridge.network import Network
from gateway.config import Config
from gateway.config.tree import (
    Access,
    Addresses,
    Delivery,
    Fetch,
    Files,
    Http,
    Limits,
    Rooms,
    Server,
    Xmpp,
)
from gateway.config.tree import Network as NetworkConfig
from gateway.config.tree import Store as StoreConfig
from gateway.config.values import (
    AccessEntry,
    BareJid,
    ContactUri,
    Domain,
    Language,
    Listen,
    Reachable,
    Service,
    SizeOrNone,
    WebAddress,
)
from gateway.ids import NetworkName, RemoteUserId, UserJid
from gateway.secret import Secret
from gateway.store import Store
from gateway.xmpp.component import Component
from tests.clock import VirtualClock
from tests.scenario.server import FakeServer
from tests.scenario.uploads import UPLOAD, FakeUploads
from tests.scenario.web import WebHost
from tests.scripted.adapter import (
    AlbumAdapter,
    BriefAdapter,
    FilesAdapter,
    ForgetfulAdapter,
    ForgetfulSession,
    IllustratedAdapter,
    PacedAdapter,
    ScriptedAdapter,
    ScriptedSettings,
    StepwiseAdapter,
    TrustedAdapter,
    token_of_house,
)
from tests.scripted.addressed import AddressedAdapter
from tests.scripted.sealed import SealedAdapter
from tests.scripted.server import ScriptedNetwork

GATEWAY = "net.example"
NEIGHBOUR = "other.example"
"""Of a second network of the same process, for tests that want one."""
HOME = "home.example"
"""Domain of our own server; users elsewhere are remote."""
_PLAYERS = ("tests.scenario.server", "tests.scenario.web", "tests.scripted.server")
RELAY = "relay"
"""The account of the gateway itself, for tests that want one."""
SECRET = "component-secret"
PASSWORD = "user-secret"


class SilentAdapter(ScriptedAdapter):
    """A network with neither typing, nor read marks, nor presence."""

    capabilities = replace(
        ScriptedAdapter.capabilities, typing=False, read_marks=False, presence=False
    )


class PlainAdapter(ScriptedAdapter):
    """A network with groups in which people say something, and nothing else."""

    capabilities = replace(
        ScriptedAdapter.capabilities,
        edits=False,
        replies=False,
        reactions=False,
        retractions=False,
        mentions=False,
        threads=False,
        read_marks=False,
        room_actions=frozenset(),
        room_search=False,
        people_search=False,
    )


class FussyAdapter(ScriptedAdapter):
    """A network on which one reacts with two of three emoji."""

    capabilities = replace(
        ScriptedAdapter.capabilities,
        reactions_per_message=2,
        reactions_allowed=("👍", "❤️", "🎉"),
    )


class IndelibleAdapter(ScriptedAdapter):
    """A network of short texts, where nothing is taken back."""

    capabilities = replace(ScriptedAdapter.capabilities, max_text_bytes=500, retractions=False)


class LiveAdapter(ScriptedAdapter):
    """A network that keeps nothing."""

    capabilities = replace(ScriptedAdapter.capabilities, live_only=True)


class KeylessAdapter(ScriptedAdapter):
    """A network with groups and without keys: of what it was sent it does not say whose it was."""

    capabilities = replace(ScriptedAdapter.capabilities, idempotent_send=False, echoes_key=False)

    def session(self, account: AccountContext) -> Session:
        """A session."""
        return ForgetfulSession(account, self.context.settings.port)


class UnmadeAdapter(ScriptedAdapter):
    """Cannot be made: its network has a component that says so, and nothing else."""

    def __init__(self, context: NetworkContext) -> None:
        raise RuntimeError("this cannot be made")


ADAPTERS: dict[str, type[Adapter]] = {
    "scripted": ScriptedAdapter,
    "forgetful": ForgetfulAdapter,
    "keyless": KeylessAdapter,
    "paced": PacedAdapter,
    "silent": SilentAdapter,
    "plain": PlainAdapter,
    "fussy": FussyAdapter,
    "illustrated": IllustratedAdapter,
    "indelible": IndelibleAdapter,
    "live-only": LiveAdapter,
    "stepwise": StepwiseAdapter,
    "sealed": SealedAdapter,
    "trusted": TrustedAdapter,
    "album": AlbumAdapter,
    "brief": BriefAdapter,
    "files": FilesAdapter,
    "addressed": AddressedAdapter,
    "unmade": UnmadeAdapter,
}


@dataclass(slots=True, kw_only=True)
class Options:
    """How this gateway is configured."""

    adapter: str = "scripted"
    language: str = "en"
    auto_accept: bool = False
    use_privileges: bool = True
    admins: tuple[str, ...] = ()
    support: tuple[str, ...] = ()
    allow: tuple[str, ...] = (HOME, "far.example", "farther.example")
    limits: Limits = field(default_factory=Limits)
    rooms: Rooms = field(default_factory=Rooms)
    inbound_rows: int | str = 50_000
    outbound_rows: int | str = 10_000
    ask: tuple[str, ...] = ()
    house: bool = False
    """The gateway has an account of its own on the network,"""
    relay: str = RELAY
    """and this is it."""
    neighbour: str = ""
    """Adapter of a second network."""
    has_pages: bool = False
    """There are pages for the browser,"""
    http_port: int = 0
    """and this is where; there are some also if this is said alone."""
    public_url: str = "https://127.0.0.1:1/chat"
    """What users are told of it."""
    files_url: str = ""
    """Of files, if they are at a host of their own."""
    file_cache: int = 0
    """Bytes of what was fetched that are kept."""
    uploads: bool = False
    """Files of the network are to be at an upload service of the server."""
    adds_contacts: bool = False
    """Accounts want whom they talk with in their contact lists, as they do outside of tests."""

    @property
    def capabilities(self) -> Capabilities:
        """Of the network."""
        return ADAPTERS[self.adapter].capabilities


@dataclass(slots=True)
class House:
    """Server, gateway and network. Enter it to start all three."""

    folder: Path
    options: Options = field(default_factory=Options)
    clock: VirtualClock = field(default_factory=VirtualClock)
    network: ScriptedNetwork = field(default_factory=ScriptedNetwork)
    server: FakeServer = field(default_factory=lambda: FakeServer(HOME, GATEWAY, SECRET))
    web: WebHost = field(default_factory=WebHost)
    """Where users have put files."""
    logs: list[MutableMapping[str, Any]] = field(default_factory=list)
    gateway: Gateway | None = None
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _others: set[asyncio.Task[Any]] = field(default_factory=set)
    _processors: list[Any] = field(default_factory=list)

    async def __aenter__(self) -> House:
        # Loggers that an earlier test has used may be bound for good: change the list they hold.
        processors = structlog.get_config()["processors"]
        self._processors, processors[:] = processors[:], [self._capture]
        self.network.passwords = dict.fromkeys(("alice", "carol", "dave"), PASSWORD)
        self.network.people = {"bob": "Bob", "eve": "Eve", "alice": "Alice", "Mixed Case": ""}
        self.network.idempotent = self.options.capabilities.idempotent_send
        if self.options.house:
            self.network.tokens[token_of_house(RELAY)] = RELAY
        await self.network.start()
        if self.options.uploads:
            self.server.uploads = FakeUploads(self.web)
            await self.server.uploads.start()
        await self.server.start()
        await self.web.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.gateway is not None:
            await self.kill()
        await self.server.stop()
        if self.server.uploads is not None:
            await self.server.uploads.stop()
        await self.network.stop()
        await self.web.stop()
        structlog.get_config()["processors"][:] = self._processors

    def _capture(self, _: Any, level: str, event: MutableMapping[str, Any]) -> str:
        if event.get("exc_info") is True:
            event["exc_info"] = traceback.format_exc(limit=-6)
        self.logs.append({"log_level": level, **event})
        raise structlog.DropEvent

    @property
    def config(self) -> Config:
        """What the gateway is started with."""
        options = self.options
        has_pages = options.has_pages or options.http_port
        return Config(
            xmpp=Xmpp(
                server=Server(domain=Domain(HOME), port=self.server.port),
                use_privileges=options.use_privileges,
            ),
            language=Language(options.language),
            access=Access(
                allow=tuple(map(AccessEntry, options.allow)),
                ask=tuple(map(AccessEntry, options.ask)),
                admins=tuple(map(BareJid, options.admins)),
            ),
            addresses=Addresses(support=tuple(map(ContactUri, options.support))),
            delivery=Delivery(
                inbound_rows=int(options.inbound_rows), outbound_rows=int(options.outbound_rows)
            ),
            limits=options.limits,
            rooms=options.rooms,
            http=Http(
                listen=Listen(f"127.0.0.1:{options.http_port}"),
                public_url=WebAddress(options.public_url if has_pages else ""),
                files_url=WebAddress(options.files_url),
                file_cache=SizeOrNone(options.file_cache),
            ),
            fetch=Fetch(
                allow=(Reachable.parse("127.0.0.1"),), allow_http=True, ports=(self.web.port,)
            ),
            files=Files(upload_service=Service(UPLOAD if options.uploads else "")),
            store=StoreConfig(
                database=self.folder / "gateway.db", key_file=self.folder / "gateway.key"
            ),
            networks={
                NetworkName("net"): self._network(options.adapter, GATEWAY),
                **(
                    {NetworkName("other"): self._network(options.neighbour, NEIGHBOUR)}
                    if options.neighbour
                    else {}
                ),
            },
        )

    def _network(self, adapter: str, domain: str) -> NetworkConfig:
        return NetworkConfig(
            adapter=adapter,
            domain=Domain(domain),
            secret=Secret(SECRET),
            auto_accept_invites=self.options.auto_accept,
            settings=ScriptedSettings(
                port=self.network.port, house=self.options.relay if self.options.house else ""
            ),
        )

    # --- the gateway's life ---------------------------------------------------------------------

    async def start(self) -> None:
        """Start the gateway, on the database of before if there was one."""
        self._others = asyncio.all_tasks()
        self.gateway = Gateway(
            self.config,
            self.clock,
            {name: lambda c=c: c for name, c in ADAPTERS.items()},  # type: ignore[misc]
        )
        await self.gateway.start(self._stack)
        self.clock.watch(self._drain)

    async def connected(self) -> None:
        """Wait until the stream stands."""
        async with asyncio.timeout(5):
            await self.server.up.wait()
        await self.clock.settle()

    async def stop(self) -> None:
        """A planned stop."""
        assert self.gateway is not None
        await self.gateway.stop()
        await self._stack.aclose()
        self.gateway = None

    async def kill(self) -> None:
        """As SIGKILL does: no commit, no stanza and no request after this."""
        assert self.gateway is not None
        store = self.store
        vars(store._writer).update(_next=lambda: None)  # no further commit
        if self.gateway._web is not None:
            self.gateway._web._runner._shutdown_timeout = 0
        for component in self.gateway._components:
            connection = component.stream._connection
            if connection is not None and connection.transport is not None:
                connection.transport.abort()
        for network in self.gateway._networks:
            network._tasks.is_ending = True  # nothing begins anew
        logs, self.logs = self.logs, []
        mine = {task for task in asyncio.all_tasks() - self._others if not _plays(task)}
        for task in mine:
            task.cancel()
        if mine:
            await asyncio.wait(mine)
        store._writer._waiting.clear()
        store._writer._idle.set()
        await self._stack.aclose()
        self.logs = logs
        self.gateway = None

    async def _drain(self) -> bool:
        if self.gateway is None:
            return False
        work, writer = self.gateway.work.idle, self.store._writer._idle
        if work.is_set() and writer.is_set():
            return False
        await work.wait()
        await self.store.drain()
        return True

    # --- what lies inside -----------------------------------------------------------------------

    @property
    def bridge(self) -> Network:
        """The gateway's one network."""
        assert self.gateway is not None
        return self.gateway._networks[0]

    @property
    def component(self) -> Component:
        """The gateway's one component."""
        assert self.gateway is not None
        return self.gateway._components[0]

    @property
    def store(self) -> Store:
        """The database that the gateway has open."""
        return self.bridge.ground.store

    async def link(self, user: str, name: str) -> None:
        """Link an account as a login does, and wait until it is live."""
        token = f"token-{name}"
        self.network.tokens[token] = name
        linked = Linked(realm="scripted", remote_id=RemoteUserId(name), secret=token.encode())
        await self.bridge.logins.link(UserJid(user), linked)
        await self.clock.settle()
        if not self.options.adds_contacts:
            await self.change_setting(user, "add_contacts", "false")

    async def new_code(self, user: str) -> str:
        """What links a group for a user, which anybody may then join."""
        code = await self.bridge.portals.new_code(
            UserJid(user), by_admin=False, members_only=False
        )
        return code.code

    async def forget_presence(self) -> None:
        """What was shown to users was shown long ago: no doubt that it has arrived."""
        self.bridge._attendance.waves._written.clear()

    async def change_setting(self, user: str, name: str, value: str) -> None:
        """Change a setting of an account, as its user does."""
        account = self.bridge.accounts.of(UserJid(user))
        assert account is not None
        await self.bridge.change_settings(account, **{name: value})
        await self.clock.settle()

    def query(self, sql: str) -> Sequence[tuple[Any, ...]]:
        """Look into the database file."""
        db = sqlite3.connect(f"file:{self.folder / 'gateway.db'}?mode=ro", uri=True)
        try:
            return db.execute(sql).fetchall()
        finally:
            db.close()


def _plays(task: asyncio.Task[Any]) -> bool:
    """Whether the task belongs to the server or the network that the test plays."""
    frame = getattr(task.get_coro(), "cr_frame", None)
    module = frame.f_globals.get("__name__", "") if frame is not None else ""
    return task is asyncio.current_task() or module in _PLAYERS
