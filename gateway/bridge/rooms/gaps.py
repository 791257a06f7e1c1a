# SPDX-License-Identifier: Apache-2.0
"""What of a room was not told to an account, and belongs in the middle of the archive (REQ-583).

It is fetched when somebody pages across it (`gateway.bridge.rooms.history`). Runs inside the
writer's transaction, as `gateway.bridge.rooms.intake`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from gateway.bridge.inbound.rows import Committed
from gateway.bridge.rooms.known import Known
from gateway.bridge.rooms.lines import Lines, not_fetched
from gateway.bridge.rooms.room_rows import RoomRows
from gateway.events import RemoteRoomGap, RemoteRoomMessage
from gateway.ids import AccountId, RemoteUserId
from gateway.store import Transaction, archive, gaps, sharing
from gateway.store.rooms import RoomRow
from gateway.text.wording import tr, trn


def _not_fetched_yet(about: int | None) -> str:
    if about is None:
        return tr(
            "earlier messages were not fetched yet. They come when your app looks further back."
        )
    return trn(
        "about {count} earlier message was not fetched yet. It comes when your app looks further "
        "back.",
        "about {count} earlier messages were not fetched yet. They come when your app looks "
        "further back.",
        about,
    )


@dataclass(frozen=True, slots=True)
class Gaps:
    """In the rooms of one account."""

    room_rows: RoomRows
    known: Known
    lines: Lines
    are_fetched: bool
    """The network tells what was said before."""

    def named(
        self,
        db: Transaction,
        room: RoomRow,
        event: RemoteRoomGap,
        now: float,
        out: Committed,
        *,
        is_said: bool,
    ) -> None:
        """The network has not told what was said before this event."""
        if self.are_fetched:
            self._find(db, room, event, now)
        if is_said:
            text = _not_fetched_yet(event.about) if self.are_fetched else not_fetched(event.about)
            self.lines.line(db, room, f"gap {event.id}", text, now, out)

    def _find(self, db: Transaction, room: RoomRow, event: RemoteRoomGap, now: float) -> None:
        account = self.room_rows.rows.account
        if gaps.is_named(db, room.id, account, event.id):
            return
        following = RemoteRoomMessage(
            room=event.room, sender=RemoteUserId(""), id=event.id, body="", sent_at=now
        )
        place = self.known.place(db, room, following)
        # Another session may have been here before: it has the same gap, or has told all.
        found = (
            gaps.reserve(db, room.conversation, now)
            if place is None
            else gaps.before(db, room.id, place)
        )
        if found is not None:
            gaps.put(db, room.id, account, replace(found, known=event.id))

    def came_back(self, db: Transaction, room: RoomRow, account: AccountId, now: float) -> None:
        """An account is in a room again. What was said meanwhile it was not told."""
        if not self.are_fetched:
            return
        floor = (
            sharing.last_stay(db, room.id, account)
            if room.is_shared
            else archive.newest(db, room.id)
        )
        if floor is not None and floor > 0:
            found = gaps.reserve(db, room.conversation, now)
            gaps.put(db, room.id, account, replace(found, floor=floor))
