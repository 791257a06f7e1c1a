"""Everything that has to be running: two servers, the gateway, and the people's accounts."""

import asyncio
import secrets
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.demo.screen import Screen
from tests.gateway_process import GatewayProcess, matrix_network
from tests.peers.matrix_client import MatrixClient
from tests.peers.ports import LOOPBACK
from tests.peers.prosody import Prosody
from tests.peers.synapse import Synapse
from tests.peers.xmpp_client import XmppClient

GATEWAY = "matrix.localhost"


@dataclass(frozen=True, slots=True)
class Person:
    """A name and a password."""

    name: str
    password: str


class Stage:
    """Servers and gateway, with all their state below one directory."""

    def __init__(self, directory: Path) -> None:
        """Use free ports and new secrets."""
        secret = secrets.token_hex(16)
        self.prosody = Prosody(directory / "prosody", components={GATEWAY: secret})
        self.synapse = Synapse(directory / "synapse")
        self.gateway = GatewayProcess(
            directory / "gateway",
            component_port=self.prosody.component_port,
            networks={"matrix": matrix_network(GATEWAY, secret)},
            more={
                "files": {"upload_service": self.prosody.upload_domain},
                "fetch": {
                    "allow": [LOOPBACK],
                    "allow_http": True,
                    "ports": [self.prosody.http_port],
                },
            },
        )
        self.alice = Person("alice", secrets.token_hex(4))
        """On both networks: with this password at the XMPP server,"""
        self.alice_on_matrix = Person("alice", secrets.token_hex(4))
        """and with this one at the homeserver."""
        self.bob = Person("bob", secrets.token_hex(4))

    async def set_up(self, stack: AsyncExitStack, screen: Screen) -> None:
        """Start everything; ``stack`` stops it."""
        with screen.step("starting Prosody and Synapse"):
            starting = [self.prosody.start(), self.synapse.start()]
            for server in (self.prosody, self.synapse):
                stack.push_async_callback(server.stop)
            async with asyncio.TaskGroup() as group:
                for start in starting:
                    group.create_task(start)
        with screen.step("making the users alice and bob"):
            self.prosody.add_user(self.alice.name, self.alice.password)
            for person in (self.alice_on_matrix, self.bob):
                await self.synapse.add_user(person.name, person.password)
        with screen.step("starting the gateway: dragoman run"):
            stack.push_async_callback(self.gateway.stop_if_started)
            await self.gateway.start()

    def alice_client(self) -> XmppClient:
        """Alice's client, not connected yet."""
        prosody, alice = self.prosody, self.alice
        return XmppClient(
            alice.name, alice.password, port=prosody.c2s_port, ca_file=prosody.ca_file
        )

    def bob_client(self) -> MatrixClient:
        """Bob's client, not connected yet."""
        return MatrixClient(self.synapse.url, self.bob.name, self.bob.password)

    @property
    def running(self) -> bool:
        """Whether all of it still runs."""
        return self.gateway.running and self.prosody.running and self.synapse.running
