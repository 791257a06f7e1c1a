# SPDX-License-Identifier: Apache-2.0
"""A wire that can be cut: passes bytes on to a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

_LOOPBACK = "127.0.0.1"


class Proxy:
    """Listens on a free loopback port. An `async with` block starts and stops it."""

    def __init__(self, port: int) -> None:
        self.port = 0
        self.swallow: Callable[[bytes], bool] | None = None
        """Asked for what clients send: True lets it through, but nothing comes back any more."""
        self._target = port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen, on the port of before if there was one."""
        self._server = await asyncio.start_server(self._serve, _LOOPBACK, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Cut everything and listen no longer."""
        if self._server is not None:
            self._server.close()
            for writer in self._writers:
                writer.transport.abort()
            if self._tasks:
                await asyncio.wait(set(self._tasks))
            await self._server.wait_closed()
            self._server = None

    async def __aenter__(self) -> Proxy:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            inner_reader, inner_writer = await asyncio.open_connection(_LOOPBACK, self._target)
            self._writers.add(inner_writer)
            mute = asyncio.Event()
            back = asyncio.create_task(self._back(inner_reader, writer, mute))
            try:
                await self._forth(reader, inner_writer, mute)
            finally:
                back.cancel()
                with suppress(asyncio.CancelledError):
                    await back
                inner_writer.close()
                self._writers.discard(inner_writer)
        except OSError:
            pass
        finally:
            writer.close()
            self._writers.discard(writer)
            self._tasks.discard(task)

    async def _forth(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, mute: asyncio.Event
    ) -> None:
        while data := await reader.read(1 << 16):
            if self.swallow is not None and self.swallow(data):
                self.swallow = None
                mute.set()
            writer.write(data)
            await writer.drain()

    async def _back(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, mute: asyncio.Event
    ) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                if mute.is_set():
                    writer.transport.abort()
                    return
                writer.write(data)
                await writer.drain()
        writer.close()
