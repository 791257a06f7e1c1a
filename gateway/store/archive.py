# SPDX-License-Identifier: Apache-2.0
"""What was said in rooms, each at a place of its own in an order that never changes.

What is committed comes after all that is there. What is fetched later, because it was said before,
has places of its own before that, or in the middle of it (see `gateway.store.places`).
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gateway.events import RoomMessage
from gateway.ids import AccountId, RemoteUserId, RoomId, StanzaId
from gateway.store.journal import payload
from gateway.store.sharing import DUE, takes
from gateway.store.writer import Connection, Transaction


class Level(enum.IntEnum):
    """Who wants to hear of something."""

    SAID = 0
    """Somebody has said it, or it is about what is missing: everybody."""
    IMPORTANT = 1
    OTHER = 2
    AWAITED = 3
    """Nobody, nor of what comes after it: a file is on its way (see `gateway.store.awaited`)."""
    LATE = 4
    """Nobody until it has another place; what comes after it goes ahead."""


@dataclass(frozen=True, slots=True)
class Archived:
    """Something that was said."""

    id: int
    """Its place in the order of the archive."""
    sender: RemoteUserId
    message: RoomMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which part of an archive is wanted."""

    after: int | None = None
    """A place; what is wanted comes after it,"""
    before: int | None = None
    """and before this one."""
    start: float | None = None
    end: float | None = None
    """Seconds since the epoch, of when it was sent."""
    sender: RemoteUserId | None = None
    most: int
    reader: AccountId | None = None
    """Of a shared room: only what this account may read."""
    newest: bool = False
    """The last of them, not the first."""
    up_to: Level = Level.OTHER
    """Nothing that is less important."""


def keep(
    db: Transaction,
    room: RoomId,
    sender: RemoteUserId,
    message: RoomMessage,
    now: float,
    text_of: int | None = None,
    *,
    for_later: bool = False,
    came_at: float | None = None,
    place: int | None = None,
    level: Level = Level.SAID,
) -> bool:
    """Keep what was said. False if it is there already. ``text_of``: the message whose text it is,
    be it the first one or an edit. ``for_later``: also for who comes into the room later.
    ``came_at``: when it came, if it could not be read then. ``place``: where it belongs, if that
    is not the end; then see `level`."""
    made = db.execute(
        "INSERT OR IGNORE INTO archived"
        " (id, room, archive_id, sender, sent_at, stored_at, payload, message, for_later, came_at,"
        f" fetched, level)"
        f" VALUES (?, ?, ?, ?, ?, {_GROWS if place is None else '?'}, ?, ?, ?, ?, ?, ?)",
        (
            place,
            room,
            message.archive_id,
            sender,
            message.sent_at,
            *((now, room) if place is None else (message.sent_at,)),
            payload.encode(message),
            text_of,
            for_later and place is None,  # what is past is for the account that has fetched it
            came_at,
            place is not None,
            level,
        ),
    )
    return made.rowcount == 1


_GROWS = (
    "max(?, coalesce("
    "(SELECT stored_at FROM archived WHERE room = ? ORDER BY stored_at DESC LIMIT 1), 0))"
)


def is_fetched(db: Connection, said: Archived) -> bool:
    """Whether it comes from the network's history: no session was ever told of it."""
    found = db.execute("SELECT 1 FROM archived WHERE id = ? AND fetched", (said.id,))
    return found.fetchone() is not None


def place_of(db: Connection, room: RoomId, archive_ids: Iterable[StanzaId]) -> int | None:
    """Where the last of these is, if any of them is there."""
    found = (
        db.execute(
            "SELECT id FROM archived WHERE room = ? AND archive_id = ?", (room, archive_id)
        ).fetchone()
        for archive_id in archive_ids
    )
    return max((int(row[0]) for row in found if row is not None), default=None)


def oldest(db: Connection, room: RoomId, reader: AccountId | None) -> int:
    """The place of the first of all; 0 if there is nothing. ``reader``: as in `Wanted`."""
    found = read(db, room, Wanted(most=1, reader=reader))
    return found[0].id if found else 0


def begun_at(db: Connection, room: RoomId, after: int) -> float | None:
    """When the first after this place was stored: what is fetched before that, was said before."""
    found = db.execute(
        "SELECT stored_at FROM archived WHERE room = ? AND id > ? ORDER BY id LIMIT 1",
        (room, after),
    ).fetchone()
    return None if found is None else float(found[0])


