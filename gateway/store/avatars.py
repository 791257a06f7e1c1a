# SPDX-License-Identifier: Apache-2.0
"""Pictures of contacts, rooms and members: what the network calls them, and what was fetched.

A reference means the same picture within one realm. Each picture is there once, by its hash.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from gateway.ids import AccountId, ConversationId, NetworkName, RemoteUserId, RoomId
from gateway.store.writer import Connection, Transaction

HASH = (
    "CASE {of}.avatar WHEN '' THEN '' ELSE (SELECT avatar.hash FROM room AS place JOIN avatar"
    " ON avatar.network = place.network AND avatar.realm = place.realm"
    " AND avatar.reference = {of}.avatar WHERE place.id = {room}) END"
)
"""SQL: the hash of the picture of a row; empty if it has none, NULL if that is not known yet."""


class Named(NamedTuple):
    """What the network calls a picture, and within what that means this one."""

    network: NetworkName
    realm: str
    reference: str


_NAMED = "network = ? AND realm = ? AND reference = ?"


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


def realm_of_account(db: Connection, account: AccountId) -> str:
    """Within which references that it is told of contacts mean the same; empty if it is gone."""
    found = db.execute("SELECT room_realm FROM account WHERE id = ?", (account,)).fetchone()
    return str(found[0]) if found else ""


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

_OF_CONTACTS = (
    "FROM contact JOIN account ON account.id = contact.account"
    " LEFT JOIN avatar ON avatar.network = account.network"
    " AND avatar.realm = account.room_realm AND avatar.reference = contact.avatar"
    " WHERE contact.account = ? AND contact.to_user = 2 AND contact.avatar <> ''"
)
"""SQL: those whose presence the user receives."""
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


def wanted_of_contacts(db: Connection, account: AccountId, now: float, most: int) -> list[str]:
    """What is to be fetched now of the contacts whom a user sees, most recent chats first."""
    found = db.execute(
        f"SELECT contact.avatar {_OF_CONTACTS} AND {_IS_DUE}"
        " ORDER BY (SELECT max(message.id) FROM conversation"
        " JOIN message ON message.conversation = conversation.id"
        " WHERE conversation.account = contact.account"
        " AND conversation.contact = contact.remote_id) DESC LIMIT ?",
        (account, now, most),
    ).fetchall()
    return list(dict.fromkeys(reference for (reference,) in found))


def is_due(db: Connection, named: Named, now: float) -> bool:
    """Whether something that is seen is to be fetched now."""
    found = db.execute(f"SELECT hash, due_at FROM avatar WHERE {_NAMED}", named).fetchone()
    return found is None or (found[0] is None and found[1] <= now)


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


def is_put_off_of_contacts(db: Connection, account: AccountId) -> bool:
    """Whether a picture of a contact is to be fetched later."""
    is_later = "avatar.reference IS NOT NULL AND avatar.hash IS NULL"
    found = db.execute(f"SELECT 1 {_OF_CONTACTS} AND {is_later} LIMIT 1", (account,))
    return found.fetchone() is not None


def tries(db: Connection, named: Named) -> int:
    """How often it could not be fetched."""
    found = db.execute(f"SELECT tries FROM avatar WHERE {_NAMED}", named).fetchone()
    return found[0] if found else 0


def count(db: Connection, network: NetworkName, realm: str) -> int:
    """How many are known in a realm."""
    (number,) = db.execute(
        "SELECT count(*) FROM avatar WHERE network = ? AND realm = ?", (network, realm)
    ).fetchone()
    return int(number)


# --- what has come of it ------------------------------------------------------------------------


def put_off(db: Transaction, account: AccountId, named: Named, due_at: float, now: float) -> None:
    """It could not be fetched by an account, and is tried again."""
    db.execute(
        "INSERT INTO avatar (network, realm, reference, tries, due_at, checked_at)"
        " SELECT ?, ?, ?, 1, ?, ? FROM account WHERE id = ?"
        " ON CONFLICT DO UPDATE SET tries = tries + 1, due_at = excluded.due_at",
        (*named, due_at, now, account),
    )


def know(db: Transaction, account: AccountId, named: Named, hash: str, now: float) -> bool:
    """It is this picture, fetched by an account; none that can be shown, if the hash is empty.
    False if the account is gone."""
    made = db.execute(
        "INSERT INTO avatar (network, realm, reference, hash, tries, due_at, checked_at)"
        " SELECT ?, ?, ?, ?, 0, 0, ? FROM account WHERE id = ?"
        " ON CONFLICT DO UPDATE SET hash = excluded.hash",
        (*named, hash, now, account),
    )
    return made.rowcount > 0


def keep(db: Transaction, shown: PictureRow) -> None:
    """A picture, once."""
    db.execute(
        "INSERT INTO picture (hash, type, width, height, data) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        (shown.hash, shown.type, shown.width, shown.height, shown.data),
    )


_SEEN_IN_REALM = (
    " room.network = ? AND room.realm = ?"
    " AND EXISTS (SELECT 1 FROM occupant WHERE occupant.room = room.id)"
)


def seen_in(db: Connection, named: Named) -> list[tuple[ConversationId, RemoteUserId | None]]:
    """Where sessions see it: rooms by their conversations, and in each the member; None if it is
    the room's own."""
    network, realm, reference = named
    own = db.execute(
        "SELECT conversation.id FROM room JOIN conversation ON conversation.room = room.id"
        f" WHERE room.avatar = ? AND room.avatar <> '' AND{_SEEN_IN_REALM}",
        (reference, network, realm),
    )
    found: list[tuple[ConversationId, RemoteUserId | None]] = [
        (ConversationId(number), None) for (number,) in own
    ]
    theirs = db.execute(
        "SELECT conversation.id, member.remote_id FROM member"
        " JOIN room ON room.id = member.room"
        " JOIN conversation ON conversation.room = room.id"
        " WHERE member.avatar = ? AND member.avatar <> '' AND +member.shown"
        f" AND{_SEEN_IN_REALM}",
        (reference, network, realm),
    )
    return found + [(ConversationId(number), RemoteUserId(user)) for number, user in theirs]


