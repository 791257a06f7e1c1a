# SPDX-License-Identifier: Apache-2.0
"""The gateway as a process between a real Prosody and the homeserver, people who talk all the
time, and large files that they send one another."""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import os
import re
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

from adapters.matrix.login import Credentials
from gateway.adapter import Linked
from gateway.bridge.accounts import Accounts
from gateway.ids import NetworkName, RemoteUserId, UserJid
from gateway.store import Store, Transaction, accounts, addresses, contacts, conversations
from gateway.store.contacts import ContactRow, Subscription
from gateway.store.secrets import SecretBox
from gateway.tasks import SystemClock
from tests.gateway_process import GatewayProcess, matrix_network
from tests.peers.ports import LOOPBACK, free_port
from tests.peers.prosody import Prosody
from tests.peers.xmpp_client import XmppClient
from tests.transfers.content import Content
from tests.transfers.homeserver import CHATS, HOST, Chat, Remote, homeserver

DOMAIN = "matrix.localhost"
NETWORK = NetworkName("matrix")
_PASSWORD = "a pass word"
_MANY = "1000000/1s"
_OOB = "jabber:x:oob"
_RESIDENT = re.compile(r"^VmRSS:\s+(\d+) kB$", re.MULTILINE)


def user(chat: Chat) -> str:
    """The XMPP user of an account."""
    return f"user{chat.account}"


def contact(chat: Chat) -> str:
    """The friend, as that user sees them."""
    return f"{chat.name}%{HOST}@{DOMAIN}"


async def seed(database: Path, url: str, *chats: Chat, domain: str = "localhost") -> None:
    """A database in which the accounts are linked and have their chats."""
    store = await Store.open(database)
    box = SecretBox.load(database.with_name(f"{database.name}.key"), has_secrets=False)
    try:
        known = Accounts(NETWORK, store, box, SystemClock())
        for number in sorted({chat.account for chat in chats}):
            own = [chat for chat in chats if chat.account == number]
            credentials = Credentials(
                homeserver=url,
                user_id=own[0].user_id,
                device_id=f"DEVICE{number}",
                access_token=number,
            )
            linked = Linked(
                realm=url, remote_id=RemoteUserId(own[0].user_id), secret=credentials.encoded()
            )
            account = await known.link(UserJid(f"{user(own[0])}@{domain}"), linked)

            def unit(db: Transaction) -> None:
                for chat in own:  # noqa: B023 - it is called before the next round
                    friend = RemoteUserId(chat.friend)
                    granted = Subscription.GRANTED
                    row = ContactRow(name=chat.name, to_user=granted, from_user=granted)
                    addresses.assign(db, NETWORK, friend, f"{chat.name}%{HOST}")
                    contacts.put(db, account.id, friend, row)  # noqa: B023
                    conversations.chat(db, account.id, friend)  # noqa: B023
                    both = {"mine": "join", "theirs": "join", "encrypted": chat.is_sealed}
                    entry = {f"room:{chat.room}": json.dumps({"contact": friend, **both})}
                    accounts.change_state(db, account.id, entry)  # noqa: B023
                accounts.set_cursor(db, account.id, "s0", 0)  # noqa: B023

            await store.write(unit)
    finally:
        await store.close()


def shared(to: str, url: str, id: str, sender: str = "") -> str:
    """The message by which a client shares what it has put somewhere (XEP-0066)."""
    link = escape(url)
    by = f" from='{sender}'" if sender else ""
    return (
        f"<message to='{to}'{by} type='chat' id='{id}'><body>{link}</body>"
        f"<x xmlns='{_OOB}'><url>{link}</url></x>"
        "<request xmlns='urn:xmpp:receipts'/></message>"
    )


@dataclass
class World:
    """All of it, running."""

    gateway: GatewayProcess
    remote: Remote
    keeper: Remote
    """Where clients put files."""
    clients: dict[str, XmppClient]
    port: int
    """Of the gateway's pages."""
    pids: Sequence[int]
    """Of all through whom messages go."""
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    # --- files ----------------------------------------------------------------------------------

    async def comes(self, chat: Chat, size: int) -> None:
        """A friend shares a file, and the user's client fetches it."""
        content = Content(next(self.numbers), size)
        client = self.clients[chat.account]
        since = client.inbox.mark()
        await self.remote.ask("share", chat=chat.name, seed=content.seed, size=size)
        told = await client.wait_for(
            lambda stanza: stanza.child(_OOB, "x") is not None, since=since, timeout=60
        )
        url = urlsplit(told.body or "")
        assert url.path.endswith(content.name)
        got = await fetched(f"http://{LOOPBACK}:{self.port}{url.path}")
        assert got == await asyncio.to_thread(lambda: content.sha256)

    async def goes(self, chat: Chat, size: int, per_s: float = math.inf) -> None:
        """The user shares a file, and the homeserver gets it. ``per_s``: as many bytes as the
        server gives where it is."""
        content = Content(next(self.numbers), size)
        client = self.clients[chat.account]
        client.send_raw(shared(contact(chat), self.keeper.kept(content, per_s), content.name))
        got = await self.remote.ask("file")
        assert got == {"chat": chat.name, "name": content.name, "is_good": True}
        await client.wait_receipt(content.name, timeout=60)

    def resident(self) -> int:
        """Bytes of memory that the gateway has."""
        status = Path(f"/proc/{self.gateway.pid}/status").read_text()
        found = _RESIDENT.search(status)
        assert found is not None
        return int(found[1]) * 1024


async def fetched(url: str) -> str:
    """The SHA-256 of what curl gets there: it is not kept."""
    command = f"set -o pipefail; curl --silent --show-error --fail '{url}' | sha256sum"
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", command, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    assert process.returncode == 0
    return said.split()[0].decode()


@asynccontextmanager
async def world(directory: Path, largest: int) -> AsyncIterator[World]:
    """Start everything. ``largest``: bytes of a file."""
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        remote = await enter(homeserver(directory))
        keeper = await enter(homeserver(directory, "keeper"))
        secret = secrets.token_hex(16)
        prosody = await enter(Prosody(directory / "prosody", components={DOMAIN: secret}))
        port, keeper_port = free_port(), urlsplit(keeper.url).port
        ports = {"ports": [keeper_port], "max_size": f"{largest // 1000}kB"}
        gateway = GatewayProcess(
            directory / "gateway",
            component_port=prosody.component_port,
            networks={str(NETWORK): matrix_network(DOMAIN, secret)},
            more={
                "access": {"allow": ["*"]},
                "http": {"public_url": "https://files.invalid", "listen": f"{LOOPBACK}:{port}"},
                "fetch": {"allow": [LOOPBACK], "allow_http": True, **ports},
                "limits": {"messages": _MANY, "signals": _MANY},
            },
        )
        await seed(gateway.database, remote.url, *CHATS)
        clients = {}
        for chat in {chat.account: chat for chat in CHATS}.values():
            prosody.add_user(user(chat), _PASSWORD)
            client = XmppClient(
                user(chat), _PASSWORD, port=prosody.c2s_port, ca_file=prosody.ca_file
            )
            clients[chat.account] = await enter(client)
        await enter(gateway)
        pids = (os.getpid(), gateway.pid, prosody.pid, remote.pid)
        yield World(gateway, remote, keeper, clients, port, pids)
