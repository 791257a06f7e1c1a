# SPDX-License-Identifier: Apache-2.0
"""The way of a row from the inbound journal to the user's server.

Each conversation has an ordered queue, and all queues take turns, so that a long one delays
nobody. A row is *pending*, *in flight* (written on this connection), then either settled at once
(local users) or *awaited* until the user's own server has shown that it has it
(`gateway.bridge.peers`). When the stream is lost, what was in flight goes back to the head of its
queue, with the same ids.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

import structlog

from gateway.adapter import Clock
from gateway.bridge.peers import Peers
from gateway.bridge.persist import Persist
from gateway.bridge.ports import XmppPort
from gateway.errors import StanzaRefused
from gateway.events import GatewayNotice, Notice, OwnDisplayed, OwnMessage
from gateway.ids import AccountId, ConversationId, NetworkName, RowId, StanzaId, UserJid, stanza_id
from gateway.store import Store, Transaction, journal
from gateway.store.journal import InboundRow, InboundState
from gateway.tasks import Tasks

log = structlog.get_logger("delivery")

_TURN = 20
"""Rows that one conversation writes before the next one has its turn."""
_CACHED = 500
"""Rows of one conversation kept in memory; the rest waits in the journal."""
_REDELIVERIES = 100
"""With the waits between them about two days (REQ-461), whatever the clock is set to."""
_BLOCKED_LIMIT_S = 48 * 3600.0
_UNREADABLE_S = 60.0
_REWORDINGS = 3
"""How often a refused own message is said in another way; once is enough, unless it is odd."""
_FIRST_REDELIVERY_S = 5.0
_LONGEST_REDELIVERY_S = 1800.0


class _Queue:
    """One conversation's rows. Memory is a cache of the journal's head."""

    __slots__ = (
        "account",
        "blocked_since",
        "conversation",
        "has_turn",
        "in_flight",
        "more",
        "newest",
        "paused",
        "paused_until",
        "pending",
    )

    def __init__(self, conversation: ConversationId) -> None:
        self.conversation = conversation
        self.account: AccountId | None = None
        self.pending: deque[InboundRow] = deque()
        self.in_flight: deque[InboundRow] = deque()
        self.newest = 0
        """Id of the newest row that has been in memory."""
        self.more = False
        """The journal has rows that are not in memory yet."""
        self.paused = False
        self.paused_until = 0.0
        self.blocked_since: float | None = None
        """Monotonic; since when the server of its user cannot be reached."""
        self.has_turn = False


class Delivery:
    """The inbound direction of one network."""

    def __init__(
        self, network: NetworkName, store: Store, clock: Clock, tasks: Tasks, persist: Persist
    ) -> None:
        self._network = network
        self._store = store
        self._clock = clock
        self._tasks = tasks
        self._persist = persist
        self._port: XmppPort
        self._peers: Peers
        self._queues: dict[ConversationId, _Queue] = {}
        self._turns: deque[_Queue] = deque()
        self._pumping = False
        self._started = clock.now()

    def attach(self, port: XmppPort) -> None:
        """Connect to the XMPP side."""
        self._port = port
        self._peers = Peers(port, self._clock, settle=self._settle, again=self._write_again)

    def load(self) -> None:
        """Take up what an earlier process left unsettled."""
        for conversation in journal.open_inbound_conversations(self._store.reader, self._network):
            queue = self._queue(conversation)
            queue.more = True
            self._enqueue(queue)

    def offer(self, rows: Iterable[InboundRow]) -> None:
        """Rows that were just committed, in commit order."""
        for row in rows:
            queue = self._queue(row.conversation)
            queue.account = row.account
            if row.id <= queue.newest:
                continue  # it was read from the journal before its commit was told here
            if queue.more or len(queue.pending) >= _CACHED:
                queue.more = True
            else:
                queue.pending.append(row)
                queue.newest = row.id
            self._enqueue(queue)
        self.pump()

    def pump(self) -> None:
        """Write as long as the stream has room. Called whenever it may have got some."""
        if self._pumping:
            return
        self._pumping = True
        try:
            while self._turns and self._port.has_room():
                queue = self._turns.popleft()
                queue.has_turn = False
                try:
                    again = not queue.paused and self._turn(queue)
                except Exception:  # the journal cannot be read now; it is nobody else's trouble
                    log.exception("journal_not_read", conversation=queue.conversation)
                    self._pause(queue, _UNREADABLE_S)
                    continue
                if again:
                    self._enqueue(queue)
        finally:
            self._pumping = False

    def taken_over(self, rows: Sequence[InboundRow]) -> None:
        """Our server has answered a barrier that was sent after these rows."""
        local: list[InboundRow] = []
        remote: list[InboundRow] = []
        for row in rows:
            queue = self._queues.get(row.conversation)
            if queue is None or row not in queue.in_flight:
                continue  # it bounced before, or its account is gone
            queue.in_flight.remove(row)
            self._forget_if_empty(queue)
            if row.received or self._port.is_local(row.user):
                local.append(row)
            else:
                row.state = InboundState.TAKEN_OVER
                remote.append(row)
                self._peers.await_settling(row)
        self._settle(local)
        if remote:
            self._set_state([row.id for row in remote], InboundState.TAKEN_OVER)
        self.pump()

    def lost(self) -> None:
        """The stream broke: what was in flight is written again, in order, with the same ids."""
        self._peers.stream_lost()
        for queue in self._queues.values():
            if queue.in_flight:
                for row in queue.in_flight:
                    row.resent = True
                rows = sorted((*queue.in_flight, *queue.pending), key=lambda row: row.id)
                queue.pending = deque(rows)
                queue.in_flight.clear()
                self._enqueue(queue)

    def receipt(self, user: UserJid, message: StanzaId) -> None:
        """A client of the user has the message."""
        if self._peers.received(user, message):
            return
        for queue in self._queues.values():
            for row in queue.in_flight:
                if row.user == user and row.stanza_id == message:
                    row.received = True  # before our own server has answered for it

    def bounced(self, user: UserJid, message: StanzaId, *, temporary: bool) -> None:
        """A stanza of ours came back as an error (REQ-461)."""
        row = self._sent(message, lambda row: row.user == user)
        if row is None:
            return
        if not temporary or row.bounces >= _REDELIVERIES:
            self._give_up(row)
            return
        delay = min(_FIRST_REDELIVERY_S * 2**row.bounces, _LONGEST_REDELIVERY_S)
        queue = self._again(row)
        log.info("bounced", row=row.id, again_in_s=delay)
        self._pause(queue, delay)

    def _give_up(self, row: InboundRow) -> None:
        """Their server does not take it, and nobody is left to be told but the log."""
        log.warning("delivery_given_up", row=row.id, bounces=row.bounces)
        self._set_state([row.id], InboundState.DEAD)

    def not_in_their_name(self, domain: str, message: StanzaId) -> None:
        """Our server refused what was sent in its user's name: said in another way (REQ-1006)."""

        def concerns(row: InboundRow) -> bool:
            return (
                isinstance(row.delivery, OwnMessage | OwnDisplayed)
                and row.user.rpartition("@")[2] == domain
                and self._port.is_local(row.user)
                and row.bounces < _REWORDINGS
            )

        row = self._sent(message, concerns)
        if row is not None:
            self._again(row)
            self.pump()

    def _sent(
        self, message: StanzaId, concerns: Callable[[InboundRow], bool]
    ) -> InboundRow | None:
        """The row that came back. From here on its earlier writing proves nothing any more."""
        sent = journal.recent_inbound(self._store.reader, message)
        row = next(filter(concerns, sent), None)
        if row is None:
            return None
        queue = self._queues.get(row.conversation)
        if queue is not None:
            if any(other.id == row.id for other in queue.pending):
                return None
            queue.in_flight = deque(other for other in queue.in_flight if other.id != row.id)
        self._peers.take_back(row)
        return row

    def _again(self, row: InboundRow) -> _Queue:
        now = self._clock.now()
        self._persist.write(lambda db: journal.bounce(db, row.id, now))
        row.state = InboundState.COMMITTED
        return self._put_back([row])

    def forget(self, account: AccountId) -> None:
        """The account was removed with all its rows."""
        for queue in [q for q in self._queues.values() if q.account == account]:
            queue.pending.clear()
            queue.in_flight.clear()
            queue.more = False
            self._queues.pop(queue.conversation, None)
        self._peers.forget(account)

    def stop(self) -> None:
        """No more timers."""
        self._peers.stop()

    # --- inside -------------------------------------------------------------------------------

    def _queue(self, conversation: ConversationId) -> _Queue:
        queue = self._queues.get(conversation)
        if queue is None:
            queue = self._queues[conversation] = _Queue(conversation)
        return queue

    def _enqueue(self, queue: _Queue) -> None:
        if not queue.has_turn:
            queue.has_turn = True
            self._turns.append(queue)

    def _turn(self, queue: _Queue) -> bool:
        """Write some rows of a conversation. True if it wants another turn."""
        for _ in range(_TURN):
            while not queue.pending and queue.more:
                self._read_on(queue)
            if not queue.pending:
                self._forget_if_empty(queue)
                return False
            if not self._port.has_room():
                return True
            row = queue.pending[0]
            if not self._port.is_local(row.user):
                if not self._peers.may_write(row.user, self._resume(queue)):
                    if self._is_blocked_too_long(queue):
                        queue.pending.popleft()
                        self._give_up(row)
                        continue
                    queue.paused = True
                    return False
                queue.blocked_since = None
            queue.pending.popleft()
            self._write(queue, row)
        return True

    def _is_blocked_too_long(self, queue: _Queue) -> bool:
        now = self._clock.monotonic()
        if queue.blocked_since is None:
            queue.blocked_since = now
        return now - queue.blocked_since > _BLOCKED_LIMIT_S

    def _resume(self, queue: _Queue) -> Callable[[], None]:
        def resume() -> None:
            queue.paused = False
            self._enqueue(queue)
            self.pump()

        return resume

    def _write(self, queue: _Queue, row: InboundRow) -> None:
        row.written_at = self._clock.monotonic()
        try:
            self._port.write(row)
        except StanzaRefused as error:
            log.error("dead_letter", row=row.id, reason=str(error))
            self._dead_letter(row)
        except Exception:  # the queue owns its rows: one of them must not hold up the others
            log.exception("dead_letter", row=row.id)
            self._dead_letter(row)
        else:
            queue.in_flight.append(row)

    def _dead_letter(self, row: InboundRow) -> None:
        """One line in the conversation instead; the next row goes on."""
        now = self._clock.now()
        told = isinstance(row.delivery, Notice | GatewayNotice)
        text = (
            "A message could not be converted for XMPP. Please look at it on the network itself."
        )

        def unit(db: Transaction) -> list[InboundRow]:
            journal.set_inbound_state(db, [row.id], InboundState.DEAD, now)
            if told:
                return []
            notice_id = stanza_id(self._network, row.user, row.contact, "dead-letter", row.id)
            notice = (
                Notice(id=notice_id, text=text)
                if row.contact
                else GatewayNotice(id=notice_id, text=text)
            )
            return [
                journal.add_inbound(
                    db,
                    account=row.account,
                    conversation=row.conversation,
                    user=row.user,
                    contact=row.contact,
                    stanza_id=notice_id,
                    delivery=notice,
                    now=now,
                )
            ]

        self._persist.write(unit, self.offer)

    def _read_on(self, queue: _Queue) -> None:
        rows = journal.open_inbound(
            self._store.reader,
            queue.conversation,
            RowId(queue.newest),
            _TURN,
        )
        queue.more = len(rows) == _TURN
        for row in rows:
            queue.account = row.account
            queue.newest = row.id
            # Older than this process: it may have been written before.
            row.resent = row.committed_at <= self._started or row.bounces > 0
            if row.state is InboundState.TAKEN_OVER:
                age_s = max(0.0, self._clock.now() - row.written_at)
                row.written_at = self._clock.monotonic() - age_s
                self._peers.await_settling(row)
            else:
                queue.pending.append(row)

    def _forget_if_empty(self, queue: _Queue) -> None:
        busy = queue.pending or queue.in_flight or queue.more or queue.paused or queue.has_turn
        if not busy and self._queues.get(queue.conversation) is queue:
            del self._queues[queue.conversation]

    def _put_back(self, rows: Sequence[InboundRow]) -> _Queue:
        queue = self._queue(rows[0].conversation)
        queue.account = rows[0].account
        if not queue.newest:
            # A fresh queue must not believe that the journal has nothing after these rows.
            queue.more = True
        if queue.more:
            queue.newest = max(queue.newest, *(row.id for row in rows))
        for row in rows:
            row.resent = True
        queue.pending = deque(sorted((*rows, *queue.pending), key=lambda row: row.id))
        self._enqueue(queue)
        return queue

    def _pause(self, queue: _Queue, seconds: float) -> None:
        queue.paused = True
        queue.paused_until = until = max(queue.paused_until, self._clock.monotonic() + seconds)

        async def resume() -> None:
            await self._clock.sleep(until - self._clock.monotonic())
            if queue.paused_until <= until:
                self._resume(queue)()

        self._tasks.spawn(resume(), f"redelivery of {queue.conversation}")

    def _write_again(self, rows: Sequence[InboundRow]) -> None:
        """A silent server answers again: what it may have lost is written once more."""
        self._set_state([row.id for row in rows], InboundState.COMMITTED)
        for row in rows:
            row.state = InboundState.COMMITTED
            self._put_back([row])
        self.pump()

    def _settle(self, rows: Sequence[InboundRow]) -> None:
        if rows:
            self._set_state([row.id for row in rows], InboundState.SETTLED)

    def _set_state(self, rows: Sequence[RowId], state: InboundState) -> None:
        now = self._clock.now()
        self._persist.write(lambda db: journal.set_inbound_state(db, rows, state, now))
