# SPDX-License-Identifier: Apache-2.0
"""The ordered queues of the inbound direction, one for each conversation that has open rows.

Memory is a cache of the journal's head. Nothing here is linear in the number of conversations, but
for the removal of an account, which looks at its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence

from gateway.adapter import Clock
from gateway.bridge.inbound.aside import Aside
from gateway.events import Delivery
from gateway.ids import AccountId, ConversationId, RowId, StanzaId, UserJid
from gateway.store.journal import InboundRow
from gateway.tasks import Tasks

CACHED = 500
"""Rows of one conversation kept in memory; the rest waits in the journal."""


class Queue:
    """One conversation's rows."""

    __slots__ = (
        "account",
        "aside",
        "blocked",
        "blocked_since",
        "conversation",
        "has_turn",
        "in_flight",
        "more",
        "newest",
        "paused",
        "paused_until",
        "pending",
        "returned",
    )

    def __init__(self, account: AccountId, conversation: ConversationId) -> None:
        self.account = account
        self.conversation = conversation
        self.pending: deque[InboundRow] = deque()
        self.aside = Aside()
        """What waits for files, and is no part of what is pending."""
        self.returned: dict[RowId, InboundRow] = {}
        """What came back and is not read yet: only if there is `more`."""
        self.in_flight = 0
        """How many of its rows are written and not proved."""
        self.newest = 0
        """Id of the newest row that has been in memory."""
        self.more = False
        """The journal has rows that are not in memory yet."""
        self.paused = False
        """Until a time: something came back, or the journal could not be read."""
        self.paused_until = 0.0
        self.blocked = False
        """Until the server of its user answers."""
        self.blocked_since: float | None = None
        """Monotonic; since when the server of its user cannot be reached."""
        self.has_turn = False

    def add(self, row: InboundRow) -> bool:
        """A row that was just committed, in commit order. Whether it is kept in memory."""
        if row.id <= self.newest:
            return False  # it was read from the journal before its commit was told here
        if self.more or len(self.pending) >= CACHED:
            self.more = True
            return False
        self.pending.append(row)
        self.newest = row.id
        return True

    def put_back(self, rows: Sequence[InboundRow]) -> None:
        """Rows that are written again, before all that is newer."""
        for row in rows:
            row.resent = True
        if not self.newest and not self.more:
            # A fresh queue must not believe that the journal has nothing after these rows.
            self.more = True
            self.newest = max(row.id for row in rows)
        self._line_up(rows)

    def _line_up(self, rows: Sequence[InboundRow]) -> None:
        # What an earlier process wrote may come back before its turn: not ahead of older rows.
        unread = {row.id: row for row in rows if self.more and row.turn[0] > self.newest}
        self.returned |= unread
        read = (row for row in rows if row.id not in unread)
        self.pending = deque(sorted((*read, *self.pending), key=lambda row: row.turn))

    def read(self, rows: Sequence[InboundRow], *, more: bool) -> list[InboundRow]:
        """The next rows of the journal. Returns them with those that came back meanwhile."""
        self.more = more
        found = {row.id: row for row in rows}
        for row in tuple(self.returned.values()):
            if not more or row.turn[0] <= rows[-1].id:
                found[row.id] = self.returned.pop(row.id)
        self.newest = max(self.newest, *found, 0)
        return sorted(found.values(), key=lambda row: row.turn)

    def reword(self, row: RowId, delivery: Delivery) -> None:
        """It is known what a row says, which was never written."""
        self.aside.reword(row, delivery)
        for each in (*self.pending, *self.returned.values()):
            if each.id == row:
                each.delivery = delivery
                each.resent = False

    def take_up(self, after: RowId) -> None:
        """What was aside and waits for nothing any more has its turn, but not before this row."""
        ready = self.aside.take()
        for each in ready:
            each.resent = False
            each.after = max(each.after, after)
        if ready:
            self._line_up(ready)

    def drop(self, rows: Collection[RowId]) -> None:
        """They have other turns, under other numbers. `take_up` comes next."""
        self.aside.drop(rows)
        for row in rows:
            self.returned.pop(row, None)
        self.pending = deque(each for each in self.pending if each.id not in rows)

    def waits_for(self, row: RowId) -> bool:
        """Whether the row is to be written again anyway."""
        return row in self.returned or any(other.id == row for other in self.pending)


