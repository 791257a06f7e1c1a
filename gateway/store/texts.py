# SPDX-License-Identifier: Apache-2.0
"""The archive of a room, by what its texts mean: which message, with which edits."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.events import RoomMessage
from gateway.ids import AccountId, RemoteUserId, RoomId, StanzaId
from gateway.store.archive import Archived, decoded, get
from gateway.store.sharing import DUE, DUE_TO_OCCUPANT, takes
from gateway.store.writer import Connection, Transaction


def message_of(db: Connection, room: RoomId, archive_id: str) -> int | None:
    """The message whose text the archive has under this id."""
    found = db.execute(
        "SELECT message FROM archived WHERE room = ? AND archive_id = ?", (room, archive_id)
    ).fetchone()
    return None if found is None else found[0]


_TEXT = "SELECT id, sender, payload FROM archived WHERE message = ? AND room = ? ORDER BY id"


def first(db: Connection, room: RoomId, message: int) -> Archived | None:
    """What a message said before all edits, or that it is gone."""
    return next(decoded(db.execute(f"{_TEXT} LIMIT 1", (message, room))), None)


def is_gone(text: Archived | None) -> bool:
    """Whether what the archive has of a text is that it was taken back."""
    return text is not None and text.message.tombstone is not None


def last(db: Connection, room: RoomId, message: int) -> Archived | None:
    """What it says with its edits."""
    return next(decoded(db.execute(f"{_TEXT} DESC LIMIT 1", (message, room))), None)


def edited_at(db: Connection, room: RoomId, message: int) -> float | None:
    """When the last edit of a message was stored; None if it has none."""
    found = db.execute(
        "SELECT stored_at FROM archived WHERE message = ? AND room = ? ORDER BY id DESC LIMIT 2",
        (message, room),
    ).fetchall()
    return found[0][0] if len(found) > 1 else None


_NEWEST = 20


def has_said_more(db: Connection, room: RoomId, sender: RemoteUserId, message: int) -> bool:
    """Whether somebody has said something after this message of theirs. Edits of what they had
    said before it do not count."""
    found = db.execute(
        "SELECT max(message) FROM (SELECT message FROM archived INDEXED BY archived_sender"
        " WHERE room = ? AND sender = ? AND message IS NOT NULL ORDER BY id DESC LIMIT ?)",
        (room, sender, _NEWEST),
    ).fetchone()
    newest: int | None = found[0]
    return newest != message


def newest(db: Connection, room: RoomId, most: int) -> Iterator[tuple[int, RoomMessage]]:
    """So many texts that were said last, the last one first, with the messages that they are of.
    That of an edit is one too."""
    found = db.execute(
        "SELECT message, id, sender, payload FROM archived INDEXED BY archived_order"
        " WHERE room = ? AND message IS NOT NULL ORDER BY id DESC LIMIT ?",
        (room, most),
    )
    for message, *kept in found:
        for text in decoded([(kept[0], kept[1], kept[2])]):
            yield message, text.message


def newest_first(db: Connection, room: RoomId, message: int) -> Iterator[Archived]:
    """All that it has said; one at a time, since it may have been edited very often."""
    found = db.execute(
        "SELECT archive_id FROM archived WHERE message = ? AND room = ? ORDER BY id DESC",
        (message, room),
    ).fetchall()
    for (archive_id,) in found:
        text = get(db, room, archive_id)
        if text is not None:
            yield text


_SAID_BEFORE = (
    "archived.id = (SELECT max(said.id) FROM archived AS said"
    " WHERE said.message = (SELECT message FROM archived WHERE room = ? AND archive_id = ?)"
    " AND said.room = ?"
    " AND said.id < (SELECT id FROM archived WHERE room = ? AND archive_id = ?))"
)


def text_before(
    db: Connection,
    room: RoomId,
    quoted: StanzaId,
    quoting: StanzaId,
    reader: AccountId | None = None,
) -> RoomMessage | None:
    """What a message said, with its edits, when another one in the archive was said; both by the
    room's own ids. ``reader``: as in `gateway.store.archive.Wanted`."""
    may_read, readers = ("", ()) if reader is None else (f" AND {DUE}", takes(reader))
    found = db.execute(
        f"SELECT id, sender, payload FROM archived WHERE {_SAID_BEFORE}{may_read}",
        (room, quoted, room, room, quoting, *readers),
    )
    text = next(decoded(found), None)
    return None if text is None else text.message


def readers(db: Connection, room: RoomId, quoted: StanzaId, quoting: StanzaId) -> frozenset[str]:
    """The sessions in a shared room whose accounts may read that."""
    found = db.execute(
        "SELECT occupant.jid FROM occupant WHERE occupant.room = ? AND EXISTS"
        f" (SELECT 1 FROM archived WHERE {_SAID_BEFORE} AND {DUE_TO_OCCUPANT})",
        (room, room, quoted, room, room, quoting),
    )
    return frozenset(jid for (jid,) in found)


def last_message(db: Connection, room: RoomId, up_to: int) -> int | None:
    """The newest message with a text that is not newer than message ``up_to``."""
    found = db.execute(
        "SELECT message FROM archived WHERE room = ? AND message <= ?"
        " ORDER BY message DESC LIMIT 1",
        (room, up_to),
    ).fetchone()
    return None if found is None else found[0]


def link(db: Transaction, room: RoomId, archive_id: StanzaId, message: int) -> None:
    """What the archive has under this id is the text of another message than it seemed."""
    db.execute(
        "UPDATE archived SET message = ? WHERE room = ? AND archive_id = ?",
        (message, room, archive_id),
    )
