# SPDX-License-Identifier: Apache-2.0
"""What the network is told of the user's presence (REQ-317). Best effort; nothing is stored."""

from __future__ import annotations

import asyncio

from gateway.adapter import Clock, Session
from gateway.bridge.accounts import Account
from gateway.bridge.accounts.settings import Publish
from gateway.bridge.attendance.devices import Reach
from gateway.errors import AdapterError, RateLimited, Transient
from gateway.events import AVAILABLE, UNAVAILABLE, Presence
from gateway.ids import AccountId
from gateway.tasks import Tasks, contained, within

_DEBOUNCE_S = 30.0
_FIRST_S = 2.0
_LIMIT_S = 30.0
"""For one request."""
_LONGEST_S = 600.0
"""Between two attempts, if the network does not ask for more."""


class Publishing:
    """The presence of one network's users."""

    def __init__(self, clock: Clock, tasks: Tasks, *, is_offered: bool) -> None:
        self._clock = clock
        self._tasks = tasks
        self._is_offered = is_offered
        self._waiting: dict[AccountId, asyncio.Task[None]] = {}
        self._told: dict[AccountId, tuple[Session, Presence]] = {}

    def changed(self, account: Account) -> None:
        """A device came, left or changed. What is true in half a minute is published.

        The first word of a session goes out as soon as all devices had time to be named.
        """
        if self._is_offered and account.id not in self._waiting:
            session = account.link.session if account.link is not None else None
            told = self._told.get(account.id)
            is_first = told is None or told[0] is not session
            self._start(account, _FIRST_S if is_first else _DEBOUNCE_S)

    def publish(self, account: Account) -> None:
        """The session has become live, or the user has changed a setting."""
        if self._is_offered:
            self._stop_waiting(account.id)
            self._start(account, 0)

    def forget(self, account: Account) -> None:
        """The account was removed."""
        self._stop_waiting(account.id)
        self._told.pop(account.id, None)

    def _start(self, account: Account, wait_s: float) -> None:
        self._waiting[account.id] = self._tasks.spawn(self._tell(account, wait_s), "own presence")

    def _stop_waiting(self, account: AccountId) -> None:
        waiting = self._waiting.pop(account, None)
        if waiting is not None:
            waiting.cancel()

    async def _tell(self, account: Account, wait_s: float) -> None:
        retry_s = _DEBOUNCE_S
        try:
            while True:
                await self._clock.sleep(wait_s)
                session = account.link.session if account.link is not None else None
                presence = wanted(account)
                if session is None or presence is None:
                    return
                if self._told.get(account.id) == (session, presence):
                    return
                again_s = await self._try(session, presence)
                if again_s is not None:
                    wait_s = max(again_s, retry_s)
                    retry_s = min(retry_s * 2, _LONGEST_S)
                    continue
                self._told[account.id] = session, presence
                wait_s = retry_s = _DEBOUNCE_S
                if wanted(account) == presence:
                    return
        finally:
            if self._waiting.get(account.id) is asyncio.current_task():
                del self._waiting[account.id]

    async def _try(self, session: Session, presence: Presence) -> float | None:
        """Returns after how many seconds to try again, if that may help."""
        try:
            await within(self._clock, _LIMIT_S, contained(session.set_presence, presence))
        except RateLimited as error:
            return error.retry_after_s
        except (Transient, TimeoutError):
            return 0.0
        except AdapterError:
            pass  # it does not want to know that of this account
        return None


def wanted(account: Account) -> Presence | None:
    """What the network is to know; None as long as nothing is known here."""
    match account.settings.publish_presence:
        case Publish.NEVER:
            return UNAVAILABLE
        case Publish.ONLINE:
            return AVAILABLE
        case Publish.MIRROR:
            best = account.devices.best()
            if best is None and account.devices.reach is Reach.OFFLINE:
                return UNAVAILABLE
            return best
