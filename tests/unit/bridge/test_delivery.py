# SPDX-License-Identifier: Apache-2.0
"""The way of rows from the journal to the stream, with a stream that a test holds in its hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast

import pytest

from gateway.bridge.files.uploads import Uploads
from gateway.bridge.inbound.backlog import Backlog, Marks
from gateway.bridge.inbound.delivery import Delivery
from gateway.bridge.inbound.queues import CACHED, Queue
from gateway.bridge.persist import Persist
from gateway.bridge.ports import Ping, Pong, XmppPort
from gateway.events import ChatMessage
from gateway.ids import AccountId, ConversationId, NetworkName, RemoteUserId, StanzaId, UserJid
from gateway.store import Store, Transaction, accounts, conversations, journal
from gateway.store.journal import InboundRow, InboundState
from gateway.tasks import Tasks
from tests.clock import VirtualClock

NETWORK = NetworkName("net")
BOB = RemoteUserId("bob")


class Port:
    """What `Delivery` needs of the XMPP side."""

    def __init__(self, *, local: bool) -> None:
        self.local = local
        self.room = 1_000
        self.stanzas = 1
        """That each row is."""
        self.written: list[InboundRow] = []

    def has_room(self) -> bool:
        """As often as there is some."""
        return self.room > 0

    def write(self, row: InboundRow) -> int:
        """Take a row."""
        self.room -= 1
        self.written.append(row)
        return self.stanzas

    def is_local(self, user: UserJid) -> bool:
        """All users are."""
        return self.local

    def language_of(self, to: str) -> str:
        """Everybody's."""
        return "en"

    def ping(self, domain: str, answered: Callable[[Pong], None]) -> None:
        """Every server is there."""
        answered(Pong(Ping.ANSWERED))

    def bodies(self) -> list[str]:
        """What was written."""
        return [row.delivery.body for row in self.written if isinstance(row.delivery, ChatMessage)]


class NoUploads:
    """No row has a file."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def attach(self, port: object) -> None:
        pass

    def holds(self, row: InboundRow) -> bool:
        """None is."""
        self.seen.append(row.stanza_id)
        return False

    def keep_waiting(self, queue: Queue, row: InboundRow) -> bool:
        """Nothing waits for any."""
        return False


class Box:
    """A store with one chat, and the delivery of its network."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.clock = VirtualClock()
        self.tasks = Tasks("test")
        self.account = AccountId(0)
        self.chats: list[ConversationId] = []
        self.backlog = Backlog(NETWORK, Marks(), live_only=False, has_room=lambda _: None)

    def delivery(self, *, local: bool) -> tuple[Delivery, Port]:
        """As after a start of the process."""
        persist = Persist(self.store, self.clock, self.tasks)
        delivery = Delivery(
            NETWORK,
            self.store,
            self.clock,
            self.tasks,
            persist,
            self.backlog,
            cast("Uploads", NoUploads()),
        )
        port = Port(local=local)
        delivery.attach(cast("XmppPort", cast("Any", port)))
        return delivery, port

    async def rows(self, chat: int, *bodies: str, state: InboundState) -> list[InboundRow]:
        """Rows in a journal that was left behind."""

        def unit(db: Transaction) -> list[InboundRow]:
            made = [self._row(db, self.chats[chat], body) for body in bodies]
            journal.set_inbound_state(db, [row.id for row in made], state, self.clock.now())
            return made

        return await self.store.write(unit)

    def _row(self, db: Transaction, conversation: ConversationId, body: str) -> InboundRow:
        sid = StanzaId(body)
        now = self.clock.now()
        return journal.add_inbound(
            db,
            account=self.account,
            conversation=conversation,
            user=UserJid("alice@example.org"),
            contact=BOB,
            stanza_id=sid,
            delivery=ChatMessage(id=sid, body=body, sent_at=now),
            now=now,
        )

    def states(self) -> dict[str, InboundState]:
        """By body."""
        found = self.store.reader.execute("SELECT stanza_id, state FROM inbound")
        return {body: InboundState(state) for body, state in found}


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    """Two chats of one account."""
    store = await Store.open(tmp_path / "dragoman.db")
    box = Box(store)

    def unit(db: Transaction) -> None:
        box.account = accounts.add(
            db,
            network=NETWORK,
            user=UserJid("alice@example.org"),
            realm="realm",
            remote_id=RemoteUserId("@alice"),
            now=0,
        )
        for contact in (BOB, RemoteUserId("carol")):
            box.chats.append(conversations.chat(db, box.account, contact))

    await store.write(unit)
    yield box
    await box.tasks.cancel()
    await store.close()


async def test_rows_behind_many_that_were_taken_over_are_written(box: Box) -> None:
    """More of them than one look into the journal brings."""
    taken = [f"taken {n}" for n in range(45)]
    await box.rows(0, *taken, state=InboundState.TAKEN_OVER)
    await box.rows(0, "waiting", state=InboundState.COMMITTED)
    delivery, port = box.delivery(local=False)
    delivery.load()
    delivery.pump()
    await box.clock.settle()
    assert port.bodies() == ["waiting"]
    delivery.stop()


