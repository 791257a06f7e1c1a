# SPDX-License-Identifier: Apache-2.0
"""Messages, and notices that are given once."""

from __future__ import annotations

import math
import sqlite3

import pytest

from gateway.events import RemoteUndecryptable
from gateway.ids import AccountId, RemoteMessageId, RemoteUserId, StanzaId
from gateway.store import Store, Transaction, conversations, held
from gateway.store.conversations import Origin
from tests.unit.store import rows


async def test_a_message_that_is_known_is_not_stored_again(store: Store) -> None:
    def unit(db: Transaction) -> int | None:
        _, conversation = rows.chat(db, "alice")
        rows.message(db, conversation, "m")
        return conversations.add_message(
            db,
            conversation,
            stanza_id=StanzaId("again"),
            origin=Origin.CONTACT,
            sent_at=1,
            remote_id=RemoteMessageId("$m"),
        )

    assert await store.write(unit) is None
    assert rows.count(store.reader, "message") == 1


async def test_a_message_that_cannot_be_stored_is_not_taken_for_a_known_one(store: Store) -> None:
    """SQLite stores not-a-number as NULL."""

    def unit(db: Transaction) -> int:
        _, conversation = rows.chat(db, "alice")
        return rows.message(db, conversation, "m", math.nan)

    with pytest.raises(sqlite3.IntegrityError, match="NOT NULL"):
        await store.write(unit)


async def test_an_event_that_cannot_be_held_is_not_taken_for_a_known_one(store: Store) -> None:
    def unit(db: Transaction, sent_at: float) -> None:
        _, conversation = rows.chat(db, "alice")
        event = RemoteUndecryptable(
            contact=RemoteUserId("bob"), id=RemoteMessageId("$m"), sent_at=sent_at, content="{}"
        )
        held.hold(db, conversation, event, 0)

    for _ in range(2):
        await store.write(lambda db: unit(db, 1))
    assert rows.count(store.reader, "held") == 1
    with pytest.raises(sqlite3.IntegrityError, match="NOT NULL"):
        await store.write(lambda db: unit(db, math.nan))


@pytest.mark.parametrize(("bound", "value"), [("_KEPT", 150), ("_KEPT_CHARACTERS", 300)])
async def test_held_events_are_bounded_and_the_newest_stay(
    store: Store, monkeypatch: pytest.MonkeyPatch, bound: str, value: int
) -> None:
    monkeypatch.setattr(held, bound, value)

    def unit(db: Transaction) -> AccountId:
        account, conversation = rows.chat(db, "alice")
        for number in range(1_000):
            event = RemoteUndecryptable(
                contact=rows.BOB,
                id=RemoteMessageId(f"${number}"),
                sent_at=1,
                content="{}",
                needs="k",
            )
            held.hold(db, conversation, event, number)
        return account

    account = await store.write(unit)
    kept = [event.id for event in held.waiting(store.reader, account, "k")]
    assert 150 <= len(kept) <= 250
    assert kept == [f"${number}" for number in range(1_000 - len(kept), 1_000)]
    assert kept == [event.id for event in held.waiting(store.reader, account, None)]


async def test_each_notice_is_given_once_in_each_conversation(store: Store) -> None:
    """Also one that is a part of another."""

    def unit(db: Transaction) -> list[bool]:
        chats = [rows.chat(db, user)[1] for user in ("alice", "carol")]
        return [
            conversations.tell_once(db, chat, notice)
            for chat in chats
            for notice in ("gap of a name", "name", "of a name", "a,name", "name", "")
        ]

    assert await store.write(unit) == [True, True, True, True, False, True] * 2
