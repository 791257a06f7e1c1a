# SPDX-License-Identifier: Apache-2.0
"""Who was in linked groups without an account and does not come any more: nothing is kept of
them. What they have said stays in the archives as long as what others have said."""

from __future__ import annotations

from gateway.bridge.accounts import Account
from gateway.bridge.ground import Ground
from gateway.bridge.traffic import Traffic
from gateway.ids import AccountId
from gateway.store import Transaction, accounts, portals

_SEEN_S = 86400.0
"""How often it is noted that somebody is still there."""


class Absentees:
    """Of one network."""

    def __init__(self, ground: Ground, traffic: Traffic) -> None:
        self._network = ground.network
        self._store = ground.store
        self._clock = ground.clock
        self._accounts = ground.accounts
        self._delivery = traffic.delivery
        self._outbound = traffic.outbound

    async def forget(self, before: float, most: int) -> int:
        """Forget so many of those who were not seen since ``before``. Returns how many. Raises
        `StoreUnavailable`.

        They are dropped here first: who comes at this moment is looked for in the store, after or
        before this unit, and either has their account with all that it has, or a new one.
        """
        now = self._clock.now()
        await self._store.write(lambda db: portals.see(db, self._network, now, now - _SEEN_S))
        found = portals.absent(self._store.reader, self._network, before, most)
        known = {number: self._accounts.by_id(number) for number in found}
        leaving = [account for account in known.values() if account is not None]
        for account in leaving:
            self._accounts.drop(account)
        gone: dict[AccountId, tuple[int, int]] = {}
        try:
            gone = await self._store.write(lambda db: self._remove(db, leaving, before))
        finally:
            for account in leaving:
                if account.id not in gone:
                    self._accounts.take_back(account)
        for account in leaving:
            if (swept := gone.get(account.id)) is not None:
                await self._outbound.forget(account)
                self._delivery.forget(account.id, *swept)
        return len(gone)

    def _remove(
        self, db: Transaction, leaving: list[Account], before: float
    ) -> dict[AccountId, tuple[int, int]]:
        """Who has come since they were found stays."""
        return {
            account.id: accounts.remove(db, account.id)
            for account in leaving
            if portals.is_absent(db, self._network, account.id, before)
        }
