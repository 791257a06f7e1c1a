# SPDX-License-Identifier: Apache-2.0
"""Saves the presence of contacts: each minute and at the end, only what changed."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.bridge.ground import Ground
from gateway.events import Presence
from gateway.ids import AccountId, RemoteUserId
from gateway.store import Transaction, presence

_EACH_S = 60.0
_UNIT = 500
"""Rows in one unit: others wait for the writer too."""


class Snapshot:
    """What will be known of the presence of one network's contacts after a restart."""

    def __init__(self, ground: Ground) -> None:
        self._network = ground.network
        self._store = ground.store
        self._clock = ground.clock
        self._persist = ground.persist
        self._changed: dict[AccountId, dict[RemoteUserId, Presence]] = {}

    def load(self) -> Iterable[presence.Saved]:
        """What was saved last."""
        return presence.of_network(self._store.reader, self._network)

    def recent_chats(self) -> Iterable[tuple[AccountId, RemoteUserId, int]]:
        """Each chat, with a number that is larger the later something was said in it."""
        return presence.recent_chats(self._store.reader, self._network)

    def changed(self, account: AccountId, contact: RemoteUserId, state: Presence) -> None:
        """To be saved with the next snapshot."""
        self._changed.setdefault(account, {})[contact] = state

    def forget(self, account: AccountId) -> None:
        """The account was removed."""
        self._changed.pop(account, None)

    async def run(self) -> None:
        """Save for ever."""
        while True:
            await self._clock.sleep(_EACH_S)
            self.save()

    def save(self) -> None:
        """Queue what changed for the writer. A full disk holds nobody up: it is tried again."""
        changed, self._changed = self._changed, {}
        rows = [
            (account, contact, state)
            for account, states in changed.items()
            for contact, state in states.items()
        ]
        for start in range(0, len(rows), _UNIT):
            self._write(rows[start : start + _UNIT])

    def _write(self, rows: list[presence.Saved]) -> None:
        def unit(db: Transaction) -> None:
            presence.save(db, rows)

        self._persist.write(unit)
