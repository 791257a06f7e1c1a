# SPDX-License-Identifier: Apache-2.0
"""Pictures of rooms and their members: what the network calls them, and what was fetched of them.

A reference means the same picture within one realm. Each picture is there once, by its hash.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.ids import AccountId, ConversationId, RemoteUserId, RoomId
from gateway.store.writer import Connection, Transaction

HASH = (
    "CASE {of}.avatar WHEN '' THEN '' ELSE (SELECT avatar.hash FROM room AS place JOIN avatar"
    " ON avatar.network = place.network AND avatar.realm = place.realm"
    " AND avatar.reference = {of}.avatar WHERE place.id = {room}) END"
)
"""SQL: the hash of the picture of a row; empty if it has none, NULL if that is not known yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureRow:
    """A picture that can be shown."""

    hash: str
    """SHA-1, in hex."""
    type: str
    width: int
    height: int
    data: bytes = field(repr=False)


def picture(db: Connection, hash: str) -> PictureRow | None:
    """A picture, if it is still there."""
    found = db.execute(
        "SELECT hash, type, width, height, data FROM picture WHERE hash = ?", (hash,)
    ).fetchone()
    return found and PictureRow(
        hash=found[0], type=found[1], width=found[2], height=found[3], data=found[4]
    )


def hash_of(db: Connection, room: RoomId, reference: str) -> str | None:
    """The hash of what the network calls so in a room, as `HASH`."""
    if not reference:
        return ""
    found = db.execute(
        "SELECT avatar.hash FROM room JOIN avatar ON avatar.network = room.network"
        " AND avatar.realm = room.realm AND avatar.reference = ? WHERE room.id = ?",
        (reference, room),
    ).fetchone()
    return None if found is None else found[0]


def of_person(db: Connection, account: AccountId, user: RemoteUserId) -> PictureRow | None:
    """The picture that somebody has in a room of an account."""
    found = db.execute(
        "SELECT avatar.hash FROM account_room JOIN room ON room.id = account_room.room"
        " JOIN member ON member.room = room.id AND member.remote_id = ?"
        " JOIN avatar ON avatar.network = room.network AND avatar.realm = room.realm"
        " AND avatar.reference = member.avatar"
        " WHERE account_room.account = ? AND avatar.hash <> '' LIMIT 1",
        (user, account),
    ).fetchone()
    return picture(db, found[0]) if found else None


# --- what is to be fetched ----------------------------------------------------------------------

_OWN = "FROM room{known} WHERE room.id = ? AND room.avatar <> ''"
_THEIRS = (
    "FROM member JOIN room ON room.id = member.room{known}"
    " WHERE member.room = ? AND member.shown AND member.avatar <> ''"
)

_IS_DUE = "(avatar.reference IS NULL OR (avatar.hash IS NULL AND avatar.due_at <= ?))"


def _seen_there(of: str) -> str:
    """SQL: what is seen in a room, with what is known of it."""
    known = (
        " LEFT JOIN avatar ON avatar.network = room.network AND avatar.realm = room.realm"
        f" AND avatar.reference = {of}.avatar"
    )
    return {"room": _OWN, "member": _THEIRS}[of].format(known=known)


def wanted(db: Connection, room: RoomId, now: float, most: int) -> list[str]:
    """What is to be fetched now of what is seen in a room: the room's own first, then of those who
    have spoken last."""
    own = f"SELECT room.avatar {_seen_there('room')} AND {_IS_DUE} LIMIT ?"
    theirs = (
        f"SELECT member.avatar {_seen_there('member')} AND {_IS_DUE}"
        " ORDER BY member.spoke_at DESC LIMIT ?"
    )
    found = [db.execute(sql, (room, now, most)).fetchall() for sql in (own, theirs)]
    return list(dict.fromkeys(reference for part in found for (reference,) in part))


def is_due(db: Connection, room: RoomId, reference: str, now: float) -> bool:
    """Whether something that is seen in a room is to be fetched now."""
    return (
        db.execute(
            "SELECT 1 FROM room LEFT JOIN avatar ON avatar.network = room.network"
            " AND avatar.realm = room.realm AND avatar.reference = ? WHERE room.id = ?"
            f" AND {_IS_DUE}",
            (reference, room, now),
        ).fetchone()
        is not None
    )


def seen_of_person(
    db: Connection, account: AccountId, user: RemoteUserId
) -> list[tuple[RoomId, str]]:
    """What the pictures of somebody are called, in the rooms in which an account sees them."""
    found = db.execute(
        "SELECT member.room, member.avatar FROM account_room"
        " JOIN member ON member.room = account_room.room AND member.remote_id = ?"
        " WHERE account_room.account = ? AND member.shown AND member.avatar <> '' LIMIT 10",
        (user, account),
    ).fetchall()
    return [(RoomId(room), reference) for room, reference in found]


def is_put_off(db: Connection, room: RoomId) -> bool:
    """Whether something of a room is to be fetched later."""
    is_later = "avatar.reference IS NOT NULL AND avatar.hash IS NULL LIMIT 1"
    return any(
        db.execute(f"SELECT 1 {_seen_there(of)} AND {is_later}", (room,)).fetchone() is not None
        for of in ("room", "member")
    )


