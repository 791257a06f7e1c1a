# SPDX-License-Identifier: Apache-2.0
"""A file each way, in the middle of a fault.

Half of alice's file has come when the fault begins, and the rest comes when it is over; bob's file
is shared a moment before it. Each of them arrives once and whole, or whoever has sent it is told
that it does not; and what a link leads to is the file.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from tests.faults.people import OOB, Pair, receipt_of, url_of
from tests.peers.ports import LOOPBACK
from tests.peers.process import PeerError
from tests.peers.xmpp_client import Stanza
from tests.scenario.web import Hosted, WebHost

_PUBLIC = "https://127.0.0.1:1/chat"
_PATH = "/alice.bin"
_BEGIN_S = 30.0
_FETCH_S = 20.0
_AGAIN_S = 0.2
_ALICES = random.Random(1).randbytes(600_000)
_BOBS = random.Random(2).randbytes(2_000_000)
"""More than is looked at before it is uploaded."""


def settings(host: WebHost, upload_service: str, port: int) -> dict[str, Any]:
    """Sections of the gateway's configuration: files of alice are on that host, those of bob come
    to her server's upload service, or to the gateway's own port."""
    return {
        "fetch": {"allow": [LOOPBACK], "allow_http": True, "ports": [host.port]},
        "files": {"upload_service": upload_service},
        "http": {"public_url": _PUBLIC, "listen": f"{LOOPBACK}:{port}"},
    }


@dataclass(slots=True)
class Shared:
    """What a pair sends to one another."""

    pair: Pair
    host: WebHost
    port: int
    """Of the gateway's own web server."""
    _uri: str = ""
    """Of bob's file."""

    async def begin(self) -> None:
        """Half of alice's file is on its way from now on, and the homeserver has bob's."""
        pair = self.pair
        self.host.files[_PATH] = Hosted(_ALICES, allowed=len(_ALICES) // 2)
        url = self.host.base + _PATH
        extra = f"<x xmlns='{OOB}'><url>{url}</url></x>"
        pair.file = pair.alice.send_message(pair.bob_jid, url, extra=extra)
        self._uri = await pair.bob.upload(_BOBS, "application/octet-stream")

    async def on_the_way(self) -> None:
        """Both are."""
        async with asyncio.timeout(_BEGIN_S):
            while not self.host.asked:  # noqa: ASYNC110 - a list tells nobody
                await asyncio.sleep(0.02)
        content = {"msgtype": "m.file", "body": "bob.bin", "url": self._uri}
        await self.pair.bob.send_event(self.pair.room, "m.room.message", content)

    def go_on(self) -> None:
        """The rest of alice's file comes."""
        self.host.let(_PATH, None)

    async def wrong(self, *, committed: bool, archived: bool) -> list[str]:
        """When all has come to rest. ``committed``: the gateway has had alice's message; with
        ``archived`` it counts too what her server has archived alone."""
        came = self.pair.alice.inbox.items[self.pair.mark :]
        if archived:
            came = [*came, *await self.pair.archive()]
        came = [stanza for stanza in came if stanza.kind == "message"]
        return [*await self._wrong_out(came, committed), *await self._wrong_in(came)]

    async def _wrong_out(self, came: list[Stanza], committed: bool) -> list[str]:
        pair = self.pair
        errors = {each.id for each in came if each.type == "error" and each.id == pair.file}
        receipts = {stanza.id for stanza in came if receipt_of(stanza) == pair.file}
        there = {
            event.event_id: event.content
            for event in pair.bob.inbox.items
            if event.section == "timeline"
            and event.sender == pair.phone.user_id
            and event.content.get("msgtype") == "m.file"
        }
        wrong = [await self._differs(content) for content in there.values()]
        if len(there) > 1:
            wrong.append(f"alice's file came {len(there)} times")
        if bool(receipts) == bool(errors) and committed:
            wrong.append(f"alice's file: {len(receipts)} receipts, {len(errors)} errors")
        if receipts and not there:
            wrong.append("a receipt for a file that is not there")
        return [what for what in wrong if what]

    async def _differs(self, content: Mapping[str, Any]) -> str:
        same = await self.pair.bob.download(content["url"]) == _ALICES
        return "" if same else "bob has another file than alice has sent"

    async def _wrong_in(self, came: list[Stanza]) -> list[str]:
        told = {
            stanza.id: url
            for stanza in came
            if stanza.sender_bare == self.pair.bob_jid and (url := url_of(stanza))
        }
        if len(told) != 1:
            return [f"bob's file came under {len(told)} ids: {told}"]
        (url,) = told.values()
        return [] if await self._fetched(url) == _BOBS else [f"{url} does not lead to bob's file"]

    async def _fetched(self, url: str) -> bytes:
        """As a client does it: what does not come whole is asked for again."""
        at = url.replace("https://127.0.0.1:1/", f"http://{LOOPBACK}:{self.port}/")
        deadline = time.monotonic() + _FETCH_S
        async with aiohttp.ClientSession() as http:
            while time.monotonic() < deadline:
                try:
                    async with http.get(at) as answer:
                        if answer.status == 200:
                            return await answer.read()
                except (aiohttp.ClientError, PeerError):
                    pass
                await asyncio.sleep(_AGAIN_S)
        return b""
