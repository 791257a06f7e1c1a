# SPDX-License-Identifier: Apache-2.0
"""The way of a row from the inbound journal to the user's server.

Each conversation has an ordered queue (`gateway.bridge.queues`), and all queues take turns, so
that a long one delays nobody. A row is *pending*, *in flight* (written on this connection), then
either settled at once (local users) or *awaited* until the user's own server has shown that it has
it (`gateway.bridge.peers`). When the stream is lost, what was in flight goes back to the head of
its queue, with the same ids. What comes back is in `gateway.bridge.redelivery`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from gateway.adapter import Clock
from gateway.bridge.backlog import Backlog
from gateway.bridge.peers import Peers
from gateway.bridge.persist import Persist
from gateway.bridge.ports import XmppPort
from gateway.bridge.queues import Queue, Queues
from gateway.bridge.redelivery import Redelivery
from gateway.errors import StanzaRefused
from gateway.events import Unavailable, Unsubscribed
from gateway.ids import AccountId, ConversationId, NetworkName, RowId, StanzaId, UserJid
from gateway.store import Store, contacts, journal
from gateway.store.backlog import waiting_inbound
from gateway.store.contacts import Subscription
from gateway.store.journal import OF_SHARED_ROOM, InboundRow, InboundState
from gateway.tasks import Tasks

log = structlog.get_logger("delivery")

_TURN = 20
"""Rows that one conversation writes before the next one has its turn."""
_READS = 100
"""Looks into the journal in one go: those who wait for the loop have their turn in between."""
_TURNS = 500
"""Turns in one go, whether or not anything may be written: thousands may have waited."""
_STANZAS = 1_000
"""Stanzas in one go: a row of a room is one for each session, and who joins is told of everybody.
Some 10 ms."""
_UNREADABLE_S = 60.0


class Delivery:
    """The inbound direction of one network."""

    def __init__(
        self,
        network: NetworkName,
        store: Store,
        clock: Clock,
        tasks: Tasks,
        persist: Persist,
        backlog: Backlog,
    ) -> None:
        self._network = network
        self._backlog = backlog
        self._store = store
        self._clock = clock
        self._persist = persist
        self._port: XmppPort
        self._peers: Peers
        self._queues = Queues(clock, tasks, self.pump)
        self._redelivery = Redelivery(network, store, clock, persist, backlog, self._queues)
        self._pumping = False
        self._rests = False
        """Others have their turn of the loop."""
        self._will_go_on = False
        self._reads = 0
        self._stanzas = 0
        self._earlier = RowId(0)
        """The newest row that an earlier process may have written."""

    def attach(self, port: XmppPort) -> None:
        """Connect to the XMPP side."""
        self._port = port
        self._peers = Peers(
            port,
            self._clock,
            settle=self._settle,
            again=self._write_again,
            unblock=self._queues.unblock,
        )
        self._redelivery.attach(port, self._peers, self.offer)

    def load(self) -> None:
        """Take up what an earlier process left unsettled."""
        self._earlier = journal.newest_inbound(self._store.reader)
        self._backlog.load(waiting_inbound(self._store.reader, self._network))
        for account, conversation in journal.open_inbound_conversations(
            self._store.reader, self._network
        ):
            queue = self._queues.of(account, conversation)
            queue.more = True
            self._queues.enqueue(queue)

    def offer(self, rows: Sequence[InboundRow]) -> None:
        """Rows that were just committed, in commit order."""
        self._backlog.added(rows)
        for row in rows:
            queue = self._queues.of(row.account, row.conversation)
            queue.add(row)
            self._queues.enqueue(queue)
        self.pump()

    def pump(self) -> None:
        """Write as long as the stream has room. Called whenever it may have got some."""
        if self._pumping or self._rests:
            return
        self._pumping = True
        try:
            for _ in range(_TURNS):
                if not self._port.has_room():
                    return
                if self._reads >= _READS or self._stanzas >= _STANZAS:
                    break
                queue = self._queues.next()
                if queue is None:
                    return
                try:
                    again = not (queue.paused or queue.blocked) and self._turn(queue)
                except Exception:  # the journal cannot be read now; it is nobody else's trouble
                    log.exception("journal_not_read", conversation=queue.conversation)
                    self._queues.pause(queue, _UNREADABLE_S)
                    continue
                if again:
                    self._queues.enqueue(queue)
            self._rests = True
        finally:
            self._pumping = False
            if not self._will_go_on and (self._rests or self._reads or self._stanzas):
                self._will_go_on = True
                asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        """The loop has had a turn, however often this was called in the last one."""
        rested, self._rests, self._will_go_on = self._rests, False, False
        self._reads = self._stanzas = 0
        if rested:
            self.pump()

    def taken_over(self, rows: Sequence[InboundRow]) -> None:
        """Our server has answered a barrier that was sent after these rows."""
        local: list[InboundRow] = []
        remote: list[InboundRow] = []
        lost: list[InboundRow] = []
        for row in rows:
            if not self._queues.proved(row):
                continue  # it bounced before, or its account is gone
            if row.received or row.is_of_room or self._port.is_local(row.user):
                local.append(row)
            elif self._peers.await_settling(row):
                row.state = InboundState.TAKEN_OVER
                remote.append(row)
            else:
                lost.append(row)
        self._settle(local)
        if remote:
            self._set_state([row.id for row in remote], InboundState.TAKEN_OVER)
        self._write_again(lost)
        self.pump()

    def lost(self) -> None:
        """The stream broke: what was in flight is written again, in order, with the same ids."""
        self._peers.stream_lost()
        self._queues.lost()

    def own_server_is_up_for(self, uptime_s: int) -> None:
        """Our own server says when it was started (REQ-905)."""
        self._peers.own_server_is_up_for(uptime_s)

    def receipt(self, user: UserJid, message: StanzaId) -> None:
        """A client of the user has the message."""
        if not self._peers.received(user, message):
            self._queues.received(user, message)

    def bounced(
        self, user: UserJid, message: StanzaId, *, temporary: bool, unreachable: bool = False
    ) -> None:
        """A stanza of ours came back as an error (REQ-461).

        ``unreachable``: a server says so, because it cannot reach the user's server.
        """
        is_ours = self._redelivery.bounced(user, message, temporary=temporary)
        if unreachable and is_ours and not self._port.is_local(user):
            self._peers.unreachable(user)

    def not_in_their_name(self, domain: str, message: StanzaId) -> None:
        """Our server refused what was sent in its user's name: said in another way (REQ-1006)."""
        self._redelivery.not_in_their_name(domain, message)
        self.pump()

    def by_puppet(self, user: UserJid, message: StanzaId) -> None:
        """A private message was refused: the contact's puppet says it (REQ-575)."""
        self._redelivery.by_puppet(user, message)
        self.pump()

    def forget(self, account: AccountId, shared_rows: int = 0, shared_size: int = 0) -> None:
        """The account was removed with all its rows, and with so many of rooms that it has shared
        with nobody any more."""
        self._backlog.forget(account)
        self._backlog.dropped(OF_SHARED_ROOM, shared_rows, shared_size)
        self._queues.forget(account)
        self._peers.forget(account)

    def stop(self) -> None:
        """No more timers."""
        self._peers.stop()

    # --- inside -------------------------------------------------------------------------------

    def _turn(self, queue: Queue) -> bool:
        """Write some rows of a conversation. True if it wants another turn."""
        for _ in range(_TURN):
            while not queue.pending and queue.more:
                if self._reads >= _READS:
                    return True
                self._read_on(queue)
            if not queue.pending:
                self._queues.forget_if_empty(queue)
                return False
            if not self._port.has_room():
                return True
            row = queue.pending[0]
            if not (row.is_of_room or self._port.is_local(row.user)):
                if not self._peers.may_write(row.user, queue):
                    if self._redelivery.is_blocked_too_long(queue, row):
                        queue.pending.popleft()
                        self._redelivery.give_up(row)
                        continue
                    queue.blocked = True
                    return False
                queue.blocked_since = None
            queue.pending.popleft()
            self._write(queue, row)
            if self._stanzas >= _STANZAS:
                return True
        return True

    def _write(self, queue: Queue, row: InboundRow) -> None:
        row.written_at = self._clock.monotonic()
        try:
            if self._is_overtaken(row):
                asyncio.get_running_loop().call_soon(self.taken_over, [row])
            else:
                self._stanzas += self._port.write(row)
        except StanzaRefused as error:
            log.error("dead_letter", row=row.id, reason=str(error))
            self._redelivery.dead_letter(row)
        except Exception:  # the queue owns its rows: one of them must not hold up the others
            log.exception("dead_letter", row=row.id)
            self._redelivery.dead_letter(row)
        else:
            self._queues.written(queue, row)

    def _is_overtaken(self, row: InboundRow) -> bool:
        """Whether the user wants somebody again whose removal is to be told (REQ-309)."""
        if not isinstance(row.delivery, Unavailable | Unsubscribed):
            return False
        contact = contacts.get(self._store.reader, row.account, row.contact)
        return contact.to_user in (Subscription.ASKED, Subscription.GRANTED)

    def _read_on(self, queue: Queue) -> None:
        self._reads += 1
        rows = journal.open_inbound(
            self._store.reader,
            queue.conversation,
            RowId(queue.newest),
            _TURN,
        )
        for row in rows:
            # By the row and not by the time: somebody may have set the clock back since.
            row.resent = row.id <= self._earlier or row.bounces > 0
        lost: list[RowId] = []
        for row in queue.read(rows, more=len(rows) == _TURN):
            if row.state is InboundState.TAKEN_OVER:
                age_s = max(0.0, self._clock.now() - row.written_at)
                row.written_at = self._clock.monotonic() - age_s
                if self._peers.await_settling(row):
                    continue
                row.state = InboundState.COMMITTED  # what it was written to has broken since
                lost.append(row.id)
            queue.pending.append(row)
        if lost:
            self._set_state(lost, InboundState.COMMITTED)

    def _write_again(self, rows: Sequence[InboundRow]) -> None:
        """A server may have lost what was written: it gets it once more."""
        if not rows:
            return
        self._set_state([row.id for row in rows], InboundState.COMMITTED)
        by_conversation: dict[ConversationId, list[InboundRow]] = {}
        for row in rows:
            row.state = InboundState.COMMITTED
            by_conversation.setdefault(row.conversation, []).append(row)
        for again in by_conversation.values():
            self._queues.put_back(again)
        self.pump()

    def _settle(self, rows: Sequence[InboundRow]) -> None:
        if rows:
            now = self._clock.now()
            self._persist.write(
                lambda db: journal.close_inbound(db, rows, InboundState.SETTLED, now),
                self._backlog.done,
            )

    def _set_state(self, rows: Sequence[RowId], state: InboundState) -> None:
        now = self._clock.now()
        self._persist.write(lambda db: journal.set_inbound_state(db, rows, state, now))
