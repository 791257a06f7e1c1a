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
from collections import Counter
from collections.abc import Callable, Sequence, Set
from functools import partial

import structlog

from gateway.adapter import Adapter, Clock, Sent
from gateway.bridge.accounts import Account
from gateway.bridge.actors import CACHED, Actor, Actors, Limits
from gateway.bridge.link import Link
from gateway.bridge.outcome import Unreachable, settle, usable
from gateway.bridge.watchdog import Watchdog
from gateway.errors import (
    AdapterError,
    AuthExpired,
    Forbidden,
    StoreUnavailable,
    Transient,
    Uncertain,
    Unsupported,
)
from gateway.events import Command
from gateway.ids import AccountId, NetworkName, RemoteUserId, RowId
from gateway.store import Store, backlog, journal
from gateway.store.accounts import AccountStatus
from gateway.store.journal import InboundRow, OutboundRow
from gateway.tasks import CutOff, Tasks, contained, within

log = structlog.get_logger("outbound")

_FIRST_RETRY_S = 1.0
_LONGEST_RETRY_S = 60.0
_ECHO_WAIT_S = 10.0
_INTERNAL = "Internal error of the gateway; it may have arrived or not."
_STARTED_AT_ONCE = 50
"""Actors that read their journal before the loop has a turn for others."""
_LAST_WORDS_S = 10.0
"""How long the actors of an account that is removed may take to refuse what waits."""


