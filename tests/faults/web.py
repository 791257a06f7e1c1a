# SPDX-License-Identifier: Apache-2.0
"""The way to a homeserver, with everything that stands in it on a bad day."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping

import aiohttp
from aiohttp import web

from tests.peers.ports import LOOPBACK

Fault = Callable[["Web", web.BaseRequest, bytes], Awaitable[web.StreamResponse]]
_HOP_BY_HOP = frozenset({"connection", "content-length", "keep-alive", "transfer-encoding"})
_MAX_BODY = 64 << 20


class Web:
    """A reverse proxy on a free loopback port. An `async with` block starts and stops it."""

    def __init__(self, target: str) -> None:
        self.url = ""
        self.fault: Fault | None = None
        """Answers instead of the homeserver, or after it."""
        self.spoilt = 0
        """Requests that the fault has had."""
        self.healed = asyncio.Event()
        """Set when the fault is over."""
        self._target = target
        self._http: aiohttp.ClientSession | None = None
        self._runner: web.ServerRunner | None = None

    async def __aenter__(self) -> Web:
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
        )
        server = web.Server(self._serve, handler_cancellation=True, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, LOOPBACK, 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        assert self._http is not None
        self.healed.set()
        await self._runner.cleanup()
        await self._http.close()

    def heal(self) -> None:
        """The fault is over."""
        self.fault = None
        self.healed.set()
        self.healed = asyncio.Event()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        fault = self.fault
        if fault is None:
            return await self.forward(request, body)
        self.spoilt += 1
        return await fault(self, request, body)

    async def forward(self, request: web.BaseRequest, body: bytes) -> web.Response:
        """What the homeserver answers; without one, the connection is cut."""
        assert self._http is not None
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _HOP_BY_HOP}
        try:
            async with self._http.request(
                request.method,
                self._target + request.path_qs,
                data=body or None,
                headers=headers,
                allow_redirects=False,
            ) as answer:
                content = await answer.read()
                kept = {k: v for k, v in answer.headers.items() if k.lower() not in _HOP_BY_HOP}
                return web.Response(status=answer.status, body=content, headers=kept)
        except aiohttp.ClientError:
            return cut_off(request)


def cut_off(request: web.BaseRequest) -> web.Response:
    """The connection ends without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def answering(
    status: int,
    content: Mapping[str, object] | str,
    headers: Mapping[str, str] | None = None,
) -> Fault:
    """Always the same answer, JSON or a page; the homeserver sees nothing."""

    async def fault(_: Web, __: web.BaseRequest, ___: bytes) -> web.StreamResponse:
        if isinstance(content, str):
            return web.Response(
                status=status, text=content, content_type="text/html", headers=headers
            )
        return web.Response(
            status=status,
            text=json.dumps(content),
            content_type="application/json",
            headers=headers,
        )

    return fault


async def hanging(proxy: Web, request: web.BaseRequest, _: bytes) -> web.StreamResponse:
    """Taken, and not answered as long as the fault lasts."""
    await proxy.healed.wait()
    return cut_off(request)


async def hanging_for_ever(_: Web, __: web.BaseRequest, ___: bytes) -> web.StreamResponse:
    """Taken, and never answered."""
    await asyncio.Event().wait()
    raise AssertionError


async def cut_before(_: Web, request: web.BaseRequest, __: bytes) -> web.StreamResponse:
    """Cut before the homeserver has seen it."""
    return cut_off(request)


async def cut_after(proxy: Web, request: web.BaseRequest, body: bytes) -> web.StreamResponse:
    """Cut after the homeserver has taken it: the unclear window. Of a file half has come."""
    answer = await proxy.forward(request, body)
    if "/media/download/" in request.path and isinstance(answer.body, bytes):
        half = web.StreamResponse(status=answer.status, headers=answer.headers)
        half.content_length = len(answer.body)
        await half.prepare(request)
        await half.write(answer.body[: len(answer.body) // 2])
        await asyncio.sleep(0.05)  # until it has left
    return cut_off(request)


async def truncated(proxy: Web, request: web.BaseRequest, body: bytes) -> web.StreamResponse:
    """The homeserver's answer, as far as its middle."""
    answer = await proxy.forward(request, body)
    content = answer.body if isinstance(answer.body, bytes) else b""
    return web.Response(
        status=answer.status, body=content[: len(content) // 2], content_type="application/json"
    )
