# SPDX-License-Identifier: Apache-2.0
"""Retention: what is old goes, what is open stays however old it is."""

from __future__ import annotations

from gateway.events import RemoteUndecryptable
from gateway.ids import RemoteMessageId, RemoteUserId, RowId
from gateway.store import Store, Transaction, conversations, dead_events, held, journal
from gateway.store.journal import InboundState, OutboundState
from gateway.store.pruning import Pruning
from tests.clock import VirtualClock
from tests.unit.store import rows

_DAY = 86400.0
_RETENTION = 400 * _DAY
_MINUTE = 60.0


async def _prune(store: Store, clock: VirtualClock) -> None:
    await Pruning(
        store, clock, alias_retention_s=_RETENTION, dead_letters_s=30 * _DAY, files_s=30 * _DAY
    ).once()


def _names(store: Store, table: str) -> list[str]:
    found = store.reader.execute(f"SELECT stanza_id FROM {table} ORDER BY id")
    return [name for (name,) in found]


async def test_settled_rows_go_and_open_ones_stay(store: Store) -> None:
    clock = VirtualClock()
    now = clock.now()
    ages = {"old": 16 * _MINUTE, "new": 14 * _MINUTE}

    def unit(db: Transaction) -> None:
        of, conversation = rows.chat(db, "alice")
        for age, seconds in ages.items():
            for state in InboundState:
                row = rows.inbound(db, of, conversation, f"{state.name} {age}", now - seconds)
                journal.set_inbound_state(db, [row.id], state, now - seconds)

    await store.write(unit)
    await _prune(store, clock)
    assert _names(store, "inbound") == [
        "COMMITTED old", "TAKEN_OVER old", "DEAD old", "COMMITTED new", "TAKEN_OVER new",
        "SETTLED new", "DEAD new",
    ]  # fmt: skip
    await clock.advance(30 * _DAY - 15 * _MINUTE)
    await _prune(store, clock)
    assert [name for name in _names(store, "inbound") if "DEAD" in name] == ["DEAD new"]


async def test_a_sent_message_is_known_by_its_id_for_seven_days(store: Store) -> None:
    clock = VirtualClock()
    now = clock.now()

    def unit(db: Transaction) -> None:
        of, conversation = rows.chat(db, "alice")
        for age, days in {"old": 8, "new": 6}.items():
            for state in OutboundState:
                row = rows.outbound(db, of, conversation, f"{state.name} {age}", now - days * _DAY)
                if state is not OutboundState.COMMITTED:
                    journal.settle_outbound(db, row.id, state, now - days * _DAY)

    await store.write(unit)
    await _prune(store, clock)
    assert _names(store, "outbound") == [
        "COMMITTED old", "COMMITTED new", "ACCEPTED new", "FAILED new",
    ]  # fmt: skip


async def test_old_messages_go_with_their_aliases(store: Store) -> None:
    clock = VirtualClock()
    now = clock.now()

    def unit(db: Transaction) -> RowId:
        of, conversation = rows.chat(db, "alice")
        old = rows.message(db, conversation, "old", now - 401 * _DAY)
        rows.message(db, conversation, "new", now - 399 * _DAY)
        db.execute("INSERT INTO reaction VALUES (?, 'bob', '+', 'r1')", (old,))
        row = rows.outbound(db, of, conversation, "refers", now)
        db.execute("UPDATE outbound SET message = ?", (old,))
        return row.id

    row = await store.write(unit)
    await _prune(store, clock)
    assert _names(store, "message") == ["new"]
    assert store.reader.execute("SELECT value FROM alias").fetchall() == [("new",)]
    assert rows.count(store.reader, "reaction") == 0
    kept = store.reader.execute("SELECT id, message FROM outbound").fetchall()
    assert kept == [(row, None)]


async def test_the_clock_of_the_sender_does_not_count(store: Store) -> None:
    """What comes late out of an old backlog is new here, and what is dated ahead is not."""
    clock = VirtualClock()
    now = clock.now()

    def unit(db: Transaction) -> None:
        _, conversation = rows.chat(db, "alice")
        for name, sent_at, stored_at in (
            ("late", now - 500 * _DAY, now),
            ("ahead", now + 500 * _DAY, now - 401 * _DAY),
        ):
            rows.message(db, conversation, name, sent_at, stored_at)
            event = RemoteUndecryptable(
                contact=RemoteUserId("bob"),
                id=RemoteMessageId(name),
                sent_at=sent_at,
                content="{}",
            )
            held.hold(db, conversation, event, stored_at)

    await store.write(unit)
    await _prune(store, clock)
    assert _names(store, "message") == ["late"]
    assert store.reader.execute("SELECT remote_id FROM held").fetchall() == [("late",)]


class _HurriedClock(VirtualClock):
    """Counts pauses, and makes none."""

    pauses = 0

    async def sleep(self, seconds: float) -> None:
        self.pauses += 1
        await super().sleep(0)


async def test_much_goes_in_small_batches(store: Store) -> None:
    clock = _HurriedClock()

    def unit(db: Transaction) -> None:
        _, conversation = rows.chat(db, "alice")
        for n in range(1200):
            rows.message(db, conversation, f"m{n}", 0)

    await store.write(unit)
    await _prune(store, clock)
    assert rows.count(store.reader, "message") == 0
    assert clock.pauses == 24


async def test_gaps_that_were_told_are_forgotten_and_other_notices_are_not(store: Store) -> None:
    clock = VirtualClock()
    now = clock.now()

    def unit(db: Transaction) -> None:
        _, conversation = rows.chat(db, "alice")
        conversations.tell_once(db, conversation, "name")
        for name, days in {"old": 401, "new": 399}.items():
            at = now - days * _DAY
            conversations.tell_once(db, conversation, f"gap {name}", until_pruned_at=at)

    await store.write(unit)
    await _prune(store, clock)
    told = store.reader.execute("SELECT notice FROM told ORDER BY notice").fetchall()
    assert told == [("gap new",), ("name",)]


async def test_dead_events_go_with_the_dead_letters_and_are_bounded(store: Store) -> None:
    clock = VirtualClock()
    now = clock.now()

    def unit(db: Transaction) -> None:
        of, _ = rows.chat(db, "alice")
        for days in (31, 29):
            dead_events.add(db, of, object(), "", now - days * _DAY)

    await store.write(unit)
    await _prune(store, clock)
    assert [event.stored_at for event in dead_events.dead_events(store.reader)] == [
        now - 29 * _DAY
    ]

    def many(db: Transaction) -> None:
        other = rows.account(db, "carol")
        for _ in range(1010):
            dead_events.add(db, other, {"a": "\ud800"}, "", now)

    await store.write(many)
    kept = [event.id for event in dead_events.dead_events(store.reader)]
    assert kept == [2, *range(13, 1013)]
