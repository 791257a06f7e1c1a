# SPDX-License-Identifier: Apache-2.0
"""Who asks to be let into a room: from events to what waits, and to what those users are told who
may let them in.

Runs inside the writer's transaction, as `gateway.bridge.rooms.intake`.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.bridge.inbound.rows import Committed
from gateway.bridge.rooms.room_rows import RoomRows
from gateway.bridge.rooms.rooms import allows
from gateway.bridge.splitting import brief, one_line
from gateway.events import (
    GatewayNotice,
    RemoteRoomKnock,
    RemoteRoomKnockGone,
    RoomKnock,
    RoomRight,
)
from gateway.store import Transaction, conversations, knocks, members
from gateway.store.conversations import GATEWAY
from gateway.store.rooms import RoomRow
from gateway.text.wording import tr

_TOO_MANY = tr(
    "{most} people ask to be let into your groups. You are not told of more "
    "before you have answered some of them: please send “knocks”.",
    most=knocks.MOST,
)


@dataclass(frozen=True, slots=True)
class KnockIntake:
    """Of one account."""

    room_rows: RoomRows

    def apply(
        self,
        db: Transaction,
        room: RoomRow,
        event: RemoteRoomKnock | RemoteRoomKnockGone,
        now: float,
        out: Committed,
    ) -> None:
        """Somebody asks, or no longer."""
        if isinstance(event, RemoteRoomKnock):
            self._knocked(db, room, event, now, out)
        else:
            knocks.drop(db, self.room_rows.rows.account, room.id, event.user)

    def _knocked(
        self, db: Transaction, room: RoomRow, event: RemoteRoomKnock, now: float, out: Committed
    ) -> None:
        """The user is told, once, if they may let them in."""
        rows, own = self.room_rows.rows, self.room_rows.own
        me = members.find(db, room.id, own)
        if not allows(room, me, RoomRight.INVITE) or members.find(db, room.id, event.user):
            return
        is_full = knocks.count(db, rows.account) >= knocks.MOST
        if is_full and not knocks.has(db, rows.account, room.id, event.user):
            self._tell_too_many(db, now, out)
            return
        name = one_line(event.name)
        if not knocks.put(db, rows.account, room.id, event.user, event.id, name, now):
            return
        rows.addresses.assign(db, event.user)
        sid = rows.id("room", room.remote_id, "knock", event.user, event.id)
        told = RoomKnock(
            id=sid,
            room=room.remote_id,
            room_name=room.name,
            user=event.user,
            name=name,
            reason=brief(event.reason),
        )
        rows.add(db, GATEWAY, sid, told, now, out)

    def _tell_too_many(self, db: Transaction, now: float, out: Committed) -> None:
        rows = self.room_rows.rows
        if conversations.tell_once(db, rows.chat(db, GATEWAY), "knocks", until_pruned_at=now):
            sid = rows.id("knocks", str(now))
            rows.add(db, GATEWAY, sid, GatewayNotice(id=sid, text=_TOO_MANY), now, out)

    def listed(self, db: Transaction, room: RoomRow) -> None:
        """Whoever is in it has been answered."""
        knocks.drop_members(db, self.room_rows.rows.account, room.id)