class Outbound:
    """The outbound direction of one network."""

    def __init__(
        self,
        network: NetworkName,
        adapter: Adapter,
        store: Store,
        limits: Limits,
        tasks: Tasks,
        deliver: Callable[[list[InboundRow]], None],
    ) -> None:
        self._network = network
        self._adapter = adapter
        self._store = store
        self._limits = limits
        self._tasks = tasks
        self._deliver = deliver
        self._clock: Clock = adapter.context.clock
        self._actors = Actors()
        self._watchdog = Watchdog(
            network, self._clock, limits, lambda hung: self._start(self._actors.replaced(hung))
        )
        self._open: Counter[AccountId] = Counter()
        """Commands that wait, by account."""

    def load(self, account_of: Callable[[AccountId], Account | None]) -> None:
        """Take up what an earlier process left undecided."""
        self._open.update(backlog.waiting_outbound(self._store.reader, self._network))
        found = []
        for account_id, conversation in journal.open_outbound_conversations(
            self._store.reader, self._network
        ):
            account = account_of(account_id)
            if account is not None:
                actor = self._actors.of(account, conversation)
                actor.more = True
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

    async def quiet(self, account: Account, contacts: Set[RemoteUserId]) -> None:
        """Wait until no row of these chats is between send and answer, at most 10 s in all."""
        busy = [
            actor.quiet.wait()
            for actor in self._actors.of_account(account)
            if actor.contact in contacts and not actor.quiet.is_set()
        ]
        if busy:
            with contextlib.suppress(TimeoutError):
                await within(self._clock, _ECHO_WAIT_S, asyncio.gather(*busy))

    def readdress(self, row: OutboundRow) -> None:
        """A waiting message came again: its answer goes to where it came from now."""
        actor = self._actors.find(row.conversation)
        for waiting in actor.pending if actor is not None else ():
            if waiting.id == row.id:
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
            if actor.task is not None:
                actor.task.cancel()

    async def watch(self) -> None:
        """The watchdog: warns of slow attempts, ends hung ones, wakes those past their limit."""
        await self._watchdog.run()

    def _where(self, actor: Actor) -> dict[str, object]:
        return {
            "network": self._network,
            "account": actor.account.id,
            "conversation": actor.conversation,
        }

    # --- the actor ------------------------------------------------------------------------------

    def _start(self, actor: Actor) -> None:
        if actor.task is None:
            actor.task = self._tasks.spawn(self._work(actor), f"outbound {actor.conversation}")
            actor.task.add_done_callback(lambda task: self._end(actor, task))

    def _end(self, actor: Actor, task: asyncio.Task[None]) -> None:
        actor.task = None
        if self._actors.find(actor.conversation) is not actor:
            return
        if task.cancelled() or task.exception() is not None:
            actor.forget_rows()
        elif actor.pending or actor.more:
            self._start(actor)
        else:
            self._actors.drop(actor)

    async def _work(self, actor: Actor) -> None:
        while True:
            try:
                row = self._head(actor)
            except Exception:  # the journal cannot be read now; nothing may overtake what is there
                log.exception("journal_not_read", **self._where(actor))
                await self._clock.sleep(_LONGEST_RETRY_S)
                continue
            if row is None:
                return
            for outcome in (None, Uncertain(_INTERNAL)):
                try:
                    await self._settle(actor, row, outcome or await self._carry_out(actor, row))
                    break
                except Exception:  # what became of it cannot be stored: it is told as uncertain
                    log.exception("row_not_settled", **self._where(actor), row=row.id)
            actor.pending.popleft()

    def _head(self, actor: Actor) -> OutboundRow | None:
        if not actor.pending and actor.more:
            rows = journal.open_outbound(
                self._store.reader,
                actor.conversation,
                RowId(actor.newest),
                CACHED,
            )
            actor.more = len(rows) == CACHED
            for row in rows:
                self._admit(actor, row)
        return actor.pending[0] if actor.pending else None

    def _admit(self, actor: Actor, row: OutboundRow) -> None:
        # The time since the commit counts; a clock that is set does not.
        left_s = row.committed_at + self._limits.send_s - self._clock.now()
        row.deadline = self._clock.monotonic() + min(max(left_s, 0.0), self._limits.send_s)
        actor.admit(row)

    async def _carry_out(self, actor: Actor, row: OutboundRow) -> Sent | AdapterError:
        keyed = self._adapter.capabilities.idempotent_send
        command = row.command
        if command is None:
            return Unsupported("The gateway can no longer read this message; please repeat it.")
        if not keyed and row.attempted_at is not None:
            return Uncertain(
                "The gateway was stopped while this message was being sent. "
                "It may or may not have arrived; please check before you send it again."
            )
        return await self._try(actor, row, command, keyed=keyed)

    async def _try(
        self, actor: Actor, row: OutboundRow, command: Command, *, keyed: bool
    ) -> Sent | AdapterError:
        """Attempt until it succeeds, fails for certain, or the time is over."""
        retry_s = _FIRST_RETRY_S
        while True:
            try:
                return await self._attempt(actor, row, command, keyed=keyed)
            except (Transient, AuthExpired) as error:
                failed = error
                actor.quiet.set()
                await self._certainly_not_sent(row)
            except AdapterError as error:
                return error
            except StoreUnavailable:
                failed = Transient("The gateway cannot store anything at the moment.")
            except Exception:
                log.exception("send_failed", **self._where(actor), row=row.id)
                if not keyed:
                    return Uncertain(_INTERNAL)
                failed = Transient("Internal error of the gateway.")
            left_s = row.deadline - self._clock.monotonic()
            wait_s = max(retry_s, getattr(failed, "retry_after_s", 0.0))
            if left_s <= 0 or wait_s >= left_s:
                if left_s > 0:
                    await self._clock.sleep(left_s)
                return failed
            if not isinstance(failed, AuthExpired):
                await self._clock.sleep(wait_s)
            retry_s = min(retry_s * 2, _LONGEST_RETRY_S)

    async def _certainly_not_sent(self, row: OutboundRow) -> None:
        """On a network without keys: a crash from here on leaves nothing unclear."""
        if row.attempted_at is None:
            return
        row.attempted_at = None
        try:
            await self._store.write(lambda db: journal.mark_attempted(db, row.id, None))
        except StoreUnavailable:
            return  # a crash now is told as uncertain, which is only too careful

    async def _attempt(
        self, actor: Actor, row: OutboundRow, command: Command, *, keyed: bool
    ) -> Sent:
        """One attempt. Raises any `AdapterError`; `Unreachable` when the time is over."""
        link = await self._live_link(actor, row)
        session = link.session
        if session is None:
            raise Transient("The connection to the network was lost.")
        if not keyed:
            row.attempted_at = now = self._clock.now()
            await self._store.write(lambda db: journal.mark_attempted(db, row.id, now))
        self._watchdog.began(actor)
        actor.quiet.clear()
        try:
            sent = await contained(session.send, command, f"{self._store.instance}.{row.id}")
            return usable(sent)
        except AuthExpired as error:
            link.expire(error.text)
            raise
        except (asyncio.CancelledError, CutOff) as error:
            slow = self._why_cut(actor, error)
            if not keyed:
                raise Uncertain(f"{slow} The message may or may not have arrived.") from None
            raise Transient(slow) from None
        finally:
            if actor.overdue and actor.task is not None and not actor.gone:
                actor.task.uncancel()
            self._watchdog.ended(actor)
            if actor.gone:
                raise asyncio.CancelledError  # its successor has the rows

    async def _live_link(self, actor: Actor, row: OutboundRow) -> Link:
        while True:
            link = actor.account.link
            if link is not None and link.session is not None:
                return link
            if actor.account.status is AccountStatus.LOGGED_OUT:
                raise Forbidden("You are logged out of the network.")
            if self._clock.monotonic() >= row.deadline:
                trouble = (link.trouble if link is not None else "").rstrip(".")
                raise Unreachable(f"{trouble or 'There is no connection to the network'}.")
            actor.wake.clear()
            self._watchdog.remind(actor, row.deadline)
            await actor.wake.wait()

    def _why_cut(self, actor: Actor, error: BaseException) -> str:
        """Why an attempt was cut short, in words for the user, unless we want the actor to end."""
        if actor.overdue:
            return f"The network did not answer within {self._limits.attempt_s:.0f} seconds."
        if isinstance(error, asyncio.CancelledError) and actor.task is not None:
            if self._tasks.is_ending or self._actors.find(actor.conversation) is not actor:
                raise error
            actor.task.uncancel()  # the adapter has cancelled the task that it runs in
        return "The connection to the network was cut off."

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
                log.debug("settled", row=row.id, told=len(committed.inbound))
                return
