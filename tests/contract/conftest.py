# SPDX-License-Identifier: Apache-2.0
"""Every adapter with its peer. A server that cannot be started fails the tests that need it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.contract.matrix_peer import matrix_peer
from tests.contract.peer import Peer
from tests.contract.scripted_peer import ScriptedPeer
from tests.contract.telegram_peer import telegram_peer
from tests.peers.synapse import Synapse
from tests.scripted.adapter import FilesAdapter, ForgetfulAdapter
from tests.scripted.server import ScriptedNetwork

PEERS = ["scripted", "forgetful", "matrix", "telegram"]


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """What all accounts share."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield session


@pytest.fixture(params=PEERS)
def network_name(request: pytest.FixtureRequest) -> str:
    """Which network it is."""
    return str(request.param)


@pytest.fixture
def homeserver(request: pytest.FixtureRequest, network_name: str) -> Synapse | None:
    """Started for those who need it."""
    if network_name != "matrix":
        return None
    synapse: Synapse = request.getfixturevalue("synapse")
    return synapse


@pytest.fixture
async def peer(
    network_name: str, homeserver: Synapse | None, http: aiohttp.ClientSession
) -> AsyncIterator[Peer]:
    """Alice, bob and carol on one of the networks."""
    if homeserver is not None:
        async with matrix_peer(homeserver, http) as made:
            yield made
    elif network_name == "telegram":
        async with telegram_peer(http) as telegram:
            yield telegram
    else:
        kind = FilesAdapter if network_name == "scripted" else ForgetfulAdapter
        async with ScriptedNetwork() as network:
            yield ScriptedPeer(kind, network, http)
