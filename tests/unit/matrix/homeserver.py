"""A homeserver that misbehaves on request. Good behaviour is tested on a real one."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.peers.inbox import Inbox


@dataclass
class Request:
    """What was asked."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    token: str = ""
    range: str = ""
    data: bytes = b""
    """The body, if that is no JSON."""
    kind: str = ""
    """Its media type."""
    length: int | None = None
    """As it was said before it came."""


Answer = tuple[int, Any] | web.Response
Handler = Callable[[Request], Answer]


@dataclass
class Homeserver:
    """Answers by the first handler whose key ends the path."""

    handlers: dict[str, Handler] = field(default_factory=dict)
    asked: Inbox[Request] = field(default_factory=lambda: Inbox("the homeserver"))
    url: str = ""
    news: asyncio.Event | None = None
    """If there is one: those who wait for news at /sync wait for it."""

    @property
    def requests(self) -> list[Request]:
        """All that was asked."""
        return self.asked.items

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """One request."""
        is_json = request.content_type == "application/json"
        text = await request.text() if is_json else ""
        asked = Request(
            request.method,
            request.path.removeprefix("/_matrix/client/v3"),
            dict(request.query),
            json.loads(text) if text else None,
            request.headers.get("Authorization", ""),
            request.headers.get("Range", ""),
            b"" if is_json else await request.read(),
            request.content_type,
            request.content_length,
        )
        self.asked.add(asked)
        if self.news is not None and asked.query.get("timeout", "0") != "0":
            await self.news.wait()
        for end, handler in self.handlers.items():
            if asked.path.endswith(end):
                answer = handler(asked)
                if isinstance(answer, web.Response):
                    return answer
                return web.json_response(answer[1], status=answer[0])
        return web.json_response({"errcode": "M_NOT_FOUND", "error": "Not found"}, status=404)

    def paths(self, method: str) -> list[str]:
        """What was asked by this method."""
        return [request.path for request in self.requests if request.method == method]


@asynccontextmanager
async def misbehaving(**handlers: Handler) -> AsyncIterator[Homeserver]:
    """A server on loopback; keys are ends of paths with ``__`` for a slash."""
    server = Homeserver({key.replace("__", "/"): handler for key, handler in handlers.items()})
    app = web.Application(client_max_size=2**24)
    app.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield server
    finally:
        await runner.cleanup()
