# SPDX-License-Identifier: Apache-2.0
"""The outbound direction: what a user sends, from its commit to its receipt or error.

A command is committed before any network I/O happens for it. One actor per conversation carries
the rows out in order; the row's key is the network's idempotency key, so an attempt may be
repeated. The outcome is committed together with the receipt or the error that tells it (REQ-412,
REQ-460).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import Callable, Sequence, Set
from functools import partial
from itertools import chain, repeat

import structlog

from gateway.adapter import Clock, Sent
from gateway.bridge.accounts import Account
from gateway.bridge.ground import Ground
from gateway.bridge.outbound.actors import CACHED, Actor, Actors
from gateway.bridge.outbound.attempts import INTERNAL, Attempts
from gateway.bridge.outbound.outcome import settle
from gateway.bridge.outbound.transfers import Transfers, carries_file
from gateway.bridge.outbound.watchdog import Watchdog
from gateway.errors import AdapterError, StoreUnavailable, Uncertain
from gateway.ids import AccountId, RemoteRoomId, RemoteUserId, RowId
from gateway.store import backlog, journal
from gateway.store.journal import InboundRow, OutboundRow
from gateway.store.kinds import AccountKind
from gateway.tasks import within

_FIRST_RETRY_S = 1.0
_LONGEST_RETRY_S = 60.0
_ECHO_WAIT_S = 10.0
_ASIDE_S = 1.0
"""So long what comes after a file waits for it, so that it need not be overtaken."""
_STARTED_AT_ONCE = 50
"""Actors that read their journal before the loop has a turn for others."""
_LAST_WORDS_S = 10.0
"""How long the actors of an account that is removed may take to refuse what waits."""


class Outbound:
    """The outbound direction of one network."""

    def __init__(self, ground: Ground, deliver: Callable[[list[InboundRow]], None]) -> None:
        self._network = ground.network
        self._store = ground.store
        self._accounts = ground.accounts
        self._limits = limits = ground.settings.limits
        self._tasks = ground.tasks
        self._deliver = deliver
        self._clock: Clock = ground.clock
        self._log = structlog.get_logger("outbound").bind(network=ground.network)
        self._actors = Actors()
        self._watchdog = Watchdog(
            ground.network,
            self._clock,
            limits,
            lambda hung: self._start(self._actors.replaced(hung)),
        )
        self.transfers = Transfers(ground.adapter, ground.uploads, self._watchdog)
        self._attempts = Attempts(
            ground.network,
            ground.adapter,
            ground.store,
            limits,
            self._watchdog,
            self.transfers,
            self._is_ending,
        )
        self._open: Counter[AccountId] = Counter()
        """Commands that wait, by account."""
        self._attempted_until: dict[AccountId, float] = {}
        """As far as an earlier process has come."""

    def load(self, account_of: Callable[[AccountId], Account | None]) -> None:
        """Take up what an earlier process left undecided."""
        self._open.update(backlog.waiting_outbound(self._store.reader, self._network))
        self._attempted_until = backlog.attempted_until(self._store.reader, self._network)
        found = []
        for account_id, conversation in journal.open_outbound_conversations(
            self._store.reader, self._network
        ):
            account = account_of(account_id)
            if account is not None:
                actor = self._actors.of(account, conversation)
                actor.forget_rows()
                found.append(actor)
        self._tasks.spawn(self._start_all(found), "taking up what was left")

    async def _start_all(self, actors: Sequence[Actor]) -> None:
        """A few at a time, so that many of them do not hold up the loop."""
        for number, actor in enumerate(actors, start=1):
            if self._actors.find(actor.conversation) is actor:
                self._start(actor)
            if number % _STARTED_AT_ONCE == 0:
                await self._clock.sleep(0)

    def offer(self, account: Account, row: OutboundRow) -> None:
        """A row that was just committed, in commit order."""
        self._open[account.id] += 1
        actor = self._actors.of(account, row.conversation)
        if row.id <= actor.newest:
            return  # it was read from the journal before its commit was told here
        if actor.more or len(actor.pending) >= CACHED:
            actor.more = True
        else:
            self._admit(actor, row)
        self._start(actor)

    def is_full(self, account: Account) -> bool:
        """So much waits that no more is taken (REQ-712)."""
        return self._open[account.id] >= self._limits.rows

    def link_changed(self, account: Account) -> None:
        """The account's link went up or down."""
        for actor in self._actors.of_account(account):
            actor.wake.set()

    async def quiet(self, account: Account, places: Set[RemoteUserId | RemoteRoomId]) -> None:
        """Wait until no row of these chats and rooms is between send and answer, at most 10 s in
        all. With the house count those for whom it speaks."""
        is_house = account.kind is AccountKind.HOUSE
        busy = [
            actor.quiet.wait()
            for each in (account, *(self._accounts.virtuals if is_house else ()))
            for actor in self._actors.of_account(each)
            if not actor.quiet.is_set() and actor.place in places
        ]
        if busy:
            with contextlib.suppress(TimeoutError):
                await within(self._clock, _ECHO_WAIT_S, asyncio.gather(*busy))

    def readdress(self, row: OutboundRow) -> None:
        """A waiting message came again: its answer goes to where it came from now."""
        actor = self._actors.find(row.conversation)
        for each in (actor, *actor.aside) if actor is not None else ():
            for waiting in (each for each in each.pending if each.id == row.id):
                waiting.sender, waiting.stanza_id = row.sender, row.stanza_id
                waiting.receipt = row.receipt

    async def forget(self, account: Account) -> None:
        """The account is being removed: what waits is refused, then its actors end."""
        self.link_changed(account)
        tasks = [a.task for a in self._actors.of_account(account) if a.task is not None]
        if tasks:
            with contextlib.suppress(TimeoutError):
                await within(self._clock, _LAST_WORDS_S, asyncio.wait(tasks))
        self._open.pop(account.id, None)
        for actor in self._actors.of_account(account):
            self._actors.drop(actor)
            actor.gone = True
            if actor.task is not None:
                actor.task.cancel()

    async def watch(self) -> None:
        """The watchdog: warns of slow attempts, ends hung ones, wakes those past their limit."""
        await self._watchdog.run()

    def _is_ending(self, actor: Actor) -> bool:
        return self._tasks.is_ending or not self._actors.is_current(actor)

    # --- the actor ------------------------------------------------------------------------------

    def _start(self, actor: Actor) -> None:
        if actor.task is None:
            actor.task = self._tasks.spawn(self._work(actor), f"outbound {actor.conversation}")
            actor.task.add_done_callback(lambda task: self._end(actor, task))

    def _end(self, actor: Actor, task: asyncio.Task[None]) -> None:
        actor.task = None
        if not self._actors.is_current(actor):
            return
        if task.cancelled() or task.exception() is not None:
            if actor.trunk is None:
                actor.forget_rows()
            else:
                self._keep_open(actor)
            if not self._tasks.is_ending:  # code that is not ours kept the task, and cancelled it
                self._start(actor)
        elif actor.pending or actor.more:
            self._start(actor)
        elif actor.trunk is not None:
            self._end_aside(actor, actor.trunk)
        elif not actor.aside:
            self._actors.drop(actor)

    def _keep_open(self, actor: Actor) -> None:
        """Of what was put aside, what is still undecided; it may have been attempted."""
        rows = [row for row in actor.pending if journal.is_open(self._store.reader, row.id)]
        actor.pending = deque(rows)
        for row in rows[:1]:
            row.inherited = True

    def _end_aside(self, actor: Actor, trunk: Actor) -> None:
        trunk.aside.remove(actor)
        actor.ended.set()
        if trunk.task is None and not (trunk.aside or trunk.pending or trunk.more):
            self._actors.drop(trunk)

    async def _work(self, actor: Actor) -> None:
        while True:
            try:
                row = self._head(actor)
            except Exception:  # the journal cannot be read now; nothing may overtake what is there
                self._log.exception("journal_not_read", **actor.where)
                await self._clock.sleep(_LONGEST_RETRY_S)
                continue
            if row is None:
                return
            if actor.trunk is None and (other := actor.waits_for(row)) is not None:
                other.admit(row)
                self._start(other)
            elif actor.trunk is None and carries_file(row.command):
                await self._beside(actor, row)
            else:
                await self._decide(actor, row)
            actor.finish()

    async def _beside(self, actor: Actor, row: OutboundRow) -> None:
        """Begin to carry out what has a file. What comes after it waits for it as long as nobody
        minds, so that it is seldom overtaken."""
        await self._attempts.until_live(actor, row)
        other = actor.put_aside(row)
        self._start(other)
        came_at = max(row.deadline - self._limits.send_s, actor.live_at)
        left_s = came_at + _ASIDE_S - self._clock.monotonic()
        with contextlib.suppress(TimeoutError):
            await within(self._clock, left_s, other.ended.wait())

    async def _decide(self, actor: Actor, row: OutboundRow) -> None:
        """Carry it out and store what became of it, or if that cannot be, that it is uncertain."""
        for outcome in chain((None,), repeat(Uncertain(INTERNAL))):
            try:
                await self._settle(
                    actor, row, outcome or await self._attempts.carry_out(actor, row)
                )
                return
            except Exception:
                self._log.exception("row_not_settled", **actor.where, row=row.id)
            if outcome is not None:  # nothing can be stored of it now; it must not be forgotten
                await self._clock.sleep(_LONGEST_RETRY_S)

    def _head(self, actor: Actor) -> OutboundRow | None:
        if not actor.pending and actor.more:
            rows = journal.open_outbound(
                self._store.reader,
                actor.conversation,
                RowId(actor.newest),
                CACHED,
            )
            actor.more = len(rows) == CACHED
            if actor.inherits:
                _inherit(rows)
                actor.inherits = False
            for row in rows:
                actor.newest = row.id
                if not actor.has_aside(row):
                    self._admit(actor, row)
        return actor.pending[0] if actor.pending else None

    def _admit(self, actor: Actor, row: OutboundRow) -> None:
        # The time since the commit counts; a clock that is set does not.
        begun_at = row.committed_at
        if carries_file(row.command):
            # Bytes of it may have been flowing for long, or of those that it had to wait for.
            until = self._attempted_until.get(actor.account.id, 0.0)
            begun_at = max(begun_at, row.attempted_at or 0.0, until)
        left_s = begun_at + self._limits.send_s - self._clock.now()
        row.deadline = self._clock.monotonic() + min(max(left_s, 0.0), self._limits.send_s)
        actor.admit(row)

    # --- the outcome ----------------------------------------------------------------------------

    async def _settle(self, actor: Actor, row: OutboundRow, outcome: Sent | AdapterError) -> None:
        """Commit the outcome with what tells it. Repeats until the store takes it."""
        retry_s = _FIRST_RETRY_S
        while True:
            now = self._clock.now()
            try:
                committed = await self._store.write(
                    partial(
                        settle,
                        network=self._network,
                        account=actor.account,
                        row=row,
                        outcome=outcome,
                        now=now,
                    ),
                    lambda committed: self._deliver(committed.inbound),
                )
            except StoreUnavailable:
                await self._clock.sleep(retry_s)
                retry_s = min(retry_s * 2, _LONGEST_RETRY_S)
            else:
                actor.quiet.set()
                self._open[actor.account.id] -= 1
                self._log.debug("settled", row=row.id, told=len(committed.inbound))
                return


def _inherit(rows: Sequence[OutboundRow]) -> None:
    """What whoever had them before may have attempted: the first one, and what is put aside, or
    was."""
    for row in rows:
        row.inherited = True
        if row.target is None and not carries_file(row.command):
            return
