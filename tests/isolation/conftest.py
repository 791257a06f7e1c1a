# SPDX-License-Identifier: Apache-2.0
"""One town for all tests of a module; each has a sick account of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from gateway.bridge.links import link
from tests.isolation.town import Town
from tests.scenario.conftest import house

__all__ = ["house", "town"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def town(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    """Everything runs, and those who do well are live."""
    patch = pytest.MonkeyPatch()
    patch.setattr(link, "_ENDING_S", 0.3)
    async with Town(tmp_path_factory.mktemp("town")) as town:
        await town.settle_in()
        await town.probe()
        yield town
    patch.undo()
