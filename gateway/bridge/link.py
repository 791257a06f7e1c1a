# SPDX-License-Identifier: Apache-2.0
"""The supervised connection of one account: starts its session again and again, with back-off.

Nothing that happens here touches another account. Credential failures are final until the user
logs in again (REQ-222); everything else is tried again after 2 s to 10 min, with full jitter.
"""

from __future__ import annotations

import asyncio
import enum
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from dataclasses import dataclass

import aiohttp
import structlog

from gateway.adapter import Adapter, Clock, Session
from gateway.bridge.accounts import Account
from gateway.bridge.inbound import Committed, Intake
from gateway.bridge.splitting import brief
from gateway.errors import AdapterError, AuthExpired, RateLimited, StoreUnavailable
from gateway.events import Presence, RemoteEvent, RemoteMessage
from gateway.ids import AccountId, RemoteUserId
from gateway.store import Store, Transaction, accounts
from gateway.tasks import is_cancelled

log = structlog.get_logger("link")

_FIRST_RETRY_S = 2.0
_LONGEST_RETRY_S = 600.0
_HEALTHY_S = 60.0
_ENDING_S = 10.0
"""How long a session may take to end, in real time: one that does not is left behind."""
_STARTING_S = 10.0
"""How long a starting session counts against the cap of those that start at once."""


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
    presence: Callable[[Account, RemoteUserId, Presence], None]
    quiet: Callable[[Account, Set[RemoteUserId]], Awaitable[None]]
    """Awaited before own messages are committed, on networks that do not return the key."""
    room: Callable[[AccountId], Awaitable[None]]
    """Awaited before more is fetched: too much may wait for the user (REQ-712)."""


