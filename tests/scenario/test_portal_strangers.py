# SPDX-License-Identifier: Apache-2.0
"""Linked groups on a gateway that is open to everybody (REQ-711, REQ-712, REQ-717)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.scenario.house import House, Options
from tests.scenario.portal import FRED, Portal, bodies, read, rule, there


@pytest_asyncio.fixture
async def portal(tmp_path: Path) -> AsyncIterator[Portal]:
    async with House(tmp_path, Options(house=True, allow=("*",))) as house:
        yield await Portal(house).begin()


async def test_strangers_hear_all_that_is_said(portal: Portal) -> None:
    """Though nobody else is sent more than they have asked for."""
    await portal.join("fred")
    heard = []
    for number in range(60):
        told = await portal.says("bob", f"{number}", f"b{number}")
        heard += bodies(told["fred"])
    assert heard == [("Bob", f"{number}") for number in range(60)]


async def test_a_large_group_is_told_whole(portal: Portal) -> None:
    portal.members += [f"user{number:03}" for number in range(150)]
    await portal.describe()
    assert len(there(await portal.join("fred"))) == 154


async def test_strangers_read_the_archive(portal: Portal) -> None:
    await portal.join("fred")
    for number in range(45):
        await portal.says("bob", f"{number}", f"b{number}")
    assert await read(portal, "fred") == [f"{number}" for number in range(45)]


@pytest.mark.parametrize("is_named", [True, False])
async def test_a_flood_of_strangers_does_not_silence_who_was_named(
    portal: Portal, *, is_named: bool
) -> None:
    await portal.join("erin")
    if is_named:
        await rule(portal, "erin", f"affiliation='member' jid='{FRED}'")
    await portal.join("fred")
    for number in range(3000):
        portal.send(
            f"<message type='groupchat' id='s' from='u{number}@d{number % 50}.example/x' "
            f"to='{portal.room}'><body>spam</body></message>"
        )
    await portal.settle()
    told = await portal.speak("fred", "may I?", "f1")
    assert bodies(told["erin"]) == ([("Fred", "may I?")] if is_named else [])
    told = await portal.speak("erin", "I may", "e1")
    assert bodies(told["erin"]) == [("Erin", "I may")]
