"""Real servers, one of each for every test process; tests share them and use their own users.

A server that cannot be started fails the tests that need it. It never skips them.
"""

import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.e2e.house import GATEWAY, OTHER_GATEWAY, House
from tests.peers.prosody import Prosody
from tests.peers.synapse import Synapse


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def prosody(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Prosody]:
    """A running XMPP server for localhost, with two component hosts."""
    components = {domain: secrets.token_hex(16) for domain in (GATEWAY, OTHER_GATEWAY)}
    async with Prosody(tmp_path_factory.mktemp("prosody"), components=components) as server:
        yield server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def synapse(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Synapse]:
    """A running Matrix homeserver for localhost."""
    async with Synapse(tmp_path_factory.mktemp("synapse")) as server:
        yield server


@pytest.fixture
def house(prosody: Prosody, synapse: Synapse, tmp_path: Path) -> House:
    """The shared servers, and a place for a gateway of the test's own."""
    return House(prosody, synapse, tmp_path)