class Link:
    """Owns the account's session. Is the `gateway.adapter.AccountContext` of its sessions."""

    def __init__(
        self,
        account: Account,
        adapter: Adapter,
        intake: Intake,
        store: Store,
        hooks: LinkHooks,
        start_gate: asyncio.Semaphore,
    ) -> None:
        self._account = account
        self._adapter = adapter
        self._intake = intake
        self._store = store
        self._hooks = hooks
        self._start_gate = start_gate
        self._session: Session | None = None
        self._live_since: float | None = None
        self._starting = False
        self._asks = False
        """Its sessions ask whether they may fetch, so that commits need not wait."""
        self.task: asyncio.Task[None] | None = None
        self.phase = self.shown = LinkState.CONNECTING
        """What it does, and what the user was last shown of it."""
        self.trouble = ""
        """Why it is not live, in words for the user."""
        self.log = log.bind(network=intake.network, account=account.id)
        self.clock: Clock = adapter.context.clock
        self.http: aiohttp.ClientSession = adapter.context.http
        self.remote_id = account.remote_id
        self.instance = intake.instance

    @property
    def session(self) -> Session | None:
        """The session, while it is live."""
        return self._session if self.phase is LinkState.LIVE else None

    async def run(self) -> None:
        """Keep the account connected. Ends only when cancelled or when the user has to act."""
        retry_s = _FIRST_RETRY_S
        try:
            while True:
                wait_s: float | None = None
                try:
                    await self._attempt()
                    self._failed("the session ended")
                except AuthExpired as error:
                    self._expire(error.text)
                    return
                except RateLimited as error:
                    self._failed(error.text)
                    wait_s = error.retry_after_s
                except (AdapterError, StoreUnavailable) as error:
                    self._failed(str(error))
                except asyncio.CancelledError:
                    if is_cancelled():
                        raise
                    self._failed("the session was cut off")  # by a library, not by us
                except Exception:
                    self.log.exception("session_failed")
                    self._failed("internal error; the admin's log has the details")
                if self._was_healthy():
                    retry_s = _FIRST_RETRY_S
                await self.clock.sleep(wait_s or random.uniform(0.5, 1) * retry_s)
                retry_s = min(retry_s * 2, _LONGEST_RETRY_S)
        finally:
            self._release_gate()

    async def stop(self) -> None:
        """Disconnect for good. What was not committed comes again with the next session."""
        if self.task is not None and self.task is not asyncio.current_task():
            self.task.cancel()
            await asyncio.wait([self.task], timeout=_ENDING_S)
        self.phase = LinkState.STOPPED

    async def _attempt(self) -> None:
        await self._start_gate.acquire()
        self._starting = True
        self._live_since = None
        patience = asyncio.ensure_future(self._open_gate_later())
        try:
            self._session = self._adapter.session(self)
            await self._session.run()
        finally:
            patience.cancel()
            self._release_gate()

    async def _open_gate_later(self) -> None:
        """A network that does not answer must not keep the accounts of others from starting."""
        await self.clock.sleep(_STARTING_S)
        self._release_gate()

    def _was_healthy(self) -> bool:
        return (
            self._live_since is not None
            and self.clock.monotonic() - self._live_since >= _HEALTHY_S
        )

    def _release_gate(self) -> None:
        if self._starting:
            self._starting = False
            self._start_gate.release()

    def _failed(self, trouble: str) -> None:
        self.log.warning("session_ended", reason=trouble)
        self._set(LinkState.RETRYING, trouble)

    def _expire(self, reason: str) -> None:
        self.log.warning("session_expired")
        self._hooks.expired(self._account, reason)
        self._set(LinkState.EXPIRED, reason)

    def expire(self, reason: str) -> None:
        """A command was refused with expired credentials, before the session noticed."""
        if self._account.link is not self or self.phase in (LinkState.EXPIRED, LinkState.STOPPED):
            return  # an answer to an earlier login says nothing of this one
        self._expire(reason)
        if self.task is not None:
            self.task.cancel()

    def _set(self, phase: LinkState, trouble: str = "") -> None:
        changed = phase is not self.phase
        self.phase, self.trouble = phase, brief(trouble)
        if changed:
            self._hooks.changed(self._account)

    # --- the account's context ------------------------------------------------------------------

    @property
    def secret(self) -> bytes:
        """What the login returned."""
        assert self._account.secret is not None, "only linked accounts have a link"
        return self._account.secret

    @property
    def cursor(self) -> str | None:
        """What was last committed."""
        return self._account.cursor

    def state(self) -> Mapping[str, str]:
        """The adapter's own key-value store."""
        return self._account.state

    async def ready(self) -> None:
        """See `gateway.adapter.AccountContext.ready`."""
        self._asks = True
        await self._hooks.room(self._account.id)

    async def commit(
        self,
        events: Sequence[RemoteEvent],
        *,
        cursor: str | None = None,
        state: Mapping[str, str | None] | None = None,
    ) -> None:
        """See `gateway.adapter.AccountContext.commit`."""
        if events and not self._asks:
            await self._hooks.room(self._account.id)
        await self._until_quiet(events)
        now = self.clock.now()
        account = self._account.id
        changes = dict(state or {})

        apply = self._intake.unit

        def unit(db: Transaction) -> Committed:
            committed = apply(db, events, now)
            if cursor is not None:
                accounts.set_cursor(db, account, cursor, now)
            if changes:
                accounts.change_state(db, account, changes)
            return committed

        def committed(result: Committed) -> None:
            self._remember(cursor, changes)
            self._hooks.committed(result)

        # A session that is cancelled now has its events committed all the same.
        try:
            await self._store.write(unit, committed)
        except StoreUnavailable:
            raise
        except Exception:  # one event that cannot be stored must not hold up all that follow
            self.log.exception("events_not_committed", events=len(events))
            apply = self._intake.unit_by_unit
            await self._store.write(unit, committed)

    async def _until_quiet(self, events: Sequence[RemoteEvent]) -> None:
        """Without keys our own messages are known by their id alone, once the send has it."""
        if self._adapter.capabilities.echoes_key:
            return
        own = {event.contact for event in events if isinstance(event, RemoteMessage) and event.own}
        if own:
            await self._hooks.quiet(self._account, own)

    def _remember(self, cursor: str | None, changes: Mapping[str, str | None]) -> None:
        if cursor is not None:
            self._account.cursor = cursor
        for key, value in changes.items():
            if value is None:
                self._account.state.pop(key, None)
            else:
                self._account.state[key] = value

    def connected(self) -> None:
        """See `gateway.adapter.AccountContext.connected`."""
        self._release_gate()
        self._live_since = self.clock.monotonic()
        self._set(LinkState.LIVE)
        self.log.info("session_live")

    def typing(self, contact: RemoteUserId, active: bool) -> None:
        """See `gateway.adapter.AccountContext.typing`."""
        self._hooks.typing(self._account, contact, active)

    def presence(self, contact: RemoteUserId, presence: Presence) -> None:
        """See `gateway.adapter.AccountContext.presence`."""
        self._hooks.presence(self._account, contact, presence)
