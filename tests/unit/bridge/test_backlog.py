# SPDX-License-Identifier: Apache-2.0
"""What waits is counted in memory; whatever happens to rows, it is what the journal says."""

from __future__ import annotations

import pytest

from gateway.bridge.inbound.backlog import Backlog, Marks
from gateway.errors import StanzaRefused
from gateway.ids import AccountId, NetworkName, StanzaId, UserJid
from gateway.store import accounts
from gateway.store.backlog import Waiting, waiting_inbound
from gateway.store.journal import InboundRow, InboundState
from tests.unit.bridge.test_delivery import NETWORK, Box, box

__all__ = ["box"]

ALICE = UserJid("alice@example.org")
ONE = AccountId(1)


def counted(box: Box) -> list[Waiting]:
    """What the counters say, as the journal would say it."""
    return [
        Waiting(account, load.rows, load.size)
        for account, load in box.backlog._loads.items()
        if load.rows
    ]


async def agrees(box: Box, rows: int) -> None:
    """So many rows wait, and the counters know it."""
    await box.store.drain()
    await box.clock.settle()
    await box.store.drain()
    stored = waiting_inbound(box.store.reader, NETWORK)
    assert counted(box) == stored
    assert sum(waiting.rows for waiting in stored) == rows


async def test_taken_over_bounced_and_given_up(box: Box) -> None:
    delivery, port = box.delivery(local=True)
    delivery.offer(await box.rows(0, "one", "two", "three", state=InboundState.COMMITTED))
    await agrees(box, 3)
    delivery.taken_over(list(port.written))
    await agrees(box, 0)
    for again in range(1, 3):
        delivery.bounced(ALICE, StanzaId("one"), temporary=True)
        await agrees(box, 1)
        await box.clock.advance(60)
        assert port.bodies().count("one") == 1 + again
        delivery.taken_over(port.written[-1:])
        await agrees(box, 0)
    delivery.offer(await box.rows(0, "four", state=InboundState.COMMITTED))
    delivery.bounced(ALICE, StanzaId("two"), temporary=False)
    await agrees(box, 1)


async def test_a_bounce_before_the_proof_is_counted_once(box: Box) -> None:
    delivery, port = box.delivery(local=True)
    delivery.offer(await box.rows(0, "one", "two", state=InboundState.COMMITTED))
    delivery.bounced(ALICE, StanzaId("one"), temporary=True)
    delivery.bounced(ALICE, StanzaId("two"), temporary=False)
    delivery.taken_over(list(port.written))
    await agrees(box, 1)


async def test_a_dead_letter_waits_no_longer_but_its_line_does(box: Box) -> None:
    delivery, port = box.delivery(local=True)

    def refuse(row: InboundRow) -> int:
        port.written.append(row)
        if row.stanza_id == "one":
            raise StanzaRefused("too large")
        return 1

    port.write = refuse  # type: ignore[method-assign]
    delivery.offer(await box.rows(0, "one", "two", state=InboundState.COMMITTED))
    await agrees(box, 2)
    delivery.taken_over(port.written[1:])
    await agrees(box, 0)


async def test_a_server_that_is_silent_and_comes_back(box: Box) -> None:
    delivery, port = box.delivery(local=False)
    delivery.offer(await box.rows(0, "one", "two", state=InboundState.COMMITTED))
    await box.clock.settle()
    delivery.taken_over(list(port.written))
    await agrees(box, 2)
    delivery.receipt(ALICE, StanzaId("one"))
    await agrees(box, 1)
    await box.clock.advance(30)
    await agrees(box, 0)
    delivery.stop()


async def test_what_an_earlier_process_left_and_an_account_that_goes(box: Box) -> None:
    await box.rows(0, *(f"old {n}" for n in range(30)), state=InboundState.COMMITTED)
    await box.rows(0, "taken", state=InboundState.TAKEN_OVER)
    await box.rows(0, "done", state=InboundState.SETTLED)
    delivery, port = box.delivery(local=True)
    port.room = 0
    delivery.load()
    await agrees(box, 31)
    await box.store.write(lambda db: accounts.remove(db, box.account))
    delivery.forget(box.account)
    await agrees(box, 0)


def row(number: int, size: int = 1) -> InboundRow:
    """A row of account 1."""
    return InboundRow(
        id=number,  # type: ignore[arg-type]
        account=ONE,
        conversation=1,  # type: ignore[arg-type]
        user=ALICE,
        contact="bob",  # type: ignore[arg-type]
        stanza_id=StanzaId(str(number)),
        delivery=None,
        committed_at=0,
        size=size,
    )


@pytest.mark.parametrize(
    ("size", "marks"), [(1, Marks(rows=10)), (100, Marks(rows=1_000, size=1_000))]
)
def test_full_at_the_mark_and_until_below_half(size: int, marks: Marks) -> None:
    told: list[AccountId] = []
    backlog = Backlog(NetworkName("net"), marks, live_only=False, has_room=told.append)
    rows = [row(number, size) for number in range(10)]
    backlog.added(rows[:9])
    assert not backlog.is_full(ONE)
    backlog.added(rows[9:])
    assert backlog.is_full(ONE)
    assert not backlog.is_full(AccountId(2))
    backlog.done(rows[:5])
    assert backlog.is_full(ONE)
    assert told == []
    backlog.done(rows[5:6])
    assert not backlog.is_full(ONE)
    assert told == [ONE]
    backlog.done(rows[6:])
    assert not backlog._loads


def test_a_network_that_keeps_nothing_is_cut_at_twice_the_mark() -> None:
    backlog = Backlog(NetworkName("net"), Marks(rows=4), live_only=True, has_room=lambda _: None)
    rows = [row(number) for number in range(8)]
    backlog.added(rows[:7])
    assert not backlog.is_cutting(ONE)
    backlog.added(rows[7:])
    assert backlog.is_cutting(ONE)
    backlog.done(rows[:6])
    assert backlog.is_cutting(ONE)
    backlog.done(rows[6:7])
    assert not backlog.is_cutting(ONE)
