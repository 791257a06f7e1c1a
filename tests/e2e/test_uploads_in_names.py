# SPDX-License-Identifier: Apache-2.0
"""Files of a network at a real upload service, in the name of the user (XEP-0356 §6.3)."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from gateway.adapter import Linked
from gateway.app import Gateway
from gateway.config import Config
from gateway.config.tree import Access, Files, Network, Server, Store, Xmpp
from gateway.config.values import AccessEntry, Domain, Service
from gateway.ids import NetworkName, RemoteUserId, UserJid
from gateway.secret import Secret
from gateway.tasks import SystemClock
from tests.e2e.house import GATEWAY, PASSWORD
from tests.peers.prosody import Prosody
from tests.peers.xmpp_client import Stanza, XmppClient
from tests.scripted.adapter import ScriptedAdapter, ScriptedSettings
from tests.scripted.server import ScriptedNetwork

pytestmark = pytest.mark.waits


def _config(server: Prosody, network: ScriptedNetwork, folder: Path) -> Config:
    return Config(
        xmpp=Xmpp(server=Server(domain=Domain(server.domain), port=server.component_port)),
        access=Access(allow=(AccessEntry("*"),)),
        store=Store(database=folder / "g.db", key_file=folder / "g.key"),
        files=Files(upload_service=Service(server.upload_domain), ways=("user",)),
        networks={
            NetworkName("net"): Network(
                adapter="scripted",
                domain=Domain(GATEWAY),
                secret=Secret(server.components[GATEWAY]),
                settings=ScriptedSettings(port=network.port),
            )
        },
    )


def _has_file(stanza: Stanza) -> bool:
    return stanza.kind == "message" and stanza.child("jabber:x:oob", "x") is not None


async def test_req_445_prosody_lets_us_upload_in_the_users_name(
    prosody: Prosody, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """Nothing else is tried: without that she would be told words."""
    jid = prosody.add_user("alice-in-name", PASSWORD)
    async with AsyncExitStack() as stack:
        network = await stack.enter_async_context(ScriptedNetwork())
        network.people, network.tokens = {"bob": "Bob"}, {"token": "alice"}
        network.files = {"picture": b"a picture"}
        config = _config(prosody, network, tmp_path)
        gateway = Gateway(config, SystemClock(), {"scripted": lambda: ScriptedAdapter})
        await gateway.start(stack)
        stack.push_async_callback(gateway.stop)
        alice = XmppClient(
            "alice-in-name",
            PASSWORD,
            port=prosody.c2s_port,
            ca_file=prosody.ca_file,
            domain=prosody.domain,
        )
        await stack.enter_async_context(alice)
        linked = Linked(realm="scripted", remote_id=RemoteUserId("alice"), secret=b"token")
        await gateway._networks[0].logins.link(UserJid(jid), linked)
        await alice.wait_for(lambda stanza: "Connected" in str(stanza))
        mark = alice.inbox.mark()
        network.says("alice", "bob", "", files=[{"reference": "picture", "name": "a b.png"}])
        told = await alice.wait_for(_has_file, since=mark)
        async with http.get(told.body or "") as answer:
            assert await answer.read() == b"a picture"
