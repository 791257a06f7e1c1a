# SPDX-License-Identifier: Apache-2.0
"""The component's TCP connection, with everything that can happen to one.

Connections are told apart by the domain in their stream header, so that one component can be hit
and the other one on the same server is not.
"""

from __future__ import annotations

import asyncio
import enum
import re
import socket
import struct
import time
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from tests.peers.ports import LOOPBACK

_READ = 1 << 16
_SMALL_BUFFER = 4096
_HEADER = re.compile(rb"<stream:stream[^>]*\bto=['\"]([^'\"]+)['\"]")
_MESSAGE = re.compile(rb"<message from='[^']*' to='([^'/]*)[^']*' type='chat' id='([^']*)'><body>")
_LONGEST_START = 4096
_TICK_S = 0.1


class Way(enum.Enum):
    """A direction, as the gateway sees it."""

    OUT = enum.auto()
    IN = enum.auto()


BOTH = frozenset(Way)


@dataclass(slots=True, kw_only=True)
class Trouble:
    """What becomes of the bytes of a component."""

    swallowed: frozenset[Way] = frozenset()
    """Read, and never passed on."""
    bytes_per_s: dict[Way, int] = field(default_factory=dict)
    """No more than so many are taken from the sender."""
    delay_s: float = 0.0
    """Each byte arrives so much later."""


_NONE = Trouble()


class _Line:
    """One connection of the gateway, and ours to its server."""

    def __init__(self, wire: Wire, domain: str, ends: dict[Way, asyncio.StreamWriter]) -> None:
        self.wire = wire
        self.domain = domain
        self.ends = ends
        """Where the bytes of a direction go."""
        self.trouble = wire.troubles.get(domain, _NONE)
        self.break_in: Way | None = None
        """It is reset in the middle of the next stanza of this direction."""
        self._written = b""

    def reset(self) -> None:
        """Both ends get an RST."""
        for writer in self.ends.values():
            sock: socket.socket = writer.get_extra_info("socket")
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def pump(self, way: Way, reader: asyncio.StreamReader) -> None:
        """Pass on one direction, until its end."""
        due: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        carrying = asyncio.create_task(self._carry(way, due))
        try:
            while data := await reader.read(await self._allowed(way)):
                self.wire.passed[self.domain] += len(data)
                if way is Way.OUT:
                    self._note(data)
                if way in self.trouble.swallowed:
                    self.wire.spoilt[self.domain] += len(data)
                    continue
                due.put_nowait((time.monotonic() + self.trouble.delay_s, data))
            due.put_nowait((0.0, b""))
            await carrying
        finally:
            carrying.cancel()

    async def _allowed(self, way: Way) -> int:
        """How much may be read next, after a while if the line is slow."""
        rate = self.trouble.bytes_per_s.get(way)
        if rate is None:
            return _READ
        self.wire.spoilt[self.domain] += 1
        await asyncio.sleep(_TICK_S)
        return max(1, int(rate * _TICK_S))

    async def _carry(self, way: Way, due: asyncio.Queue[tuple[float, bytes]]) -> None:
        writer = self.ends[way]
        while True:
            at, data = await due.get()
            if (wait_s := at - time.monotonic()) > 0:
                self.wire.spoilt[self.domain] += len(data)
                await asyncio.sleep(wait_s)
            if not data:
                return
            if self.break_in is way and (start := data.find(b"<message ")) >= 0:
                self.wire.spoilt[self.domain] += 1
                writer.write(data[: start + 30])
                await writer.drain()
                await asyncio.sleep(_TICK_S)  # until it has left for good
                self.reset()
                return
            writer.write(data)
            with suppress(ConnectionError):
                await writer.drain()

    def _note(self, data: bytes) -> None:
        """Count the stanzas that the gateway writes, also those that nobody will get."""
        text = self._written + data
        end = 0
        for found in _MESSAGE.finditer(text):
            user, stanza_id = found.groups()
            self.wire.written[user.decode()][stanza_id.decode()] += 1
            end = found.end()
        self._written = text[end:][-_LONGEST_START:]


class Wire:
    """Listens on a free loopback port. An `async with` block starts and stops it."""

    def __init__(self, port: int) -> None:
        self.port = 0
        self.troubles: dict[str, Trouble] = {}
        """For the connections of a component that are made from now on."""
        self.refused: set[str] = set()
        """Components that cannot connect."""
        self.written: dict[str, Counter[str]] = defaultdict(Counter)
        """Texts by user and stanza id: how often the gateway has written each."""
        self.passed: Counter[str] = Counter()
        self.spoilt: Counter[str] = Counter()
        """How much a trouble has really hit; of what, depends on the trouble."""
        self._target = port
        self._server: asyncio.Server | None = None
        self._lines: set[_Line] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Wire:
        # Small buffers, or a slow reader would only be seen after megabytes.
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER)
        listening.bind((LOOPBACK, self.port))
        self._server = await asyncio.start_server(self._serve, sock=listening)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(set(self._tasks))
        await self._server.wait_closed()

    # --- what happens to a component's connections ----------------------------------------------

    def cut(self, domain: str) -> None:
        """Reset what is there."""
        for line in self._of(domain):
            self.spoilt[domain] += 1
            line.reset()

    def spoil(self, domain: str, trouble: Trouble) -> None:
        """From now on, for the connections that are there."""
        for line in self._of(domain):
            line.trouble = trouble

    def break_in(self, domain: str, way: Way) -> None:
        """Reset it in the middle of the next message of this direction."""
        for line in self._of(domain):
            line.break_in = way

    def _of(self, domain: str) -> list[_Line]:
        return [line for line in self._lines if line.domain == domain]

    # --- passing on -----------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._through(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()
            self._tasks.discard(task)

    async def _through(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = b""
        while (found := _HEADER.search(head)) is None:
            if not (data := await reader.read(_READ)):
                return
            head += data
        domain = found[1].decode()
        if domain in self.refused:
            self.spoilt[domain] += 1
            return
        inner_reader, inner = await asyncio.open_connection(LOOPBACK, self._target)
        inner.write(head)
        line = _Line(self, domain, {Way.OUT: inner, Way.IN: writer})
        self._lines.add(line)
        pumps = [
            asyncio.create_task(line.pump(Way.OUT, reader)),
            asyncio.create_task(line.pump(Way.IN, inner_reader)),
        ]
        try:
            # One half may close and the other go on: that is how a stream ends in order.
            for pump, other in zip(pumps, (inner, writer), strict=True):
                pump.add_done_callback(partial(_close_half, other))
            await asyncio.wait(pumps)
        finally:
            self._lines.discard(line)
            for pump in pumps:
                pump.cancel()
            await asyncio.wait(pumps)
            inner.transport.abort()


def _close_half(writer: asyncio.StreamWriter, pump: asyncio.Task[None]) -> None:
    if pump.cancelled() or pump.exception() is not None:
        writer.transport.abort()
    elif not writer.is_closing() and writer.can_write_eof():
        with suppress(OSError):
            writer.write_eof()
