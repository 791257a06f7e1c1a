"""Servers, the gateway, and people, for clients that are looked at."""

import asyncio
import io
import secrets
from contextlib import AsyncExitStack, suppress
from pathlib import Path

from PIL import Image, ImageDraw

from tests.demo.login import Talk, befriend_gateway
from tests.demo.screen import Screen as Terminal
from tests.gateway_process import GatewayProcess, matrix_network
from tests.peers.matrix_client import MatrixClient
from tests.peers.ports import LOOPBACK
from tests.peers.prosody import Prosody
from tests.peers.synapse import Synapse
from tests.peers.xmpp_client import XmppClient

DOMAIN = "home.example"
GATEWAY = f"matrix.{DOMAIN}"
HOMESERVER = "matrix.example"
PASSWORD = "a pass word"
_XMPP_PORT = 5222


class World:
    """Prosody, Synapse, the gateway between them, and the accounts of people."""

    def __init__(self, directory: Path) -> None:
        """Keep all files in ``directory``."""
        self.directory = directory
        secret = secrets.token_hex(16)
        self.prosody = Prosody(
            directory / "prosody", DOMAIN, components={GATEWAY: secret}, bookmarks=True
        )
        self.synapse = Synapse(directory / "synapse", HOMESERVER)
        self.gateway = GatewayProcess(
            directory / "gateway",
            component_port=self.prosody.component_port,
            networks={"matrix": matrix_network(GATEWAY, secret)},
            server_domain=DOMAIN,
            more={"files": {"upload_service": self.prosody.upload_domain}},
        )
        # Others may use that port at the usual address of this machine.
        numbers = (secrets.randbelow(250) + 1 for _ in range(3))
        self.address = f"127.{'.'.join(str(number) for number in numbers)}"
        """Where the XMPP server is at its usual port."""

    async def set_up(self, stack: AsyncExitStack, terminal: Terminal) -> None:
        """Start everything; ``stack`` stops it."""
        with terminal.step("starting Prosody, Synapse and the gateway"):
            for server in (self.prosody, self.synapse):
                stack.push_async_callback(server.stop)
            async with asyncio.TaskGroup() as group:
                group.create_task(self.prosody.start())
                group.create_task(self.synapse.start())
            relay = await asyncio.start_server(self._relay, self.address, _XMPP_PORT)
            stack.callback(relay.close)
            self.prosody.add_user("alice", PASSWORD)
            for user in ("alice", "bob", "carol"):
                await self.synapse.add_user(user, PASSWORD)
            stack.push_async_callback(self.gateway.stop_if_started)
            await self.gateway.start()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection to the usual port of the XMPP server."""
        server = await asyncio.open_connection(LOOPBACK, self.prosody.c2s_port)
        with suppress(OSError):
            async with asyncio.TaskGroup() as group:
                group.create_task(_copy(reader, server[1]))
                group.create_task(_copy(server[0], writer))

    async def link(self) -> None:
        """Link alice's account, by a client that is gone afterwards."""
        async with self.xmpp_client("alice") as client:
            talk = Talk(client, GATEWAY)
            await talk.log_in(self.synapse.url, "alice", PASSWORD)
            await befriend_gateway(client, GATEWAY)

    def xmpp_client(self, user: str) -> XmppClient:
        """A client without a face, not connected yet."""
        server = self.prosody
        return XmppClient(
            user, PASSWORD, port=server.c2s_port, ca_file=server.ca_file, domain=DOMAIN
        )

    async def matrix_client(
        self, user: str, name: str, colour: str, stack: AsyncExitStack
    ) -> MatrixClient:
        """A person on Matrix, with a name and a picture."""
        client = MatrixClient(self.synapse.url, user, PASSWORD)
        await stack.enter_async_context(client)
        await client.set_displayname(name)
        await client.set_avatar(await client.upload(picture(colour), "image/png"))
        return client


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


def picture(colour: str) -> bytes:
    """A face that is known again."""
    image = Image.new("RGB", (192, 192), colour)
    draw = ImageDraw.Draw(image)
    for x in (60, 118):
        draw.ellipse((x, 62, x + 16, 78), fill="white")
    draw.arc((54, 60, 140, 142), 20, 160, fill="white", width=9)
    kept = io.BytesIO()
    image.save(kept, "PNG")
    return kept.getvalue()
