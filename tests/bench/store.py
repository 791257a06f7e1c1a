# SPDX-License-Identifier: Apache-2.0
"""The store alone: look-ups in a large database, and commits."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from pathlib import Path

from gateway.events import ChatMessage
from gateway.ids import (
    AccountId,
    ConversationId,
    RemoteMessageId,
    RemoteUserId,
    StanzaId,
    UserJid,
    stanza_id,
)
from gateway.store import Store, Transaction, conversations, journal
from gateway.store.conversations import Origin
from gateway.store.pruning import prune_messages
from tests.bench import house, stanzas
from tests.bench.measure import Figure, Group, settle_garbage

_CONVERSATIONS = 100
_LOOKUPS = 5_000
_FILL = 10_000
_GOAL_MS = 0.2


async def measure(directory: Path, repetitions: int, *, messages: int) -> Group:
    """Look-ups after ``messages`` messages; commits by one, some and many callers."""
    await house.seed(directory, _CONVERSATIONS)
    store = await Store.open(house.database(directory))
    try:
        chats = await store.write(_chats)
        await _fill(store, chats, messages)
        await store.checkpoint()
        size = house.database(directory).stat().st_size
        settle_garbage()
        figures = [
            Figure(
                what=f"alias look-up at {messages:,} messages",
                unit="ms",
                values=[_look_up(store, messages) for _ in range(repetitions)],
                goal=_GOAL_MS,
                less_is_better=True,
            ),
            Figure(what="database, per million messages", unit="MB", values=[size / messages]),
            Figure(
                what=f"a message with its alias, at {messages:,}",
                unit="ms",
                values=[await _insert(store, chats[0], n) for n in range(repetitions)],
            ),
            *[
                Figure(
                    what=f"group commit, {callers:,} at a time",
                    unit="/s",
                    values=[
                        await _commits(store, chats[0], callers, count) for _ in range(repetitions)
                    ],
                )
                for callers, count in ((1, 500), (32, 5_000), (1_000, 10_000))
            ],
        ]
        holds = await _prune(store)
        figures += [
            Figure(what=f"pruning, {name} batch", unit="ms", values=[value])
            for name, value in (("median", holds[len(holds) // 2]), ("longest", holds[-1]))
        ]
        return Group(
            title="Store",
            note=(
                "Look-up: conversation and alias to message, on the loop's thread. "
                "Commit: a unit adds one row to the inbound journal; wall time, FULL. "
                "Pruning: how long one batch holds the writer, wall time, of all messages."
            ),
            figures=figures,
        )
    finally:
        await store.close()


def _chats(db: Transaction) -> list[ConversationId]:
    return [
        conversations.chat(db, _account(number), RemoteUserId(stanzas.contact(number)))
        for number in range(_CONVERSATIONS)
    ]


def _account(number: int) -> AccountId:
    return AccountId(number + 1)


async def _fill(store: Store, chats: Sequence[ConversationId], messages: int) -> None:
    for start in range(0, messages, _FILL):

        def unit(db: Transaction, start: int = start) -> None:
            for number in range(start, min(start + _FILL, messages)):
                conversations.add_message(
                    db,
                    chats[number % _CONVERSATIONS],
                    stanza_id=stanza_id("bench", number),
                    origin=Origin.CONTACT,
                    sent_at=1.7e9 + number,
                    remote_id=RemoteMessageId(f"$remote-{number}:example.org"),
                )

        await store.write(unit)


def _look_up(store: Store, messages: int) -> float:
    """Milliseconds of one look-up."""
    wanted = [random.randrange(messages) for _ in range(_LOOKUPS)]
    aliases = [(number % _CONVERSATIONS, stanza_id("bench", number)) for number in wanted]
    before = time.perf_counter()
    for number, alias in aliases:
        chat = conversations.find_chat(
            store.reader, _account(number), RemoteUserId(stanzas.contact(number))
        )
        assert chat is not None
        if conversations.by_alias(store.reader, chat, alias) is None:
            raise AssertionError("a message was not found")
    return (time.perf_counter() - before) / _LOOKUPS * 1e3


async def _insert(store: Store, chat: ConversationId, repetition: int) -> float:
    """Milliseconds of the writer for one message, without its share of the commit."""

    def unit(db: Transaction) -> float:
        before = time.thread_time()
        for number in range(_LOOKUPS):
            name = f"insert {repetition} {number}"
            conversations.add_message(
                db,
                chat,
                stanza_id=stanza_id("bench", name),
                origin=Origin.CONTACT,
                sent_at=1.7e9,
                remote_id=RemoteMessageId(name),
            )
        return (time.thread_time() - before) / _LOOKUPS * 1e3

    return await store.write(unit)


async def _prune(store: Store) -> list[float]:
    """Milliseconds of each batch, shortest first."""
    holds: list[float] = []

    def unit(db: Transaction) -> int:
        before = time.perf_counter()
        count = prune_messages(db, 4e9)
        holds.append((time.perf_counter() - before) * 1e3)
        return count

    while await store.write(unit):
        pass
    return sorted(holds)


async def _commits(store: Store, chat: ConversationId, callers: int, count: int) -> float:
    """Units per second, when each caller waits for its own before the next."""
    now = time.time()
    sid = StanzaId("00000000-0000-5000-8000-000000000000")
    message = ChatMessage(id=sid, body=stanzas.BODY, sent_at=now)

    def unit(db: Transaction) -> None:
        journal.add_inbound(
            db,
            account=_account(0),
            conversation=chat,
            user=UserJid(stanzas.user(0)),
            contact=RemoteUserId(stanzas.contact(0)),
            stanza_id=sid,
            delivery=message,
            now=now,
        )

    async def caller() -> None:
        for _ in range(count // callers):
            await store.write(unit)

    before = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    return count / (time.perf_counter() - before)
