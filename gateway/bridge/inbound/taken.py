# SPDX-License-Identifier: Apache-2.0
"""What the servers of users who may be gone have taken all the same (REQ-461): then the users are
there, and what is refused is refused for what it is."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.adapter import Clock
from gateway.events import ChatMessage, GatewayNotice, Notice
from gateway.ids import RowId, UserJid
from gateway.store.journal import InboundRow

_COMES_BACK_S = 60.0
"""What was taken may come back that much later."""
_LASTS_S = 2 * 3600.0
_MOST = 100
"""Of one user."""
_ANSWERED = (ChatMessage, GatewayNotice, Notice)
"""No server takes these in silence for whom it does not know."""


class Taken:
    """By the servers of the users who are watched; nearly always of nobody."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._written: dict[UserJid, set[RowId]] = {}
        self._taken: dict[UserJid, dict[RowId, float]] = {}

    def watch(self, user: UserJid) -> None:
        """They may be gone."""
        self._written[user] = set()
        self._taken.setdefault(user, {})

    def forget(self, user: UserJid) -> None:
        """They are there."""
        self._written.pop(user, None)
        self._taken.pop(user, None)

    def written(self, row: InboundRow) -> None:
        """It is on its way."""
        written, told = self._written.get(row.user), row.delivery
        if written is None or not isinstance(told, _ANSWERED):
            return
        if getattr(told, "through", None) is None and len(written) < _MOST:
            written.add(row.id)

    def settled(self, rows: Iterable[InboundRow]) -> None:
        """These servers have them, as far as is known."""
        now = self._clock.monotonic()
        for row in rows:
            if row.id not in self._written.get(row.user, ()):
                continue
            self._written[row.user].discard(row.id)
            taken = self._taken[row.user]
            for old in [old for old, at in taken.items() if now - at > _LASTS_S]:
                del taken[old]
            if len(taken) < _MOST:
                taken[row.id] = now

    def refused(self, row: InboundRow) -> None:
        """It came back, before or after."""
        self._written.get(row.user, set()).discard(row.id)
        self._taken.get(row.user, {}).pop(row.id, None)

    def is_any(self, user: UserJid) -> bool:
        """Whether they have taken something of late that has not come back."""
        now = self._clock.monotonic()
        return any(
            _COMES_BACK_S <= now - at <= _LASTS_S for at in self._taken.get(user, {}).values()
        )