def tries(db: Connection, room: RoomId, reference: str) -> int:
    """How often it could not be fetched."""
    found = db.execute(
        "SELECT avatar.tries FROM room JOIN avatar ON avatar.network = room.network"
        " AND avatar.realm = room.realm AND avatar.reference = ? WHERE room.id = ?",
        (reference, room),
    ).fetchone()
    return found[0] if found else 0


def count(db: Connection, room: RoomId) -> int:
    """How many are known in the realm of a room."""
    (number,) = db.execute(
        "SELECT count(*) FROM room JOIN avatar ON avatar.network = room.network"
        " AND avatar.realm = room.realm WHERE room.id = ?",
        (room,),
    ).fetchone()
    return int(number)


# --- what has come of it ------------------------------------------------------------------------


def put_off(db: Transaction, room: RoomId, reference: str, due_at: float, now: float) -> None:
    """It could not be fetched, and is tried again."""
    db.execute(
        "INSERT INTO avatar (network, realm, reference, tries, due_at, checked_at)"
        " SELECT network, realm, ?, 1, ?, ? FROM room WHERE id = ?"
        " ON CONFLICT DO UPDATE SET tries = tries + 1, due_at = excluded.due_at",
        (reference, due_at, now, room),
    )


def know(db: Transaction, room: RoomId, reference: str, hash: str, now: float) -> bool:
    """It is this picture; none that can be shown, if the hash is empty. False without the room."""
    made = db.execute(
        "INSERT INTO avatar (network, realm, reference, hash, tries, due_at, checked_at)"
        " SELECT network, realm, ?, ?, 0, 0, ? FROM room WHERE id = ?"
        " ON CONFLICT DO UPDATE SET hash = excluded.hash",
        (reference, hash, now, room),
    )
    return made.rowcount > 0


def keep(db: Transaction, shown: PictureRow) -> None:
    """A picture, once."""
    db.execute(
        "INSERT INTO picture (hash, type, width, height, data) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        (shown.hash, shown.type, shown.width, shown.height, shown.data),
    )


_SAME_REALM = (
    " (room.network, room.realm) = (SELECT network, realm FROM room AS place WHERE place.id = ?)"
    " AND EXISTS (SELECT 1 FROM occupant WHERE occupant.room = room.id)"
)


def seen_in(
    db: Connection, room: RoomId, reference: str
) -> list[tuple[ConversationId, RemoteUserId | None]]:
    """Where sessions see it: rooms of the same realm by their conversations, and in each the
    member; None if it is the room's own."""
    own = db.execute(
        "SELECT conversation.id FROM room JOIN conversation ON conversation.room = room.id"
        f" WHERE room.avatar = ? AND room.avatar <> '' AND{_SAME_REALM}",
        (reference, room),
    )
    found: list[tuple[ConversationId, RemoteUserId | None]] = [
        (ConversationId(number), None) for (number,) in own
    ]
    theirs = db.execute(
        "SELECT conversation.id, member.remote_id FROM member"
        " JOIN room ON room.id = member.room"
        " JOIN conversation ON conversation.room = room.id"
        " WHERE member.avatar = ? AND member.avatar <> '' AND +member.shown"
        f" AND{_SAME_REALM}",
        (reference, room),
    )
    return found + [(ConversationId(number), RemoteUserId(user)) for number, user in theirs]


# --- what goes ----------------------------------------------------------------------------------

_OF_REALM = "room.network = ? AND room.realm = ?"


def prune(db: Transaction, before: float, now: float, most: int) -> int:
    """Look at some of those that were not looked at since a time, and drop those that nobody has
    any more. Returns how many were looked at."""
    found = db.execute(
        "SELECT network, realm, reference, hash FROM avatar WHERE checked_at < ?"
        " ORDER BY checked_at LIMIT ?",
        (before, most),
    ).fetchall()
    for network, realm, reference, hash in found:
        key = (network, realm, reference)
        if _is_used(db, *key):
            change = "UPDATE avatar SET checked_at = ?"
            db.execute(f"{change} WHERE network = ? AND realm = ? AND reference = ?", (now, *key))
        else:
            drop = "DELETE FROM avatar WHERE network = ? AND realm = ? AND reference = ?"
            db.execute(drop, key)
            _drop_picture(db, hash)
    return len(found)


def _is_used(db: Connection, network: str, realm: str, reference: str) -> bool:
    own = f"SELECT 1 FROM room WHERE avatar = ? AND avatar <> '' AND {_OF_REALM} LIMIT 1"
    theirs = (
        "SELECT 1 FROM member JOIN room ON room.id = member.room"
        f" WHERE member.avatar = ? AND member.avatar <> '' AND {_OF_REALM} LIMIT 1"
    )
    key = (reference, network, realm)
    return any(db.execute(sql, key).fetchone() is not None for sql in (own, theirs))


def _drop_picture(db: Transaction, hash: str | None) -> None:
    """Unless it is that of another reference too."""
    db.execute(
        "DELETE FROM picture WHERE hash = ?"
        " AND NOT EXISTS (SELECT 1 FROM avatar WHERE avatar.hash = picture.hash)",
        (hash,),
    )


def forget(db: Transaction, account: AccountId) -> None:
    """All that is known of pictures in the rooms of an account that goes."""
    gone = db.execute(
        "DELETE FROM avatar WHERE (network, realm) IN"
        " (SELECT network, realm FROM room WHERE account = ?) RETURNING hash",
        (account,),
    ).fetchall()
    for (hash,) in gone:
        _drop_picture(db, hash)
