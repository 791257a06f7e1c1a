"""Real servers, one of each for every test process; tests share them and use their own users.

A server that cannot be started fails the tests that need it. It never skips them.
"""

import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from tests.e2e.house import GATEWAY, OTHER_GATEWAY, House
from tests.peers.ejabberd import Ejabberd
from tests.peers.prosody import Prosody
from tests.peers.synapse import Synapse
from tests.peers.xmpp_server import XmppServer


def _components() -> dict[str, str]:
    return {domain: secrets.token_hex(16) for domain in (GATEWAY, OTHER_GATEWAY)}


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def prosody(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Prosody]:
    """A running Prosody for localhost, with two component hosts."""
    directory = tmp_path_factory.mktemp("prosody")
    async with Prosody(directory, components=_components()) as server:
        yield server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def ejabberd(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ejabberd]:
    """A running ejabberd for localhost, with two component hosts."""
    directory = tmp_path_factory.mktemp("ejabberd")
    async with Ejabberd(directory, components=_components()) as server:
        yield server


@pytest.fixture(params=["prosody", "ejabberd"])
def xmpp_server(request: pytest.FixtureRequest) -> XmppServer:
    """Each of the running XMPP servers, one after the other."""
    # Not a parameter of a wider scope: tests come in random order, and every change of such a
    # parameter would start a server anew.
    server = request.getfixturevalue(request.param)
    assert isinstance(server, XmppServer)
    return server


@pytest.fixture
def house(xmpp_server: XmppServer, synapse: Synapse, tmp_path: Path) -> House:
    """The shared servers, and a place for a gateway of the test's own."""
    return House(xmpp_server, synapse, tmp_path)


@pytest.fixture
def prosody_house(prosody: Prosody, synapse: Synapse, tmp_path: Path) -> House:
    """The same, for what only Prosody can."""
    return House(prosody, synapse, tmp_path)


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """What adapters ask their servers with."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield session
