"""A gateway between a server and a network that tests play themselves."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.scenario.house import House


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """Server and network; the gateway is not started yet."""
    async with House(tmp_path) as house:
        yield house
