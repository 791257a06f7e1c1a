# SPDX-License-Identifier: Apache-2.0
"""The life of the process: start, run, drain, stop."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import structlog
from msgspec import structs

from gateway import __version__, locale
from gateway.adapter import Adapter, Clock, Logger
from gateway.bridge.contacts.reserved import Reserved
from gateway.bridge.inbound.backlog import Marks
from gateway.bridge.network import Network
from gateway.bridge.network_settings import NetworkSettings
from gateway.bridge.outbound.actors import Limits
from gateway.bridge.rooms.occupants import Cutoffs
from gateway.config import Config
from gateway.config.tree import Network as NetworkConfig
from gateway.errors import GatewayError
from gateway.ids import NetworkName
from gateway.media.cache import FileCache
from gateway.media.fetch import Guard
from gateway.media.ffmpeg import Ffmpeg
from gateway.media.images import Images
from gateway.media.links import FileLinks
from gateway.media.pictures import Pictures
from gateway.media.sounds import Sounds
from gateway.media.turns import Turns
from gateway.media.uploads import Uploads
from gateway.media.work import Work
from gateway.ops.logs import set_up_logs
from gateway.ops.loopwatch import LoopWatch
from gateway.registry import Adapters, adapter_class
from gateway.store import Store, accounts
from gateway.store.pruning import Pruning
from gateway.store.secrets import SecretBox
from gateway.tasks import SystemClock, Tasks, contained_now
from gateway.web import reached
from gateway.web.files import Files, Source
from gateway.web.login import LoginPages
from gateway.web.server import WebServer
from gateway.xmpp.access import AccessList
from gateway.xmpp.approvals import Approvals
from gateway.xmpp.closed import ClosedComponent
from gateway.xmpp.component import Component, ComponentSettings
from gateway.xmpp.console.page import Pages
from gateway.xmpp.limits import LimitSettings, Rate
from gateway.xmpp.neighbours import Neighbours
from gateway.xmpp.stream import ServerSettings

log = structlog.get_logger("app")

_FATAL = 1
_END_LIMIT_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What an adapter gets (`gateway.adapter.NetworkContext`)."""

    name: NetworkName
    settings: Any
    log: Logger
    clock: Clock
    http: aiohttp.ClientSession


def run(config: Config) -> int:
    """Run until SIGTERM or SIGINT. Returns the exit code of the process."""
    set_up_logs(config.log.level, config.log.format)
    try:
        asyncio.run(_main(config))
    except GatewayError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the log may go elsewhere, the admin is here
        return _FATAL
    return 0


async def _main(config: Config) -> None:
    stop = asyncio.Event()

    def asked() -> None:
        if stop.is_set():
            log.warning("stopped_at_once")
            os._exit(_FATAL)
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked)
    gateway = Gateway(config, SystemClock())
    async with AsyncExitStack() as stack:
        await gateway.start(stack)
        # What start-up made stays: no collection has to look at it again.
        gc.freeze()
        # Not before: the first start of a new version may migrate the database for long.
        with LoopWatch(config.process.stuck_limit):
            await stop.wait()
            log.info("stopping")
            await gateway.stop()
    await _end_the_rest()


async def _end_the_rest() -> None:
    """`asyncio.run` would wait for ever for a task that does not end when it is cancelled."""
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    if rest and (await asyncio.wait(rest, timeout=_END_LIMIT_S))[1]:
        sys.stderr.flush()
        os._exit(0)


