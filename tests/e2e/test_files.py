# SPDX-License-Identifier: Apache-2.0
"""Files as people see them: Converse.js on one side, and a client of Matrix on the other.

Alice's client puts her files where her own server wants them. Those of Bob she is shown by the
https of the gateway's admin, or, with ejabberd, by her server's upload service.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from tests.e2e.house import PASSWORD, House, at_services
from tests.e2e.shared_files import Shared, found_in, opened, three
from tests.e2e.test_avatars import face
from tests.e2e.test_encrypted_chats import Pair, _linked
from tests.e2e.test_groups import _invited
from tests.peers.converse import Browser, Converse
from tests.peers.ports import LOOPBACK, free_port
from tests.peers.prosody import Prosody
from tests.peers.web_proxy import WebProxy

pytestmark = [pytest.mark.timeout(240), pytest.mark.waits]

_CAPTION = "From our walk yesterday"


@dataclass
class _Place:
    """Where both are: a chat or a group."""

    pair: Pair
    page: Converse
    web: aiohttp.ClientSession
    room: str
    """On Matrix."""
    is_sealed: bool
    base: str
    """Where Alice finds the files of others."""

    async def bob_shares(self, file: Shared, caption: str = "") -> None:
        content = file.content(caption)
        sent = await self.pair.bob.share(
            self.room, file.data, content, file.media_type, encrypted=self.is_sealed
        )
        event = await self.pair.bob.raw_event(self.room, sent)
        assert ("mxc:" in str(event["content"])) is not self.is_sealed
        url = await self._shown(file)
        assert url.startswith(self.base)
        async with self.web.get(url) as answer:
            assert answer.status == 200
            assert await answer.read() == file.data

    async def alice_shares(self, file: Shared) -> None:
        path = self.pair.scene.house.directory / file.name
        path.write_bytes(file.data)
        await self.page.send_file(path)
        event = await self.pair.bob.wait_text(file.name, room_id=self.room)
        assert event.sender == self.pair.scene.phone.user_id
        assert event.decrypted is self.is_sealed
        place = event.content.get("file", event.content)
        assert ("url" in event.content) is not self.is_sealed
        data = await self.pair.scene.bob.download(place["url"])
        file.check(event.content, opened(place, data) if self.is_sealed else data)
        url = await self._shown(file)
        assert url.startswith(f"http://{LOOPBACK}:{self.pair.scene.house.xmpp.http_port}/")

    async def _shown(self, file: Shared) -> str:
        if file.msgtype == "m.image":
            return await self.page.picture_called(file.name)
        if file.msgtype == "m.audio":
            return await self.page.sound_called(file.name)
        return await self.page.link_to(file.name)

    async def both_share(self, called: str) -> list[Shared]:
        """Everything there is; returns what there is then."""
        theirs, hers = three(f"{called}-bob"), three(f"{called}-alice")
        photo, *others = theirs
        await self.bob_shares(photo, _CAPTION)
        await self.page.sees(_CAPTION)
        for file in others:
            await self.bob_shares(file)
        for file in hers:
            await self.alice_shares(file)
        # Pictures have no words, and nothing is shown twice.
        shown = (await self.page.texts())[-7:]
        assert shown[:2] == ["", _CAPTION]
        assert shown[3].endswith(theirs[-1].name)
        assert shown[4] == ""
        assert shown[6].endswith(hers[-1].name)
        return theirs + hers


def _options(house: House, proxy: WebProxy, port: int) -> dict[str, Any]:
    """Of the gateway, which may fetch from this machine."""
    options: dict[str, Any] = at_services(house)
    if isinstance(house.xmpp, Prosody):
        options["files"] = {}
    http = {"public_url": proxy.url, "listen": f"{LOOPBACK}:{port}"}
    return {**options, "http": http, "env": {"SSL_CERT_FILE": str(proxy.ca_file)}}


async def _group(pair: Pair, page: Converse, *, encrypted: bool) -> str:
    """On Matrix; Alice comes when she is invited."""
    since, phone = pair.scene.alice.inbox.mark(), pair.scene.phone
    group = await pair.bob.create_room(encrypted=encrypted)
    await pair.bob.request("PUT", f"rooms/{group}/state/m.room.name/", {"name": "Our walks"})
    await pair.bob.invite(group, phone.user_id)
    room = await _invited(pair.scene.alice, since)
    await page.dismiss()
    await page.join(room, "Alice")
    await pair.bob.wait_member(group, phone.user_id)
    return group


@asynccontextmanager
async def _both(house: House) -> AsyncIterator[tuple[Pair, Converse, aiohttp.ClientSession, str]]:
    """Alice in a browser, Bob, what she may fetch with, and the gateway's own address."""
    port = free_port()
    async with AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(WebProxy(house.directory / "proxy", port))
        pair = await stack.enter_async_context(_linked(house, **_options(house, proxy, port)))
        trusted = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=proxy.ca_file))
        web = await stack.enter_async_context(aiohttp.ClientSession(connector=trusted))
        browser = await stack.enter_async_context(Browser())
        path = f"profile/{pair.bob.user_id}"
        await pair.bob.request("PUT", f"{path}/displayname", {"displayname": "Bob Builder"})
        uri = await pair.scene.bob.upload(face("crimson"), "image/png")
        await pair.bob.request("PUT", f"{path}/avatar_url", {"avatar_url": uri})
        alice = pair.scene.alice.bare
        page = await browser.log_in(alice, PASSWORD, house.home.websocket_url)
        yield pair, page, web, proxy.url


async def test_req_441_444_448_files_each_way_in_converse_js(house: House) -> None:
    """In a chat and in a group, of which one is encrypted: of that the homeserver has nothing."""
    is_sealed = isinstance(house.xmpp, Prosody)
    shared: list[tuple[_Place, list[Shared]]] = []
    async with _both(house) as (pair, page, web, own):
        base = own if is_sealed else f"http://{LOOPBACK}:{house.xmpp.http_port}/"
        await pair.begin(encrypted=is_sealed)
        await page.chat(pair.jid)
        chat = _Place(pair, page, web, pair.room, is_sealed, base)
        shared.append((chat, await chat.both_share(f"{pair.bob.user}-chat")))
        await page.picture(house.directory / "chat.png")
        group = await _group(pair, page, encrypted=not is_sealed)
        walks = _Place(pair, page, web, group, not is_sealed, base)
        shared.append((walks, await walks.both_share(f"{pair.bob.user}-group")))
        await page.picture(house.directory / "group.png")
        for place, files in shared:
            for file in files:
                found = found_in(house.synapse.directory, file.traces)
                assert found == (set() if place.is_sealed else set(file.traces)), file
