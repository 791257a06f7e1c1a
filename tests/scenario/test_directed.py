# SPDX-License-Identifier: Apache-2.0
"""Directed presence beside the broadcast to thousands (REQ-319, REQ-306)."""

from __future__ import annotations

import pytest

from gateway.bridge.accounts import Account
from gateway.bridge.attendance import devices
from gateway.ids import UserJid
from tests.scenario.house import GATEWAY, House
from tests.scenario.test_presence import CAROL, shown, with_contacts
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


def shown_as(house: House) -> list[tuple[str, str]]:
    """To whom the gateway said something of how somebody can be reached, and what."""
    found = []
    while not house.server.received.empty():
        stanza = house.server.received.get_nowait()
        show = next((child.text or "" for child in stanza if child.tag.endswith("show")), "")
        found.append((stanza.get("to", ""), stanza.get("type", "") or show))
    return found


async def tells(house: House, contact: str, availability: str) -> None:
    """The network tells alice of a contact, and the pace of presence is over."""
    house.network.shows("alice", contact, availability=availability)
    await house.clock.advance(40)


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
    errors = {log["event"] for log in house.logs if log["log_level"] == "error"}
    assert errors <= {"leaders_not_looked_for"}  # that is done every few seconds


async def test_req_319_a_log_out_is_told(house: House) -> None:
    account = await came(house)
    await tells(house, "eve", "away")
    show(house, EVE)
    await house.clock.advance(1)
    assert shown(house) == [(PHONE, EVE, "")]
    await house.bridge.logins.log_out(account)
    await house.clock.advance(5)
    assert (PHONE, EVE, "unavailable") in shown(house)


async def test_req_319_the_end_of_an_account_is_told_and_forgets(house: House) -> None:
    account = await came(house)
    await tells(house, "eve", "away")
    show(house, EVE)
    await house.clock.advance(1)
    shown(house)
    show(house, f"mallory@{GATEWAY}")  # is looked up when the account is gone
    await house.bridge.logins.unregister(account)
    await house.clock.advance(5)
    assert (PHONE, EVE, "unavailable") in shown(house)
    assert account.id not in house.bridge._presences._shown
    await house.link(ALICE, "alice")
    await house.clock.advance(40)
    shown(house)
    await tells(house, "eve", "dnd")
    assert not shown(house)


async def test_req_319_what_the_device_was_told_first_is_taken_back(house: House) -> None:
    """Eve was away before the device came: that she is back is news for it."""
    await came(house)
    await tells(house, "eve", "away")
    show(house, EVE)
    await house.clock.advance(40)
    assert shown_as(house) == [(PHONE, "away")]
    await tells(house, "eve", "available")
    assert shown_as(house) == [(PHONE, "")]


async def test_req_319_a_device_that_comes_second_does_not_cost_the_first_its_news(
    house: House,
) -> None:
    await came(house)
    tablet = f"{ALICE}/tablet"
    await tells(house, "eve", "away")
    show(house, EVE)
    await house.clock.advance(1)
    house.network.shows("alice", "eve", availability="dnd")
    await house.clock.advance(1)
    house.server.send(f"<presence from='{tablet}' to='{EVE}'/>")
    await house.clock.advance(60)
    told = shown_as(house)
    assert {to: [show for at, show in told if at == to][-1] for to in (PHONE, tablet)} == {
        PHONE: "dnd",
        tablet: "dnd",
    }


async def test_req_319_of_whom_the_network_says_nothing_nothing_is_said(house: House) -> None:
    await came(house)
    show(house, EVE)
    await house.clock.advance(40)
    assert not shown_as(house)
    await tells(house, "eve", "available")
    assert shown_as(house) == [(PHONE, "")]


async def test_req_319_nothing_is_said_of_whom_a_subscription_has_shown(house: House) -> None:
    """To subscribers all are available of whom nothing is known; that is not told to others."""
    await came(house)
    for kind in ("subscribe", "unsubscribe"):
        house.server.send(f"<presence type='{kind}' from='{ALICE}' to='{EVE}'/>")
        await house.clock.advance(1)
    assert (ALICE, EVE, "") in shown(house)
    show(house, EVE)
    await house.clock.advance(40)
    assert not shown(house)


