# SPDX-License-Identifier: Apache-2.0
"""What was fetched of a room's past and is about something further back, until that is fetched."""

from __future__ import annotations

from gateway.events import RemoteRoomEvent
from gateway.ids import AccountId, RemoteMessageId, RoomId
from gateway.store.journal import payload
from gateway.store.writer import Transaction


def wait(
    db: Transaction,
    room: RoomId,
    account: AccountId,
    place: int,
    target: RemoteMessageId,
    event: RemoteRoomEvent,
) -> None:
    """What an account was told about a message that it was not told yet."""
    db.execute(
        "INSERT INTO early VALUES (?, ?, ?, ?, ?)",
        (place, room, account, target, payload.encode(event)),
    )


def take(
    db: Transaction, room: RoomId, account: AccountId, target: RemoteMessageId | None = None
) -> list[RemoteRoomEvent]:
    """What waited for this message, in its order; all that waits if it is None. It waits no
    more."""
    about, which = ("", ()) if target is None else (" AND target = ?", (target,))
    found = db.execute(
        f"DELETE FROM early WHERE room = ? AND account = ?{about} RETURNING place, payload",
        (room, account, *which),
    ).fetchall()
    events = (payload.room_event(encoded) for _, encoded in sorted(found))
    return [event for event in events if event is not None]
