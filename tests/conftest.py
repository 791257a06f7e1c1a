# SPDX-License-Identifier: Apache-2.0
"""Set-up shared by all tests."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import settings

from tests import plans, slots
from tests.peers.synapse import Synapse
from tests.stalls import Stalls

_MEMORY = Path("/dev/shm")
_ENOUGH = 8 * 1024**3
"""Bytes; all tests together leave a part of it behind."""

_has_room = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ENOUGH
if "TMPDIR" not in os.environ and _has_room:
    # Databases of gateways and servers wait for the disk at each commit, else.
    os.environ["TMPDIR"] = tempfile.tempdir = str(_MEMORY)

plans.record()
# A deadline in wall time tells how busy the machine is.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture(autouse=True)
def every_statement_finds_its_rows_by_an_index() -> Iterator[None]:
    """Whatever the store executes in a test must be as fast with a million messages."""
    yield
    plans.check()


def pytest_xdist_auto_num_workers() -> int:
    """Those that compute wait for one another; see `tests.slots`."""
    return slots.AT_ONCE


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Within each kind the order is random."""
    items.sort(key=slots.kind)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Around everything, so that no limit counts the wait."""
    own_folder = item.config.getoption("basetemp")
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return (yield)
    with slots.slot(Path(own_folder).parent, slots.kind(item)):
        return (yield)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what tests counted: how much was killed, lost without a receipt, repeated."""
    counted = [
        (report.nodeid, report.user_properties)
        for report in terminalreporter.getreports("passed")
        if report.when == "call" and report.user_properties
    ]
    if counted:
        terminalreporter.section("counted")
        for test, properties in sorted(counted):
            counts = ", ".join(f"{name} {value}" for name, value in properties)
            terminalreporter.write_line(f"{test}: {counts}")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def synapse(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Synapse]:
    """A running Matrix homeserver for localhost."""
    async with Synapse(tmp_path_factory.mktemp("synapse")) as server:
        yield server


@pytest.fixture(autouse=True)
def _nothing_holds_up_the_loop() -> Iterator[None]:
    """What holds up the loop holds up everybody."""
    with Stalls() as stalls:
        yield
    assert not stalls.found, "\n".join(stalls.found)
