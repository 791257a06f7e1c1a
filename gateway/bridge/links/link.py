# SPDX-License-Identifier: Apache-2.0
"""The supervised connection of one account: starts its session again and again, with back-off.

Nothing that happens here touches another account. Credential failures are final until the user
logs in again (REQ-222); everything else is tried again after 2 s to 10 min, with full jitter.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Awaitable, Callable, Set
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import aiohttp
import structlog

from gateway.adapter import Adapter, Clock, Session, Upload
from gateway.bridge.accounts import Account
from gateway.bridge.inbound.inbound import Intake
from gateway.bridge.inbound.rows import Committed
from gateway.bridge.links.handle import Handle
from gateway.bridge.links.pacing import HEALTHY_S, Breaker, StartGate
from gateway.bridge.links.sealed import Sealed
from gateway.bridge.portals.portals import Portals
from gateway.bridge.splitting import brief
from gateway.errors import AdapterError, AuthExpired, RateLimited, StoreUnavailable, Transient
from gateway.events import Departure, Presence, SentFile
from gateway.ids import AccountId, RemoteMessageId, RemoteRoomId, RemoteUserId
from gateway.store import Store, Transaction, dead_events
from gateway.tasks import CutOff, Tasks, contained, forget, is_cancelled
from gateway.text.wording import tr

log = structlog.get_logger("link")

_ENDING_S = 8.0
"""How long a session may take to end, in real time: one that does not is left behind."""
_STOPPING_S = _ENDING_S + 1.0
_SLOW_S = 60.0
"""After that the user is told that the network does not answer."""
_CONNECT_LIMIT_S = 900.0
_SLOW = tr("The network does not answer.")


class LinkState(enum.Enum):
    """What the user sees as the gateway's presence (REQ-142)."""

    CONNECTING = enum.auto()
    LIVE = enum.auto()
    RETRYING = enum.auto()
    EXPIRED = enum.auto()
    STOPPED = enum.auto()
    WAITING = enum.auto()
    """For its user to come online (REQ-221)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkHooks:
    """Whom a link tells what."""

    committed: Callable[[Committed], None]
    """Called in commit order."""
    changed: Callable[[Account], None]
    """The state of the link changed."""
    expired: Callable[[Account, str], None]
    """The user has to log in again; the sentence says why."""
    typing: Callable[[Account, RemoteUserId, bool], None]
    room_typing: Callable[[Account, RemoteRoomId, RemoteUserId, bool], None]
    presence: Callable[[Account, RemoteUserId, Presence], None]
    quiet: Callable[[Account, Set[RemoteUserId | RemoteRoomId]], Awaitable[None]]
    """Awaited before own messages are committed, on networks that do not return the key."""
    open: Callable[[Account, SentFile], AbstractAsyncContextManager[Upload]]
    """Opens a file that the user sends."""
    portals: Portals
    """The groups that are linked."""
    put_out: Callable[[RemoteRoomId, RemoteMessageId, Departure], Awaitable[str]]
    """See `gateway.adapter.AccountContext.put_out`."""
    house: Callable[[], Link | None]
    """The link of the gateway's own account."""
    room: Callable[[AccountId], Awaitable[None]]
    """Awaited before more is fetched: too much may wait for the user (REQ-712)."""


