# SPDX-License-Identifier: Apache-2.0
"""Topics of rooms: each change is told, and archived, as the subject of who has made it (REQ-582).

Runs inside the writer's transaction, as `gateway.bridge.rooms.intake`.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.bridge.inbound.rows import Committed
from gateway.bridge.rooms.occupant_ids import occupant_id
from gateway.bridge.rooms.room_rows import THE_ROOM, RoomRows
from gateway.bridge.splitting import brief
from gateway.events import RoomMessage
from gateway.ids import RemoteUserId, StanzaId
from gateway.store import Transaction
from gateway.store.rooms import RoomRow

_CHARS = 2_000


def topic(said: str) -> str:
    """As it is kept."""
    return brief(said, _CHARS)


def archive_id(room_rows: RoomRows, room: RoomRow, topic: str, at: float) -> StanzaId:
    """By which the archive knows the change to a topic."""
    return room_rows.id(room, "archive", "subject", topic, str(at))


@dataclass(frozen=True, slots=True)
class Topics:
    """Of the rooms of one account."""

    room_rows: RoomRows

    def changed(
        self,
        db: Transaction,
        room: RoomRow,
        topic: str,
        by: RemoteUserId | None,
        at: float,
        now: float,
        out: Committed,
    ) -> None:
        """Somebody has given a room this topic, which may be empty."""
        said = RoomMessage(
            id=self.room_rows.id(room, "subject", topic, str(at)),
            archive_id=archive_id(self.room_rows, room, topic, at),
            nick=self.room_rows.called(db, room, by) if by else "",
            occupant=occupant_id(room.secret, by) if by else "",
            body="",
            subject=topic,
            sent_at=at,
        )
        self.room_rows.say(db, room, by or THE_ROOM, said, now, out)
