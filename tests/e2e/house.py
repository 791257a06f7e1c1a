"""A gateway process of one test, on servers that tests share, with people of its own."""

import asyncio
import itertools
import secrets
import sqlite3
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.demo.login import Talk, befriend_gateway
from tests.gateway_process import GatewayProcess, matrix_network
from tests.peers.matrix_client import MatrixClient
from tests.peers.ports import LOOPBACK
from tests.peers.synapse import Synapse
from tests.peers.xmpp_client import RECEIPTS, Stanza, XmppClient
from tests.peers.xmpp_server import XmppServer

GATEWAY = "matrix.localhost"
OTHER_GATEWAY = "other.localhost"
PASSWORD = "a pass word"

_numbers = itertools.count(1)


@dataclass
class House:
    """Two servers, and a directory for the gateway."""

    xmpp: XmppServer
    """The gateway's, and alice's as well unless she has another."""
    synapse: Synapse
    directory: Path
    domain: str = GATEWAY
    away: XmppServer | None = None
    """Alice's server, if it is another one."""

    @property
    def home(self) -> XmppServer:
        """Where alice has her account."""
        return self.away or self.xmpp

    @asynccontextmanager
    async def own_server(self, **options: Any) -> AsyncIterator[XmppServer]:
        """An XMPP server of the same kind for this test alone."""
        directory, components = self.directory / "server", {GATEWAY: secrets.token_hex(16)}
        async with type(self.xmpp)(directory, components=components, **options) as self.xmpp:
            yield self.xmpp

    def gateway(
        self,
        networks: Mapping[str, Mapping[str, Any]] | None = None,
        http: Mapping[str, Any] | None = None,
        fetch: Mapping[str, Any] | None = None,
        files: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> GatewayProcess:
        """A gateway that is not started yet; by default with one network."""
        return GatewayProcess(
            self.directory / "gateway",
            component_port=self.xmpp.component_port,
            networks=networks or {"matrix": self.network(self.domain)},
            server_domain=self.xmpp.domain,
            more={
                "access": {"allow": ["*"]},
                "http": http or {},
                "fetch": fetch or {},
                "files": files or {},
            },
            **options,
        )

    def network(self, domain: str, **more: Any) -> dict[str, Any]:
        """A Matrix network at one of the server's component hosts."""
        return matrix_network(domain, self.xmpp.components[domain], **more)

    def xmpp_client(
        self, user: str, *, resource: str = "test", plugins: Sequence[str] = ()
    ) -> XmppClient:
        """A client of a new or existing user."""
        self.home.add_user(user, PASSWORD)
        return XmppClient(
            user,
            PASSWORD,
            port=self.home.c2s_port,
            ca_file=self.home.ca_file,
            domain=self.home.domain,
            resource=resource,
            plugins=plugins,
        )

    async def matrix_client(self, user: str) -> MatrixClient:
        """A client of a new user."""
        await self.synapse.add_user(user, PASSWORD)
        return MatrixClient(self.synapse.url, user, PASSWORD)

    @asynccontextmanager
    async def running(self, **options: Any) -> AsyncIterator["Scene"]:
        """A started gateway, and people who are logged in, but not at the gateway."""
        async with self.gateway(**options) as gateway, self.people(gateway) as scene:
            yield scene

    @asynccontextmanager
    async def people(self, gateway: GatewayProcess) -> AsyncIterator["Scene"]:
        """Alice with a client on both networks, and bob on Matrix."""
        number = next(_numbers)
        async with AsyncExitStack() as stack:
            alice = await stack.enter_async_context(self.xmpp_client(f"alice{number}"))
            phone = await stack.enter_async_context(await self.matrix_client(f"alice{number}"))
            bob = await stack.enter_async_context(await self.matrix_client(f"bob{number}"))
            talk = Talk(alice, self.domain)
            yield Scene(self, gateway, alice, phone, bob, talk)

    @asynccontextmanager
    async def linked(self, **options: Any) -> AsyncIterator["Scene"]:
        """The same, and alice has linked her account."""
        async with self.running(**options) as scene:
            await scene.log_in("login here" if "http" in options else "login")
            yield scene


@dataclass
class Scene:
    """One gateway and three clients."""

    house: House
    gateway: GatewayProcess
    alice: XmppClient
    phone: MatrixClient
    """Alice's other Matrix client."""
    bob: MatrixClient
    talk: Talk
    room: str = ""

    @property
    def bob_jid(self) -> str:
        """Bob as alice sees him."""
        return f"{self.bob.user}%localhost@{self.house.domain}"

    async def log_in(self, begin: str = "login") -> None:
        """Link alice's account, and make the gateway a contact."""
        await self.talk.log_in(self.house.synapse.url, self.phone.user, PASSWORD, begin=begin)
        await befriend_gateway(self.alice, self.talk.gateway)

    async def live(self) -> None:
        """Until the network can be asked for something: alice's client is shown that."""
        await self.alice.wait_for(
            lambda stanza: (
                (stanza.kind, stanza.sender_bare) == ("presence", self.talk.gateway)
                and "Connected" in str(stanza)
            )
        )

    async def chat(self) -> str:
        """A direct room of alice and bob that the gateway knows of; returns its id."""
        self.room = await self.phone.create_direct(self.bob.user_id)
        await self.bob.join(self.room)
        await self.bob.send_text(self.room, "Here I am.")
        await self.alice.wait_message("Here I am.", sender=self.bob_jid)
        return self.room

    async def ping_gateway(self, timeout: float = 30) -> None:
        """Until the gateway answers; what was sent to it before, it has read by then.

        A question or its answer may be lost between two servers when one was killed.
        """
        deadline = time.monotonic() + timeout
        ping = "<ping xmlns='urn:xmpp:ping'/>"
        while True:
            try:
                answer = await self.alice.iq(self.talk.gateway, ping, timeout=5)
                if answer.type == "result":
                    return
            except AssertionError:
                answer = None
            assert time.monotonic() < deadline, f"the gateway does not answer: {answer}"
            await asyncio.sleep(0.1)

    # --- what the database says -----------------------------------------------------------------

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Read from the gateway's database, beside the gateway."""
        uri = f"{self.gateway.database.as_uri()}?mode=ro"
        database = sqlite3.connect(uri, uri=True, timeout=5)
        try:
            return database.execute(sql).fetchall()
        finally:
            database.close()

    def committed(self) -> list[str]:
        """Ids of alice's stanzas that the gateway took, in the order in which it did."""
        rows = self.query("SELECT stanza_id FROM outbound WHERE stanza_id <> '' ORDER BY id")
        return [row[0] for row in rows]

    async def settled(self, timeout: float = 60) -> None:
        """Until the gateway owes nothing to anybody, and alice has what it wrote."""
        deadline = time.monotonic() + timeout
        await self.ping_gateway()
        open_rows = (
            "SELECT (SELECT count(*) FROM outbound WHERE state = 0),"
            " (SELECT count(*) FROM inbound WHERE state < 2)"
        )
        while (waiting := self.query(open_rows)[0]) != (0, 0):
            assert time.monotonic() < deadline, f"waiting (outbound, inbound): {waiting}"
            await asyncio.sleep(0.05)
        await self.alice.ping()

    # --- what people saw ------------------------------------------------------------------------

    def from_bob(self) -> list[Stanza]:
        """Every stanza with a text from bob's puppet, also repeated ones."""
        return self.alice.inbox.find(
            lambda stanza: (
                stanza.kind == "message"
                and stanza.type == "chat"
                and stanza.sender_bare == self.bob_jid
                and stanza.body is not None
            )
        )

    def receipts(self) -> set[str]:
        """Ids of alice's stanzas to bob that have a receipt."""
        found = (
            stanza.child(RECEIPTS, "received")
            for stanza in self.alice.inbox.items
            # A receipt of hers that her server could not deliver has it too.
            if stanza.sender_bare == self.bob_jid and stanza.type != "error"
        )
        return {receipt.get("id", "") for receipt in found if receipt is not None}

    def errors(self) -> set[str]:
        """Ids of alice's stanzas that came back as an error."""
        return {
            stanza.id
            for stanza in self.alice.inbox.items
            if stanza.kind == "message" and stanza.type == "error"
        }

    def seen_by_bob(self, sender: str = "") -> list[str]:
        """Texts of the room as bob's timeline has them, by alice or by ``sender``."""
        sender = sender or self.phone.user_id
        return [
            event.body or ""
            for event in self.bob.inbox.items
            if event.section == "timeline"
            and event.type == "m.room.message"
            and event.sender == sender
        ]


def at_services(house: House) -> dict[str, Any]:
    """Options of a gateway that has files of networks, and fetches those of users, at the upload
    service of a server of this machine."""
    ports = [house.xmpp.http_port]
    return {
        "fetch": {"allow": [LOOPBACK], "allow_http": True, "ports": ports},
        "files": {"upload_service": house.xmpp.upload_domain},
    }


def once_by_id(stanzas: list[Stanza]) -> list[str]:
    """Texts in order of first arrival; a repeated id counts once, a second id does not."""
    first: dict[str, str] = {}
    for stanza in stanzas:
        first.setdefault(stanza.id, stanza.body or "")
        assert first[stanza.id] == stanza.body, f"two texts under the id {stanza.id}"
    return list(first.values())
