# SPDX-License-Identifier: Apache-2.0
"""What can come back from a user's server."""

from __future__ import annotations

import pytest

from gateway.events import Delivery
from gateway.ids import StanzaId
from gateway.store import Store, Transaction, journal
from gateway.store.journal import InboundRow, InboundState, payload
from tests.unit.store import rows

SID = StanzaId("the same id")


async def test_rows_of_one_id_are_found_for_all_users_newest_first(store: Store) -> None:
    def unit(db: Transaction) -> None:
        for user in ("alice", "carol"):
            of, conversation = rows.chat(db, user)
            rows.inbound(db, of, conversation, SID)
            rows.inbound(db, of, conversation, "another")

    await store.write(unit)
    found = journal.recent_inbound(store.reader, SID)
    assert [row.user for row in found] == ["carol", "alice"]
    assert {row.stanza_id for row in found} == {SID}
    assert journal.recent_inbound(store.reader, StanzaId("unknown")) == []


async def test_a_look_up_by_id_costs_the_same_however_often_the_id_is_there(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It happens on the loop, for whatever a user sends."""
    read: list[bytes] = []

    def unit(db: Transaction) -> None:
        of, conversation = rows.chat(db, "alice")
        for _ in range(200):
            rows.inbound(db, of, conversation, SID)

    def counted(encoded: bytes) -> Delivery | None:
        read.append(encoded)
        return None

    await store.write(unit)
    monkeypatch.setattr(payload, "delivery", counted)
    journal.recent_inbound(store.reader, SID)
    assert 1 <= len(read) <= 10


async def test_what_is_closed_is_not_opened_by_a_late_change_of_state(store: Store) -> None:
    """One that the disk did not take at first may come after the receipt."""

    def unit(db: Transaction) -> list[InboundRow]:
        of, conversation = rows.chat(db, "alice")
        return [rows.inbound(db, of, conversation, name) for name in ("settled", "dead", "open")]

    settled, dead, still = await store.write(unit)

    def close(db: Transaction) -> None:
        journal.close_inbound(db, [settled], InboundState.SETTLED, 5)
        journal.close_inbound(db, [dead], InboundState.DEAD, 5)

    await store.write(close)
    ids = [row.id for row in (settled, dead, still)]
    await store.write(lambda db: journal.set_inbound_state(db, ids, InboundState.TAKEN_OVER, 6))
    found = store.reader.execute("SELECT state, changed_at FROM inbound ORDER BY id").fetchall()
    assert found == [(2, 5), (3, 5), (1, 6)]


async def test_a_row_is_closed_once(store: Store) -> None:
    """Who closes it later is told that it was not open, and changes nothing: it may be counted,
    told of or tried again on the strength of the first word."""

    def unit(db: Transaction) -> InboundRow:
        of, conversation = rows.chat(db, "alice")
        return rows.inbound(db, of, conversation, SID)

    row = await store.write(unit)

    async def closed(state: InboundState, now: float) -> list[InboundRow]:
        return await store.write(lambda db: journal.close_inbound(db, [row], state, now))

    assert await closed(InboundState.DEAD, 5) == [row]
    assert await closed(InboundState.SETTLED, 6) == []
    assert await closed(InboundState.DEAD, 7) == []
    found = store.reader.execute("SELECT state, changed_at FROM inbound").fetchall()
    assert found == [(InboundState.DEAD, 5)]
