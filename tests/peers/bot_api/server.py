# SPDX-License-Identifier: Apache-2.0
"""The server: HTTP on loopback."""

from __future__ import annotations

import asyncio
import inspect
import json
import socket
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from aiohttp import BodyPartReader, web

from tests.peers.inbox import Inbox
from tests.peers.ports import LOOPBACK

from . import methods as _methods  # noqa: F401  they enter themselves
from .accounts import Bot
from .calls import METHODS, Call, read
from .errors import ApiError, Misuse
from .faults import Fault, Faults
from .files import LARGEST_UPLOAD, Stored
from .groups import Groups
from .people import Person
from .vendor import vendor
from .world import World

Json = dict[str, Any]


@dataclass(eq=False)
class Asked:
    """One request, and what became of it."""

    bot: Bot
    method: str
    arguments: Json
    """Of their types, if they could be read."""
    files: Mapping[str, Stored]
    result: Any = None
    """What was answered, if it was carried out; a bot may not have got it."""
    error: ApiError | None = None
    """Why it was not, but for faults."""


class BotApi:
    """Telegram with its Bot API, in the loop of the test, inside its `async with` block.

    Whatever a bot asked that the vendor's types do not allow fails the test at the end, unless the
    test has looked at `misuses` and cleared it.
    """

    def __init__(self) -> None:
        """Nobody is there yet, and nothing listens."""
        self.world = World()
        self.groups = Groups(self.world)
        self.faults = Faults()
        self.asked: Inbox[Asked] = Inbox("Telegram")
        """All requests of bots that were read, in the order in which they came."""
        self.done: Inbox[Asked] = Inbox("Telegram")
        """Those that were carried out, in the order in which they were."""
        self.misuses: list[str] = []
        self._port = 0
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """What stands in the place of https://api.telegram.org."""
        return f"http://{LOOPBACK}:{self._port}"

    @property
    def connections(self) -> int:
        """How many there are."""
        server = None if self._runner is None else self._runner.server
        return 0 if server is None else len(server.connections)

    def bot(self, name: str = "Relay", username: str = "relay_bot", **more: Any) -> Bot:
        """Somebody makes a bot; `more` are fields of Bot."""
        bot = Bot(self.world.next_user_id(), name, username=username, **more)
        self.world.users[bot.id] = bot
        self.world.bots.append(bot)
        return bot

    def person(self, first_name: str, **more: Any) -> Person:
        """Somebody joins Telegram; `more` are fields of User."""
        return Person(self.world, first_name, **more)

    async def start(self) -> None:
        """Listen, on the same port as before."""
        app = web.Application(client_max_size=2 * LARGEST_UPLOAD)
        app.router.add_route("*", "/file/bot{token}/{path:.+}", self._send_file)
        app.router.add_route("*", "/bot{token}/{method}", self._answer)
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=1
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, LOOPBACK, self._port).start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Reset all connections, and take no more."""
        if self._runner is None:
            return
        runner, self._runner = self._runner, None
        for connection in runner.server.connections if runner.server else ():
            _reset(connection.transport)
        await runner.cleanup()

    @asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        """Nobody listens inside this block."""
        await self.stop()
        try:
            yield
        finally:
            await self.start()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.faults.end()
        await self.stop()
        if error is None and self.misuses:
            raise AssertionError("the Bot API was misused:\n" + "\n".join(self.misuses))

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        early = self.faults.find(method, {})
        if early is not None and early.is_early:
            early.hit()
            return _reset(request.transport)
        try:
            bot = self._bot(request.match_info["token"])
            if vendor().parameters(method) is None:
                raise ApiError(404, "Not Found: method not found")
            given, files = await _parts(request, self.world.files.largest_upload)
            asked = Asked(bot, method, given, files)
        except ApiError as error:
            return _json(error.code, error.json())
        self._read(asked)
        self.asked.add(asked)
        fault = self.faults.find(method, asked.arguments)
        if fault is not None:
            return await self._go_wrong(fault, request, asked)
        await self._carry_out(asked)
        return _response(asked)

    async def _go_wrong(
        self, fault: Fault, request: web.Request, asked: Asked
    ) -> web.StreamResponse:
        fault.hit()
        if fault.carried_out:
            await self._carry_out(asked)
        if fault.held:
            await fault.hold()
            if not fault.carried_out:
                await self._carry_out(asked)
            return _response(asked)
        if fault.drips:
            return await _drip(fault, request)
        if not fault.status:
            return _reset(request.transport)
        headers = {"Retry-After": str(fault.retry_after)} if fault.retry_after else {}
        if fault.location:
            headers["Location"] = fault.location
        return web.Response(
            status=fault.status, body=fault.body, content_type=fault.kind, headers=headers
        )

    def _read(self, asked: Asked) -> None:
        try:
            if asked.method not in METHODS:
                raise Misuse(f"{asked.method} is not among what this server can do")
            asked.arguments = read(asked.method, asked.arguments, asked.files)
        except Misuse as error:
            self._misused(asked, error)

    async def _carry_out(self, asked: Asked) -> None:
        if asked.error is not None:
            return None
        call = Call(self.world, asked.bot, asked.method, asked.arguments, asked.files)
        try:
            result = METHODS[asked.method](call)
            asked.result = await result if inspect.isawaitable(result) else result
        except Misuse as error:
            return self._misused(asked, error)
        except ApiError as error:
            asked.error = error
            return None
        if wrong := vendor().result_error(asked.method, asked.result):
            self.misuses.append(f"this server answered {asked.method} wrongly: {wrong}")
        self.done.add(asked)
        return None

    def _misused(self, asked: Asked, error: Misuse) -> None:
        asked.error = error
        self.misuses.append(error.description)

    def _bot(self, token: str) -> Bot:
        if ":" not in token:
            raise ApiError(401, "Unauthorized: invalid token specified")
        for bot in self.world.bots:
            if bot.token == token:
                if bot.logged_out:
                    raise ApiError(400, "Logged out")
                return bot
        raise ApiError(401, "Unauthorized")

    async def _send_file(self, request: web.Request) -> web.StreamResponse:
        if self.world.files.local is not None:  # such a server knows methods alone
            return _json(404, ApiError(404, "Not Found").json())
        try:
            bot = self._bot(request.match_info["token"])
        except ApiError as error:
            return _json(error.code, error.json())
        fault = self.faults.find("file", {})
        if fault is not None and fault.location:
            fault.hit()
            return web.Response(status=fault.status, headers={"Location": fault.location})
        stored = self.world.files.at(bot.id, request.match_info["path"])
        if stored is None:
            return _json(404, ApiError(404, "Not Found").json())
        return web.Response(body=stored.data, content_type="application/octet-stream")


async def _parts(request: web.Request, largest: int) -> tuple[Json, dict[str, Stored]]:
    """The arguments as they came, and the files that came with them."""
    given: Json = dict(request.query)
    files: dict[str, Stored] = {}
    if request.content_type == "application/json":
        try:
            given |= await request.json()
        except ValueError:
            raise ApiError(400, "Bad Request: can't parse JSON object") from None
    elif request.content_type.startswith("multipart/"):
        async for part in await request.multipart():
            assert isinstance(part, BodyPartReader)
            assert part.name
            data = bytes(await part.read())
            if len(data) > largest:
                raise ApiError(413, "Request Entity Too Large")
            if part.filename is None:
                given[part.name] = data.decode()
            else:
                kind = part.headers.get("Content-Type", "")
                files[part.name] = Stored(data, part.filename, kind)
    else:
        given |= dict(await request.post())
    return given, files


def _response(asked: Asked) -> web.Response:
    if asked.error is None:
        return _json(200, {"ok": True, "result": asked.result})
    return _json(asked.error.code, asked.error.json())


def _json(status: int, answer: Json) -> web.Response:
    return web.Response(
        status=status, body=json.dumps(answer).encode(), content_type="application/json"
    )


async def _drip(fault: Fault, request: web.Request) -> web.StreamResponse:
    """Until nobody listens any more."""
    answer = web.StreamResponse()
    await answer.prepare(request)
    while not fault.is_over:
        await answer.write(b" ")
        await asyncio.sleep(0.02)
    return answer


def _reset(transport: asyncio.BaseTransport | None) -> web.Response:
    """The other side gets a reset, not an end. What is returned goes nowhere."""
    if isinstance(transport, asyncio.Transport):
        plug: socket.socket | None = transport.get_extra_info("socket")
        if plug is not None:
            plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response()
