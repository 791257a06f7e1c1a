# SPDX-License-Identifier: Apache-2.0
"""What users see where the upload service of their server takes no more (REQ-445, REQ-449): a file
that is somewhere else, or words, and never a link to nothing.

The servers are real ones, of these tests alone, with limits that are soon reached.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from gateway.adapter import Linked
from gateway.app import Gateway
from gateway.config import Config
from gateway.config.tree import Access, Fetch, Files, Http, Network, Server, Store, Way, Xmpp
from gateway.config.values import (
    AccessEntry,
    Domain,
    Listen,
    Reachable,
    Service,
    WebAddress,
)
from gateway.ids import NetworkName, RemoteUserId, UserJid
from gateway.secret import Secret
from gateway.tasks import SystemClock
from tests.e2e.house import GATEWAY, PASSWORD
from tests.peers.ejabberd import Ejabberd
from tests.peers.ports import LOOPBACK, free_port
from tests.peers.prosody import Prosody
from tests.peers.uploading import place, put
from tests.peers.xmpp_client import Stanza, XmppClient
from tests.peers.xmpp_server import XmppServer
from tests.scripted.adapter import FilesAdapter, ScriptedSettings
from tests.scripted.server import ScriptedNetwork

pytestmark = pytest.mark.waits

_OWN = "https://gateway.example"
"""What users are told of the gateway's own address; a web server would pass it on."""
_BOB = f"bob@{GATEWAY}"
_PATIENCE_S = 30
"""Less than that for which a place is asked for again where there may be one later."""


@dataclass
class _Scene:
    """Alice, who has an account, Bob, who is on the network, and whoever follows a link."""

    server: XmppServer
    network: ScriptedNetwork
    alice: XmppClient
    folder: Path
    web: aiohttp.ClientSession
    port: int
    """Where the gateway's own address leads to."""

    @asynccontextmanager
    async def gateway(self, *ways: Way) -> AsyncIterator[None]:
        """It runs, and alice is linked; of a restart nobody is told."""
        async with AsyncExitStack() as stack:
            gateway = Gateway(
                self._config(ways), SystemClock(), {"scripted": lambda: FilesAdapter}
            )
            await gateway.start(stack)
            stack.push_async_callback(gateway.stop)
            if not self.network.told("alice"):
                linked = Linked(realm="scripted", remote_id=RemoteUserId("alice"), secret=b"token")
                await gateway._networks[0].logins.link(UserJid(self.alice.bare), linked)
                await self.alice.wait_for(lambda stanza: "Connected" in str(stanza))
            yield

    def _config(self, ways: tuple[Way, ...]) -> Config:
        return Config(
            xmpp=Xmpp(
                server=Server(domain=Domain(self.server.domain), port=self.server.component_port)
            ),
            access=Access(allow=(AccessEntry("*"),)),
            store=Store(database=self.folder / "g.db", key_file=self.folder / "g.key"),
            http=Http(listen=Listen(f"{LOOPBACK}:{self.port}"), public_url=WebAddress(_OWN)),
            files=Files(upload_service=Service(self.server.upload_domain), ways=ways),
            fetch=Fetch(
                allow=(Reachable.parse(LOOPBACK),),
                allow_http=True,
                ports=(self.server.http_port,),
            ),
            networks={
                NetworkName("net"): Network(
                    adapter="scripted",
                    domain=Domain(GATEWAY),
                    secret=Secret(self.server.components[GATEWAY]),
                    settings=ScriptedSettings(port=self.network.port),
                )
            },
        )

    async def told(self, name: str, data: bytes) -> str:
        """Bob sends that, and a text; the latter comes whatever becomes of the file. Returns what
        alice is told of it: a link, which leads to it, or words."""
        self.network.files[name] = data
        mark = self.alice.inbox.mark()
        file = {"reference": name, "name": name, "size": len(data)}
        self.network.says("alice", "bob", "", files=[file])
        self.network.says("alice", "bob", f"after {name}")
        after = f"after {name}"
        await self.alice.wait_message(after, sender=_BOB, since=mark, timeout=_PATIENCE_S)
        of_file = await self.alice.wait_for(
            lambda stanza: stanza.sender_bare == _BOB and _is_about(stanza, name),
            since=mark,
            timeout=_PATIENCE_S,
        )
        link, body = _link(of_file), of_file.body or ""
        assert link == ("" if body.startswith("📎") else body)
        if link:
            assert await self.at(link) == (200, data)
        return body

    async def at(self, link: str) -> tuple[int, bytes]:
        """What is found there."""
        async with self.web.get(link.replace(_OWN, f"http://{LOOPBACK}:{self.port}")) as answer:
            return answer.status, await answer.read() if answer.status == 200 else b""

    async def gone(self, link: str) -> None:
        """Wait until nothing is there any more."""
        deadline = time.monotonic() + _PATIENCE_S
        while (await self.at(link))[0] == 200:
            assert time.monotonic() < deadline, "it is still there"
            await asyncio.sleep(0.05)

    def is_at_service(self, told: str) -> bool:
        return told.startswith(f"http://{LOOPBACK}:{self.server.http_port}/")

    def shares(self, link: str) -> str:
        """Alice sends bob what is there; returns the id."""
        extra = f"<x xmlns='jabber:x:oob'><url>{link}</url></x>"
        return self.alice.send_message(_BOB, link, extra=extra)

    async def is_told_that_it_is_not_there(self, link: str) -> None:
        """Alice, when she sends it; and what she says after that goes on."""
        error = await self.alice.wait_error(self.shares(link), timeout=_PATIENCE_S)
        assert "not-acceptable" in str(error)
        assert f"The file is not at {LOOPBACK} any more." in str(error)
        text = self.alice.send_message(_BOB, f"instead of {link}")
        await self.alice.wait_receipt(text, timeout=_PATIENCE_S)
        assert self.network.sent[-1].body == f"instead of {link}"


