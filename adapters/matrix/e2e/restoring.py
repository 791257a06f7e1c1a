# SPDX-License-Identifier: Apache-2.0
"""Keys for what waits, from the user's backup."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from adapters.matrix.e2e.backup import Backup
from adapters.matrix.e2e.megolm import Missing, RoomKeys
from adapters.matrix.e2e.requests import Requests
from adapters.matrix.e2e.waiting import Received, Waiting, missing_of
from gateway.adapter import AccountContext
from gateway.errors import AdapterError

_AT_ONCE = 20


class Restoring:
    """Of one account."""

    def __init__(
        self,
        account: AccountContext,
        backup: Backup,
        keys: RoomKeys,
        requests: Requests,
        waiting: Waiting,
        tell: Callable[[Received], Awaitable[None]],
    ) -> None:
        self._account = account
        self._backup = backup
        self._keys = keys
        self._requests = requests
        self._waiting = waiting
        self._tell = tell
        self._looked_for: set[Missing] = set()
        """Of the keys that are still to be asked for, those that the backup does not have."""
        self.looks_again = False
        """All that waits is to be looked for once more."""

    async def wanted(self) -> None:
        """Look for the keys that are still to be asked for."""
        wanted = self._requests.wanted()
        self._looked_for &= set(wanted)
        await self._restore([missing for missing in wanted if missing not in self._looked_for])
        if self._backup.is_open:
            self._looked_for.update(wanted)

    async def again(self) -> None:
        """Look for all, when it is time."""
        if self.looks_again:
            await self.all()
            self.looks_again = False

    async def all(self) -> int:
        """Look in the backup for whatever waits. Returns how many messages could be read."""
        if not self._backup.is_open:
            return 0  # what waits may be large
        return await self._restore(missing_of(event.needs for event in self._account.waiting()))

    async def some(self, needs: Iterable[str]) -> bool:
        """Look for these, the first ones at least: somebody waits. False if no backup is open."""
        await self._restore(missing_of(needs)[:_AT_ONCE])
        return self._backup.is_open

    async def _restore(self, wanted: Iterable[Missing]) -> int:
        """Look for keys in the backup. Returns how many messages they have opened."""
        if not self._backup.is_open:
            return 0
        received = Received()
        failed: AdapterError | None = None
        for missing in dict.fromkeys(wanted):
            try:
                data = await self._backup.fetch(missing)
            except AdapterError as error:
                failed = error
                break
            if data is not None and self._keys.add_exported(data) is not None:
                self._requests.came(missing)
            # It may have been there already, and begun too late or been overlooked.
            await self._waiting.release(missing, received)
        await self._tell(received)
        if failed is not None:
            raise failed
        return len(received.released)
