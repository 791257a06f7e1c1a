# SPDX-License-Identifier: Apache-2.0
"""How fast files go through the gateway, and how long its loop stands still meanwhile."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from adapters.matrix import MatrixAdapter, MatrixSettings
from gateway.app import Gateway
from gateway.config import Config, Domain, Host, Network, Secret, Server, Xmpp
from gateway.config import Store as StoreFiles
from gateway.config.tree import Fetch, Http
from gateway.config.values import Listen, Reachable, Size, WebAddress
from gateway.tasks import SystemClock
from tests.bench import house, stanzas
from tests.bench.measure import Figure, Group, settle_garbage
from tests.bench.stall import stall_ms
from tests.bench.xmpp_server import FakeServer
from tests.peers.ports import LOOPBACK, free_port
from tests.transfers.content import Content
from tests.transfers.homeserver import CHATS, HOST, Chat, Remote, homeserver
from tests.transfers.world import NETWORK, seed, shared, user

_SIZE = 100_000_000
_MB = 1_000_000
_GOAL_MS = 50.0
_CURL = "curl --silent --show-error --fail"


@dataclass
class _Bench:
    """The gateway on this loop, and what stands around it."""

    server: FakeServer
    remote: Remote
    keeper: Remote
    port: int
    seeds: itertools.count[int] = field(default_factory=itertools.count)

    async def comes(self, chat: Chat) -> float:
        """Seconds that curl takes for a file that a friend has shared."""
        content = Content(next(self.seeds), _SIZE)
        told = asyncio.get_running_loop().create_future()
        self.server.on_link = told.set_result
        await self.remote.ask("share", chat=chat.name, seed=content.seed, size=_SIZE)
        return await _fetched(f"http://{LOOPBACK}:{self.port}{urlsplit(await told).path}")

    async def comes_raw(self, chat: Chat) -> float:
        """The same, from where the gateway fetches it."""
        content = Content(next(self.seeds), _SIZE)
        name = f"sealed-{content.name}" if chat.is_sealed else content.name
        return await _fetched(f"{self.remote.url}/_matrix/client/v1/media/download/{HOST}/{name}")

    async def goes(self, chat: Chat) -> float:
        """Seconds until the homeserver has a file, from when the user has sent the link."""
        content = Content(next(self.seeds), _SIZE)
        to = f"{chat.name}%{HOST}@{stanzas.COMPONENT}"
        sender = f"{user(chat)}@{stanzas.SERVER}/phone"
        asked = asyncio.create_task(self.remote.ask("shared"))
        began = time.monotonic()
        message = shared(to, self.keeper.kept(content), content.name, sender)
        self.server.write(message.encode())
        took_s = float((await asked)["at"]) - began
        assert (await self.remote.ask("file"))["is_good"]
        return took_s

    async def goes_raw(self, _: Chat) -> float:
        """The same, by two of curl and a pipe."""
        content = Content(next(self.seeds), _SIZE)
        upload = f"{self.remote.url}/_matrix/media/v3/upload"
        return await _run(
            f"{_CURL} '{self.keeper.kept(content)}' | {_CURL} --request POST --upload-file -"
            f" --header 'Content-Length: {_SIZE}' --header 'Transfer-Encoding:' '{upload}'"
        )


async def measure(directory: Path, repetitions: int) -> Group:
    """One file at a time, each way, in the clear and encrypted."""
    figures = []
    async with _running(directory) as bench:
        for what, ours, raw in (
            ("network to curl", bench.comes, bench.comes_raw),
            ("sent to the network", bench.goes, bench.goes_raw),
        ):
            for chat in CHATS[:2]:
                name = f"{what}, {'encrypted' if chat.is_sealed else 'in clear'}"
                figures += await _figures(name, chat, ours, raw, repetitions)
    return Group(
        title=f"Files of {_SIZE // _MB} MB",
        note=(
            "The whole gateway; the homeserver and the server with the user's files are other "
            "processes, which make what they give and check what they get. Raw: curl by itself, "
            "from the same server (to the same homeserver), with nothing in between. The stall is "
            "that of the loop while one file flows."
        ),
        figures=figures,
    )


async def _figures(
    name: str,
    chat: Chat,
    ours: Callable[[Chat], Awaitable[float]],
    raw: Callable[[Chat], Awaitable[float]],
    repetitions: int,
) -> list[Figure]:
    rates, raw_rates, stalls = [], [], []
    await ours(chat)
    for _ in range(repetitions):
        raw_rates.append(_SIZE / _MB / await raw(chat))
        settle_garbage()

        async def flow() -> None:
            rates.append(_SIZE / _MB / await ours(chat))

        stalls.append(await stall_ms(flow()))
    return [
        Figure(what=f"{name}: throughput", unit="MB/s", values=rates, raw=raw_rates),
        Figure(
            what=f"{name}: stall", unit="ms", values=stalls, goal=_GOAL_MS, less_is_better=True
        ),
    ]


async def _fetched(url: str) -> float:
    return await _run(f"{_CURL} '{url}' --output /dev/null")


async def _run(command: str) -> float:
    """Seconds."""
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", f"set -o pipefail; {command}", stdout=asyncio.subprocess.DEVNULL
    )
    assert await process.wait() == 0
    return time.monotonic() - began


@asynccontextmanager
async def _running(directory: Path) -> AsyncIterator[_Bench]:
    server = FakeServer()
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        remote = await enter(homeserver(directory))
        keeper = await enter(homeserver(directory, "keeper"))
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(lambda: server, LOOPBACK, 0)
        stack.callback(listener.close)
        await seed(house.database(directory), remote.url, *CHATS, domain=stanzas.SERVER)
        port = free_port()
        config = _config(directory, listener.sockets[0].getsockname()[1], port, keeper)
        whole = Gateway(config, SystemClock(), {"matrix": lambda: MatrixAdapter})
        await whole.start(stack)
        stack.push_async_callback(whole.stop)
        await server.up.wait()
        await remote.ask("keyed")
        yield _Bench(server, remote, keeper, port)


def _config(directory: Path, component_port: int, port: int, keeper: Remote) -> Config:
    return Config(
        xmpp=Xmpp(
            server=Server(host=Host(LOOPBACK), port=component_port, domain=Domain(stanzas.SERVER))
        ),
        store=StoreFiles(database=house.database(directory)),
        http=Http(
            listen=Listen(f"{LOOPBACK}:{port}"), public_url=WebAddress("https://files.invalid")
        ),
        fetch=Fetch(
            allow=(Reachable(LOOPBACK),),
            allow_http=True,
            ports=(urlsplit(keeper.url).port or 0,),
            max_size=Size(_SIZE),
        ),
        networks={
            NETWORK: Network(
                adapter="matrix",
                domain=Domain(stanzas.COMPONENT),
                secret=Secret(stanzas.SECRET),
                settings=MatrixSettings(allow_private_homeservers=True),
            )
        },
    )
