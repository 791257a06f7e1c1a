# SPDX-License-Identifier: Apache-2.0
"""What was said in rooms and is told later than what comes after it: files that are on their way,
and what is said about these. The archive has it, for whoever edits it or takes it back, and shows
it to nobody until its place is certain."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gateway.events import RoomMessage
from gateway.ids import ConversationId, NetworkName, RemoteMessageId, RoomId, StanzaId
from gateway.store import sharing
from gateway.store.archive import Level
from gateway.store.journal import payload
from gateway.store.writer import Connection, Transaction

_AWAITED = "archived INDEXED BY archived_awaited"
"""By itself SQLite takes the index of the whole room, which has all that is asked for."""


@dataclass(frozen=True, slots=True)
class Awaited:
    """Something that is not told yet."""

    place: int
    level: Level
    """`Level.AWAITED` as long as what comes after it waits for it, `Level.LATE` from then on."""
    message: RoomMessage
    remote_id: RemoteMessageId | None
    """Of the message whose text it is."""


def are_any(db: Connection, room: RoomId) -> bool:
    """Whether anything is on its way to a room."""
    found = db.execute(f"SELECT 1 FROM {_AWAITED} WHERE room = ? AND level >= 3 LIMIT 1", (room,))
    return found.fetchone() is not None


def waits(db: Connection, room: RoomId, archive_id: StanzaId) -> bool:
    """Whether this is not told yet."""
    found = db.execute(
        "SELECT 1 FROM archived WHERE room = ? AND archive_id = ? AND level >= 3",
        (room, archive_id),
    )
    return found.fetchone() is not None


def is_late(db: Connection, room: RoomId, archive_id: StanzaId) -> bool:
    """Whether this is not told yet, and what comes after it goes ahead."""
    found = db.execute(
        "SELECT 1 FROM archived WHERE room = ? AND archive_id = ? AND level = ?",
        (room, archive_id, Level.LATE),
    )
    return found.fetchone() is not None


def is_part(db: Connection, room: RoomId, message: int | None) -> bool:
    """Whether another part of a message is not told yet."""
    found = db.execute(
        "SELECT 1 FROM message AS part JOIN message AS other"
        " ON other.conversation = part.conversation AND other.remote_id = part.remote_id"
        " JOIN archived ON archived.message = other.id"
        " WHERE part.id = ? AND archived.room = ? AND archived.level >= 3 LIMIT 1",
        (message, room),
    )
    return found.fetchone() is not None


def of(db: Connection, room: RoomId) -> Iterator[Awaited]:
    """All of it, in its order; no more is read than is asked for."""
    found = db.execute(
        "SELECT archived.id, archived.level, archived.payload, message.remote_id"
        f" FROM {_AWAITED} LEFT JOIN message ON message.id = archived.message"
        " WHERE archived.room = ? AND archived.level >= 3 ORDER BY archived.id",
        (room,),
    )
    for place, level, encoded, remote_id in found:
        said = payload.delivery(encoded)
        if isinstance(said, RoomMessage):
            yield Awaited(place, Level(level), said, remote_id)


def rooms(db: Connection, network: NetworkName) -> list[tuple[RoomId, ConversationId]]:
    """Where there is any."""
    found = db.execute(
        "SELECT DISTINCT room.id, conversation.id"
        f" FROM {_AWAITED} CROSS JOIN room ON room.id = archived.room"
        " JOIN conversation ON conversation.room = room.id"
        " WHERE archived.level >= 3 AND room.network = ?",
        (network,),
    )
    return [(RoomId(room), ConversationId(conversation)) for room, conversation in found]


def show(db: Transaction, room: RoomId) -> None:
    """All of it may be read from now on."""
    db.execute(
        f"UPDATE {_AWAITED} SET level = ? WHERE room = ? AND level >= 3", (Level.SAID, room)
    )


def set_level(db: Transaction, place: int, level: Level) -> None:
    """Who may read it from now on."""
    db.execute("UPDATE archived SET level = ? WHERE id = ?", (level, place))


def move(db: Transaction, room: RoomId, awaited: Awaited, said: RoomMessage, now: float) -> None:
    """It is told now, after all that was said until now, and has its place there. It is for those
    whom it was for when it came."""
    readers = sharing.entitled(db, room, awaited.place)
    db.execute("DELETE FROM due WHERE place = ?", (awaited.place,))
    db.execute("UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = 'archived'")
    (place,) = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'archived'").fetchone()
    db.execute(
        "UPDATE archived SET id = ?, level = ?, payload = ?, sent_at = ?,"
        " came_at = coalesce(came_at, stored_at), stored_at = max(?,"
        " (SELECT stored_at FROM archived WHERE room = ? ORDER BY stored_at DESC LIMIT 1))"
        " WHERE id = ?",
        (place, Level.SAID, payload.encode(said), said.sent_at, now, room, awaited.place),
    )
    db.executemany("INSERT INTO due VALUES (?, ?)", [(account, place) for account in readers])


def readers(db: Connection, room: RoomId, archive_id: StanzaId) -> tuple[str, ...]:
    """The sessions in a shared room whose accounts may read something."""
    found = db.execute(
        "SELECT occupant.jid FROM occupant WHERE occupant.room = ? AND EXISTS (SELECT 1"
        " FROM archived WHERE archived.room = ? AND archived.archive_id = ?"
        f" AND {sharing.DUE_TO_OCCUPANT})",
        (room, room, archive_id),
    )
    return tuple(jid for (jid,) in found)
