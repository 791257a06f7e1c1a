# SPDX-License-Identifier: Apache-2.0
"""Who is banned from rooms (REQ-546): the network alone knows all of them, and clients ask at each
join. So what it has answered is kept, until it tells that somebody was banned or may come again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gateway.adapter import Clock
from gateway.bridge.accounts import Account
from gateway.bridge.rooms.management import Management
from gateway.ids import RemoteUserId, RoomId
from gateway.store.rooms import RoomRow

_KEPT_S = 3_600.0
"""What the network has left out is not seen for so long."""
_MOST = 1_000
"""Of a list: clients do not ask for it in pages."""
_MOST_LISTS = 100


@dataclass(slots=True)
class _List:
    asked_at: float
    """Monotonic."""
    users: Sequence[RemoteUserId] | None = None
    """None: the network has not answered yet."""


class Outcasts:
    """Of the rooms of one network."""

    def __init__(self, management: Management, clock: Clock) -> None:
        self._management = management
        self._clock = clock
        self._lists: dict[RoomId, _List] = {}

    async def of(self, account: Account, room: RoomRow) -> Sequence[RemoteUserId]:
        """Who may not come into a room, as far as they are listed. Raises any `AdapterError`."""
        now = self._clock.monotonic()
        known = self._lists.pop(room.id, None)
        if known is not None and known.users is not None and now - known.asked_at < _KEPT_S:
            self._lists[room.id] = known
            return known.users
        asked = self._lists[room.id] = _List(now)
        if len(self._lists) > _MOST_LISTS:
            del self._lists[next(iter(self._lists))]
        asked.users = users = (await self._management.banned(account, room.remote_id))[:_MOST]
        return users

    def changed(self, rooms: Iterable[RoomId]) -> None:
        """Those of these rooms are others now. An answer that is under way is not kept."""
        for room in rooms:
            self._lists.pop(room, None)
