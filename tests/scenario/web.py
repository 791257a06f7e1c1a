# SPDX-License-Identifier: Apache-2.0
"""Where users have put the files that they send: a web server that says whatever a test wants."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any


@dataclass(slots=True)
class Hosted:
    """One file, and how it is given."""

    data: bytes
    status: int = 200
    type: str = "application/octet-stream"
    claimed: int | None = None
    """How long it is said to be."""
    breaks_at: int | None = None
    """After so many bytes the connection ends."""
    allowed: int | None = None
    """So much is sent for now; None: all of it."""
    more: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class WebHost:
    """Listens on one port of loopback."""

    port: int = 0
    files: dict[str, Hosted] = field(default_factory=dict)
    """By their paths."""
    asked: list[str] = field(default_factory=list)
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def start(self) -> None:
        """On a free port, or the one that it has."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Cut all connections."""
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await self._server.wait_closed()

    @property
    def base(self) -> str:
        """Before the path of a file."""
        return f"http://127.0.0.1:{self.port}"

    def url_of(self, got: Mapping[str, Any]) -> str:
        """Where the file is that the network got, or of which its voice message was made."""
        is_made = "waveform" in got
        for path, hosted in self.files.items():
            is_same = hashlib.sha256(hosted.data).hexdigest() == got["sha256"]
            if is_same or (is_made and PurePath(path).stem == PurePath(got["name"]).stem):
                return f"{self.base}{path}"
        raise KeyError(f"the network has a file that nobody has sent: {got}")

    def let(self, path: str, more: int | None) -> None:
        """So many bytes more of a file may go, or all of them."""
        hosted = self.files[path]
        hosted.allowed = None if more is None else (hosted.allowed or 0) + more
        hosted.more.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            method, path, _ = head.split(" ", 2)
            self.asked.append(path if method == "GET" else f"{method} {path}")
            hosted = self.files.get(path, Hosted(b"", status=404))
            await self._give(hosted, writer, is_head=method == "HEAD")
        self._writers.discard(writer)
        writer.close()

    async def _give(self, hosted: Hosted, writer: asyncio.StreamWriter, *, is_head: bool) -> None:
        length = len(hosted.data) if hosted.claimed is None else hosted.claimed
        lines = (f"HTTP/1.1 {hosted.status} As it is", f"Content-Type: {hosted.type}")
        writer.write("\r\n".join([*lines, f"Content-Length: {length}", "", ""]).encode())
        if is_head:
            return
        data = hosted.data if hosted.breaks_at is None else hosted.data[: hosted.breaks_at]
        at = 0
        while True:
            end = len(data) if hosted.allowed is None else min(hosted.allowed, len(data))
            writer.write(data[at:end])
            await writer.drain()
            at = end
            if at == len(data):
                return
            hosted.more.clear()
            await hosted.more.wait()
