# SPDX-License-Identifier: Apache-2.0
"""Logins by a form (XEP-0077) over restarts, and with a disk that is full."""

from __future__ import annotations

import pytest

from gateway.ids import UserJid
from gateway.store import registrations
from tests.scenario.house import PASSWORD, House
from tests.scenario.test_account_life import account, full, received, register, sessions
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
