# SPDX-License-Identifier: Apache-2.0
"""Real servers, one of each for every test process."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.faults.stage import COMPONENTS, Servers
from tests.peers.ejabberd import Ejabberd
from tests.peers.prosody import Prosody
from tests.peers.synapse import Synapse


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def synapses(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[Synapse, Synapse]]:
    """The homeserver that is hit, and the one that is not."""
    hit = Synapse(tmp_path_factory.mktemp("hit"))
    spared = Synapse(tmp_path_factory.mktemp("spared"), "spared.test")
    async with hit, spared:
        yield hit, spared


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def with_prosody(
    tmp_path_factory: pytest.TempPathFactory, synapses: tuple[Synapse, Synapse]
) -> AsyncIterator[Servers]:
    """Prosody and the homeservers."""
    async with Prosody(tmp_path_factory.mktemp("prosody"), components=COMPONENTS) as server:
        yield Servers(xmpp=server, synapse=synapses[0], spared=synapses[1])


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def with_ejabberd(
    tmp_path_factory: pytest.TempPathFactory, synapses: tuple[Synapse, Synapse]
) -> AsyncIterator[Servers]:
    """ejabberd and the homeservers."""
    async with Ejabberd(tmp_path_factory.mktemp("ejabberd"), components=COMPONENTS) as server:
        yield Servers(xmpp=server, synapse=synapses[0], spared=synapses[1])
