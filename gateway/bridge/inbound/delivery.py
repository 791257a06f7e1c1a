# SPDX-License-Identifier: Apache-2.0
"""The way of a row from the inbound journal to the user's server.

Each conversation has an ordered queue (`queues`), and all queues take turns, so that a long one
delays nobody. A row is *pending*, *in flight* (written on this connection), then either settled at
once (local users) or *awaited* until the user's own server has shown that it has it (`peers`).
When the stream is lost, what was in flight goes back to the head of its queue, with the same ids.
What comes back is in `redelivery`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from gateway.adapter import Clock
from gateway.bridge.chats import speakers
from gateway.bridge.files.uploads import Uploads
from gateway.bridge.inbound.backlog import Backlog
from gateway.bridge.inbound.overtaken import is_overtaken
from gateway.bridge.inbound.peers import Peers
from gateway.bridge.inbound.queues import Queue, Queues
from gateway.bridge.inbound.redelivery import Redelivery
from gateway.bridge.inbound.taken import Taken
from gateway.bridge.persist import Persist
from gateway.bridge.ports import XmppPort
from gateway.bridge.rooms.awaiting import Moved
from gateway.errors import StanzaRefused
from gateway.events import Delivery as Told
from gateway.ids import AccountId, ConversationId, NetworkName, RowId, StanzaId, UserJid
from gateway.store import Store, Transaction, journal
from gateway.store.backlog import waiting_inbound
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
_AT_ONCE = RowId(0)
"""There is no row that anything has to come after."""


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
        uploads: Uploads,
    ) -> None:
        self._network = network
        self._backlog = backlog
        self._uploads = uploads
        self._store = store
        self._clock = clock
        self._persist = persist
        self._port: XmppPort
        self._peers: Peers
        self._queues = Queues(clock, tasks, self.pump)
        self.taken = Taken(clock)
        self._redelivery = Redelivery(
            network, store, clock, persist, backlog, self._queues, self.taken
        )
        self._ungranted: list[Queue] = []
        """What the user has done in another app waits in these until it is known whether it may be
        told in their name."""
        self._held: dict[UserJid, list[Queue]] = {}
        """To these users nothing is written, and what waits for it."""
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
        self._uploads.attach(port)
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
            if queue.add(row) and row.user not in self._held:
                self._uploads.holds(row)  # and not first when it is its turn
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

    def decided(self, row: InboundRow, told: Told, moved: Moved) -> None:
        """It is known under which address the file of a row is told, or that it has none."""
        self._backlog.added(moved.more)
        queue = self._queues.find(row.conversation)
        if queue is None and not moved.new:
            return
        queue = self._queues.of(row.account, row.conversation)
        queue.drop(frozenset(moved.old))
        queue.reword(row.id, told)
        for new in moved.new:
            queue.add(new)
        queue.take_up(max((new.id for new in moved.new), default=_AT_ONCE))
        self._queues.unblock([queue])

    def look(self, row: InboundRow) -> None:
        """The conversation of a row may go on, also with what was aside in it."""
        queue = self._queues.find(row.conversation)
        if queue is not None:
            queue.take_up(_AT_ONCE)
            self._queues.unblock([queue])

    def grants_known(self) -> None:
        """It is known of somebody what their server lets us do in their name."""
        queues, self._ungranted = self._ungranted, []
        self._queues.unblock([each for each in queues if self._queues.has(each)])

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

    def refused(self, user: UserJid) -> int:
        """How much their server has refused for good since the start (REQ-461)."""
        return self._redelivery.refused[user]

    def refused_as_gone(self, user: UserJid, message: StanzaId) -> bool:
        """The user's server says that they have no account on it. What came back waits with all
        else until `go_on`. False if it is none of ours."""
        is_ours = self._redelivery.held_back(user, message)
        if is_ours:
            self.hold(user)
        return is_ours

    def hold(self, user: UserJid) -> None:
        """Write nothing more to a user, until `go_on`."""
        self._held.setdefault(user, [])

    def go_on(self, user: UserJid) -> None:
        """What was held is written."""
        queues = self._held.pop(user, [])
        self._queues.unblock([each for each in queues if self._queues.has(each)])

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
            if not self._may_be_written(queue, row):
                if queue.blocked:
                    return False
                continue
            queue.pending.popleft()
            self._write(queue, row)
            if self._stanzas >= _STANZAS:
                return True
        return True

    def _may_be_written(self, queue: Queue, row: InboundRow) -> bool:
        """Whether its turn has come. If not, it was given up, or its queue is blocked for now."""
        if row.user in self._held:  # a service would have forgotten its file by then
            self._held[row.user].append(queue)
            queue.blocked = True
            return False
        if self._uploads.keep_waiting(queue, row):
            return False
        if speakers.is_own(row) and not self._port.knows_grants(row.user):
            self._ungranted.append(queue)
            queue.blocked = True
            return False
        if row.is_of_room or self._port.is_local(row.user):
            return True
        if self._peers.may_write(row.user, queue):
            queue.blocked_since = None
            return True
        if self._redelivery.is_blocked_too_long(queue, row):
            queue.pending.popleft()
            self._redelivery.give_up(row)
        else:
            queue.blocked = True
        return False

    def _write(self, queue: Queue, row: InboundRow) -> None:
        row.written_at = self._clock.monotonic()
        try:
            if is_overtaken(self._store.reader, row):
                asyncio.get_running_loop().call_soon(self.taken_over, [row])
            else:
                row.told_by = speakers.of_target(self._store.reader, row)
                self._stanzas += self._port.write(row)
                self.taken.written(row)
        except StanzaRefused as error:
            log.error("dead_letter", row=row.id, reason=str(error))
            self._redelivery.dead_letter(row)
        except Exception:  # the queue owns its rows: one of them must not hold up the others
            log.exception("dead_letter", row=row.id)
            self._redelivery.dead_letter(row)
        else:
            self._queues.written(queue, row)

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
            if row.user not in self._held:
                self._uploads.holds(row)
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
            self.taken.settled(rows)

            def unit(db: Transaction) -> list[InboundRow]:
                speakers.keep(db, rows)
                return journal.close_inbound(db, rows, InboundState.SETTLED, now)

            self._persist.write(unit, self._backlog.done)

    def _set_state(self, rows: Sequence[RowId], state: InboundState) -> None:
        now = self._clock.now()
        self._persist.write(lambda db: journal.set_inbound_state(db, rows, state, now))
