# SPDX-License-Identifier: Apache-2.0
"""A thousand accounts start, paced, and come back after their server was away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from gateway.adapter import Linked
from gateway.bridge.accounts import Account
from gateway.bridge.attendance.waves import Item
from gateway.bridge.links.link import LinkState
from gateway.ids import RemoteUserId, UserJid
from gateway.store import Transaction
from tests.scenario.house import House
from tests.scenario.test_stream import bodies, running
from tests.scripted.adapter import ScriptedSession

COUNT = 1000


class Logins:
    """Watches, and holds up, how sessions start."""

    def __init__(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        self.house = house
        self.open = self.most = 0
        self.order: list[str] = []
        self.times: list[float] = []
        self.answers: Callable[[str], bool] = lambda _: True
        self.takes_s = 0.5
        monkeypatch.setattr(ScriptedSession, "run", self._run())

    def _run(self) -> Callable[[ScriptedSession], object]:
        logins = self

        async def run(session: ScriptedSession) -> None:
            account = session._account
            clock = logins.house.clock
            logins.open += 1
            logins.most = max(logins.most, logins.open)
            logins.order.append(account.remote_id)
            logins.times.append(clock.monotonic())
            try:
                if not logins.answers(account.remote_id):
                    await asyncio.Event().wait()
                await clock.sleep(logins.takes_s)
            finally:
                logins.open -= 1
            account.connected()
            await logins.gone.wait()
            raise ConnectionError

        self.gone = asyncio.Event()
        return run


async def many(house: House) -> None:
    """Link them without connecting, so that the last one was active last; then stop."""
    await house.start()
    await house.connected()
    for number in range(COUNT):
        name = f"user{number}"
        linked = Linked(realm="scripted", remote_id=RemoteUserId(name), secret=name.encode())
        await house.bridge.accounts.link(UserJid(f"{name}@home.example"), linked)

    def age(db: Transaction) -> None:
        db.execute("UPDATE account SET active_at = 1000 + (id * 7919) % 1009")

    await house.store.write(age)
    await house.stop()
    await bodies(house)
    house.server.up.clear()


def expected_order(house: House) -> list[str]:
    rows = house.query("SELECT remote_id FROM account ORDER BY active_at DESC")
    return [row[0] for row in rows]


def live(house: House) -> int:
    links = [account.link for account in house.bridge.accounts]
    return sum(link is not None and link.phase is LinkState.LIVE for link in links)


async def test_start_is_paced_and_the_stream_is_up_first(
    house: House, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    await many(house)
    logins = Logins(house, monkeypatch)
    began = time.process_time()
    await house.start()
    await house.connected()
    cpu_s = time.process_time() - began
    record_property("CPU until the stream was up with 1,000 accounts, s", round(cpu_s, 2))
    assert cpu_s < 2
    assert len(logins.order) <= 8, "the stream does not wait for logins"
    await house.clock.advance(COUNT / 8 * 0.5 + 1)
    assert logins.most == 8
    assert live(house) == COUNT
    assert logins.order == expected_order(house)


async def test_accounts_whose_server_hangs_starve_nobody(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every third one hangs, and each of those counts for 10 s."""
    await many(house)
    logins = Logins(house, monkeypatch)
    logins.answers = lambda name: int(name.removeprefix("user")) % 3 != 0
    await house.start()
    await house.connected()
    await house.clock.advance(COUNT / 3 * 10 / 8 + COUNT / 8 * 0.5 + 30)
    assert live(house) == COUNT - len(range(0, COUNT, 3))


async def test_a_server_that_comes_back_is_not_stormed(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await many(house)
    logins = Logins(house, monkeypatch)
    await house.start()
    await house.connected()
    await house.clock.advance(COUNT / 8 * 0.5 + 61)
    assert live(house) == COUNT
    logins.order.clear()
    logins.times.clear()
    logins.most, logins.takes_s = 0, 0.01
    gone, logins.gone = logins.gone, asyncio.Event()
    lost_at = house.clock.monotonic()
    gone.set()
    await house.clock.advance(30)
    assert live(house) == COUNT
    assert logins.most <= 8
    waited = [at - lost_at for at in logins.times]
    assert len(waited) == COUNT
    assert min(waited) > 0.1, "at once"
    tenths = [int(wait * 10) for wait in waited]
    busiest = max(tenths.count(tenth) for tenth in set(tenths))
    assert busiest < COUNT / 4, f"{busiest} in a tenth of a second"


async def test_the_trouble_of_one_account_does_not_keep_the_stream_from_others(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await running(house)
    await house.link("carol@home.example", "carol")
    alice, carol = house.bridge.accounts
    told: list[Account] = []
    monkeypatch.setattr(house.bridge._notices, "show", failing_for(alice, told))
    monkeypatch.setattr(house.bridge.audience, "_probe", failing_for(alice, told))
    house.server.cut()
    await house.clock.settle()
    house.network.says("alice", "bob", "meanwhile")
    await house.clock.advance(2)
    await house.connected()
    await house.clock.advance(2)
    assert told == [carol, carol]
    failed = [log["account"] for log in house.logs if log["event"] == "account_failed"]
    assert failed == [alice.id, alice.id]
    assert "meanwhile" in await bodies(house)


async def test_a_presence_that_cannot_be_written_holds_nobody_up(house: House) -> None:
    await running(house)
    written: list[bool] = []

    def fails(_: bool) -> int:
        raise RuntimeError

    def works(again: bool) -> int:
        written.append(again)
        return 1

    waves = house.bridge._attendance.waves
    waves.add(UserJid("alice@home.example"), Item("bob", fails), 0)
    waves.add(UserJid("alice@home.example"), Item("eve", works), 1)
    waves.add(UserJid("carol@home.example"), Item("bob", works), 0)
    await house.clock.advance(2)
    assert written == [False, False]
    assert [log["event"] for log in house.logs].count("presence_not_told") == 1


def failing_for(guilty: Account, told: list[Account]) -> Callable[[Account], bool]:
    """Works for all accounts but one."""

    def do(account: Account) -> bool:
        if account is guilty:
            raise RuntimeError
        told.append(account)
        return False

    return do
