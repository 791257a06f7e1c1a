# SPDX-License-Identifier: Apache-2.0
"""Messages that cannot be read yet: after a minute the user is given a line in place of each."""

from __future__ import annotations

import math

import structlog

from gateway.bridge.accounts import Account
from gateway.bridge.ground import Ground
from gateway.bridge.inbound.rows import Committed
from gateway.bridge.looking import Looking
from gateway.errors import StoreUnavailable
from gateway.store import Transaction, held
from gateway.store.held import Untold

log = structlog.get_logger("pending")

_PATIENCE_S = 60.0
"""Most keys come within seconds, and then nobody needs to know."""
_EVERY_S = 5.0
_AT_ONCE = 100


class Pending(Looking):
    """Those of one network."""

    def __init__(self, ground: Ground) -> None:
        super().__init__(ground.network, ground.clock, _EVERY_S, "pending_failed")
        self._store = ground.store
        self._account_of = ground.accounts.by_id

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
