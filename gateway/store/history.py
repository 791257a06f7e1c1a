# SPDX-License-Identifier: Apache-2.0
"""How far back the network's own history of a room was fetched, and what waits for the rest."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.events import RemoteRoomEvent
from gateway.ids import ConversationId, RemoteMessageId, RoomId
from gateway.store.journal import payload
from gateway.store.writer import Connection, Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """Of one room."""

    cursor: str | None = None
    """The adapter's: what comes next is before it. None before the first page."""
    count: int = 0
    """Events that were fetched."""
    is_over: bool = False
    """Nothing more will be fetched."""


def of_room(db: Connection, room: RoomId) -> Fetched:
    """How far back it was fetched."""
    found = db.execute(
        "SELECT cursor, fetched, over FROM history WHERE room = ?", (room,)
    ).fetchone()
    if found is None:
        return Fetched()
    cursor, count, is_over = found
    return Fetched(cursor=cursor, count=count, is_over=bool(is_over))


def put(db: Transaction, room: RoomId, fetched: Fetched) -> None:
    """It was fetched as far as this."""
    db.execute(
        "INSERT OR REPLACE INTO history VALUES (?, ?, ?, ?)",
        (room, fetched.cursor, fetched.count, fetched.is_over),
    )


def oldest(db: Connection, conversation: ConversationId) -> RemoteMessageId | None:
    """The network's id of the oldest message that is known."""
    found = db.execute(
        "SELECT remote_id FROM message WHERE conversation = ? AND remote_id IS NOT NULL"
        " ORDER BY id LIMIT 1",
        (conversation,),
    ).fetchone()
    return None if found is None else RemoteMessageId(found[0])


def wait(
    db: Transaction, room: RoomId, place: int, target: RemoteMessageId, event: RemoteRoomEvent
) -> None:
    """What is said about a message that is further back."""
    db.execute(
        "INSERT INTO early VALUES (?, ?, ?, ?)", (place, room, target, payload.encode(event))
    )


def take(
    db: Transaction, room: RoomId, target: RemoteMessageId | None = None
) -> list[tuple[int, RemoteRoomEvent]]:
    """What waited for this message, in its order; all that waits if it is None. It waits no
    more."""
    found = db.execute(
        "DELETE FROM early WHERE room = ? RETURNING place, payload"
        if target is None
        else "DELETE FROM early WHERE room = ? AND target = ? RETURNING place, payload",
        (room,) if target is None else (room, target),
    ).fetchall()
    events = ((place, payload.room_event(encoded)) for place, encoded in sorted(found))
    return [(place, event) for place, event in events if event is not None]
