# SPDX-License-Identifier: Apache-2.0
"""Somebody sets the clock of the machine, by hours or by years, while the gateway runs."""

from __future__ import annotations

import pytest

from gateway.config.tree import Limits
from gateway.config.values import Rate
from tests.scenario.house import GATEWAY, House
from tests.scenario.patterns import ACCEPT
from tests.scenario.test_limits import answers, conditions, message
from tests.scenario.test_stream import ALICE, bodies, events, running

HOUR, YEAR = 3600, 365 * 86_400
DELAY = "{urn:xmpp:delay}delay"
REMOTE = "alice@far.example"

jumps = pytest.mark.parametrize(
    "jump", [-3 * YEAR, -2 * HOUR, 2 * HOUR, 3 * YEAR], ids=["-3y", "-2h", "+2h", "+3y"]
)


@jumps
async def test_the_stream_and_its_barriers_do_not_notice(house: House, jump: int) -> None:
    await running(house)
    await house.clock.advance(3)
    house.server.answers_barriers = False
    house.network.says("alice", "bob", "one")
    await house.clock.advance(10)
    house.clock.set_by(jump)
    await house.clock.advance(10)
    assert house.server.attempts == 1
    assert house.query("SELECT count(*) FROM inbound WHERE state = 0") == [(1,)]
    house.server.answer_barriers()
    await house.clock.advance(120)
    assert house.server.attempts == 1
    assert house.query("SELECT count(*) FROM inbound WHERE state = 0") == [(0,)]
    house.server.freeze()
    house.clock.set_by(-jump)
    await house.clock.advance(62)
    assert "barrier_overdue" in events(house)


@jumps
async def test_back_offs_are_as_long_as_before(house: House, jump: int) -> None:
    await running(house)
    await house.server.stop()
    await house.network.stop()
    await house.clock.advance(20)
    house.clock.set_by(jump)
    await house.server.start()
    await house.network.start()
    await house.clock.advance(61)
    await house.connected()  # by an attempt of that time
    await bodies(house)
    assert conditions(await answers(house, message(ALICE, 1))) == {}
    assert len(house.network.sent) == 1


@jumps
async def test_req_224_what_waits_has_ten_minutes(house: House, jump: int) -> None:
    await running(house)
    house.network.mute = True
    house.network.cut()
    await house.clock.advance(1)
    await answers(house, message(ALICE, 1))
    await house.clock.advance(60)
    house.clock.set_by(jump)
    await house.clock.advance(500)
    assert set(conditions(await answers(house))) <= {""}, "too early"
    await house.clock.advance(60)
    found = [s for s in await answers(house) if s.get("type") == "error"]
    assert [error.get("id") for error in found] == ["m1"]


@jumps
async def test_req_905_remote_rows_are_settled_after_as_long_as_before(
    house: House, jump: int
) -> None:
    await running(house, REMOTE)
    house.server.others = "answer"
    house.network.says("alice", "bob", "one")
    await house.clock.settle()
    await house.clock.advance(2)
    house.server.others = "are silent"
    await house.clock.advance(3)
    house.clock.set_by(jump)
    await house.clock.advance(300)
    assert house.query("SELECT count(*) FROM inbound WHERE state < 2") == [(1,)]
    await house.clock.advance(900)
    assert house.query("SELECT count(*) FROM inbound WHERE state < 2") == [(0,)]


@jumps
async def test_req_410_stamps(house: House, jump: int) -> None:
    """What the network dates by its own clock is never from our future, and the order stays."""
    await running(house)
    true_time = house.clock.now()
    house.clock.set_by(jump)
    house.network.says("alice", "bob", "one", sent_at=true_time)
    house.network.says("alice", "bob", "two", sent_at=house.clock.now())
    house.network.says("alice", "bob", "three", sent_at=house.clock.now() + 10 * YEAR)
    found = await answers(house)
    assert len(found) == 3
    stamps = [stanza.find(DELAY) is not None for stanza in found]
    assert stamps == [jump > 0, False, False]


@jumps
async def test_limits_neither_open_nor_close(house: House, jump: int) -> None:
    house.options.limits = Limits(messages=Rate((10, 60)))
    await running(house)
    texts = (message(ALICE, n) for n in range(15))
    assert conditions(await answers(house, *texts)) == {"wait resource-constraint": 5}
    house.clock.set_by(jump)
    assert conditions(await answers(house, message(ALICE, 20))) == {"wait resource-constraint": 1}
    await house.clock.advance(7)
    assert conditions(await answers(house, message(ALICE, 21))) == {}


@jumps
async def test_req_906_a_restart_after_the_jump(house: House, jump: int) -> None:
    await running(house)
    house.server.answers_barriers = False
    house.network.says("alice", "bob", "one")
    await house.clock.settle()
    await bodies(house)
    await house.kill()
    house.clock.set_by(jump)
    house.server.up.clear()
    house.server.answers_barriers = True
    await house.start()
    await house.connected()
    found = [stanza for stanza in await answers(house) if stanza.findtext(f"{ACCEPT}body")]
    assert [stanza.findtext(f"{ACCEPT}body") for stanza in found] == ["one"]
    assert found[0].find(DELAY) is not None, "a repetition without a delay shows twice (REQ-906)"
    await house.clock.advance(60)
    assert conditions(await answers(house, message(ALICE, 1, to=f"bob@{GATEWAY}"))) == {}
    assert len(house.network.sent) == 1