async def test_req_319_a_contact_that_no_longer_sees_the_user(house: House) -> None:
    await came(house)
    await with_contacts(house, ALICE, 1)
    puppet = f"p0@{GATEWAY}"
    await tells(house, "p0", "away")
    show(house, puppet)
    await house.clock.advance(1)
    for kind in ("unsubscribe", "unsubscribed"):
        house.server.send(f"<presence type='{kind}' from='{ALICE}' to='{puppet}'/>")
        await house.clock.advance(1)
    shown(house)
    show(house, puppet)
    await house.clock.advance(1)
    assert shown(house) == [(PHONE, puppet, "")]


async def test_req_319_what_ends_by_a_subscription_does_not_come_back(house: House) -> None:
    account = await came(house)
    await tells(house, "eve", "away")
    show(house, EVE)
    await house.clock.advance(1)
    for kind in ("subscribe", "unsubscribe"):
        house.server.send(f"<presence type='{kind}' from='{ALICE}' to='{EVE}'/>")
        await house.clock.advance(1)
    assert not account.devices.all_shown_to()
    shown(house)
    await tells(house, "eve", "dnd")
    assert not shown(house)


async def test_req_319_a_flood_is_paced_and_nobody_elses(house: House) -> None:
    account = await came(house)
    await house.link(CAROL, "carol")
    for number in range(400):
        house.network.shows("alice", f"s{number}", availability="away")
    await tells(house, "eve", "away")
    house.network.shows("carol", "eve", availability="away")
    await house.clock.advance(40)
    shown(house)
    for number in range(4000):
        show(house, f"s{number % 400}@{GATEWAY}", "" if number % 2 else "unavailable")
        show(house, f"t{number}@{GATEWAY}")
    house.server.send(f"<presence from='{CAROL}/phone' to='{EVE}'/>")
    looked_up: list[str] = []
    house.store.reader.set_trace_callback(looked_up.append)
    await house.clock.advance(0.06)
    house.store.reader.set_trace_callback(None)
    assert 0 < len([sql for sql in looked_up if sql.startswith("SELECT name")]) <= 120
    told = []
    for second in range(5):
        await house.clock.advance(1)
        told.append(shown(house))
        if not second:
            assert (f"{CAROL}/phone", EVE, "") in told[0]
        assert len(told[-1]) <= 200
    assert len(account.devices.all_shown_to()) <= devices._MAX_SHOWN


async def test_req_316_a_device_that_leaves_while_an_answer_waits(house: House) -> None:
    """What waits is dropped, and nothing of it stays behind."""
    account = await came(house)
    known = {f"s{number}" for number in range(60)}
    for name in known:
        house.network.shows("alice", name, availability="away")
    await house.clock.advance(40)
    for name in known:
        show(house, f"{name}@{GATEWAY}")
    await house.clock.advance(0.1)
    show(house, GATEWAY, "unavailable")
    await house.clock.settle()
    assert 0 < len(shown(house)) < len(known)
    await house.clock.advance(5)
    assert not shown(house)
    assert house.bridge._presences._shown[account.id].contacts.keys() - known <= {""}


async def test_req_319_typing_reaches_a_device_that_is_seen_by_nobody_else(house: House) -> None:
    await came(house)
    hidden = f"{ALICE}/hidden"
    house.server.send(
        f"<message from='{PHONE}' to='{EVE}' type='chat'>"
        "<active xmlns='http://jabber.org/protocol/chatstates'/></message>"
    )
    show(house, EVE)
    house.server.send(f"<presence from='{hidden}' to='{EVE}'/>")
    await house.clock.advance(1)
    shown(house)
    house.network.types("alice", "eve", True)
    await house.clock.settle()
    # The server gives what is for the bare address to devices that are online for all.
    assert sorted(shown(house)) == [(ALICE, EVE, "chat"), (hidden, EVE, "chat")]


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


async def test_req_319_a_device_that_leaves_before_it_is_looked_at(house: House) -> None:
    account = await came(house)
    await tells(house, "eve", "away")
    show(house, EVE)
    show(house, EVE, "unavailable")
    await house.clock.advance(1)
    assert not account.devices.all_shown_to()
    assert not shown(house)


async def test_req_319_a_subscription_takes_its_place(house: House) -> None:
    await came(house)
    await tells(house, "eve", "dnd")
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
