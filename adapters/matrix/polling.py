# SPDX-License-Identifier: Apache-2.0
"""Asking /sync: with which filter, for how long, and when not to wait for something to happen.

Matrix spec, client-server API, "Syncing".
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from adapters.matrix.filters import Filters, Mode
from adapters.matrix.http import MIB, Answer, Api
from adapters.matrix.ledger import Ledger
from adapters.matrix.presences import Own
from adapters.matrix.settings import MatrixSettings
from gateway.adapter import AccountContext

_SYNC_LIMIT = 32 * MIB
_PATIENCE_S = 30
"""How much longer than agreed a homeserver may take for an answer."""
_FIRST_PATIENCE_S = 300
_BELIEVED_S = 10.0
"""After which a room that was not encrypted is asked about again, before something is sent."""
_STATE_S = 3_600.0
"""How often the whole state of all rooms is asked for because something of one was not told."""


class Polling:
    """Of one account."""

    def __init__(
        self,
        account: AccountContext,
        api: Callable[[], Api],
        ledger: Ledger,
        own_presence: Own,
        settings: MatrixSettings,
    ) -> None:
        self._account = account
        self._api = api
        self._ledger = ledger
        self._own_presence = own_presence
        self._settings = settings
        self._filters = Filters(account.remote_id, api)
        self._wants_state = not ledger.book.knows_state
        """The next answer shall have the whole state of all rooms."""
        self._state_not_before = 0.0
        """Monotonic; in which it is not wanted once more."""
        self._is_hurried = False
        """The next request shall not wait for something to happen."""
        self._waiting: asyncio.Timeout | None = None
        """Of the request that does."""
        self._answered_at: float | None = None
        """Monotonic; when the homeserver last answered. None while it is not being asked."""

    def hurry(self) -> None:
        """Ask at once for what follows the next answer."""
        self._is_hurried = True

    def wake(self) -> None:
        """Ask anew at once, whatever is being waited for."""
        self._is_hurried = True
        if self._waiting is not None:
            self._waiting.reschedule(asyncio.get_running_loop().time())
            self._waiting = None  # once is enough

    def want_state(self) -> None:
        """Something of a room was not told: have the whole state, unless it was just had."""
        now = self._account.clock.monotonic()
        if now >= self._state_not_before:
            self._wants_state, self._state_not_before = True, now + _STATE_S

    async def poll(
        self, since: str | None, mode: Mode, timeout_s: int, on_large: Callable[[], None]
    ) -> Answer | None:
        """The next answer; None if it was given up, to be asked for at once."""
        timeout_s, self._is_hurried = 0 if self._is_hurried else timeout_s, False
        query = {
            "timeout": str(timeout_s * 1000),
            "filter": await self._filters.of(mode, self._ledger.book.contacts()),
            "set_presence": self._own_presence.of_sync,
        }
        if since is not None:
            query["since"] = since
            if self._wants_state:
                query["full_state"] = "true"
        self._wants_state = False
        patience_s = _PATIENCE_S if mode is Mode.NEXT and timeout_s else _FIRST_PATIENCE_S
        self._answered_at = self._account.clock.monotonic() if timeout_s else None
        try:
            async with asyncio.timeout(None) as waiting:
                self._waiting = waiting if timeout_s else None
                return await self._api().get_answer(
                    "sync",
                    query=query,
                    timeout_s=timeout_s + patience_s,
                    limit=_SYNC_LIMIT,
                    on_large=on_large,
                )
        except TimeoutError:
            return None
        finally:
            self._answered_at = self._waiting = None

    def is_live(self) -> bool:
        """Whether a change of a room would already have reached the book. A poll that is open for
        long may be one that the homeserver has forgotten."""
        at = self._answered_at
        return at is not None and self._account.clock.monotonic() - at < _BELIEVED_S

    def forget(self) -> None:
        """The homeserver is not being asked any more."""
        self._answered_at = None
