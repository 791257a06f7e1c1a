# SPDX-License-Identifier: Apache-2.0
"""What was said in rooms, in the order in which it was committed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gateway.events import RoomMessage
from gateway.ids import AccountId, RemoteUserId, RoomId, StanzaId
from gateway.store.journal import payload
from gateway.store.sharing import DUE
from gateway.store.writer import Connection, Transaction


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

    after: int = 0
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
) -> bool:
    """Keep what was said. False if it is there already. ``text_of``: the message whose text it is,
    be it the first one or an edit. ``for_later``: also for who comes into the room later.
    ``came_at``: when it came, if it could not be read then."""
    made = db.execute(
        "INSERT OR IGNORE INTO archived"
        " (room, archive_id, sender, sent_at, stored_at, payload, message, for_later, came_at)"
        " VALUES (?, ?, ?, ?, max(?, coalesce("
        "(SELECT stored_at FROM archived WHERE room = ? ORDER BY stored_at DESC LIMIT 1), 0)), ?,"
        " ?, ?, ?)",
        (
            room,
            message.archive_id,
            sender,
            message.sent_at,
            now,
            room,
            payload.encode(message),
            text_of,
            for_later,
            came_at,
        ),
    )
    return made.rowcount == 1


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
    after = wanted.after
    if wanted.start is not None:
        # Nothing is sent after it is stored, and the times of storing grow with the places.
        first = db.execute(
            "SELECT id FROM archived WHERE room = ? AND stored_at >= ?"
            " ORDER BY stored_at, id LIMIT 1",
            (room, wanted.start),
        ).fetchone()
        if first is None:
            return []
        after = max(after, first[0] - 1)
    conditions = ["room = ?", "id > ?"]
    values: list[object] = [room, after]
    for condition, value in (
        ("id < ?", wanted.before),
        ("sender = ?", wanted.sender),
        ("sent_at >= ?", wanted.start),
        ("sent_at <= ?", wanted.end),
    ):
        if value is not None:
            conditions.append(condition)
            values.append(value)
    if wanted.reader is not None:
        conditions.append(DUE)
        values += [wanted.reader] * 3
    found = db.execute(
        f"SELECT id, sender, payload FROM archived WHERE {' AND '.join(conditions)}"
        f" ORDER BY id {'DESC' if wanted.newest else 'ASC'} LIMIT ?",
        (*values, wanted.most),
    )
    kept = list(decoded(found))
    return kept[::-1] if wanted.newest else kept


def get(
    db: Connection, room: RoomId, archive_id: StanzaId, reader: AccountId | None = None
) -> Archived | None:
    """One message, by the room's own id of it. ``reader``: as in `Wanted`."""
    may_read, readers = ("", ()) if reader is None else (f" AND {DUE}", (reader,) * 3)
    found = db.execute(
        f"SELECT id, sender, payload FROM archived WHERE room = ? AND archive_id = ?{may_read}",
        (room, archive_id, *readers),
    )
    return next(decoded(found), None)


def decoded(found: Iterable[tuple[int, RemoteUserId, bytes]]) -> Iterator[Archived]:
    """Of place, sender and payload. What this version cannot read is left out."""
    for place, sender, encoded in found:
        message = payload.delivery(encoded)
        if isinstance(message, RoomMessage):
            yield Archived(place, sender, message)
