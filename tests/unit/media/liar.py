# SPDX-License-Identifier: Apache-2.0
"""Servers that say whatever a test wants, on real sockets: HTTP, with or without TLS, and DNS."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import aiohttp

from gateway.config.tree import Fetch
from gateway.config.values import Duration, Proxy, Reachable, Size
from gateway.media.fetch import Guard

Talk: TypeAlias = Callable[["Said"], Awaitable[None]]


@dataclass
class Said:
    """One request, and the way back."""

    head: str
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    server: Liar

    @property
    def path(self) -> str:
        """What was asked for."""
        return self.head.split(" ", 2)[1]

    async def say(self, data: str | bytes) -> None:
        """Send, and wait until the socket takes it."""
        data = data.encode() if isinstance(data, str) else data
        self.writer.write(data)
        await self.writer.drain()
        self.server.sent += len(data)


@dataclass
class Liar:
    """Listens on one address."""

    talk: Talk
    port: int = 0
    heads: list[str] = field(default_factory=list)
    sent: int = 0
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """The other side has closed a connection, or we have."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, of one request."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.heads.append(head)
            await self.talk(Said(head, reader, writer, self))
        self.gone.set()
        writer.close()
        with suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()


@asynccontextmanager
async def liar(
    talk: Talk | str, host: str = "127.0.0.1", *, port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Liar]:
    """A server that talks so; a text is all that it says."""
    made = Liar(talk if callable(talk) else _saying(talk))
    server = await asyncio.start_server(made.serve, host, port, ssl=tls)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        await server.wait_closed()


def _saying(text: str) -> Talk:
    async def talk(said: Said) -> None:
        await said.say(text)

    return talk


def ok(body: str, *headers: str, length: int | None = None) -> str:
    """An answer as it should be, unless ``length`` says something else."""
    size = len(body) if length is None else length
    lines = ("HTTP/1.1 200 OK", f"Content-Length: {size}", *headers, "", body)
    return "\r\n".join(lines)


def moved(to: str, status: int = 302) -> str:
    """A redirection."""
    return f"HTTP/1.1 {status} Moved\r\nLocation: {to}\r\nSet-Cookie: a=b\r\n\r\n"


@dataclass
class Names(asyncio.DatagramProtocol):
    """A name server. Each look-up of a name takes the next of its answers; the last one stays."""

    table: dict[str, list[list[str]]]
    asked: list[str] = field(default_factory=list)
    transport: Any = None

    def connection_made(self, transport: Any) -> None:
        """It can answer."""
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """RFC 1035 §4.1: one question, answered by A records."""
        labels, at = [], 12
        while data[at]:
            labels.append(data[at + 1 : at + 1 + data[at]].decode())
            at += 1 + data[at]
        kind, name = data[at + 2], ".".join(labels).lower()
        question = data[12 : at + 5]
        found: list[str] = []
        if kind == 1:
            self.asked.append(name)
            waiting = self.table.get(name, [[]])
            found = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        code = b"\x81\x80" if name in self.table else b"\x81\x83"
        counts = (1).to_bytes(2, "big") + len(found).to_bytes(2, "big") + bytes(4)
        answers = b"".join(
            b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x00\x00\x04" + socket.inet_aton(address)
            for address in found
        )
        self.transport.sendto(data[:2] + code + counts + question + answers, addr)


@asynccontextmanager
async def names(**table: list[list[str]]) -> AsyncIterator[tuple[Names, aiohttp.AsyncResolver]]:
    """A name server, and a resolver that asks it; ``__`` stands for a dot."""
    made = Names({name.replace("__", "."): answers for name, answers in table.items()})
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: made, ("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    resolver = aiohttp.AsyncResolver(nameservers=["127.0.0.1"], udp_port=port)
    try:
        yield made, resolver
    finally:
        await resolver.close()
        transport.close()


def settings(
    *servers: Liar,
    allow: tuple[str, ...] = ("127.0.0.1",),
    http: bool = True,
    size: int = 1_000_000,
    silence_s: float = 5,
    time_s: float = 20,
    at_once: int = 9,
    each: int = 9,
    proxy: str = "",
    ports: tuple[int, ...] = (),
) -> Fetch:
    """Those of a test: the ports of its servers, and one address of this machine."""
    return Fetch(
        allow=tuple(map(Reachable.parse, allow)),
        allow_http=http,
        ports=(*ports, *(server.port for server in servers)),
        max_size=Size(size),
        silence_limit=Duration(silence_s),
        time_limit=Duration(time_s),
        at_once=at_once,
        at_once_per_user=each,
        proxy=Proxy.parse(proxy),
    )


@asynccontextmanager
async def guarding(*servers: Liar, resolver: Any = None, trusted: Any = True, **more: Any) -> Any:
    """A guard with `settings`."""
    async with AsyncExitStack() as stack:
        guard = Guard(settings(*servers, **more), resolver=resolver, trusted=trusted)
        stack.push_async_callback(guard.close)
        yield guard


async def fetched(
    guard: Guard, url: str, *, user: str = "alice", most: int | None = None
) -> bytes:
    """The whole of it."""
    async with guard.open(url, user=user, most=most) as download:
        return b"".join([chunk async for chunk in download.chunks])