class Queues:
    """All queues of one network, and whose turn it is."""

    def __init__(self, clock: Clock, tasks: Tasks, pump: Callable[[], None]) -> None:
        self._clock = clock
        self._tasks = tasks
        self._pump = pump
        self._queues: dict[ConversationId, Queue] = {}
        self._of_account: dict[AccountId, dict[ConversationId, Queue]] = {}
        self._turns: deque[Queue] = deque()
        self._in_flight: dict[RowId, InboundRow] = {}
        """Not more than the stream takes without proof."""

    def __len__(self) -> int:
        return len(self._queues)

    def of(self, account: AccountId, conversation: ConversationId) -> Queue:
        """The queue of a conversation, made if there is none."""
        queue = self._queues.get(conversation)
        if queue is None:
            queue = self._queues[conversation] = Queue(account, conversation)
            self._of_account.setdefault(account, {})[conversation] = queue
        return queue

    def find(self, conversation: ConversationId) -> Queue | None:
        """The queue of a conversation, if it has open rows."""
        return self._queues.get(conversation)

    def has(self, queue: Queue) -> bool:
        """Whether it is still one of these."""
        return self._queues.get(queue.conversation) is queue

    def enqueue(self, queue: Queue) -> None:
        """Let it have a turn."""
        if not queue.has_turn:
            queue.has_turn = True
            self._turns.append(queue)

    def next(self) -> Queue | None:
        """Whose turn it is."""
        if not self._turns:
            return None
        queue = self._turns.popleft()
        queue.has_turn = False
        return queue

    def put_back(self, rows: Sequence[InboundRow]) -> Queue:
        """Rows of one conversation that are written again."""
        queue = self.of(rows[0].account, rows[0].conversation)
        queue.put_back(rows)
        self.enqueue(queue)
        return queue

    def unblock(self, queues: Sequence[Queue]) -> None:
        """The server of their users can be asked again. Does not end what is a pause."""
        for queue in queues:
            queue.blocked = False
            self.enqueue(queue)
        self._pump()

    def pause(self, queue: Queue, seconds: float) -> None:
        """Write nothing of this conversation for a while."""
        queue.paused = True
        queue.paused_until = until = max(queue.paused_until, self._clock.monotonic() + seconds)

        async def resume() -> None:
            await self._clock.sleep(until - self._clock.monotonic())
            if queue.paused_until <= until:
                queue.paused = False
                self.enqueue(queue)
                self._pump()

        self._tasks.spawn(resume(), f"redelivery of {queue.conversation}")

    def forget_if_empty(self, queue: Queue) -> None:
        """Nothing is left to do for it: do not keep it."""
        halted = queue.paused or queue.blocked or queue.aside
        if not (queue.pending or queue.in_flight or queue.more or halted or queue.has_turn):
            self._drop(queue)

    def forget(self, account: AccountId) -> None:
        """The account was removed with all its rows."""
        queues = self._of_account.get(account, {})
        for row in [row for row in self._in_flight.values() if row.conversation in queues]:
            del self._in_flight[row.id]
        for queue in tuple(queues.values()):
            queue.pending.clear()
            queue.aside.clear()
            queue.returned.clear()
            queue.in_flight = 0
            queue.more = False
            self._drop(queue)

    def _drop(self, queue: Queue) -> None:
        if self._queues.get(queue.conversation) is queue:
            del self._queues[queue.conversation]
            own = self._of_account[queue.account]
            del own[queue.conversation]
            if not own:
                del self._of_account[queue.account]

    # --- what is written and not proved ----------------------------------------------------------

    def written(self, queue: Queue, row: InboundRow) -> None:
        """The row is on its way."""
        queue.in_flight += 1
        self._in_flight[row.id] = row

    def proved(self, row: InboundRow) -> bool:
        """It has arrived. False if this writing proves nothing: it bounced, or was forgotten."""
        if self._in_flight.get(row.id) is not row:
            return False
        self.take_back(row)
        return True

    def take_back(self, row: InboundRow) -> None:
        """The row is not on its way any longer, if it was."""
        if self._in_flight.pop(row.id, None) is not None:
            queue = self._queues[row.conversation]
            queue.in_flight -= 1
            self.forget_if_empty(queue)

    def lost(self) -> None:
        """What was on its way is written again."""
        by_conversation: dict[ConversationId, list[InboundRow]] = {}
        for row in self._in_flight.values():
            by_conversation.setdefault(row.conversation, []).append(row)
        self._in_flight.clear()
        for conversation, rows in by_conversation.items():
            self._queues[conversation].in_flight = 0
            self.put_back(rows)

    def received(self, user: UserJid, message: StanzaId) -> None:
        """A client has it before our own server has answered for it."""
        for row in self._in_flight.values():
            if row.stanza_id == message and row.user == user:
                row.received = True
