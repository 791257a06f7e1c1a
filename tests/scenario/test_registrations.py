# SPDX-License-Identifier: Apache-2.0
"""Logins by a form (XEP-0077) over restarts, and with a disk that is full."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.ids import UserJid
from gateway.store import registrations
from gateway.store.accounts import AccountStatus
from gateway.xmpp.limits import Standing
from tests.scenario.house import PASSWORD, House, Options
from tests.scenario.test_account_life import account, full, received, register, sessions
from tests.scenario.test_requests import tell
from tests.scenario.test_stream import ALICE, running

_FILLED = f"<username>alice</username><password>{PASSWORD}</password>"


async def registering(house: House, inner: str = _FILLED) -> None:
    """Somebody registers while the network does not answer."""
    if house.gateway is None:
        await house.start()
        await house.connected()
    house.network.mute = True
    register(house, inner)
    await house.clock.advance(1)
    assert any("type='result'" in said for said in received(house))
    assert rows(house) == 1


async def again(house: House) -> list[str]:
    """The gateway is killed and comes back, and the network answers. What it says."""
    await house.kill()
    house.network.mute = False
    await house.start()
    await house.connected()
    await house.clock.advance(5)
    return [said for said in received(house) if "<body>" in said]


def rows(house: House) -> int:
    return len(house.query("SELECT user FROM registration"))


async def test_req_705_a_login_of_who_is_no_longer_admitted_is_not_carried_out(
    house: House,
) -> None:
    await registering(house)
    house.options.allow = ("far.example",)
    (said,) = await again(house)
    assert "does not admit you.</body>" in said
    assert house.bridge.accounts.of(UserJid(ALICE)) is None
    assert (rows(house), house.network.tokens) == (0, {})


async def test_req_207_a_new_password_outlives_the_process(house: House) -> None:
    await running(house)
    await registering(house, f"<password>{PASSWORD}</password>")
    (said,) = await again(house)
    assert "You are logged in as alice." in said
    assert (rows(house), sessions()) == (0, 1)
    assert account(house).secret != b"token-alice"
    assert await again(house) == [], "it was carried out"


async def test_req_207_a_password_of_long_ago_is_not_used(house: House) -> None:
    await registering(house)
    house.clock.set_by(30 * 86_400)
    (said,) = await again(house)
    assert "away for too long" in said
    assert house.bridge.accounts.of(UserJid(ALICE)) is None
    assert (rows(house), house.network.tokens) == (0, {})


async def test_req_209_what_could_not_be_taken_back_can_be_later(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await registering(house)
    with monkeypatch.context() as patch:
        patch.setattr(registrations, "remove", full)
        register(house, "<remove/>")
        await house.clock.settle()
        (said,) = received(house)
    assert "<resource-constraint " in said
    assert "cannot store anything" in said
    register(house, "<remove/>")
    await house.clock.settle()
    (said,) = received(house)
    assert "type='result'" in said
    assert rows(house) == 0
    assert await again(house) == []
    assert house.bridge.accounts.of(UserJid(ALICE)) is None


async def test_req_207_who_logs_out_is_not_logged_in_by_what_was_asked_before(
    house: House,
) -> None:
    await running(house)
    await registering(house, f"<password>{PASSWORD}</password>")
    house.network.mute = False
    await tell(house, "logout")
    await house.clock.advance(700)
    assert account(house).status is AccountStatus.LOGGED_OUT
    assert not [said for said in received(house) if "logged in" in said]
    assert (rows(house), sessions(), house.network.tokens) == (0, 0, {})


# --- what somebody may cause by it (REQ-711, REQ-717) --------------------------------------------

MALLORY = "mallory@evil.example"


@pytest.fixture
async def open_house(tmp_path: Path) -> AsyncIterator[House]:
    """A gateway that admits everybody."""
    async with House(tmp_path, Options(allow=("*",))) as house:
        await house.start()
        await house.connected()
        yield house


async def test_req_711_a_registration_makes_nobody_better_known(open_house: House) -> None:
    house = open_house
    house.network.mute = True
    register(house, "<username>alice</username><password>wrong</password>", MALLORY)
    await house.clock.advance(1)
    assert house.component.standing(UserJid(MALLORY)) is Standing.STRANGER
    assert house.bridge.registrations.of(UserJid(MALLORY)) is not None
    received(house)
    await house.network.stop()
    await house.clock.advance(660)
    message, presence = received(house)  # what became of it is told all the same
    assert "Register again" in message
    assert "Not logged in" in presence
    assert house.component.standing(UserJid(MALLORY)) is Standing.STRANGER


async def test_req_711_a_registration_ends_the_attempt_of_the_one_before(
    open_house: House,
) -> None:
    house = open_house
    house.network.mute = True
    for number in range(20):
        wrong = f"<username>alice</username><password>w{number}</password>"
        register(house, wrong, ALICE)
        await house.clock.advance(1)
    assert len(house.network._all_writers) == 1
    register(house, "<remove/>", ALICE)
    await house.clock.settle()
    await house.network.until(lambda: not house.network._all_writers)
    assert not [task for task in asyncio.all_tasks() if task.get_name().endswith("registration")]


async def test_req_711_attempts_at_the_same_time_are_bounded(house: House) -> None:
    await house.start()
    await house.connected()
    users = [f"u{number}@home.example" for number in range(70)]
    house.network.passwords |= {user.partition("@")[0]: PASSWORD for user in users}
    house.network.mute = True
    for user in users:
        name = user.partition("@")[0]
        filled = f"<username>{name}</username><password>{PASSWORD}</password>"
        register(house, filled, user)
        await house.clock.settle()
    assert len(house.network._all_writers) == 64
    house.network.mute = False
    await house.clock.advance(120)
    assert len(list(house.bridge.accounts)) == 70


async def test_req_711_strangers_whose_logins_hang_hold_up_none_of_ours(house: House) -> None:
    """Their homeserver takes its time: all the attempts that may be at once were theirs."""
    house.options.allow = ("*",)
    await house.start()
    await house.connected()
    house.network.mute = True
    filled = f"<username>{{}}</username><password>{PASSWORD}</password>"
    for number in range(80):
        register(house, filled.format(f"m{number}"), f"m{number}@evil{number % 8}.example")
        await house.clock.settle()
    strangers = len(house.network._all_writers)
    assert 0 < strangers <= 64
    register(house, filled.format("alice"))
    await house.clock.settle()
    assert len(house.network._all_writers) == strangers + 1


async def test_req_712_registrations_of_strangers_are_bounded(
    open_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.xmpp.console.register._OF_STRANGERS", 5)
    open_house.network.mute = True
    filled = f"<username>alice</username><password>{PASSWORD}</password>"
    for number in range(8):
        register(open_house, filled, f"m{number}@evil{number}.example")
        await open_house.clock.settle()
    assert len(open_house.bridge.registrations) == 5
    register(open_house, filled)
    await open_house.clock.settle()
    assert len(open_house.bridge.registrations) == 6