async def test_what_an_earlier_process_left_comes_in_order_and_before_what_is_new(
    box: Box,
) -> None:
    old = [f"old {n}" for n in range(70)]
    await box.rows(0, *old, state=InboundState.COMMITTED)
    delivery, port = box.delivery(local=True)
    delivery.load()
    port.room = 30
    delivery.pump()
    new = await box.rows(0, "new", state=InboundState.COMMITTED)
    delivery.offer(new)
    port.room = 1_000
    delivery.pump()
    assert port.bodies() == [*old, "new"]
    assert all(row.resent for row in port.written[:-1])


async def test_nothing_is_settled_before_it_is_taken_over(box: Box) -> None:
    rows = await box.rows(0, "one", "two", state=InboundState.COMMITTED)
    delivery, port = box.delivery(local=True)
    delivery.offer(rows)
    await box.store.drain()
    assert set(box.states().values()) == {InboundState.COMMITTED}
    delivery.taken_over(port.written[:1])
    await box.store.drain()
    assert box.states() == {"one": InboundState.SETTLED, "two": InboundState.COMMITTED}


async def test_a_broken_stream_puts_rows_back_in_order(box: Box) -> None:
    rows = await box.rows(0, "one", "two", "three", state=InboundState.COMMITTED)
    delivery, port = box.delivery(local=True)
    port.room = 2
    delivery.offer(rows)
    assert port.bodies() == ["one", "two"]
    delivery.taken_over(port.written[:1])
    delivery.lost()
    port.room = 10
    delivery.pump()
    assert port.bodies() == ["one", "two", "two", "three"]
    assert [row.resent for row in port.written[2:]] == [True, False]


async def test_a_long_conversation_delays_nobody(box: Box) -> None:
    long = await box.rows(0, *(f"a{n}" for n in range(200)), state=InboundState.COMMITTED)
    short = await box.rows(1, "b", state=InboundState.COMMITTED)
    delivery, port = box.delivery(local=True)
    port.room = 0
    delivery.offer([*long, *short])
    port.room = 1_000
    delivery.pump()
    assert port.bodies().index("b") < 50
    assert len(port.written) == 201


async def test_a_row_that_was_read_before_its_commit_was_told_is_written_once(box: Box) -> None:
    await box.rows(0, "old", state=InboundState.COMMITTED)
    delivery, port = box.delivery(local=True)
    delivery.load()
    new = await box.rows(0, "new", state=InboundState.COMMITTED)
    delivery.pump()
    delivery.offer(new)
    assert port.bodies() == ["old", "new"]


async def test_rows_that_bounce_one_after_the_other_are_written_once_each(box: Box) -> None:
    delivery, port = box.delivery(local=True)
    delivery.offer(await box.rows(0, "r1", "r2", "r3", state=InboundState.COMMITTED))
    delivery.taken_over(list(port.written))
    port.written.clear()
    await box.clock.settle()
    for body in ("r1", "r2", "r3"):
        delivery.bounced(UserJid("alice@example.org"), StanzaId(body), temporary=True)
    await box.store.drain()
    await box.clock.advance(60)
    assert port.bodies() == ["r1", "r2", "r3"]


async def test_a_conversation_that_keeps_its_turn_is_not_forgotten(box: Box) -> None:
    delivery, port = box.delivery(local=True)
    port.room = 20
    bodies = [f"a{number}" for number in range(20)]
    delivery.offer(await box.rows(0, *bodies, state=InboundState.COMMITTED))
    delivery.taken_over(list(port.written))
    delivery.offer(await box.rows(0, "late", state=InboundState.COMMITTED))
    port.room = 1_000
    delivery.pump()
    assert port.bodies() == [*bodies, "late"]
    delivery.taken_over(port.written[-1:])
    await box.store.drain()
    assert box.states()["late"] is InboundState.SETTLED


async def test_a_journal_that_cannot_be_read_now_is_read_later(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    await box.rows(0, "one", state=InboundState.COMMITTED)
    await box.rows(1, "two", state=InboundState.COMMITTED)
    delivery, port = box.delivery(local=True)
    delivery.load()

    def fail(*_: object) -> None:
        raise OSError("the disk is away")

    with monkeypatch.context() as patch:
        patch.setattr(journal, "open_inbound", fail)
        delivery.pump()
    assert port.bodies() == []
    await box.clock.advance(61)
    assert sorted(port.bodies()) == ["one", "two"]


async def test_others_have_a_turn_after_many_stanzas(box: Box) -> None:
    """Rows of rooms are one stanza for each session, and such of joins thousands."""
    bodies = [f"row {n}" for n in range(10)]
    rows = await box.rows(0, *bodies, state=InboundState.COMMITTED)
    delivery, port = box.delivery(local=True)
    port.stanzas = 600
    delivery.offer(rows)
    assert port.bodies() == bodies[:2]
    await box.clock.settle()
    assert port.bodies() == bodies
    delivery.stop()


async def test_req_446_files_begin_when_their_rows_are_read_and_not_first_in_their_turn(
    box: Box,
) -> None:
    """Each would hold up its conversation for a second. What only the journal has is no task."""
    await box.rows(0, "a", "b", "c", state=InboundState.COMMITTED)
    delivery, port = box.delivery(local=True)
    delivery.load()
    port.room = 1
    delivery.pump()
    uploads = cast("NoUploads", delivery._uploads)
    assert port.bodies() == ["a"]
    assert uploads.seen == ["a", "b", "c"]
    bodies = [f"{number}" for number in range(CACHED + 50)]
    delivery.offer(await box.rows(1, *bodies, state=InboundState.COMMITTED))
    assert uploads.seen[3:] == bodies[:CACHED]
