# SPDX-License-Identifier: Apache-2.0
"""Who has read a room how far (REQ-570, REQ-571). Marks only move forward, and none is archived.

Runs inside the writer's transaction, as `gateway.bridge.rooms.intake`.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.bridge.inbound.rows import Committed
from gateway.bridge.rooms import crowd
from gateway.bridge.rooms.room_rows import RoomRows
from gateway.events import RemoteRoomRead, RoomDisplayed
from gateway.ids import RemoteUserId
from gateway.store import Transaction, conversations, members, rooms, sharing, texts
from gateway.store.rooms import RoomRow

_MOST_READERS = 50
"""Members of a group in which it is told what others have read."""


@dataclass(frozen=True, slots=True)
class Reading:
    """In the rooms of one account."""

    room_rows: RoomRows

    def read(
        self, db: Transaction, room: RoomRow, event: RemoteRoomRead, now: float, out: Committed
    ) -> None:
        """Somebody has, perhaps the user with another client."""
        is_own = event.reader == self.room_rows.own
        if not is_own and not self._is_of_interest(db, room, event.reader):
            return
        seen = conversations.by_remote_id(db, room.conversation, event.up_to)
        newest = None if seen is None else texts.last_message(db, room.id, seen.id)
        if newest is None:
            return
        account = self.room_rows.rows.account
        if is_own and not rooms.advance_read(db, room.id, account, newest):
            return
        to = (
            rooms.sessions(db, room.id, account)
            if is_own
            else sharing.hearers(db, room.id, account, event.reader)
        )
        self.tell(db, room, event.reader, newest, to, now, out, is_elsewhere=is_own)

    def _is_of_interest(self, db: Transaction, room: RoomRow, reader: RemoteUserId) -> bool:
        return (
            room.private
            and members.find(db, room.id, reader) is not None
            and members.count(db, room.id) <= _MOST_READERS
        )

    def tell(
        self,
        db: Transaction,
        room: RoomRow,
        reader: RemoteUserId,
        message: int,
        to: tuple[str, ...],
        now: float,
        out: Committed,
        *,
        is_elsewhere: bool = False,
    ) -> None:
        """These sessions, and the user's clients that are in no room."""
        text = texts.first(db, room.id, message)
        if text is None:
            return
        mark = RoomDisplayed(
            id=self.room_rows.id(room, "displayed", reader, message),
            **self.room_rows.speaker(db, room, reader),
            message=text.message.archive_id,
            to=to,
            is_elsewhere=is_elsewhere,
        )
        if to and not is_elsewhere:
            crowd.tell_of(db, self.room_rows.rows.network, room, reader, now, out)
        say = self.room_rows.add if is_elsewhere else self.room_rows.tell
        say(db, room, mark.id, mark, now, out)
