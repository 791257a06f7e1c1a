# SPDX-License-Identifier: Apache-2.0
"""Who types at the moment. Matrix spec, client-server API, "Typing notifications"."""

from __future__ import annotations

from collections.abc import Callable

from adapters.matrix.rooms import RoomId
from gateway.ids import RemoteRoomId, RemoteUserId


class Typists:
    """Tells changes only. A contact types if they type in any of their rooms."""

    def __init__(self, tell: Callable[[RemoteUserId, bool], None]) -> None:
        self._tell = tell
        self._rooms: dict[RemoteUserId, set[RoomId]] = {}

    def note(self, room_id: RoomId, contact: RemoteUserId, active: bool) -> None:
        """What a room says of its contact."""
        rooms = self._rooms.get(contact, set())
        was_active = bool(rooms)
        rooms = rooms | {room_id} if active else rooms - {room_id}
        if rooms:
            self._rooms[contact] = rooms
        else:
            self._rooms.pop(contact, None)
        if bool(rooms) != was_active:
            self._tell(contact, bool(rooms))

    def forget(self) -> None:
        """The connection is gone: nobody is known to type."""
        while self._rooms:
            contact, _ = self._rooms.popitem()
            self._tell(contact, False)


class GroupTypists:
    """The same of groups, where several may type."""

    def __init__(self, tell: Callable[[RemoteRoomId, RemoteUserId, bool], None]) -> None:
        self._tell = tell
        self._rooms: dict[RoomId, frozenset[RemoteUserId]] = {}

    def note(self, room_id: RoomId, typists: frozenset[RemoteUserId]) -> None:
        """All that type in a group now."""
        before = self._rooms.pop(room_id, frozenset())
        if typists:
            self._rooms[room_id] = typists
        for user_id in before ^ typists:
            self._tell(RemoteRoomId(room_id), user_id, user_id in typists)

    def forget(self) -> None:
        """The connection is gone."""
        for room_id in list(self._rooms):
            self.note(room_id, frozenset())
