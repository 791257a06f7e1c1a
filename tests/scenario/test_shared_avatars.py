# SPDX-License-Identifier: Apache-2.0
"""Pictures in a room that several accounts share."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest_asyncio

from tests.scenario.house import GATEWAY, House, Options
from tests.scenario.test_room_avatars import CARD, TEMP, UPDATE, is_of, let_go, member, png
from tests.scenario.test_shared_rooms import Town
from tests.scenario.test_stream import ALICE


@pytest_asyncio.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    """Where Alice and Carol share a room, in which Bob has a picture."""
    async with House(tmp_path, Options(adapter="album")) as house:
        house.network.avatars |= {"p-club": png("navy"), "p-bob": png("red")}
        yield await Town(house).begin()


def _pictured(town: Town, bob: str) -> None:
    members = [member("alice"), member("bob", bob), member("carol")]
    for account in ("alice", "carol"):
        town.describe(account, members=members, avatar="p-club")


def _told_in(town: Town, stanzas: Sequence[Element]) -> dict[str, list[str | None]]:
    """The hashes that were told of the room, and of Bob."""
    found: dict[str, list[str | None]] = {"": [], "Bob": []}
    for one in stanzas:
        bare, _, nick = one.get("from", "").partition("/")
        if one.tag.endswith("presence") and bare == town.room and nick in found:
            found[nick].append(one.findtext(f"{UPDATE}x/{UPDATE}photo"))
    return found


async def _card_of(town: Town, name: str, to: str) -> bytes:
    asks = f"type='get' id='card' from='{name}@home.example/phone' to='{to}'"
    town.house.server.send(f"<iq {asks}>{CARD}</iq>")
    (card,) = [one for one in (await town.settle())[name] if one.tag.endswith("iq")]
    return base64.b64decode(card.findtext(f"{TEMP}vCard/{TEMP}PHOTO/{TEMP}BINVAL", ""))


async def test_req_593_594_pictures_in_a_shared_room_are_fetched_once_and_told_to_all(
    town: Town,
) -> None:
    house = town.house
    _pictured(town, "p-bob")
    await town.settle()
    house.network.late = []
    seen = {name: await town.join(name) for name in ("alice", "carol")}
    assert sorted(house.network.fetched) == ["p-bob", "p-club"]
    await let_go(house)
    later = await town.settle()
    hashes = {hash for (hash,) in house.query("SELECT hash FROM picture")}
    for name in ("alice", "carol"):
        told = _told_in(town, [*seen[name], *later[name]])
        assert told["Bob"][0] is None
        assert {told["Bob"][-1], told[""][-1]} == hashes
        assert len(told["Bob"]) == 2
        assert len(told[""]) == 1
    house.network.late = None
    for name in ("alice", "carol"):
        assert is_of("navy", await _card_of(town, name, town.room))
        for of in (f"{town.room}/Bob", f"bob@{GATEWAY}"):
            assert is_of("red", await _card_of(town, name, of))
    assert len(house.network.fetched) == 2


async def test_what_was_being_fetched_for_a_shared_room_is_fetched_by_another_account(
    town: Town,
) -> None:
    house = town.house
    _pictured(town, "p-bob")
    await town.settle()
    house.network.late = []
    await town.both_join()
    account = house.bridge.accounts.of(ALICE)  # type: ignore[arg-type]
    assert account is not None
    await house.bridge.logins.unregister(account)
    house.network.late = None
    await house.clock.advance(70)
    told = _told_in(town, (await town.settle())["carol"])
    assert is_of("red", await _card_of(town, "carol", f"{town.room}/Bob"))
    assert told["Bob"][-1]
    assert house.query("SELECT count(*) FROM picture") == [(2,)]
