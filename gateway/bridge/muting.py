# SPDX-License-Identifier: Apache-2.0
"""Chats and groups of which the user's apps of the network do not notify, for ever or for a while
(REQ-220). The network has the one; the end of the other is kept here."""

from __future__ import annotations

import structlog

from gateway.adapter import Muted
from gateway.bridge.accounts import Account
from gateway.bridge.ground import Ground
from gateway.bridge.looking import Looking
from gateway.bridge.waiting import answered, live
from gateway.errors import AdapterError, RateLimited, Transient
from gateway.store import mutes
from gateway.store.mutes import Conversation
from gateway.tasks import contained

log = structlog.get_logger("network")

_EVERY_S = 60.0
_AT_ONCE = 100


class Muting(Looking):
    """Of one network."""

    def __init__(self, ground: Ground) -> None:
        super().__init__(ground.network, ground.clock, _EVERY_S, "mutes_not_ended")
        self._store = ground.store
        self._tasks = ground.tasks
        self._account_of = ground.accounts.by_id
        self._ending: set[tuple[int, Conversation]] = set()

    async def mute(self, account: Account, what: Conversation, for_s: float | None) -> None:
        """Mute it; for so long, or until the user says otherwise. Raises any `AdapterError`, and
        `StoreUnavailable`."""
        until = None if for_s is None else self._clock.now() + for_s
        # First: if the gateway dies between the two, it ends what may not have begun.
        await self._store.write(lambda db: mutes.put(db, account.id, what, until))
        try:
            await self._set(account, what, is_muted=True)
        except AdapterError:
            await self._store.write(lambda db: mutes.put(db, account.id, what, None))
            raise
        self.came()

    async def unmute(self, account: Account, what: Conversation) -> None:
        """The user's apps notify of it again. Raises the same."""
        await self._set(account, what, is_muted=False)
        await self._store.write(lambda db: mutes.put(db, account.id, what, None))

    async def muted(self, account: Account) -> Muted:
        """What is muted now, in whatever app that was done. Raises any `AdapterError`."""
        return await answered(self._clock, account, "muted", contained(live(account).muted))

    def until(self, account: Account, what: Conversation) -> float | None:
        """When the gateway ends it."""
        return mutes.until(self._store.reader, account.id, what)

    async def _set(self, account: Account, what: Conversation, *, is_muted: bool) -> None:
        work = contained(live(account).mute, what.contact, what.room, is_muted)
        await answered(self._clock, account, "mute", work)

    async def _look(self) -> bool:
        reader, now = self._store.reader, self._clock.now()
        for number, what in mutes.due(reader, self._network, now, _AT_ONCE):
            account = self._account_of(number)
            if account is not None and (number, what) not in self._ending:
                self._ending.add((number, what))
                self._tasks.spawn(self._end(account, what), "end of a mute")
        return mutes.are_any(reader)

    async def _end(self, account: Account, what: Conversation) -> None:
        """One that the network cannot take now is tried again a minute later."""
        try:
            await self._unmute(account, what)
        finally:
            self._ending.discard((account.id, what))

    async def _unmute(self, account: Account, what: Conversation) -> None:
        try:
            await self._set(account, what, is_muted=False)
        except (Transient, RateLimited):
            return
        except AdapterError as error:  # there is no such chat any more
            log.info("mute_not_ended", account=account.id, reason=error.text)
        await self._store.write(lambda db: mutes.put(db, account.id, what, None))