def level(db: Transaction, room: RoomId, after: int, up_to: int) -> None:
    """After something was placed between these: nothing is sent after it is stored, and times of
    storing grow with the places. So what was said first counts as stored when it was sent, but
    not before what is said to be older."""
    before = db.execute(
        "SELECT stored_at FROM archived WHERE room = ? AND id <= ? ORDER BY id DESC LIMIT 1",
        (room, after),
    ).fetchone()
    latest = float(before[0]) if before else 0.0
    found = db.execute(
        "SELECT id, stored_at FROM archived WHERE room = ? AND id > ? AND id <= ? ORDER BY id",
        (room, after, up_to),
    )
    for place, stored_at in found.fetchall():
        if stored_at < latest:
            db.execute("UPDATE archived SET stored_at = ? WHERE id = ?", (latest, place))
        latest = max(latest, stored_at)


def rewrite(db: Transaction, room: RoomId, message: RoomMessage) -> None:
    """Something in the archive is known better now. It keeps its ids and its place."""
    db.execute(
        "UPDATE archived SET payload = ? WHERE room = ? AND archive_id = ?",
        (payload.encode(message), room, message.archive_id),
    )


def newest(db: Connection, room: RoomId) -> int:
    """The place of what was said last; 0 if nothing was."""
    (newest,) = db.execute(
        "SELECT coalesce(max(id), 0) FROM archived WHERE room = ?", (room,)
    ).fetchone()
    return int(newest)


def read(db: Connection, room: RoomId, wanted: Wanted) -> list[Archived]:
    """A part of the archive, in its order."""
    found = _conditions(db, room, wanted)
    if found is None:
        return []
    conditions, values = found
    said = db.execute(
        f"SELECT id, sender, payload FROM archived WHERE {conditions}"
        f" ORDER BY id {'DESC' if wanted.newest else 'ASC'} LIMIT ?",
        (*values, wanted.most),
    )
    kept = list(decoded(said))
    return kept[::-1] if wanted.newest else kept


def count(db: Connection, room: RoomId, wanted: Wanted) -> int:
    """How many there are in this part of the archive, but no more than are wanted."""
    found = _conditions(db, room, wanted)
    if found is None:
        return 0
    conditions, values = found
    said = db.execute(f"SELECT 1 FROM archived WHERE {conditions} LIMIT ?", (*values, wanted.most))
    return len(said.fetchall())


def _conditions(db: Connection, room: RoomId, wanted: Wanted) -> tuple[str, list[object]] | None:
    """In SQL, and their values. None if nothing fulfils them."""
    after = wanted.after
    if wanted.start is not None:
        # Nothing is sent after it is stored, and the times of storing grow with the places.
        first = db.execute(
            "SELECT id FROM archived WHERE room = ? AND stored_at >= ?"
            " ORDER BY stored_at, id LIMIT 1",
            (room, wanted.start),
        ).fetchone()
        if first is None:
            return None
        after = first[0] - 1 if after is None else max(after, first[0] - 1)
    conditions = ["room = ?"]
    values: list[object] = [room]
    for condition, value in (
        ("id > ?", after),
        ("id < ?", wanted.before),
        ("sender = ?", wanted.sender),
        ("sent_at >= ?", wanted.start),
        ("sent_at <= ?", wanted.end),
        ("level <= ?", wanted.up_to),
        ("id < ?", _first_awaited(db, room)),
    ):
        if value is not None:
            conditions.append(condition)
            values.append(value)
    if wanted.reader is not None:
        conditions.append(DUE)
        values += takes(wanted.reader)
    return " AND ".join(conditions), values


def _first_awaited(db: Connection, room: RoomId) -> int | None:
    # By itself SQLite looks through the whole room: the index that has all of it covers the query.
    (place,) = db.execute(
        "SELECT min(id) FROM archived INDEXED BY archived_awaited"
        " WHERE room = ? AND level >= 3 AND level = 3",
        (room,),
    ).fetchone()
    return None if place is None else int(place)


def get(
    db: Connection,
    room: RoomId,
    archive_id: StanzaId,
    reader: AccountId | None = None,
    up_to: Level = Level.LATE,
) -> Archived | None:
    """One message, by the room's own id of it. ``reader``, ``up_to``: as in `Wanted`, but that
    what is not told yet is found."""
    may_read, readers = ("", ()) if reader is None else (f" AND {DUE}", takes(reader))
    found = db.execute(
        "SELECT id, sender, payload FROM archived"
        f" WHERE room = ? AND archive_id = ? AND level <= ?{may_read}",
        (room, archive_id, up_to, *readers),
    )
    return next(decoded(found), None)


def decoded(found: Iterable[tuple[int, RemoteUserId, bytes]]) -> Iterator[Archived]:
    """Of place, sender and payload. What this version cannot read is left out."""
    for place, sender, encoded in found:
        message = payload.delivery(encoded)
        if isinstance(message, RoomMessage):
            yield Archived(place, sender, message)
