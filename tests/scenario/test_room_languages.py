# SPDX-License-Identifier: Apache-2.0
"""In which language a room speaks that several users share (REQ-130)."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.ids import UserJid
from tests.scenario.house import House, Options
from tests.scenario.test_shared_rooms import CAROL, Town

ALICE = UserJid("alice@home.example")


@pytest.mark.parametrize(
    ("language", "own", "line"),
    [
        ("de", "en", "frühere Nachrichten wurden noch nicht geholt."),
        ("en", "de", "earlier messages were not fetched yet."),
    ],
)
async def test_req_130_a_shared_room_speaks_the_language_of_the_gateway(
    tmp_path: Path, language: str, own: str, line: str
) -> None:
    """Not that of whose session has told of it first: it is said once, and to everybody."""
    async with House(tmp_path, Options(adapter="trusted", language=language)) as house:
        town = await Town(house).begin()
        house.bridge.languages.heard(ALICE, own)
        house.bridge.languages.heard(UserJid(CAROL), own)
        await house.clock.settle()
        town.tell("alice", "room-gap", id="g1")
        await house.clock.settle()
        said = house.query("SELECT payload FROM archived")
        assert any(line.encode() in payload for (payload,) in said), said