def _is_about(stanza: Stanza, name: str) -> bool:
    body = stanza.body or ""
    return stanza.kind == "message" and name in body and not body.startswith("after ")


def _link(stanza: Stanza) -> str:
    """Empty if it is told as no file."""
    x = stanza.child("jabber:x:oob", "x")
    return "" if x is None else x.findtext("{jabber:x:oob}url") or ""


@asynccontextmanager
async def _scene(server: XmppServer, folder: Path) -> AsyncIterator[_Scene]:
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(server)
        server.add_user("alice", PASSWORD)
        network = await stack.enter_async_context(ScriptedNetwork())
        network.people, network.tokens = {"bob": "Bob"}, {"token": "alice"}
        alice = XmppClient(
            "alice",
            PASSWORD,
            port=server.c2s_port,
            ca_file=server.ca_file,
            domain=server.domain,
        )
        await stack.enter_async_context(alice)
        web = await stack.enter_async_context(aiohttp.ClientSession())
        yield _Scene(server, network, alice, folder, web, free_port())


async def test_req_445_449_prosody_takes_so_much_of_one_file_and_of_one_day(
    tmp_path: Path,
) -> None:
    """What alice's quota has no room for is put there as the component; what neither has room for,
    and what is too large, is at the gateway's own address, or told in words."""
    server = Prosody(
        tmp_path / "server",
        components={GATEWAY: secrets.token_hex(16)},
        file_bytes=100_000,
        quota_bytes=150_000,
    )
    dice = random.Random(1)
    async with _scene(server, tmp_path) as scene:
        async with scene.gateway("user", "component", "gateway"):
            told = [await scene.told(f"{n}.bin", dice.randbytes(90_000)) for n in range(3)]
            assert [scene.is_at_service(each) for each in told] == [True, True, False]
            large = await scene.told("large.bin", dice.randbytes(100_001))
            assert {each.startswith(f"{_OWN}/files/") for each in (told[2], large)} == {True}
            small = await scene.told("small.bin", b"there is room for this")
            assert scene.is_at_service(small)
            never = await place(
                scene.alice, server.upload_domain, "never.bin", "application/octet-stream", 5
            )
            await scene.is_told_that_it_is_not_there(never.get)
        async with scene.gateway("user", "component"):
            assert await scene.told("late.bin", dice.randbytes(90_000)) == "📎 late.bin (90 kB)"
            large = await scene.told("huge.bin", dice.randbytes(100_001))
            assert large == "📎 huge.bin (100 kB)"


async def test_req_445_449_ejabberd_takes_so_much_of_one_file_and_drops_the_oldest_ones(
    tmp_path: Path,
) -> None:
    """Which is not told again as a place where a file is; nor is it sent to the network as one."""
    server = Ejabberd(
        tmp_path / "server",
        components={GATEWAY: secrets.token_hex(16)},
        file_bytes=900_000,
        quota_bytes=1 << 20,
    )
    dice = random.Random(2)
    first, second = dice.randbytes(700_000), dice.randbytes(700_000)
    async with _scene(server, tmp_path) as scene:
        async with scene.gateway("component", "gateway"):
            there = await scene.told("first.bin", first)
            assert scene.is_at_service(await scene.told("second.bin", second))
            await scene.gone(there)
            again = await scene.told("first.bin", first)
            assert scene.is_at_service(again)
            assert again != there
            large = await scene.told("large.bin", dice.randbytes(900_001))
            assert large.startswith(f"{_OWN}/files/")
            links = [
                await put(
                    scene.alice,
                    server.upload_domain,
                    f"hers-{number}.bin",
                    "application/octet-stream",
                    data,
                )
                for number, data in enumerate((first, second))
            ]
            await scene.gone(links[0])
            await scene.is_told_that_it_is_not_there(links[0])
            await scene.alice.wait_receipt(scene.shares(links[1]), timeout=_PATIENCE_S)
            assert scene.network.sent[-1].file is not None
            assert scene.network.sent[-1].file["size"] == len(second)
        async with scene.gateway("component"):
            large = await scene.told("huge.bin", dice.randbytes(900_001))
            assert large == "📎 huge.bin (900 kB)"