class Gateway:
    """All configured networks, on one store."""

    def __init__(self, config: Config, clock: Clock, adapters: Adapters | None = None) -> None:
        self._adapters = adapters
        self._config = config
        self._clock = clock
        self._tasks = Tasks("app")
        self._networks: list[Network] = []
        self._components: list[Component] = []
        self._closed: list[ClosedComponent] = []
        """Of networks that cannot be used."""
        self._neighbours = Neighbours(clock)
        self.work = Work()
        self._images = Images(self.work)
        self._web: WebServer | None = None
        self._pages: Pages | None = None
        self._file_links: FileLinks | None = None
        access = config.access
        self._access = AccessList(access.allow, access.deny, access.ask)
        self._approvals: Approvals
        self._uploads: Uploads

    async def start(self, stack: AsyncExitStack) -> None:
        """Open the store, connect the streams, then the accounts (they log in later, paced)."""
        files = self._config.store
        store = await Store.open(files.database)
        stack.push_async_callback(store.close)
        self._approvals = Approvals(store, self._clock, self._access.may_ask)
        box = SecretBox.load(files.key_file, has_secrets=accounts.any_secret(store.reader))
        http = await stack.enter_async_context(
            aiohttp.ClientSession(
                # Each account holds a connection open for as long as it polls.
                connector=aiohttp.TCPConnector(limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        )
        self._uploads = self._fetching(stack)
        await self._start_web(stack, http, store, box)
        self._add_networks(store, box, http)
        if not self._networks:
            raise GatewayError("no network can be used; the log says why")
        locale.prepare()
        log.info("started", version=__version__, networks=len(self._networks))
        for network in self._networks:
            await network.settle()
            network.load()
        for component in self._components:
            self._tasks.spawn(component.run(), f"stream of {component.domain}")
        for closed in self._closed:
            self._tasks.spawn(closed.run(), f"stream of {closed.domain}")
        for component in self._components:
            await component.network.start(component.access.permits)
        pruning = Pruning(
            store,
            self._clock,
            alias_retention_s=self._config.delivery.alias_retention,
            dead_letters_s=self._config.delivery.dead_letter_retention,
            files_s=self._config.http.file_retention,
            people=[network.absentees.forget for network in self._networks],
        )
        self._tasks.spawn(pruning.run(), "pruning")

    async def _start_web(
        self, stack: AsyncExitStack, http: aiohttp.ClientSession, store: Store, box: SecretBox
    ) -> None:
        """Before anything is connected: that something else listens there is told at once."""
        settings = self._config.http
        if not settings.public_url:
            return
        public, clock = settings.public_url, self._clock
        self._pages = Pages(clock, public)
        self._web = WebServer(settings.listen.host, settings.listen.port)
        self._web.add(public, LoginPages(self._pages, clock, public.origin).routes)
        key, at = box.derived("addresses of files"), settings.files_url
        self._file_links = FileLinks(at, key, settings.file_retention)
        files = await self._files(store, box, self._file_links)
        if at != public:
            self._web.add(public, files.moved(public, at))
        self._web.add(at, files.routes)
        for address in {public, at}:
            looking = reached.look(http, clock, address, self._web.add_nonce(address))
            self._tasks.spawn(looking, f"look at {address}")
        await self._web.start()
        stack.push_async_callback(self._web.stop)

    async def _files(self, store: Store, box: SecretBox, links: FileLinks) -> Files:
        """Those of networks, with what is kept of them."""
        folder = Path(f"{self._config.store.database}.files")
        most = self._config.http.file_cache
        cache = FileCache(folder, box.derived("files on the disk"), most, self.work)
        await cache.load()
        files = Files(store, links, self._clock, self._downloads, cache)
        if most:
            self._tasks.spawn(files.clean(), "files that are gone")
        return files

    def _fetching(self, stack: AsyncExitStack) -> Uploads:
        """What fetches the files that users send, until the end."""
        fetch = self._config.fetch
        guard = Guard(fetch)
        stack.push_async_callback(guard.close)
        lanes = Turns(fetch.at_once, fetch.at_once_per_user)
        sounds = Sounds(Ffmpeg.find(self._config.media.ffmpeg, self.work), self.work)
        pictures = Pictures(self._images, self.work)
        return Uploads(guard, self._images, pictures, sounds, lanes)

    def _add_networks(self, store: Store, box: SecretBox, http: aiohttp.ClientSession) -> None:
        for name, settings in self._config.networks.items():
            try:
                contained_now(self._add, name, settings, store, box, http)
            except Exception:  # an adapter is not ours, and other networks do not depend on it
                log.exception("network_unusable", network=name, adapter=settings.adapter)
                server = self._component(settings).server
                self._closed.append(
                    ClosedComponent(server, self._clock, self._neighbours, self._config.language)
                )

    def _downloads(self) -> list[Source]:
        return [network.downloads for network in self._networks]

    def _add(
        self,
        name: NetworkName,
        settings: NetworkConfig,
        store: Store,
        box: SecretBox,
        http: aiohttp.ClientSession,
    ) -> None:
        context = Context(
            name=name,
            settings=settings.settings,
            log=structlog.get_logger("adapter").bind(network=name),
            clock=self._clock,
            http=http,
        )
        adapter: Adapter = adapter_class(settings.adapter, self._adapters)(context)
        shown = self._network_settings(name, settings, adapter)
        network = Network(shown, adapter, store, box, self._images, self._uploads)
        self._networks.append(network)
        self._components.append(Component(self._component(settings), network, self._neighbours))

    def _network_settings(
        self, name: NetworkName, settings: NetworkConfig, adapter: Adapter
    ) -> NetworkSettings:
        delivery, rooms, files = self._config.delivery, self._config.rooms, self._config.files
        return NetworkSettings(
            name=name,
            domain=settings.domain,
            reserved=Reserved.of(
                ("Dragoman", settings.name, adapter.display_name),
                [admin.partition("@")[0] for admin in self._config.access.admins],
            ),
            auto_accept=settings.auto_accept_invites,
            login_concurrency=delivery.login_concurrency,
            limits=Limits(
                send_s=delivery.send_limit,
                warning_s=delivery.attempt_warning,
                attempt_s=delivery.attempt_limit,
                rows=delivery.outbound_rows,
            ),
            marks=Marks(rows=delivery.inbound_rows, size=delivery.inbound_size),
            cutoffs=Cutoffs(
                members=rooms.shown_members,
                speakers=rooms.shown_speakers,
                lately_s=rooms.spoken_within,
            ),
            keeps_s=delivery.alias_retention,
            language=self._config.language,
            file_links=self._file_links if "gateway" in files.ways else None,
            upload_service=files.upload_service,
            uploaders=files.uploaders(),
        )

    def _component(self, network: NetworkConfig) -> ComponentSettings:
        xmpp, access = self._config.xmpp, self._config.access
        return ComponentSettings(
            server=ServerSettings(
                domain=network.domain,
                secret=network.secret.reveal(),
                host=xmpp.server.host,
                port=xmpp.server.port,
                server_domain=xmpp.server.domain,
            ),
            local_domains=xmpp.server.local_domains,
            use_privileges=xmpp.use_privileges,
            access=replace(self._access, is_approved=self._approvals.is_admitted),
            approvals=self._approvals,
            name=network.name,
            kind=network.adapter,
            admins=access.admins,
            addresses=structs.asdict(self._config.addresses),
            pages=self._pages,
            limits=LimitSettings(
                **{name: Rate(*rate) for name, rate in structs.asdict(self._config.limits).items()}
            ),
        )

    async def stop(self) -> None:
        """Drain: streams first, so that what the server still sends is committed.

        None of them is closed before all are proved: the proof of one may come by another.
        """
        if self._web is not None:
            await self._web.stop()
        parts = (self._components, self._closed, self._networks)
        steps = (
            [component.stream.prove for component in self._components],
            *([one.stop for one in part] for part in parts),
        )
        for step in steps:
            for error in await asyncio.gather(*(end() for end in step), return_exceptions=True):
                if isinstance(error, Exception):  # the others have to stop in order
                    log.error("stop_failed", exc_info=error)
        await self._tasks.cancel()
