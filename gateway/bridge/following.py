# SPDX-License-Identifier: Apache-2.0
"""Accounts that are connected only while their user is online (REQ-221, XEP-0100 §4.4)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.adapter import Clock
from gateway.bridge.accounts import Account
from gateway.bridge.devices import Reach
from gateway.bridge.link import Link, LinkState
from gateway.ids import AccountId
from gateway.store.accounts import AccountStatus
from gateway.tasks import Tasks

_GRACE_S = 30.0
"""A phone that changes its network is away for some seconds."""


class Following:
    """Connects and disconnects the accounts of one network as their users come and go."""

    def __init__(
        self,
        clock: Clock,
        tasks: Tasks,
        *,
        run: Callable[[Account, Link], None],
        changed: Callable[[Account], None],
    ) -> None:
        self._clock = clock
        self._tasks = tasks
        self._run = run
        self._changed = changed
        self._leaving: dict[AccountId, asyncio.Task[None]] = {}

    def may_connect(self, account: Account) -> bool:
        """Whether the account shall be connected now."""
        return not account.settings.follow_presence or account.devices.reach is Reach.ONLINE

    def rest(self, account: Account) -> None:
        """Wait for the user instead of connecting."""
        if account.link is not None:
            account.link.phase = account.link.shown = LinkState.WAITING
            self._changed(account)

    def look(self, account: Account) -> None:
        """The user came or left, or has changed the setting."""
        link = account.link
        if link is None or account.status is not AccountStatus.LINKED:
            return
        if self.may_connect(account):
            leaving = self._leaving.pop(account.id, None)
            if leaving is not None:
                leaving.cancel()
            self.wake(account)
        elif account.id not in self._leaving and link.phase not in (
            LinkState.WAITING,
            LinkState.STOPPED,
        ):
            self._leaving[account.id] = self._tasks.spawn(self._leave(account, link), "leaving")

    def wake(self, account: Account) -> None:
        """The user wants something of the network: they are there, whatever their server says."""
        if account.link is not None and account.link.phase is LinkState.WAITING:
            self._run(account, account.link)

    def forget(self, account: Account) -> None:
        """The account was removed or logged out."""
        leaving = self._leaving.pop(account.id, None)
        if leaving is not None:
            leaving.cancel()

    async def _leave(self, account: Account, link: Link) -> None:
        await self._clock.sleep(_GRACE_S)
        self._leaving.pop(account.id, None)  # from here on it is not taken back half-way
        await link.stop()
        if account.link is not link or account.status is not AccountStatus.LINKED:
            return  # they have logged in or out meanwhile
        self.rest(account)
        if self.may_connect(account):
            self.wake(account)
