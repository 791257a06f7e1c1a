# SPDX-License-Identifier: Apache-2.0
"""One component port before several played servers: each plays one component."""

from __future__ import annotations

import asyncio
import re

_TO = re.compile(rb"""\sto=['"]([^'"]+)""")


class Switch:
    """Connects a stream to the server of the component that its header names."""

    def __init__(self) -> None:
        self.port = 0
        self.ports: dict[str, int] = {}
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Switch:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        inner: asyncio.StreamWriter | None = None
        try:
            head = b""
            while (found := _TO.search(head)) is None:
                head += await reader.readuntil(b">")
            inner_reader, inner = await asyncio.open_connection(
                "127.0.0.1", self.ports[found[1].decode()]
            )
            inner.write(head)
            await asyncio.gather(_pump(reader, inner), _pump(inner_reader, writer))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._tasks.discard(task)
            for end in (writer, inner):
                if end is not None:
                    end.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
    if writer.can_write_eof():
        writer.write_eof()
