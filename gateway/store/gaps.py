# SPDX-License-Identifier: Apache-2.0
"""What was said in rooms and was not told, and how much of that was fetched from the network.

Each account has gaps of its own, since what one may see of the past is not for others. One lies
before all that is kept; others are found in the middle, and numbers are reserved for what was said
in them, before anything that was said later gets its own (see `gateway.store.places`).
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.ids import AccountId, ConversationId, RemoteMessageId, RoomId, StanzaId
from gateway.store import conversations
from gateway.store.conversations import Origin
from gateway.store.places import RESERVED
from gateway.store.sharing import DUE, takes
from gateway.store.writer import Connection, Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Of one room, for one account."""

    top: int = 0
    """The place in the archive before which it lies. 0: before all that is kept."""
    floor: int | None = None
    """The place after which it lies; None: nothing is before it."""
    known: RemoteMessageId | None = None
    """The network's id of what comes after it, if that is known."""
    low: int | None = None
    """The place of the oldest that was fetched; None before the first page."""
    cursor: str | None = None
    """The adapter's: what comes next is before it. None before the first page."""
    count: int = 0
    """Events that were fetched."""
    is_over: bool = False
    """Nothing more will be fetched."""


_COLUMNS = "top, floor, known, low, cursor, fetched, over"


def open_of(db: Connection, room: RoomId, account: AccountId) -> list[Gap]:
    """Of which something may be fetched, the newest first."""
    found = db.execute(
        f"SELECT {_COLUMNS} FROM gap WHERE room = ? AND account = ? ORDER BY top DESC",
        (room, account),
    )
    known = [_gap(values) for values in found]
    if not known or known[-1].top:
        known.append(Gap())
    return [gap for gap in known if not gap.is_over]


def get(db: Connection, room: RoomId, account: AccountId, top: int) -> Gap:
    """How far one was fetched."""
    found = db.execute(
        f"SELECT {_COLUMNS} FROM gap WHERE room = ? AND account = ? AND top = ?",
        (room, account, top),
    ).fetchone()
    return Gap(top=top) if found is None else _gap(found)


def _gap(values: tuple[object, ...]) -> Gap:
    top, floor, known, low, cursor, count, is_over = values
    return Gap(
        top=top,  # type: ignore[arg-type]
        floor=floor,  # type: ignore[arg-type]
        known=known,  # type: ignore[arg-type]
        low=low,  # type: ignore[arg-type]
        cursor=cursor,  # type: ignore[arg-type]
        count=count,  # type: ignore[arg-type]
        is_over=bool(is_over),
    )


def put(db: Transaction, room: RoomId, account: AccountId, gap: Gap) -> None:
    """A new one, or how far it was fetched."""
    values = (gap.top, gap.floor, gap.known, gap.low, gap.cursor, gap.count, gap.is_over)
    db.execute(
        f"INSERT OR REPLACE INTO gap (room, account, {_COLUMNS})"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (room, account, *values),
    )


def is_named(db: Connection, room: RoomId, account: AccountId, known: RemoteMessageId) -> bool:
    """Whether one before this is known."""
    found = db.execute(
        "SELECT 1 FROM gap WHERE room = ? AND account = ? AND known = ?", (room, account, known)
    )
    return found.fetchone() is not None


def reserve(db: Transaction, conversation: ConversationId, now: float) -> Gap:
    """One that lies after all that was said until now, and before all that will be said."""
    (said,) = db.execute(
        "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'archived'"
    ).fetchone()
    (message,) = db.execute("SELECT coalesce(max(id), 0) FROM message").fetchone()
    floor = max(0, said, message)
    top = floor + RESERVED
    db.execute("DELETE FROM sqlite_sequence WHERE name = 'archived'")
    db.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('archived', ?)", (top,))
    conversations.add_message(  # those that follow have the numbers after it
        db,
        conversation,
        stanza_id=StanzaId(""),
        origin=Origin.CONTACT,
        sent_at=now,
        number=top,
    )
    return Gap(top=top, floor=floor)


def before(db: Connection, room: RoomId, place: int) -> Gap | None:
    """The gap of any account that ends right before what is at this place."""
    found = db.execute(
        "SELECT top, floor FROM gap WHERE room = ? AND top > 0 AND top < ? AND NOT EXISTS"
        " (SELECT 1 FROM archived WHERE archived.room = gap.room AND archived.id > gap.top"
        " AND archived.id < ? AND archived.sender <> '') ORDER BY top DESC LIMIT 1",
        (room, place, place),
    ).fetchone()
    return None if found is None else Gap(top=found[0], floor=found[1])


def times(db: Connection, room: RoomId, gap: Gap) -> tuple[float, float]:
    """When the last was stored before a gap, and the first after it."""
    last = db.execute(
        "SELECT stored_at FROM archived WHERE room = ? AND id <= ? ORDER BY id DESC LIMIT 1",
        (room, gap.floor),
    ).fetchone()
    first = db.execute(
        "SELECT stored_at FROM archived WHERE room = ? AND id > ? ORDER BY id LIMIT 1",
        (room, gap.top),
    ).fetchone()
    return (last[0] if last else float("-inf")), (first[0] if first else float("inf"))


def known_after(
    db: Connection, room: RoomId, gap: Gap, reader: AccountId | None
) -> RemoteMessageId | None:
    """The network's id of the oldest message that is known after a gap. ``reader``: as in
    `gateway.store.archive.Wanted`."""
    may_read, readers = ("", ()) if reader is None else (f" AND {DUE}", takes(reader))
    found = db.execute(
        "SELECT message.remote_id FROM archived INDEXED BY archived_order"
        " JOIN message ON message.id = archived.message"
        " WHERE archived.room = ? AND archived.id > ? AND message.remote_id IS NOT NULL"
        f"{may_read} ORDER BY archived.id LIMIT 1",
        (room, gap.top if gap.top else -(2**62), *readers),
    ).fetchone()
    return None if found is None else RemoteMessageId(found[0])