class Link:
    """Owns the account's session."""

    def __init__(
        self,
        account: Account,
        adapter: Adapter,
        intake: Intake,
        store: Store,
        hooks: LinkHooks,
        gate: StartGate,
        tasks: Tasks,
        sealed: Sealed,
    ) -> None:
        self.account = account
        self.sealed = sealed
        self.adapter = adapter
        self.intake = intake
        self.store = store
        self.hooks = hooks
        self._gate = gate
        self._tasks = tasks
        self._handle: Handle | None = None
        """Of the running session; that of an earlier one is dead."""
        self._breaker = Breaker()
        self._live_since: float | None = None
        self._is_over = False
        self.asks = False
        """Its sessions ask whether they may fetch, so that commits need not wait."""
        self.task: asyncio.Task[None] | None = None
        self.phase = self.shown = LinkState.CONNECTING
        """What it does, and what the user was last shown of it."""
        self.on_probation = False
        """It is live, but after so many failures that the user is not told yet."""
        self.trouble = ""
        """Why it is not live, in words for the user."""
        self._logged = ""
        self.log = log.bind(network=intake.rows.network, account=account.id)
        self.clock: Clock = adapter.context.clock
        self.http: aiohttp.ClientSession = adapter.context.http
        self.remote_id = account.remote_id
        self.instance = intake.rows.instance

    @property
    def session(self) -> Session | None:
        """The session, while it is live."""
        handle = self._handle
        return handle.session if handle and self.phase is LinkState.LIVE else None

    # --- supervision ----------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep the account connected. Ends only when stopped or when the user has to act."""
        self._is_over = False
        while (wait_s := await self._once()) is not None:
            await self.clock.sleep(wait_s)

    async def _once(self) -> float | None:
        """One session, from its turn to its end. Returns how long to wait, if there is more."""
        error: Exception | None = None
        try:
            await self._attempt()
        except asyncio.CancelledError:
            if is_cancelled() or self._is_over:
                raise
            error = CutOff()
        except Exception as failure:
            error = failure
        if self._is_over:
            return None
        since = self._live_since
        self._breaker.failed(None if since is None else self.clock.monotonic() - since)
        wait_s = self._breaker.wait_s()
        if isinstance(error, RateLimited):
            wait_s = max(wait_s, error.retry_after_s)
        try:
            self._report(error, wait_s)
        except Exception:  # whatever cannot be told, the account has to come back
            self.log.exception("link_not_told")
        return None if isinstance(error, AuthExpired) else wait_s

    def _report(self, error: Exception | None, wait_s: float) -> None:
        match error:
            case None:
                self._failed(tr("the session ended"), wait_s)
            case AuthExpired():
                self._expire(error.text)
            case AdapterError() | StoreUnavailable():
                self._failed(str(error), wait_s)
            case CutOff():
                self._failed(tr("the session was cut off"), wait_s)
            case _:
                if self._breaker.is_notable:
                    self.log.error("session_failed", exc_info=error)
                self._failed(tr("internal error; the admin's log has the details"), wait_s)

    async def _attempt(self) -> None:
        """One session, in a task of its own: one that does not end must not hold this one."""
        self._live_since = None
        leave = await self._gate.enter(again=self._breaker.failures > 0)
        patience = self._tasks.spawn(self._patience(), f"patience {self.account.id}")

        def connected() -> None:
            leave()
            patience.cancel()
            self._connected()

        handle = self._handle = Handle(self, connected)
        name = f"session of {self.intake.rows.network}, account {self.account.id}"
        running = asyncio.create_task(contained(self._live, handle), name=name)
        try:
            await asyncio.wait((running, patience), return_when=asyncio.FIRST_COMPLETED)
            if not running.done() and patience.done() and not patience.cancelled():
                raise Transient(_SLOW)
            await asyncio.wait((running,))
            if running.cancelled():
                raise CutOff
            running.result()
        finally:
            leave()
            patience.cancel()
            await self._end(running, handle)

    async def _live(self, handle: Handle) -> None:
        await self._retry_dead_events()
        handle.session = self.adapter.session(handle)
        await handle.session.run()

    async def _retry_dead_events(self) -> None:
        """What could not be stored before, and the admin wants to be tried again."""
        account, now = self.account.id, self.clock.now()
        if not dead_events.to_retry(self.store.reader, account):
            return

        def unit(db: Transaction) -> Committed:
            found = dead_events.to_retry(db, account)
            dead_events.drop(db, [number for number, _ in found])
            return self.intake.unit_by_unit(db, [event for _, event in found], now)

        await self.store.write(unit, self.hooks.committed)

    async def _patience(self) -> None:
        """Ends when a session that is not live yet has had time enough."""
        await self.clock.sleep(_SLOW_S)
        self._set(LinkState.RETRYING, _SLOW)
        await self.clock.sleep(_CONNECT_LIMIT_S - _SLOW_S)

    async def _end(self, running: asyncio.Task[None], handle: Handle) -> None:
        """What a session commits while it ends well still counts; later nothing does."""
        try:
            if not running.done():
                running.cancel()
                await asyncio.wait((running,), timeout=_ENDING_S)
        finally:
            handle.is_dead = True
            if not running.done():
                forget(running)
                self.log.error("session_left_behind", seconds=_ENDING_S)

    async def stop(self) -> None:
        """Disconnect for good. What was not committed comes again with the next session."""
        self._is_over = True
        if self.task is not None and self.task is not asyncio.current_task():
            self.task.cancel()
            await asyncio.wait([self.task], timeout=_STOPPING_S)
        if self._handle is not None:
            self._handle.is_dead = True
        self.phase = LinkState.STOPPED

    def aside(self) -> Handle:
        """For a session that is only to end the login: it cannot store or report anything."""
        handle = Handle(self)
        handle.is_dead = True
        return handle

    # --- what becomes of it ---------------------------------------------------------------------

    def _connected(self) -> None:
        self._live_since = since = self.clock.monotonic()
        self.on_probation = self._breaker.is_tripped
        self._set(LinkState.LIVE)
        if self.on_probation:
            self._tasks.spawn(self._probation(since), f"probation {self.account.id}")
        else:
            self.log.info("session_live")

    async def _probation(self, since: float) -> None:
        await self.clock.sleep(HEALTHY_S)
        if self._live_since == since and self.phase is LinkState.LIVE:
            self.on_probation = False
            self.log.info("session_live", after_failures=self._breaker.failures)
            self.hooks.changed(self.account)

    def _failed(self, trouble: str, wait_s: float) -> None:
        if self._breaker.is_notable or trouble != self._logged:
            self._logged = trouble
            self.log.warning(
                "session_ended",
                reason=trouble,
                failures=self._breaker.failures,
                again_in_s=round(wait_s, 1),
            )
        self._set(LinkState.RETRYING, trouble)

    def _expire(self, reason: str) -> None:
        self.log.warning("session_expired")
        self.hooks.expired(self.account, reason)
        self._set(LinkState.EXPIRED, reason)

    def expire(self, reason: str) -> None:
        """A command was refused with expired credentials, before the session noticed."""
        if self.account.link is not self or self.phase in (LinkState.EXPIRED, LinkState.STOPPED):
            return  # an answer to an earlier login says nothing of this one
        self._is_over = True
        self._expire(reason)
        if self.task is not None:
            self.task.cancel()

    def hinder(self, trouble: str) -> None:
        """The network as a whole cannot be used now: nothing is tried, and the user is told."""
        self._set(LinkState.RETRYING, trouble)

    def _set(self, phase: LinkState, trouble: str = "") -> None:
        changed = phase is not self.phase
        self.phase, self.trouble = phase, brief(trouble)
        if phase is not LinkState.LIVE:
            self.on_probation = False
        if changed:
            self.hooks.changed(self.account)
