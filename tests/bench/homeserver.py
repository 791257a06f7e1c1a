# SPDX-License-Identifier: Apache-2.0
"""A homeserver with as little as encryption needs, in another process.

Its accounts are numbers, which are their tokens. Run as a program it says its port and serves.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import vodozemac
from aiohttp import web

MEGOLM = "m.megolm.v1.aes-sha2"


def user(number: int | str) -> str:
    """The id of an account."""
    return f"@user{number}:bench.example"


def friend(number: int | str) -> str:
    """The one contact of an account."""
    return f"@friend{number}:bench.example"


def room(number: int | str) -> str:
    """Where they talk."""
    return f"!room{number}:bench.example"


class Homeserver:
    """Its state."""

    def __init__(self) -> None:
        self._devices: dict[str, dict[str, Any]] = {}
        self._one_time_keys: dict[str, list[str]] = defaultdict(list)
        self._answers: dict[str, asyncio.Queue[dict[str, Any]]] = defaultdict(asyncio.Queue)
        self._asked_again: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._changed = asyncio.Event()
        self._numbers = 1

    def app(self) -> web.Application:
        """What it answers."""
        app = web.Application(client_max_size=2**24)
        app.router.add_get("/_matrix/client/v3/sync", self._sync)
        app.router.add_post("/_matrix/client/v3/keys/upload", self._upload)
        app.router.add_post("/_matrix/client/v3/keys/query", self._query)
        app.router.add_post("/bench/say", self._say)
        app.router.add_post("/bench/uploaded", self._uploaded)
        app.router.add_route("*", "/{path:.*}", self._nothing)
        return app

    async def _nothing(self, _: web.Request) -> web.Response:
        return web.json_response({})

    async def _sync(self, request: web.Request) -> web.Response:
        account = request.headers["Authorization"].removeprefix("Bearer ")
        self._asked_again[account].set()
        self._numbers += 1
        counts = {"signed_curve25519": 50 if account in self._devices else 0}
        answer: dict[str, Any] = {"device_one_time_keys_count": counts}
        if request.query.get("since") != "s0":
            timeout_s = int(request.query["timeout"]) / 1000
            try:
                async with asyncio.timeout(timeout_s):
                    answer |= await self._answers[account].get()
            except TimeoutError:
                pass
        return web.json_response({**answer, "next_batch": f"s{self._numbers}"})

    async def _upload(self, request: web.Request) -> web.Response:
        account = request.headers["Authorization"].removeprefix("Bearer ")
        body = await request.json()
        if "device_keys" in body:
            self._devices[account] = body["device_keys"]
        self._one_time_keys[account] += [key["key"] for key in body["one_time_keys"].values()]
        self._changed.set()
        return web.json_response({"one_time_key_counts": {"signed_curve25519": 50}})

    async def _query(self, request: web.Request) -> web.Response:
        """Nobody has a device yet."""
        asked = (await request.json())["device_keys"]
        return web.json_response({"device_keys": {user_id: {} for user_id in asked}})

    async def _uploaded(self, request: web.Request) -> web.Response:
        """Wait until so many accounts have keys here."""
        count = (await request.json())["count"]
        while len(self._devices) < count:
            self._changed.clear()
            await self._changed.wait()
        return web.json_response({"at": time.monotonic()})

    async def _say(self, request: web.Request) -> web.Response:
        """Each friend says so much to their account; answers when all of it was taken."""
        wanted = await request.json()
        accounts = [str(number) for number in range(wanted["accounts"])]
        answers = {account: self._answer(account, wanted["count"]) for account in accounts}
        began = time.monotonic()
        for account in accounts:
            self._asked_again[account].clear()
            self._answers[account].put_nowait(answers[account])
        for account in accounts:
            await self._asked_again[account].wait()
        return web.json_response({"seconds": time.monotonic() - began})

    def _answer(self, number: str, count: int) -> dict[str, Any]:
        """A new key, and what it encrypts."""
        device = self._devices[number]
        keys = device["keys"]
        name = device["device_id"]
        own, session = vodozemac.Account(), vodozemac.GroupSession()
        olm = own.create_outbound_session(
            vodozemac.Curve25519PublicKey.from_base64(keys[f"curve25519:{name}"]),
            vodozemac.Curve25519PublicKey.from_base64(self._one_time_keys[number].pop()),
        )
        content = {
            "algorithm": MEGOLM,
            "room_id": room(number),
            "session_id": session.session_id,
            "session_key": session.session_key.to_base64(),
        }
        payload = {
            "type": "m.room_key",
            "content": content,
            "sender": friend(number),
            "keys": {"ed25519": own.ed25519_key.to_base64()},
            "recipient": user(number),
            "recipient_keys": {"ed25519": keys[f"ed25519:{name}"]},
        }
        kind, body = olm.encrypt(json.dumps(payload).encode()).to_parts()
        text = base64.b64encode(body).rstrip(b"=").decode()
        to_device = {
            "type": "m.room.encrypted",
            "sender": friend(number),
            "content": {
                "algorithm": "m.olm.v1.curve25519-aes-sha2",
                "sender_key": own.curve25519_key.to_base64(),
                "ciphertext": {keys[f"curve25519:{name}"]: {"type": kind, "body": text}},
            },
        }
        events = [self._event(number, session) for _ in range(count)]
        joined = {room(number): {"timeline": {"events": events}}}
        return {"to_device": {"events": [to_device]}, "rooms": {"join": joined}}

    def _event(self, number: str, session: vodozemac.GroupSession) -> dict[str, Any]:
        self._numbers += 1
        said = {"msgtype": "m.text", "body": f"message {self._numbers} of the friend"}
        payload = {"room_id": room(number), "type": "m.room.message", "content": said}
        return {
            "type": "m.room.encrypted",
            "event_id": f"$event{self._numbers}",
            "sender": friend(number),
            "origin_server_ts": int(time.time() * 1000),
            "content": {
                "algorithm": MEGOLM,
                "session_id": session.session_id,
                "ciphertext": session.encrypt(json.dumps(payload).encode()).to_base64(),
                "sender_key": "x",
                "device_id": "D",
            },
        }


class Remote:
    """The homeserver of a benchmark, as it is told what to do."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self.url = url
        self._http = http

    async def say(self, accounts: int, count: int) -> float:
        """Seconds until each of these accounts has taken so many messages."""
        return float((await self._ask("say", accounts=accounts, count=count))["seconds"])

    async def uploaded(self, count: int) -> float:
        """Monotonic time at which so many accounts had uploaded their keys."""
        return float((await self._ask("uploaded", count=count))["at"])

    async def _ask(self, what: str, **body: Any) -> dict[str, Any]:
        async with self._http.post(f"{self.url}/bench/{what}", json=body) as answer:
            return dict(await answer.json())


@asynccontextmanager
async def homeserver() -> AsyncIterator[Remote]:
    """Run it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.homeserver", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    port = int(await process.stdout.readline())
    timeout = aiohttp.ClientTimeout(total=300)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as http:
            yield Remote(f"http://127.0.0.1:{port}", http)
    finally:
        process.terminate()
        await process.wait()


async def _serve() -> None:
    runner = web.AppRunner(Homeserver().app())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve())
