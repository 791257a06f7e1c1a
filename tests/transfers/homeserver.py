# SPDX-License-Identifier: Apache-2.0
"""A homeserver in a process of its own, for a hundred messages a second and files of a gigabyte.

A real one takes some twenty messages a second on this kind of machine, and would be what is
measured. Files are made while they are given, and checked while they are taken. Its accounts are
numbers, which are their tokens; `CHATS` are all that there are. Run as a program it says its port.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import math
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from tests.peers.process import Process
from tests.transfers.content import PIECE, Content, digest, raw
from tests.transfers.device import Device

HOST = "large.example"
_ENCRYPTION = {"algorithm": "m.megolm.v1.aes-sha2"}


@dataclass(frozen=True)
class Chat:
    """Of an account with one friend."""

    name: str
    account: str
    is_sealed: bool = False

    @property
    def user_id(self) -> str:
        """Of the account."""
        return f"@user{self.account}:{HOST}"

    @property
    def friend(self) -> str:
        """The other one."""
        return f"@{self.name}:{HOST}"

    @property
    def room(self) -> str:
        """Where they talk."""
        return f"!{self.name}:{HOST}"


CHATS = (Chat("plain", "0"), Chat("sealed", "0", is_sealed=True), Chat("other", "1"))


class Homeserver:
    """Its state."""

    def __init__(self) -> None:
        self._chats = {chat.room: chat for chat in CHATS}
        self._devices = {c.room: Device(c.friend, c.room) for c in CHATS if c.is_sealed}
        self._theirs: dict[str, dict[str, Any]] = {}
        """Devices of the accounts."""
        self._events: dict[str, asyncio.Queue[dict[str, Any]]] = defaultdict(asyncio.Queue)
        self._numbers = itertools.count(1)
        self._sent: dict[str, str] = {}
        """Event ids by transaction."""
        self._line_to: web.WebSocketResponse | None = None
        """To the test."""
        self._files: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()
        """What users have shared."""
        self._shared_at: asyncio.Queue[float] = asyncio.Queue()
        """And when."""
        self._uploads: dict[str, tuple[int, str]] = {}
        """Size and SHA-256 of what was uploaded."""
        self._have_keys = asyncio.Event()
        """Whoever has a sealed chat."""

    def app(self) -> web.Application:
        """What it answers."""
        app = web.Application(client_max_size=2**24)
        v3, v1 = "/_matrix/client/v3", "/_matrix/client/v1"
        app.router.add_get(f"{v3}/sync", self._sync)
        app.router.add_put(f"{v3}/rooms/{{room}}/send/{{type}}/{{key}}", self._send)
        app.router.add_get(f"{v3}/rooms/{{room}}/state/m.room.encryption", self._encryption)
        app.router.add_get(f"{v3}/rooms/{{room}}/members", self._members)
        app.router.add_post(f"{v3}/keys/upload", self._keys)
        app.router.add_post(f"{v3}/keys/query", self._query)
        app.router.add_post(f"{v3}/keys/claim", self._claim)
        app.router.add_put(f"{v3}/sendToDevice/{{type}}/{{key}}", self._to_device)
        app.router.add_get(f"{v1}/media/config", self._media_config)
        app.router.add_post("/_matrix/media/v3/upload", self._upload)
        app.router.add_get(f"{v1}/media/download/{HOST}/{{name}}", self._download)
        app.router.add_get("/kept/{name}", self._kept)
        app.router.add_get("/test/line", self._line)
        for asked in (self._share, self._shared, self._file, self._keyed):
            app.router.add_post(f"/test/{asked.__name__.removeprefix('_')}", asked)
        app.router.add_route("*", "/{path:.*}", self._nothing)
        return app

    async def _nothing(self, _: web.Request) -> web.Response:
        return web.json_response({})

    # --- what is said ---------------------------------------------------------------------------

    async def _sync(self, request: web.Request) -> web.Response:
        events = self._events[_account(request)]
        answer: dict[str, Any] = {"device_one_time_keys_count": {"signed_curve25519": 50}}
        if _account(request) not in self._theirs:
            answer["device_one_time_keys_count"] = {}
        if request.query.get("since") != "s0":
            with suppress(TimeoutError):
                async with asyncio.timeout(int(request.query["timeout"]) / 1000):
                    self._put(answer, await events.get())
            while not events.empty():
                self._put(answer, events.get_nowait())
        return web.json_response({**answer, "next_batch": f"s{next(self._numbers)}"})

    def _put(self, answer: dict[str, Any], event: dict[str, Any]) -> None:
        if "room_id" not in event:
            answer.setdefault("to_device", {"events": []})["events"].append(event)
            return
        joined = answer.setdefault("rooms", {"join": {}})["join"]
        room = joined.setdefault(event["room_id"], {"timeline": {"events": []}})
        room["timeline"]["events"].append(event)

    def _event(self, chat: Chat, sender: str, kind: str, content: dict[str, Any]) -> str:
        """Something happens in a room."""
        id = f"$event{next(self._numbers)}"
        self._events[chat.account].put_nowait(
            {
                "type": kind,
                "event_id": id,
                "room_id": chat.room,
                "sender": sender,
                "origin_server_ts": int(time.time() * 1000),
                "content": content,
            }
        )
        return id

    def _friend_says(self, chat: Chat, content: dict[str, Any]) -> None:
        kind = "m.room.message"
        if (device := self._devices.get(chat.room)) is not None:
            kind, content = "m.room.encrypted", device.sealed(content)
        self._event(chat, chat.friend, kind, content)

    async def _send(self, request: web.Request) -> web.Response:
        """What a user says. The echo comes by /sync, as everywhere."""
        now, key = time.monotonic(), request.match_info["key"]
        chat, content = self._chats[request.match_info["room"]], await request.json()
        if key not in self._sent:
            kind = request.match_info["type"]
            self._sent[key] = self._event(chat, chat.user_id, kind, content)
            device = self._devices.get(chat.room)
            assert (kind == "m.room.encrypted") is (device is not None)
            said = content if device is None else device.opened(content)
            if said["msgtype"] == "m.text":
                assert self._line_to is not None
                await self._line_to.send_json([said["body"], now])
            else:
                self._files.put_nowait((chat.name, said))
                self._shared_at.put_nowait(now)
        return web.json_response({"event_id": self._sent[key]})

    async def _encryption(self, request: web.Request) -> web.Response:
        if self._chats[request.match_info["room"]].is_sealed:
            return web.json_response(_ENCRYPTION)
        return web.json_response({"errcode": "M_NOT_FOUND", "error": ""}, status=404)

    async def _members(self, request: web.Request) -> web.Response:
        chat = self._chats[request.match_info["room"]]
        joined = {"type": "m.room.member", "content": {"membership": "join"}}
        both = [{**joined, "state_key": who} for who in (chat.user_id, chat.friend)]
        return web.json_response({"chunk": both})

    # --- keys -----------------------------------------------------------------------------------

    async def _keys(self, request: web.Request) -> web.Response:
        """The first keys of a device are used at once: its friends tell it theirs."""
        account, body = _account(request), await request.json()
        if "device_keys" in body:
            device = self._theirs[account] = body["device_keys"]
            keys = list(body["one_time_keys"].values())
            for chat in CHATS:
                if chat.account == account and chat.is_sealed:
                    told = self._devices[chat.room].shared_with(device, keys.pop()["key"])
                    self._events[account].put_nowait(told)
                    self._have_keys.set()
        return web.json_response({"one_time_key_counts": {"signed_curve25519": 50}})

    async def _query(self, request: web.Request) -> web.Response:
        found: dict[str, Any] = {user: {} for user in (await request.json())["device_keys"]}
        for chat in CHATS:
            if chat.friend in found and chat.is_sealed:
                found[chat.friend] = self._devices[chat.room].described()
            if chat.user_id in found and (device := self._theirs.get(chat.account)):
                found[chat.user_id] = {device["device_id"]: device}
        return web.json_response({"device_keys": found})

    async def _claim(self, request: web.Request) -> web.Response:
        asked = (await request.json())["one_time_keys"]
        friends = {chat.friend: self._devices[chat.room] for chat in CHATS if chat.is_sealed}
        given = {user: friends[user].one_time_key() for user in asked if user in friends}
        return web.json_response({"one_time_keys": given})

    async def _to_device(self, request: web.Request) -> web.Response:
        messages = (await request.json())["messages"]
        assert request.match_info["type"] == "m.room.encrypted"
        for chat in CHATS:
            for content in messages.get(chat.friend, {}).values():
                self._devices[chat.room].take(content)
        return web.json_response({})

    # --- files ----------------------------------------------------------------------------------

    async def _media_config(self, _: web.Request) -> web.Response:
        return web.json_response({"m.upload.size": 2**31})

    async def _upload(self, request: web.Request) -> web.Response:
        """A real one has it on its disk then; here it is looked at and forgotten."""
        size, hashed = 0, hashlib.sha256()
        async for chunk in request.content.iter_any():
            size += len(chunk)
            hashed.update(chunk)
        uri = f"mxc://{HOST}/upload{next(self._numbers)}"
        self._uploads[uri] = size, hashed.hexdigest()
        return web.json_response({"content_uri": uri})

    async def _download(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        content = Content.named(name.removeprefix("sealed-"))
        is_sealed = name != content.name
        pieces = content.sealed(content.key, content.iv) if is_sealed else content.pieces()
        return await _given(request, content, pieces)

    async def _kept(self, request: web.Request) -> web.StreamResponse:
        """What a client has put to the upload service of its XMPP server. ``per_s``: bytes."""
        content = Content.named(request.match_info["name"])
        per_s = float(request.query.get("per_s", "inf"))
        return await _given(request, content, content.pieces(), per_s)

    # --- what the test wants --------------------------------------------------------------------

    async def _line(self, request: web.Request) -> web.WebSocketResponse:
        """What friends shall say comes, what they hear goes: the text, and when it was here."""
        line = self._line_to = web.WebSocketResponse()
        await line.prepare(request)
        async for message in line:
            said = json.loads(message.data)
            chat = next(chat for chat in CHATS if chat.name == said["chat"])
            self._friend_says(chat, {"msgtype": "m.text", "body": said["body"]})
        return line

    async def _share(self, request: web.Request) -> web.Response:
        """A friend shares a file."""
        asked = await request.json()
        chat = next(chat for chat in CHATS if chat.name == asked["chat"])
        content = Content(asked["seed"], asked["size"])
        place: dict[str, Any] = {"url": f"mxc://{HOST}/{content.name}"}
        if chat.is_sealed:
            uri = f"mxc://{HOST}/sealed-{content.name}"
            place = {
                "file": await asyncio.get_running_loop().run_in_executor(
                    None, content.sealed_at, uri
                )
            }
        info = {"size": content.size, "mimetype": "application/octet-stream"}
        said = {"msgtype": "m.file", "body": content.name, "info": info, **place}
        self._friend_says(chat, said)
        return web.json_response({})

    async def _shared(self, _: web.Request) -> web.Response:
        """When a user has shared the next file."""
        return web.json_response({"at": await self._shared_at.get()})

    async def _keyed(self, _: web.Request) -> web.Response:
        """Answers when the keys of whoever has a sealed chat are here."""
        await self._have_keys.wait()
        return web.json_response({})

    async def _file(self, _: web.Request) -> web.Response:
        """The next file that a user has shared: in which chat, its name, and whether its bytes are
        those that it should have."""
        chat, said = await self._files.get()
        content, sealed = Content.named(said["body"]), said.get("file")
        uri = said["url"] if sealed is None else sealed["url"]
        pieces = content.pieces()
        if sealed is not None:
            pieces = content.sealed(raw(sealed["key"]["k"]), raw(sealed["iv"]))
        wanted = content.size, (await asyncio.to_thread(digest, pieces)).hex()
        is_good = self._uploads[uri] == wanted and said["info"]["size"] == content.size
        if sealed is not None:
            is_good = is_good and raw(sealed["hashes"]["sha256"]).hex() == wanted[1]
        return web.json_response({"chat": chat, "name": content.name, "is_good": is_good})


def _account(request: web.Request) -> str:
    return request.headers["Authorization"].removeprefix("Bearer ")


async def _given(
    request: web.Request,
    content: Content,
    pieces: Iterator[bytes],
    per_s: float = math.inf,
) -> web.StreamResponse:
    """The whole of it, no faster than that. What is made of it at a time holds up nobody."""
    response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
    response.content_length = content.size
    await response.prepare(request)
    began = time.monotonic()
    for number, piece in enumerate(pieces):
        await asyncio.sleep(began + number * PIECE / per_s - time.monotonic())
        await response.write(piece)
    await response.write_eof()
    return response


class Remote:
    """It, as it is told what to do."""

    def __init__(self, url: str, pid: int, http: aiohttp.ClientSession) -> None:
        self.url = url
        self.pid = pid
        self._http = http

    def kept(self, content: Content, per_s: float = math.inf) -> str:
        """Where a client has put a file. It is given no faster than so many bytes a second."""
        return f"{self.url}/kept/{content.name}?per_s={per_s}"

    def line(self) -> AbstractAsyncContextManager[aiohttp.ClientWebSocketResponse]:
        """To make friends talk, and hear what they hear."""
        return self._http.ws_connect(f"{self.url}/test/line")

    async def ask(self, what: str, **body: Any) -> dict[str, Any]:
        """See the methods of `Homeserver`."""
        async with self._http.post(f"{self.url}/test/{what}", json=body) as answer:
            assert answer.status == 200, f"{what}: HTTP {answer.status}"
            return dict(await answer.json())


@asynccontextmanager
async def homeserver(directory: Path, name: str = "homeserver") -> AsyncIterator[Remote]:
    """Run it; its log goes to the directory."""
    port_file = directory / f"{name}.port"
    argv: list[str | Path] = [sys.executable, "-m", "tests.transfers.homeserver", port_file]
    process = Process(argv, log=directory / f"{name}.log", env={})
    try:
        while not port_file.exists():
            assert process.running, process.log_tail()
            await asyncio.sleep(0.02)
        timeout = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(timeout=timeout) as http:
            yield Remote(f"http://127.0.0.1:{port_file.read_text()}", process.pid, http)
    finally:
        await process.stop()


async def _serve(port_file: Path) -> None:
    runner = web.AppRunner(Homeserver().app())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    draft = port_file.with_suffix(".new")
    draft.write_text(str(runner.addresses[0][1]))
    draft.replace(port_file)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
