# SPDX-License-Identifier: Apache-2.0
"""Who was in linked groups without an account and does not come any more is forgotten (DESIGN §6,
delivery.alias_retention)."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.bridge.accounts import Account
from gateway.errors import StoreUnavailable
from gateway.ids import UserJid
from gateway.store import Transaction, accounts
from tests.scenario.house import House, Options
from tests.scenario.portal import ERIN, FRED, USERS, Portal, bodies

_FIVE_MINUTES_S = 301.0
_MOST = 50
ALICE = USERS["alice"]


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with House(tmp_path, Options(house=True)) as one:
        yield one


@pytest_asyncio.fixture
async def portal(house: House) -> Portal:
    return await Portal(house).begin()


async def _not_seen_for_years(house: House) -> None:
    """All of them: as if each had come last when time began."""

    def unit(db: Transaction) -> None:
        for account in house.bridge.accounts.virtuals:
            accounts.set_active(db, account.id, 0.0)

    await house.store.write(unit)


async def _prune(house: House) -> None:
    await house.clock.advance(_FIVE_MINUTES_S)


def _known(house: House) -> set[str]:
    stored = house.query("SELECT user FROM account WHERE kind = 'virtual'")
    known = {account.user for account in house.bridge.accounts.virtuals}
    assert known == {user for (user,) in stored}
    return set(known)


def _in_memory() -> list[Account]:
    """Those of gateways of other tests too."""
    gc.collect()
    return [one for one in gc.get_objects() if isinstance(one, Account)]


async def test_who_does_not_come_any_more_is_forgotten(portal: Portal) -> None:
    house = portal.house
    for name in ("erin", "fred", "alice"):
        await portal.join(name)
    await portal.leave("erin")  # who owns the group here
    await portal.leave("fred")
    await _not_seen_for_years(house)
    fred = house.bridge.accounts.virtual(UserJid(FRED))
    assert fred is not None
    old = fred.id
    others = [id(one) for one in _in_memory() if one is not fred]
    del fred
    await _prune(house)
    assert _known(house) == {ERIN, ALICE}  # who is there, however long ago she has come
    for table in ("conversation", "account_room", "stay", "occupant"):
        assert house.query(f"SELECT count(*) FROM {table} WHERE account = {old}") == [(0,)], table
    await house.store.write(lambda _: None)  # until then the writer has its last unit
    assert {id(one) for one in _in_memory()} <= set(others)
    told = await portal.join("fred")
    assert told[-1].tag.endswith("message")
    assert bodies((await portal.speak("fred", "again", "f1"))["alice"]) == [("Fred", "again")]


async def test_what_they_have_said_stays(portal: Portal) -> None:
    house = portal.house
    await portal.join("alice")
    await portal.join("fred")
    await portal.speak("fred", "remember me", "f1")
    await portal.leave("fred")
    await _not_seen_for_years(house)
    await _prune(house)
    assert _known(house) == {ERIN, ALICE}
    answers = await portal.ask("alice", "set", "<query xmlns='urn:xmpp:mam:2'/>")
    said = [body.text for each in answers for body in each.iter("{jabber:client}body")]
    assert said == ["remember me"]


async def test_who_was_there_lately_stays(portal: Portal) -> None:
    house = portal.house
    await portal.join("fred")
    await _not_seen_for_years(house)
    await _prune(house)  # he is there, and that is noted
    await portal.leave("fred")
    await _prune(house)
    assert _known(house) == {ERIN, FRED}
    await _not_seen_for_years(house)
    await portal.join("fred")  # so is it when he comes
    await portal.leave("fred")
    await _prune(house)
    assert _known(house) == {ERIN, FRED}


async def test_who_is_there_stays_however_little_is_kept(portal: Portal) -> None:
    house = portal.house
    await portal.join("fred")
    await house.clock.advance(60)
    await house.bridge.absentees.forget(house.clock.now() - 1, _MOST)
    assert _known(house) == {ERIN, FRED}


async def test_who_is_banned_stays_banned(portal: Portal) -> None:
    house = portal.house
    await portal.join("erin")
    await portal.join("fred")
    admin = "http://jabber.org/protocol/muc#admin"
    ban = f"<query xmlns='{admin}'><item affiliation='outcast' jid='{FRED}'/></query>"
    await portal.ask("erin", "set", ban)
    await _not_seen_for_years(house)
    await _prune(house)
    assert _known(house) == {ERIN, FRED}


async def test_what_waits_is_said_before_its_sender_is_forgotten(portal: Portal) -> None:
    house = portal.house
    await portal.join("alice")
    await portal.join("fred")
    later = {"error": "rate", "text": "not now", "retry_after_s": 400}
    house.network.faults.append(later)
    await portal.speak("fred", "am I heard?", "f1")
    await portal.leave("fred")
    await _not_seen_for_years(house)
    await _prune(house)
    assert _known(house) == {ERIN, ALICE, FRED}
    await house.clock.advance(_FIVE_MINUTES_S)
    assert [text.body for text in house.network.sent] == ["am I heard?"]
    await _not_seen_for_years(house)
    await _prune(house)
    assert _known(house) == {ERIN, ALICE}


@pytest.mark.parametrize("is_first", [True, False])
async def test_who_comes_at_that_moment_is_in(portal: Portal, is_first: bool) -> None:
    house = portal.house
    await portal.join("alice")
    await portal.join("fred")
    await portal.leave("fred")
    await _not_seen_for_years(house)
    forgetting = house.bridge.absentees.forget(house.clock.now() - 1, _MOST)
    coming = portal.join("fred")
    both = (coming, forgetting) if is_first else (forgetting, coming)
    await asyncio.gather(*both)
    assert _known(house) == {ERIN, ALICE, FRED}
    told = await portal.speak("fred", "here I am", "f1")
    assert bodies(told["alice"]) == bodies(told["fred"]) == [("Fred", "here I am")]


async def test_nobody_is_forgotten_who_cannot_be_deleted(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StoreUnavailable("the disk is full")

    house = portal.house
    await portal.join("fred")
    await portal.leave("fred")
    await _not_seen_for_years(house)
    with monkeypatch.context() as patch:
        patch.setattr(accounts, "remove", full)
        await _prune(house)
    assert _known(house) == {ERIN, FRED}
    await _prune(house)
    assert _known(house) == {ERIN}
