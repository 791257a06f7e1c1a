# SPDX-License-Identifier: Apache-2.0
"""Directed presence beside the broadcast to thousands (REQ-319, REQ-306)."""

from __future__ import annotations

import pytest

from gateway.bridge import devices
from gateway.bridge.accounts import Account
from gateway.ids import UserJid
from tests.scenario.house import GATEWAY, House
from tests.scenario.test_presence import shown, with_contacts
from tests.scenario.test_stream import ALICE, running

PHONE = f"{ALICE}/phone"
EVE = f"eve@{GATEWAY}"


def show(house: House, to: str, kind: str = "") -> None:
    """The phone sends its presence to one address."""
    type_ = f" type='{kind}'" if kind else ""
    house.server.send(f"<presence from='{PHONE}' to='{to}'{type_}/>")


async def came(house: House) -> Account:
    """Alice's phone is online, and all that follows from that is over."""
    await running(house)
    show(house, GATEWAY)
    await house.clock.advance(30)
    shown(house)
    account = house.bridge.accounts.of(UserJid(ALICE))
    assert account is not None
    return account


async def test_req_319_a_broadcast_is_not_taken_for_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = await came(house)
    puppets = await with_contacts(house, ALICE, 500)
    for _ in range(2):
        for puppet in puppets:
            show(house, puppet)
        await house.clock.advance(10)
        assert not account.devices.all_shown_to()
        assert not [to for to, _, _ in shown(house) if to == PHONE]
        monkeypatch.setattr(house.store, "reader", None)  # each is looked up once (REQ-306)
    monkeypatch.undo()
    assert not [log for log in house.logs if log["log_level"] == "error"]


async def test_req_319_a_log_out_is_told(house: House) -> None:
    account = await came(house)
    show(house, EVE)
    await house.clock.advance(1)
    assert shown(house) == [(PHONE, EVE, "")]
    await house.bridge.logins.log_out(account)
    await house.clock.advance(5)
    assert (PHONE, EVE, "unavailable") in shown(house)


async def test_req_319_a_device_that_leaves_is_forgotten(house: House) -> None:
    account = await came(house)
    show(house, EVE)
    await house.clock.advance(1)
    show(house, GATEWAY, "unavailable")
    await house.clock.settle()
    assert not account.devices.all_shown_to()
    show(house, GATEWAY)
    await house.clock.advance(30)
    shown(house)
    house.network.shows("alice", "eve", availability="away")
    await house.clock.advance(40)
    assert not shown(house)


async def test_req_319_a_subscription_takes_its_place(house: House) -> None:
    await came(house)
    show(house, EVE)
    await house.clock.advance(1)
    for kind in ("subscribe", "subscribed"):
        house.server.send(f"<presence type='{kind}' from='{ALICE}' to='{EVE}'/>")
        await house.clock.settle()
    await house.clock.advance(40)
    shown(house)
    house.network.shows("alice", "eve", availability="away")
    await house.clock.advance(1)
    assert [(to, sender) for to, sender, _ in shown(house)] == [(ALICE, EVE)]


async def test_req_319_is_bounded(house: House) -> None:
    account = await came(house)
    for number in range(devices._MAX_SHOWN + 50):
        show(house, f"stranger{number}@{GATEWAY}")
    await house.clock.advance(10)
    assert len(account.devices.all_shown_to()) == devices._MAX_SHOWN
