# SPDX-License-Identifier: Apache-2.0
"""Messages that cannot be read yet: after a minute the user is given a line in place of each."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

import structlog

from gateway.adapter import Clock
from gateway.bridge.accounts import Account
from gateway.bridge.rows import Committed
from gateway.errors import StoreUnavailable
from gateway.ids import AccountId, NetworkName
from gateway.store import Store, Transaction, held
from gateway.store.held import Untold

log = structlog.get_logger("pending")

_PATIENCE_S = 60.0
"""Most keys come within seconds, and then nobody needs to know."""
_EVERY_S = 5.0
_AT_ONCE = 100


class Pending:
    """Those of one network."""

    def __init__(
        self,
        network: NetworkName,
        store: Store,
        clock: Clock,
        account_of: Callable[[AccountId], Account | None],
    ) -> None:
        self._network = network
        self._store = store
        self._clock = clock
        self._account_of = account_of
        self._some = asyncio.Event()
        self._some.set()  # of an earlier process

    def came(self) -> None:
        """There is one more."""
        self._some.set()

    async def watch(self) -> None:
        """Look again and again, as long as there are any."""
        while True:
            await self._some.wait()
            self._some.clear()
            try:
                if await self._look():
                    self._some.set()
            except StoreUnavailable:
                self._some.set()  # they are told when there is a store again
            except Exception:  # what is wrong with one of them must not end this for all
                self._some.set()
                log.exception("pending_failed", network=self._network)
            await self._clock.sleep(_EVERY_S)

    async def _look(self) -> bool:
        """Returns whether others wait that nobody has been told of."""
        before = self._clock.now() - _PATIENCE_S
        for untold in list(held.untold(self._store.reader, self._network, before, _AT_ONCE)):
            account = self._account_of(untold.account)
            if account is not None and account.link is not None:
                try:
                    await self._tell(account, untold)
                except StoreUnavailable:
                    raise
                except Exception:  # it is one message's trouble, and others wait behind it
                    log.exception("pending_failed", network=self._network)
        rest = held.untold(self._store.reader, self._network, math.inf, 1)
        return any(True for _ in rest)

    async def _tell(self, account: Account, untold: Untold) -> None:
        assert account.link is not None
        intake, hooks, now = account.link.intake, account.link.hooks, self._clock.now()

        def unit(db: Transaction) -> Committed:
            return intake.stand_in(db, untold.conversation, untold.event, now)

        await self._store.write(unit, hooks.committed)