_CONTACTS_WITH = (
    "FROM contact JOIN account ON account.id = contact.account"
    " WHERE contact.avatar = ? AND contact.avatar <> ''"
    " AND account.network = ? AND account.room_realm = ?"
)


def contacts_with(db: Connection, named: Named) -> list[tuple[AccountId, RemoteUserId]]:
    """Whose contacts have it."""
    network, realm, reference = named
    found = db.execute(
        f"SELECT contact.account, contact.remote_id {_CONTACTS_WITH}", (reference, network, realm)
    )
    return [(AccountId(account), RemoteUserId(contact)) for account, contact in found]


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
    for *key, hash in found:
        named = Named(*key)
        if _is_used(db, named):
            db.execute(f"UPDATE avatar SET checked_at = ? WHERE {_NAMED}", (now, *named))
        else:
            db.execute(f"DELETE FROM avatar WHERE {_NAMED}", named)
            _drop_picture(db, hash)
    return len(found)


def _is_used(db: Connection, named: Named) -> bool:
    network, realm, reference = named
    own = f"SELECT 1 FROM room WHERE avatar = ? AND avatar <> '' AND {_OF_REALM} LIMIT 1"
    theirs = (
        "SELECT 1 FROM member JOIN room ON room.id = member.room"
        f" WHERE member.avatar = ? AND member.avatar <> '' AND {_OF_REALM} LIMIT 1"
    )
    key = (reference, network, realm)
    of_contacts = f"SELECT 1 {_CONTACTS_WITH} LIMIT 1"
    return any(db.execute(sql, key).fetchone() is not None for sql in (own, theirs, of_contacts))


def _drop_picture(db: Transaction, hash: str | None) -> None:
    """Unless it is that of another reference too."""
    db.execute(
        "DELETE FROM picture WHERE hash = ?"
        " AND NOT EXISTS (SELECT 1 FROM avatar WHERE avatar.hash = picture.hash)",
        (hash,),
    )


def forget(db: Transaction, account: AccountId) -> None:
    """All that is known of pictures that one account alone sees, when it goes."""
    gone = db.execute(
        "DELETE FROM avatar WHERE (network, realm) IN"
        " (SELECT network, 'account ' || id FROM account WHERE id = ?) RETURNING hash",
        (account,),
    ).fetchall()
    for (hash,) in gone:
        _drop_picture(db, hash)
