# SPDX-License-Identifier: Apache-2.0
"""What comes back, or may have been lost, where it is about when that is noticed (REQ-461)."""

from __future__ import annotations

import pytest

from tests.scenario.house import GATEWAY, House
from tests.scenario.patterns import ACCEPT
from tests.scenario.test_remote_servers import FAR, received
from tests.scenario.test_stream import ALICE, bodies, events, running


def bounce(message: str, contact: str = "bob", user: str = ALICE) -> str:
    """An error that may pass."""
    return (
        f"<message type='error' from='{user}' to='{contact}@{GATEWAY}/scripted' id='{message}'>"
        "<error type='wait'><resource-constraint"
        " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
    )


@pytest.mark.parametrize("rows", [3, 50])
async def test_req_461_a_bounce_before_its_turn_hides_no_older_row(
    house: House, rows: int
) -> None:
    """After a restart: the row of an earlier process comes back before older ones are read."""
    await running(house)
    house.server.answers_barriers = False
    for number in range(rows):
        house.network.says("alice", "bob", f"t{number}")
        await house.clock.settle()
    written = [row.get("id", "") for row in await received(house) if row.findtext(f"{ACCEPT}body")]
    await house.kill()
    house.server.held.clear()
    await house.start()
    await house.connected()
    house.server.send(bounce(written[-1]) * 2)
    await house.clock.settle()
    house.server.answer_barriers()
    await house.clock.advance(60)
    assert await bodies(house) == [f"t{number}" for number in range(rows)]
    house.network.says("alice", "bob", "later")
    await house.clock.advance(60)
    assert await bodies(house) == ["later"]
    assert house.query("SELECT count(*) FROM inbound WHERE state < 2") == [(0,)]


async def test_req_461_each_row_waits_48_hours_of_its_own(house: House) -> None:
    """Not the conversation: what came an hour before its end is not given up with the first."""
    await running(house, FAR)
    house.server.others = "are away"
    house.network.says("alice", "bob", "old")
    await house.clock.advance(47.5 * 3600)
    house.network.says("alice", "bob", "new")
    await house.clock.advance(3600)
    assert house.query("SELECT state FROM inbound ORDER BY id") == [(3,), (0,)]
    house.server.others = "answer"
    await house.clock.advance(3600)
    assert await bodies(house) == ["new"]


async def test_req_461_a_server_that_answers_does_not_end_the_wait_after_a_bounce(
    house: House,
) -> None:
    house.server.others = "answer"
    await running(house, FAR)
    house.network.says("alice", "bob", "one")
    await house.clock.advance(60)
    (one,) = [s.get("id", "") for s in await received(house)]
    for bounces in range(8):
        house.server.send(bounce(one, user=f"{FAR}/phone"))
        await house.clock.advance(5 * 2**bounces + 30)
        assert await bodies(house) == ["one"]
    house.network.says("alice", "bob", "two")
    await house.clock.advance(3)
    house.server.others = "are away"
    await house.clock.advance(30)
    house.network.says("alice", "bob", "three")
    await house.clock.settle()
    house.server.send(bounce(one, user=f"{FAR}/phone"))
    await house.clock.settle()
    await received(house)
    house.server.others = "answer"
    await house.clock.advance(600)
    assert "peer_back" in events(house)
    assert await bodies(house) == [], "it came back for the ninth time, and waits for 21 minutes"
    await house.clock.advance(700)
    assert await bodies(house) == ["one", "two", "three"]


async def test_req_137_what_waited_of_somebody_who_was_blocked_is_not_told(house: House) -> None:
    """Others are not concerned, nor is what the user has said themselves."""
    await running(house)
    house.server.cut()
    await house.clock.advance(0.1)
    for contact, body in (("bob", "psst"), ("carol", "hello"), ("bob", "hey")):
        house.network.says("alice", contact, body)
        await house.clock.settle()
    house.network.event("alice", "room-ignored", users=["bob"])
    await house.clock.settle()
    await house.clock.advance(10)
    await house.connected()
    await house.clock.advance(5)
    assert [body for body in await bodies(house) if body] == ["hello"]
    assert house.query("SELECT count(*) FROM inbound WHERE state < 2") == [(0,)]
    house.network.event("alice", "room-ignored", users=[])
    await house.clock.settle()
    house.network.says("alice", "bob", "at last")
    await house.clock.advance(5)
    assert [body for body in await bodies(house) if body] == ["at last"]
