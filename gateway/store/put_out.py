# SPDX-License-Identifier: Apache-2.0
"""Accounts that were put out of a shared room, while not all sessions know of it.

Each session tells what happens in its order, but not at the same time as others. What a session
tells after it has told that an account is out is not for that account, unless that one's own
session is told it as well: this holds whichever of the two is late, and nobody has to be put out
on the word of a session that does not lead.
"""

from __future__ import annotations

from gateway.ids import AccountId, RoomId, StanzaId
from gateway.store.writer import Connection, Transaction


def tell_gone(db: Transaction, room: RoomId, told_by: AccountId, account: AccountId) -> None:
    """A session that does not lead says that an account is out."""
    db.execute(
        "INSERT OR IGNORE INTO told_gone (room, told_by, account, place)"
        " SELECT room, ?, account, (SELECT coalesce(max(id), 0) FROM archived WHERE room = ?)"
        " FROM stay WHERE room = ? AND account = ? AND up_to IS NULL",
        (told_by, room, room, account),
    )


def tell_there(db: Transaction, room: RoomId, told_by: AccountId, account: AccountId) -> None:
    """The same session says that it is in."""
    db.execute(
        "DELETE FROM told_gone WHERE room = ? AND told_by = ? AND account = ?",
        (room, told_by, account),
    )


def was_told(db: Transaction, room: RoomId, account: AccountId, archive_id: StanzaId) -> None:
    """The network has told an account what was said there: so it was in, whatever others told.
    The place of what is told later than it came proves nothing."""
    db.execute(
        "DELETE FROM told_gone WHERE room = ? AND account = ? AND place <"
        " (SELECT id FROM archived WHERE room = ? AND archive_id = ? AND came_at IS NULL)",
        (room, account, room, archive_id),
    )


def went_out_after(db: Transaction, room: RoomId, account: AccountId) -> int | None:
    """An account is out for certain, and its session tells nothing more. Returns after which place
    of the archive that was told first, if it was before."""
    db.execute("DELETE FROM told_gone WHERE room = ? AND told_by = ?", (room, account))
    found = db.execute(
        "DELETE FROM told_gone WHERE room = ? AND account = ? RETURNING place", (room, account)
    ).fetchall()
    return min((place for (place,) in found), default=None)


def expect(db: Transaction, room: RoomId, account: AccountId, *, is_out: bool) -> None:
    """Whether the account's own session is still to tell that it was put out."""
    db.execute(
        "UPDATE account_room SET put_out = ? WHERE room = ? AND account = ? AND put_out <> ?",
        (is_out, room, account, is_out),
    )


def is_expected(db: Connection, room: RoomId, account: AccountId) -> bool:
    """Whether that is so."""
    found = db.execute(
        "SELECT 1 FROM account_room WHERE room = ? AND account = ? AND put_out", (room, account)
    )
    return found.fetchone() is not None
