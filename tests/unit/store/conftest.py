# SPDX-License-Identifier: Apache-2.0
"""A store in a directory of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.store import Store


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Where the store is."""
    return tmp_path / "dragoman.db"


@pytest.fixture
async def store(database: Path) -> AsyncIterator[Store]:
    """An open store, closed after the test."""
    store = await Store.open(database)
    yield store
    await store.close()
