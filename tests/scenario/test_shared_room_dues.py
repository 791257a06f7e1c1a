# SPDX-License-Identifier: Apache-2.0
"""What is due to each of several accounts that share a room, and what waits when that changes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest_asyncio

from tests.scenario.house import House, Options
from tests.scenario.test_shared_rooms import USERS, Town, _groupchat, _texts


@pytest_asyncio.fixture
async def town(tmp_path: Path) -> Any:
    async with House(tmp_path, Options(adapter="trusted")) as house:
        yield await Town(house).begin()


async def _dave_comes(town: Town) -> None:
    await town.house.link(USERS["dave"], "dave")
    town.members.append("dave")
    town.describe("dave")
    await town.settle()
    await town.join("dave")


def _locked(town: Town, accounts: Sequence[str], id: str) -> None:
    """These sessions are told of something that they cannot read."""
    secret = {"contact": "bob", "id": id, "content": "{}", "needs": "k1"}
    for account in accounts:
        town.tell(account, "room-encrypted", **secret, sent_at=town.house.clock.now())


async def test_what_a_line_stood_for_is_not_for_who_joined_since(town: Town) -> None:
    """REQ-585: nobody could read it for a minute; the archive has it in the place of the line."""
    await town.both_join()
    _locked(town, ["alice"], "m1")
    await town.house.clock.advance(10)
    await _dave_comes(town)
    await town.house.clock.advance(120)
    told = await town.settle()
    assert len(_texts(_groupchat(told["alice"]))) == 1  # the line
    town.says(("carol",), "bob", "secret", "m1")
    told = await town.settle()
    assert "secret" in _texts(_groupchat(told["alice"]))
    assert "secret" in await town.archive("carol")
    assert not _groupchat(told["dave"])
    assert await town.archive("dave") == []


async def test_an_edit_that_becomes_readable_is_not_for_who_joined_since(town: Town) -> None:
    await town.both_join()
    town.says(("alice", "carol"), "bob", "first", "m0")
    _locked(town, ["alice"], "m1")
    await town.house.clock.advance(10)
    await _dave_comes(town)
    town.says(("carol",), "bob", "secret", "m1", edits="m0")
    told = await town.settle()
    assert _texts(_groupchat(told["alice"]))[-1:] == ["secret"]
    assert not _groupchat(told["dave"])
    assert await town.archive("dave") == []


async def test_what_becomes_readable_is_for_who_was_told_of_it(town: Town) -> None:
    """Dave was in when it was said: his own session says so, though it was late with that."""
    await town.both_join()
    _locked(town, ["alice"], "m1")
    await town.house.clock.advance(10)
    await _dave_comes(town)
    _locked(town, ["dave"], "m1")
    town.says(("carol",), "bob", "secret", "m1")
    told = await town.settle()
    assert _texts(_groupchat(told["dave"])) == ["secret"]
    assert await town.archive("dave") == ["secret"]


async def test_what_ones_own_session_can_read_is_due(town: Town) -> None:
    await town.both_join()
    _locked(town, ["alice"], "m1")
    await town.house.clock.advance(10)
    await _dave_comes(town)
    town.says(("dave",), "bob", "secret", "m1")
    told = await town.settle()
    assert _texts(_groupchat(told["dave"])) == ["secret"]
    assert await town.archive("dave") == ["secret"]
