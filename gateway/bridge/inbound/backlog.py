# SPDX-License-Identifier: Apache-2.0
"""High-water marks: how much waits for each user, and who has to wait because of it (REQ-712).

Above the mark the account's session waits (`gateway.adapter.AccountContext.ready`), so the network
keeps what comes, until less than half of the mark is left. Where a network keeps nothing
(`gateway.adapter.Capabilities.live_only`) intake goes on to twice the mark; what comes beyond is
cut, counted, and said in its conversation once there is room again.

What waits is counted in memory, by what the writer says that it has changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import structlog

from gateway.ids import AccountId, NetworkName
from gateway.store.backlog import Waiting
from gateway.store.journal import InboundRow

log = structlog.get_logger("backlog")

_HARD = 2
"""So many marks a network that keeps nothing may fill."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """How much of one account may wait."""

    rows: int = 50_000
    size: int = 256_000_000
    """Bytes of content."""


@dataclass(slots=True)
class _Load:
    rows: int = 0
    size: int = 0
    full: bool = False
    """Over the mark, and not below half of it since."""
    cutting: bool = False
    room: asyncio.Event = field(default_factory=asyncio.Event)

    def is_over(self, marks: Marks, times: float) -> bool:
        return self.rows >= marks.rows * times or self.size >= marks.size * times


class Backlog:
    """What waits for the users of one network."""

    def __init__(
        self,
        network: NetworkName,
        marks: Marks,
        *,
        live_only: bool,
        has_room: Callable[[AccountId], None],
    ) -> None:
        self._marks = marks
        self._live_only = live_only
        self._has_room = has_room
        """Told when an account that was over its mark is below half of it."""
        self._loads: dict[AccountId, _Load] = {}
        self._log = log.bind(network=network)

    def load(self, waiting: Iterable[Waiting]) -> None:
        """What an earlier process left."""
        for account in waiting:
            self._add(account.account, account.rows, account.size)

    def added(self, rows: Iterable[InboundRow]) -> None:
        """These rows were committed, or opened again."""
        for row in rows:
            self._add(row.account, 1, row.size)

    def done(self, rows: Iterable[InboundRow]) -> None:
        """These rows do not wait any longer."""
        for row in rows:
            self.dropped(row.account, 1, row.size)

    def dropped(self, account: AccountId, rows: int, size: int) -> None:
        """So much does not wait any longer."""
        load = self._loads.get(account)
        if load is not None:  # else the account is gone
            load.rows -= rows
            load.size -= size
            self._look_down(account, load)

    def forget(self, account: AccountId) -> None:
        """The account was removed with all its rows."""
        load = self._loads.pop(account, None)
        if load is not None:
            load.room.set()

    def is_full(self, account: AccountId) -> bool:
        """Nothing more is fetched for the account until less waits for its user."""
        load = self._loads.get(account)
        return load is not None and load.full

    def is_cutting(self, account: AccountId) -> bool:
        """What comes for the account cannot be kept."""
        load = self._loads.get(account)
        return load is not None and load.cutting

    async def room(self, account: AccountId) -> None:
        """Wait until more may be fetched for the account."""
        load = self._loads.get(account)
        if load is not None and load.full and not self._live_only:
            await load.room.wait()

    def _add(self, account: AccountId, rows: int, size: int) -> None:
        load = self._loads.get(account)
        if load is None:
            load = self._loads[account] = _Load()
        load.rows += rows
        load.size += size
        if not load.full and load.is_over(self._marks, 1):
            load.full = True
            load.room.clear()
            self._log.warning("backlog_full", account=account, rows=load.rows, bytes=load.size)
        if self._live_only and not load.cutting and load.is_over(self._marks, _HARD):
            load.cutting = True
            self._log.warning("backlog_cut", account=account, rows=load.rows, bytes=load.size)

    def _look_down(self, account: AccountId, load: _Load) -> None:
        if load.full and not load.is_over(self._marks, 0.5):
            load.full = load.cutting = False
            load.room.set()
            self._log.info("backlog_has_room", account=account, rows=load.rows)
            self._has_room(account)
        if not load.rows and not load.full:
            del self._loads[account]
