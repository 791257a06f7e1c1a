# SPDX-License-Identifier: Apache-2.0
"""Rows of what was said in the past: kept at places of their own, and told to nobody."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.bridge.inbound.rows import Committed
from gateway.bridge.rooms.room_rows import RoomRows
from gateway.events import RoomDelivery, RoomInvitation, RoomMessage
from gateway.ids import RemoteUserId, StanzaId
from gateway.store import Transaction, sharing
from gateway.store.archive import Level
from gateway.store.places import Places
from gateway.store.rooms import RoomRow


@dataclass(frozen=True, slots=True)
class PastRows(RoomRows):
    """Nothing is told, and nobody becomes an occupant by it. In a shared room it is for the
    account that has fetched it."""

    places: Places

    @property
    def is_past(self) -> bool:
        return True

    def place(self) -> int:
        return self.places.next()

    def say(
        self,
        db: Transaction,
        room: RoomRow,
        sender: RemoteUserId,
        said: RoomMessage,
        now: float,
        out: Committed,
        text_of: int | None = None,
        *,
        came_at: float | None = None,
        level: Level = Level.SAID,
    ) -> None:
        self.keep(db, room, sender, said, now, text_of, level=level)
        if room.is_shared:
            sharing.owe(db, room.id, self.rows.account, said.archive_id)

    def told_again(
        self, db: Transaction, room: RoomRow, archive_id: StanzaId, came_at: float | None = None
    ) -> None:
        """That says nothing of when the account came in."""

    def told_late(self, db: Transaction, room: RoomRow, came_at: float | None) -> None:
        """Nor does that."""

    def add(
        self,
        db: Transaction,
        room: RoomRow,
        sid: StanzaId,
        told: RoomDelivery | RoomInvitation,
        now: float,
        out: Committed,
    ) -> None:
        pass
