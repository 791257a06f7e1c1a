# SPDX-License-Identifier: Apache-2.0
"""Accounts that are connected only while their user is online (REQ-221, XEP-0100 §4.4)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.adapter import Clock
from gateway.bridge.accounts import Account
from gateway.bridge.attendance.devices import Reach
from gateway.bridge.links.link import Link, LinkState
from gateway.ids import AccountId
from gateway.store.accounts import AccountStatus
from gateway.tasks import Tasks

_GRACE_S = 30.0
"""A phone that changes its network is away for some seconds."""
_AWAKE_S = 300.0
"""Who does something without being seen stays connected so long."""


class Following:
    """Connects and disconnects the accounts of one network as their users come and go.

    Nobody is disconnected for what is not known: only who was seen to leave.
    """

    def __init__(
        self,
        clock: Clock,
        tasks: Tasks,
        *,
        run: Callable[[Account, Link], None],
        changed: Callable[[Account], None],
        is_seen: Callable[[Account], bool],
    ) -> None:
        """``is_seen`` tells whether the user's server would tell us of their devices."""
        self._clock = clock
        self._tasks = tasks
        self._run = run
        self._changed = changed
        self._is_seen = is_seen
        self._leaving: dict[AccountId, asyncio.Task[None]] = {}
        self._stays_until: dict[AccountId, float] = {}

    def may_connect(self, account: Account) -> bool:
        """Whether the account shall be connected now."""
        reach = account.devices.reach
        return not account.is_suspended and (
            not account.settings.follow_presence
            or reach is Reach.ONLINE
            or (reach is Reach.UNKNOWN and not self._is_seen(account))
        )

    def rest(self, account: Account) -> None:
        """Wait for the user instead of connecting."""
        if account.link is not None:
            account.link.phase = account.link.shown = LinkState.WAITING
            self._changed(account)

    def look(self, account: Account) -> None:
        """The user came or left, or has changed the setting."""
        if account.link is None or account.status is not AccountStatus.LINKED:
            return
        if self.may_connect(account):
            self.forget(account)
            self._connect(account)
        elif account.devices.reach is Reach.OFFLINE:
            self._stay(account, _GRACE_S)

    def wake(self, account: Account) -> None:
        """The user wants something of the network: they are there, whatever their server says."""
        if account.status is not AccountStatus.LINKED or not account.settings.follow_presence:
            return
        if account.devices.reach is not Reach.ONLINE:
            self._stay(account, _AWAKE_S)
        self._connect(account)

    def suspend(self, account: Account) -> None:
        """Their user is gone: disconnect, until `look` finds that the account may connect."""
        self.forget(account)
        if account.link is not None and account.status is AccountStatus.LINKED:
            self._tasks.spawn(self._disconnect(account, account.link), "suspension")

    def forget(self, account: Account) -> None:
        """The account was removed or logged out, or stays."""
        self._stays_until.pop(account.id, None)
        leaving = self._leaving.pop(account.id, None)
        if leaving is not None:
            leaving.cancel()

    def _connect(self, account: Account) -> None:
        if account.link is not None and account.link.phase is LinkState.WAITING:
            self._run(account, account.link)

    def _stay(self, account: Account, seconds: float) -> None:
        """Disconnect after that time, unless they come or do something meanwhile."""
        until = self._clock.monotonic() + seconds
        self._stays_until[account.id] = max(until, self._stays_until.get(account.id, until))
        if account.id not in self._leaving:
            self._leaving[account.id] = self._tasks.spawn(self._leave(account), "leaving")

    def _left_s(self, account: Account) -> float:
        return self._stays_until.get(account.id, 0.0) - self._clock.monotonic()

    async def _leave(self, account: Account) -> None:
        while (left_s := self._left_s(account)) > 0:
            await self._clock.sleep(left_s)
        del self._leaving[account.id]  # from here on it is not taken back half-way
        del self._stays_until[account.id]
        link = account.link
        if (
            link is None
            or link.phase in (LinkState.WAITING, LinkState.STOPPED)
            or account.devices.reach is not Reach.OFFLINE
        ):
            return
        await self._disconnect(account, link)

    async def _disconnect(self, account: Account, link: Link) -> None:
        await link.stop()
        if account.link is not link or account.status is not AccountStatus.LINKED:
            return  # they have logged in or out meanwhile
        self.rest(account)
        if self.may_connect(account) or self._left_s(account) > 0:
            self._connect(account)
