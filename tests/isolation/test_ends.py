# SPDX-License-Identifier: Apache-2.0
"""Login loops, and sessions that outlive their end."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.adapter import Linked
from gateway.bridge.links import link as links
from gateway.bridge.links.pacing import Breaker, StartGate
from gateway.errors import Transient
from gateway.events import AVAILABLE, RemoteMessage
from gateway.ids import RemoteMessageId, RemoteUserId, UserJid
from gateway.tasks import Tasks
from tests.clock import VirtualClock
from tests.scenario.house import House
from tests.scenario.test_stream import ALICE, running


def test_req_222_waits_grow_with_full_jitter_to_ten_minutes() -> None:
    breaker = Breaker()
    for number in range(1, 40):
        breaker.failed(lived_s=59)
        waits = [breaker.wait_s() for _ in range(50)]
        ceiling = min(2.0 * 2 ** (number - 1), 600)
        assert all(0.5 <= wait <= ceiling for wait in waits)
        assert max(waits) > 0.7 * ceiling
    assert breaker.is_tripped
    for _ in range(9):
        breaker.failed(None)
    assert breaker.is_tripped
    breaker.failed(lived_s=60)
    assert breaker.wait_s() <= 2
    assert not breaker.is_tripped


def test_a_network_that_was_away_for_long_is_believed_when_it_is_back() -> None:
    breaker = Breaker()
    for _ in range(100):
        breaker.failed(None)
    assert not breaker.is_tripped
    assert not breaker.is_notable


async def test_accounts_that_do_not_answer_hold_nobody_up_for_long() -> None:
    clock, tasks = VirtualClock(), Tasks("test")
    gate = StartGate(clock, tasks, 8)
    for _ in range(8):
        await gate.enter(again=False)
    (await gate.enter(again=True))()  # those that try again have a way of their own
    waiting = tasks.spawn(gate.enter(again=False), "waiting")
    await clock.advance(1.9)
    assert not waiting.done()
    await clock.advance(0.2)
    assert waiting.done()
    await tasks.cancel()


@pytest.mark.parametrize("times", [40, pytest.param(1000, marks=pytest.mark.soak)])
async def test_req_222_a_login_loop_is_told_once_and_logged_rarely(
    house: House, times: int
) -> None:
    await running(house)
    await house.clock.advance(120)
    while not house.server.received.empty():
        house.server.received.get_nowait()
    make = house.bridge.adapter.session
    sessions = 0

    def session(account: Any) -> Any:
        nonlocal sessions
        sessions += 1
        made = make(account)

        async def run() -> None:
            account.connected()
            raise Transient("It dies at once.")

        made.run = run  # type: ignore[method-assign]
        return made

    house.bridge.adapter.session = session  # type: ignore[method-assign]
    house.network.cut()
    start = house.clock.now()
    while sessions < times:
        await house.clock.advance(3600)
    assert house.clock.now() - start > 150 * (times - 30)  # 5 minutes on average
    told = []
    while not house.server.received.empty():
        stanza = house.server.received.get_nowait()
        if stanza.tag.endswith("}presence") and len(stanza):
            told.append(stanza.findtext("{jabber:component:accept}status"))
    assert told.count("Not connected: It dies at once.") <= 5
    assert len(told) <= 12
    assert len([log for log in house.logs if log["event"] == "session_ended"]) <= 16
    house.bridge.adapter.session = make  # type: ignore[method-assign]
    await house.clock.advance(700)
    await house.clock.advance(61)
    stanzas = []
    while not house.server.received.empty():
        stanzas.append(house.server.received.get_nowait())
    assert stanzas[-1].findtext("{jabber:component:accept}status") == "Connected"


async def test_a_session_that_outlives_its_end_has_no_say(
    house: House,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(links, "_ENDING_S", 0.05)
    await running(house)
    account = house.bridge.accounts.of(UserJid(ALICE))
    assert account is not None
    assert account.link is not None
    zombie = account.link._handle
    assert zombie is not None
    linked = Linked(realm="scripted", remote_id=RemoteUserId("alice"), secret=b"token-alice")
    await house.bridge.logins.link(UserJid(ALICE), linked)
    await house.clock.settle()
    before = house.query("SELECT count(*) FROM message"), account.cursor
    message = RemoteMessage(
        contact=RemoteUserId("bob"), id=RemoteMessageId("z"), body="late", sent_at=0
    )
    refused = []

    async def commit() -> None:
        try:
            await zombie.commit([message], cursor="99")
        except Transient as error:
            refused.append(str(error))

    tasks = Tasks("zombie")
    tasks.spawn(commit(), "commit")
    zombie.connected()
    zombie.typing(RemoteUserId("bob"), True)
    zombie.presence(RemoteUserId("bob"), AVAILABLE)
    with pytest.raises(TypeError):
        zombie.state()["x"] = "y"  # type: ignore[index]
    await house.clock.settle()
    assert not refused  # one that tries for ever does so slowly
    await house.clock.advance(1)
    assert refused == ["This session is over."]
    assert (house.query("SELECT count(*) FROM message"), account.cursor) == before
    await tasks.cancel()
