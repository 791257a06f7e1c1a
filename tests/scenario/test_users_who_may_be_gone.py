# SPDX-License-Identifier: Apache-2.0
"""Servers that say that a user is gone who is not (REQ-461)."""

from __future__ import annotations

from tests.scenario.house import GATEWAY, House
from tests.scenario.patterns import ACCEPT
from tests.scenario.test_remote_servers import received
from tests.scenario.test_stream import ALICE, bodies, events, running

_HOUR_S, _DAY_S = 3600.0, 86_400.0


async def _an_hour_later(house: House) -> None:
    await house.clock.leap(_HOUR_S)
    await house.clock.advance(10)


async def _told(house: House, body: str, contact: str = "bob") -> str:
    """Somebody says something. Returns the id under which it is told."""
    house.network.says("alice", contact, body)
    await house.clock.advance(1)
    told = {each.findtext(f"{ACCEPT}body"): each.get("id", "") for each in await received(house)}
    return told[body]


async def _refuse(house: House, id: str, contact: str = "bob") -> None:
    house.server.send(
        f"<message type='error' from='{ALICE}' to='{contact}@{GATEWAY}/scripted' id='{id}'>"
        "<error type='cancel'><item-not-found"
        " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
    )
    await house.clock.settle()


async def test_req_461_two_mistakes_in_three_days_suspend_nobody(house: House) -> None:
    """In between their server has taken everything, though nothing was heard of them."""
    await running(house)
    await _refuse(house, await _told(house, "one"))
    await _an_hour_later(house)
    assert await bodies(house) == ["one"]
    await _an_hour_later(house)
    house.clock.set_by(3 * _DAY_S)
    await _refuse(house, await _told(house, "two"))
    assert "account_suspended" not in events(house)
    await _an_hour_later(house)
    assert await bodies(house) == ["two"]


async def test_req_461_what_alone_is_refused_does_not_hold_up_the_rest(house: House) -> None:
    """It is given up as what comes back for other reasons."""
    await running(house)
    odd = await _told(house, "odd")
    told, held_up = ["odd"], []
    for hour in range(6):
        if "odd" in told:
            await _refuse(house, odd)
        house.network.says("alice", "carol", f"text {hour}")
        await house.clock.advance(1)
        held_up.append(await bodies(house) == [])
        await _an_hour_later(house)
        told = await bodies(house)
    assert held_up == [True, True, True, False, False, False]
    assert events(house).count("delivery_given_up") == 1
    assert house.query("SELECT count(*) FROM inbound WHERE state < 2") == [(0,)]


async def test_req_461_who_is_gone_loses_nothing_in_three_days(house: House) -> None:
    """However often what waits for them comes back, and in whatever order with our server's
    answers."""
    await running(house)
    ids = {name: await _told(house, f"of {name}", name) for name in ("bob", "carol")}
    for _ in range(6):
        for name, id in ids.items():
            await _refuse(house, id, name)
        await _an_hour_later(house)
    assert house.query("SELECT count(*) FROM inbound WHERE state = 3") == [(0,)]
