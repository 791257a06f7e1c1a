# SPDX-License-Identifier: Apache-2.0
"""Directed presence: a device shows itself to a contact that has no subscription (REQ-319).

It comes in the same form as the broadcast to thousands of subscribed puppets (RFC 6121 §4.6), and
only the store knows which of them see the user. So each puppet is looked up once, a little later
and a few at a time, and what the stanza itself costs is a look into a set (REQ-306).
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable
from functools import partial

from gateway.bridge.accounts import Account
from gateway.bridge.ground import Ground
from gateway.ids import RemoteUserId
from gateway.store import contacts
from gateway.store.contacts import Subscription

_LATER_S = 0.05
_TURN = 10
"""Look-ups for one account before the next one has its turn."""
_TURNS = 10
_WAITING = 20_000
"""Of one account; more come from a flood, and what is left out is only not answered."""


class Directed:
    """Finds out whom devices have shown themselves to, on one network."""

    def __init__(self, ground: Ground, show: Callable[[Account, RemoteUserId, str], None]) -> None:
        self._store = ground.store
        self._accounts = ground.accounts
        self._addresses = ground.addresses
        self._clock = ground.clock
        self._tasks = ground.tasks
        self._show = show
        """Tells one device, by its resource, of one contact."""
        self._waiting: dict[Account, dict[tuple[str, str], None]] = {}
        """Devices, and the localparts that have seen them, in order."""
        self._turns: deque[Account] = deque()
        self._looking: asyncio.Task[None] | None = None

    def seen(self, account: Account, resource: str, puppet: str) -> None:
        """A device was seen by the puppet with this localpart."""
        if puppet in account.devices.audience or account.devices.is_shown(resource, puppet):
            return
        waiting = self._waiting.get(account)
        if waiting is None:
            waiting = self._waiting[account] = {}
            self._turns.append(account)
        if len(waiting) < _WAITING:
            waiting[resource, puppet] = None
        if self._looking is None:
            self._looking = self._tasks.spawn(self._look_all(), "directed presence")

    def gone(self, account: Account, resource: str, puppet: str) -> None:
        """A device has left the puppet again."""
        if (waiting := self._waiting.get(account)) is not None:
            waiting.pop((resource, puppet), None)

    async def _look_all(self) -> None:
        try:
            while self._turns:
                await self._clock.sleep(_LATER_S)
                for _ in range(_TURNS):
                    if self._turns:
                        self._turn(self._turns.popleft())
        finally:
            self._looking = None

    def _turn(self, account: Account) -> None:
        waiting = self._waiting[account]
        for seen in list(itertools.islice(waiting, _TURN)):
            del waiting[seen]
            resource, puppet = seen
            self._accounts.apart(partial(self._look, resource=resource, puppet=puppet), account)
        if waiting:
            self._turns.append(account)
        else:
            del self._waiting[account]

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
