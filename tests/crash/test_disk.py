# SPDX-License-Identifier: Apache-2.0
"""A disk that is full, or fails: nothing is acknowledged, nothing exits, and it heals itself."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest

from tests.crash import disk
from tests.crash.victim import COMPONENT, HOST, SECRET
from tests.scenario.server import FakeServer
from tests.scripted.server import ScriptedNetwork

_LIMIT_S = 30.0
_PHONE = f"alice@{HOST}/phone"
_BOB = f"bob@{COMPONENT}"
_NS = "{jabber:component:accept}"


@dataclass(slots=True)
class World:
    """A gateway on a disk of its own, between a server and a network."""

    server: FakeServer
    network: ScriptedNetwork
    process: asyncio.subprocess.Process

    async def tell(self, command: str) -> None:
        """Break or mend the disk."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{command}\n".encode())
        await self.done()

    async def done(self) -> None:
        """The process has done what it was told."""
        assert self.process.stdout is not None
        async with asyncio.timeout(_LIMIT_S):
            assert await self.process.stdout.readline() == b"done\n"

    def send(self, id: str) -> None:
        """Alice writes to bob; the text is the id."""
        self.server.send(
            f"<message from='{_PHONE}' to='{_BOB}' type='chat' id='{id}'>"
            f"<body>{id}</body></message>"
        )

    async def stanza(self, kind: str, id: str = "", body: str = "") -> Element:
        """The next such stanza."""
        async with asyncio.timeout(_LIMIT_S):
            while True:
                found = await self.server.received.get()
                if found.tag == f"{_NS}{kind}" and (
                    found.get("id") == id or (body and found.findtext(f"{_NS}body") == body)
                ):
                    return found

    def sent(self) -> list[str]:
        """Texts that the network has."""
        return [text.body for text in self.network.sent]


@asynccontextmanager
async def world(directory: Path, fault: str) -> AsyncIterator[World]:
    """Alice is linked and live."""
    async with ScriptedNetwork() as network:
        network.tokens["token-alice"] = "alice"
        server = FakeServer(HOST, COMPONENT, SECRET)
        await server.start()
        ports = (str(server.port), str(network.port))
        own_mounts = ["unshare", "--user", "--map-root-user", "--mount"]
        process = await asyncio.create_subprocess_exec(
            *(own_mounts if fault == disk.FULL else []),
            *(sys.executable, "-m", disk.__name__, directory, *ports, fault),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        here = World(server, network, process)
        try:
            await here.done()
            yield here
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            await server.stop()


@pytest.mark.parametrize("fault", [disk.FULL, disk.IO_ERROR])
async def test_a_disk_that_takes_nothing(fault: str, tmp_path: Path) -> None:
    async with world(tmp_path, fault) as here:
        here.network.says("alice", "bob", "One")
        await here.stanza("message", body="One")
        here.send("m1")
        await here.network.until(lambda: here.sent() == ["m1"], _LIMIT_S)
        own = here.network.last_position("alice")  # the echo of m1
        await here.network.until(lambda: here.network.acknowledged["alice"] == own, _LIMIT_S)
        await here.tell("break")
        acknowledged = here.network.acknowledged["alice"]
        here.network.says("alice", "bob", "Two")
        for id in ("m2", "m3"):
            here.send(id)
            refused = await here.stanza("message", id=id)
            assert refused.get("type") == "error"
            error = refused.find(f"{_NS}error")
            assert error is not None
            assert error.get("type") == "wait"
            condition = "{urn:ietf:params:xml:ns:xmpp-stanzas}resource-constraint"
            assert error.find(condition) is not None
        here.server.send(
            f"<iq type='get' from='{_PHONE}' to='{COMPONENT}' id='p'>"
            "<ping xmlns='urn:xmpp:ping'/></iq>"
        )
        assert (await here.stanza("iq", id="p")).get("type") == "result"
        # Sessions end and are made again meanwhile; that is ten seconds for the gateway.
        await asyncio.sleep(1)
        assert here.network.acknowledged["alice"] == acknowledged
        assert here.process.returncode is None
        await here.tell("mend")
        await here.stanza("message", body="Two")
        here.send("m4")
        await here.network.until(lambda: here.sent() == ["m1", "m4"], _LIMIT_S)
        here.process.terminate()
        assert await asyncio.wait_for(here.process.wait(), _LIMIT_S) == 0
