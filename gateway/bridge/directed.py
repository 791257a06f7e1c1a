# SPDX-License-Identifier: Apache-2.0
"""Directed presence: a device shows itself to a contact that has no subscription (REQ-319).

It comes in the same form as the broadcast to thousands of subscribed puppets (RFC 6121 §4.6), and
only the store knows which of them see the user. So each puppet is looked up once, a little later
and a few at a time, and what the stanza itself costs is a look into a set (REQ-306).
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from functools import partial

from gateway.adapter import Clock
from gateway.bridge.accounts import Account, Accounts
from gateway.bridge.addresses import Addresses
from gateway.ids import AccountId, RemoteUserId
from gateway.store import Store, contacts
from gateway.store.contacts import Subscription
from gateway.tasks import Tasks

_LATER_S = 0.05
_AT_ONCE = 100
_WAITING = 20_000
"""Of one network; more come from a flood, and what is left out is only not answered."""


class Directed:
    """Finds out whom devices have shown themselves to, on one network."""

    def __init__(
        self,
        store: Store,
        accounts: Accounts,
        addresses: Addresses,
        clock: Clock,
        tasks: Tasks,
        show: Callable[[Account, RemoteUserId, str], None],
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._addresses = addresses
        self._clock = clock
        self._tasks = tasks
        self._show = show
        """Tells one device, by its resource, of one contact."""
        self._waiting: dict[tuple[AccountId, str, str], Account] = {}
        """By account, device and puppet."""
        self._looking: asyncio.Task[None] | None = None

    def seen(self, account: Account, resource: str, puppet: str) -> None:
        """A device was seen by the puppet with this localpart."""
        if puppet in account.devices.audience or account.devices.is_shown(resource, puppet):
            return
        if len(self._waiting) >= _WAITING:
            del self._waiting[next(iter(self._waiting))]
        self._waiting[account.id, resource, puppet] = account
        if self._looking is None:
            self._looking = self._tasks.spawn(self._look_all(), "directed presence")

    def gone(self, account: Account, resource: str, puppet: str) -> None:
        """A device has left the puppet again."""
        self._waiting.pop((account.id, resource, puppet), None)

    async def _look_all(self) -> None:
        try:
            while self._waiting:
                await self._clock.sleep(_LATER_S)
                for key in list(itertools.islice(self._waiting, _AT_ONCE)):
                    _, resource, puppet = key
                    look = partial(self._look, resource=resource, puppet=puppet)
                    self._accounts.apart(look, self._waiting.pop(key))
        finally:
            self._looking = None

    def _look(self, account: Account, resource: str, puppet: str) -> None:
        devices = account.devices
        contact = self._addresses.contact(puppet)
        if contact is None or resource not in devices or puppet in devices.audience:
            return
        row = contacts.get(self._store.reader, account.id, contact)
        if row.from_user is Subscription.GRANTED:
            devices.audience.add(puppet)
        elif row.to_user is not Subscription.GRANTED and devices.show(resource, puppet, contact):
            self._show(account, contact, resource)
