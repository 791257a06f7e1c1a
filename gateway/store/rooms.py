# SPDX-License-Identifier: Apache-2.0
"""Rooms: what they are, and which sessions have joined.

For who is in them see `gateway.store.members`; for what several accounts share of one,
`gateway.store.sharing`.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from gateway.events import Departure, RoomRight
from gateway.ids import (
    AccountId,
    ConversationId,
    NetworkName,
    RemoteRoomId,
    RemoteUserId,
    RoomId,
    UserJid,
)
from gateway.store import avatars, conversations
from gateway.store.writer import Connection, Transaction

_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomRow:
    """A room as one account has it, or as all have it who share it."""

    id: RoomId
    conversation: ConversationId
    """In which everything is that is said there."""
    remote_id: RemoteRoomId
    name: str
    topic: str
    topic_by: RemoteUserId | None
    topic_at: float | None
    private: bool
    may: tuple[RoomRight, ...] | None
    secret: bytes = field(repr=False)
    moved_to: RemoteRoomId | None = None
    """The room in which it goes on."""
    slow_mode_s: int = 0
    """Seconds between two messages of one person."""
    realm: str
    """Within which it is one room."""
    is_shared: bool = False
    """Several accounts may be in it."""
    shows_past: bool = False
    """Members may read what was said before they came."""
    leader: AccountId | None = None
    """Whose session tells what a shared room is and who is there."""
    avatar: str = ""
    """What the network calls its picture; empty if there is none."""
    picture: str | None = ""
    """The hash of it; None if that is not known yet."""
    is_listed: bool = False
    """Anybody can find it."""
    takes_private: bool = True
    """Who is there can be written to alone."""
    people: int | None = None
    """How many are there, if the network says so."""


# --- rooms ------------------------------------------------------------------------------------

_ROOM = (
    "room.id, conversation.id, room_link.remote_id, room.name, room.topic, room.topic_by,"
    " room.topic_at, room.private, room.secret, room.moved_to, room.realm, room.account IS NULL,"
    " room.shows_past, room.leader, room.slow_mode,"
    f" room.avatar, {avatars.HASH.format(of='room', room='room.id')},"
    " room.listed, room.takes_private, room.people"
)
_LINKED = (
    " JOIN room_link ON room_link.room = room.id AND room_link.home"
    " JOIN conversation ON conversation.room = room.id"
)


def realm_of(account: AccountId) -> str:
    """Of rooms that are one account's alone."""
    return f"account {account}"


def realm(db: Connection, room: RoomId) -> str:
    """Within which it is one room; empty if it is gone."""
    found = db.execute("SELECT realm FROM room WHERE id = ?", (room,)).fetchone()
    return str(found[0]) if found else ""


def _room(values: tuple[object, ...] | None, may: object = None) -> RoomRow | None:
    if values is None:
        return None
    return RoomRow(
        id=values[0],  # type: ignore[arg-type]
        conversation=values[1],  # type: ignore[arg-type]
        remote_id=values[2],  # type: ignore[arg-type]
        name=values[3],  # type: ignore[arg-type]
        topic=values[4],  # type: ignore[arg-type]
        topic_by=values[5],  # type: ignore[arg-type]
        topic_at=values[6],  # type: ignore[arg-type]
        private=bool(values[7]),
        secret=values[8],  # type: ignore[arg-type]
        moved_to=values[9],  # type: ignore[arg-type]
        realm=str(values[10]),
        is_shared=bool(values[11]),
        shows_past=bool(values[12]),
        leader=values[13],  # type: ignore[arg-type]
        slow_mode_s=values[14],  # type: ignore[arg-type]
        avatar=str(values[15]),
        picture=values[16],  # type: ignore[arg-type]
        is_listed=bool(values[17]),
        takes_private=bool(values[18]),
        people=values[19],  # type: ignore[arg-type]
        may=None if may is None else tuple(map(RoomRight, str(may).split())),
    )


def _room_of_account(values: tuple[object, ...] | None) -> RoomRow | None:
    return None if values is None else _room(values[:-1], values[-1])


def find(db: Connection, account: AccountId, remote_id: RemoteRoomId) -> RoomRow | None:
    """A room of an account, if it is known."""
    return _room_of_account(
        db.execute(
            f"SELECT {_ROOM}, account_room.may FROM account"
            " JOIN room_link ON room_link.network = account.network"
            " AND room_link.realm = account.room_realm AND room_link.remote_id = ?"
            " JOIN room ON room.id = room_link.room"
            " JOIN account_room ON account_room.room = room.id AND account_room.account = ?"
            " JOIN conversation ON conversation.room = room.id WHERE account.id = ?",
            (remote_id, account, account),
        ).fetchone()
    )


def of_account(db: Connection, account: AccountId) -> list[RoomRow]:
    """All rooms of an account."""
    found = db.execute(
        f"SELECT {_ROOM}, account_room.may FROM account_room"
        f" JOIN room ON room.id = account_room.room{_LINKED} WHERE account_room.account = ?",
        (account,),
    )
    return [row for values in found if (row := _room_of_account(values)) is not None]


def of_conversation(db: Connection, conversation: ConversationId) -> RoomRow | None:
    """A room as all have it who share it."""
    return _room(
        db.execute(
            f"SELECT {_ROOM} FROM room{_LINKED} WHERE conversation.id = ?", (conversation,)
        ).fetchone()
    )


def by_id(db: Connection, room: RoomId) -> RoomRow | None:
    """A room as all have it who share it, or as the one account has it whose it is."""
    return _room(
        db.execute(f"SELECT {_ROOM} FROM room{_LINKED} WHERE room.id = ?", (room,)).fetchone()
    )


def owner(db: Connection, room: RoomId) -> tuple[AccountId, UserJid] | None:
    """The one account whose room it is; None if it is shared."""
    found = db.execute(
        "SELECT account.id, account.user FROM room JOIN account ON account.id = room.account"
        " WHERE room.id = ?",
        (room,),
    ).fetchone()
    return None if found is None else (AccountId(found[0]), UserJid(found[1]))


def enter(db: Transaction, account: AccountId, remote_id: RemoteRoomId) -> RoomRow:
    """A room that an account has come into: one that is shared may be there already."""
    network, realm = db.execute(
        "SELECT network, room_realm FROM account WHERE id = ?", (account,)
    ).fetchone()
    found = db.execute(
        "SELECT room FROM room_link WHERE network = ? AND realm = ? AND remote_id = ?",
        (network, realm, remote_id),
    ).fetchone()
    number = _make(db, network, realm, account, remote_id) if found is None else found[0]
    db.execute(
        "INSERT INTO account_room (room, account) VALUES (?, ?) ON CONFLICT DO NOTHING",
        (number, account),
    )
    room = find(db, account, remote_id)
    assert room is not None
    return room


def _make(
    db: Transaction,
    network: NetworkName,
    realm: str,
    account: AccountId,
    remote_id: RemoteRoomId,
) -> RoomId:
    owner = account if realm == realm_of(account) else None
    (room,) = db.execute(
        "INSERT INTO room (network, realm, account, secret) VALUES (?, ?, ?, ?) RETURNING id",
        (network, realm, owner, secrets.token_bytes(_SECRET_BYTES)),
    ).fetchone()
    db.execute(
        "INSERT INTO room_link (room, network, realm, remote_id, home) VALUES (?, ?, ?, ?, 1)",
        (room, network, realm, remote_id),
    )
    db.execute("INSERT INTO conversation (account, room) VALUES (?, ?)", (owner, room))
    return RoomId(room)


def hide_past(db: Transaction, room: RoomId) -> None:
    """What is said from now on is not for who comes later."""
    db.execute("UPDATE room SET shows_past = 0 WHERE id = ?", (room,))


def describe(
    db: Transaction,
    room: RoomId,
    *,
    name: str,
    topic: str,
    topic_by: RemoteUserId | None,
    topic_at: float | None,
    private: bool,
    shows_past: bool,
    slow_mode_s: int,
    avatar: str,
    is_listed: bool,
    takes_private: bool,
    people: int | None,
) -> None:
    """What a room is now."""
    db.execute(
        "UPDATE room SET name = ?, topic = ?, topic_by = ?, topic_at = ?, private = ?,"
        " shows_past = ?, slow_mode = ?, avatar = ?, listed = ?, takes_private = ?,"
        " people = ? WHERE id = ?",
        (
            name,
            topic,
            topic_by,
            topic_at,
            private,
            shows_past,
            slow_mode_s,
            avatar,
            is_listed,
            takes_private,
            people,
            room,
        ),
    )


def set_private(db: Transaction, room: RoomId, private: bool) -> None:
    """Only who is invited comes in, or anybody."""
    db.execute("UPDATE room SET private = ? WHERE id = ?", (private, room))


def allow(
    db: Transaction, room: RoomId, account: AccountId, may: tuple[RoomRight, ...] | None
) -> None:
    """What an account may do in a room now."""
    rights = None if may is None else " ".join(may)
    db.execute(
        "UPDATE account_room SET may = ? WHERE room = ? AND account = ?", (rights, room, account)
    )


def set_gone(db: Transaction, room: RoomId, account: AccountId, how: Departure | None) -> None:
    """An account has come out of a room, or is in it (None); or it was banned, or may come
    again, while it was out."""
    db.execute(
        "UPDATE account_room SET gone = ? WHERE room = ? AND account = ?",
        (how or "", room, account),
    )


def gone(db: Connection, room: RoomId, account: AccountId) -> Departure | None:
    """How an account has come out of a room, as far as that is known."""
    found = db.execute(
        "SELECT gone FROM account_room WHERE room = ? AND account = ?", (room, account)
    ).fetchone()
    return Departure(found[0]) if found is not None and found[0] else None


def advance_read(db: Transaction, room: RoomId, account: AccountId, message: int) -> bool:
    """The user of an account has read a room up to a message. False if that is not new."""
    changed = db.execute(
        "UPDATE account_room SET read_up_to = ? WHERE room = ? AND account = ? AND read_up_to < ?",
        (message, room, account, message),
    )
    return changed.rowcount == 1


def queue(db: Transaction, room: RoomRow, account: AccountId) -> ConversationId:
    """The conversation in which the commands of an account for a room wait: beside those of
    others, so that nobody waits for somebody else's."""
    if not room.is_shared:
        return room.conversation
    return conversations.chat(db, account, RemoteUserId(room.remote_id))


def set_moved(db: Transaction, room: RoomId, to: RemoteRoomId) -> None:
    """A room goes on as another one."""
    db.execute("UPDATE room SET moved_to = ? WHERE id = ?", (to, room))


def through(db: Connection, chat: ConversationId) -> RoomRow | None:
    """The room in which the user has addressed the contact of a chat last."""
    return _room(
        db.execute(
            f"SELECT {_ROOM} FROM conversation AS chat JOIN room ON room.id = chat.through"
            f"{_LINKED} WHERE chat.id = ?",
            (chat,),
        ).fetchone()
    )


def set_through(db: Transaction, chat: ConversationId, room: RoomId | None) -> None:
    """The user has addressed the contact in a room, or in none."""
    db.execute(
        "UPDATE conversation SET through = ? WHERE id = ? AND through IS NOT ?",
        (room, chat, room),
    )


# --- sessions ---------------------------------------------------------------------------------


def occupants(db: Connection, room: RoomId) -> tuple[str, ...]:
    """The full JIDs of the sessions in a room."""
    found = db.execute("SELECT jid FROM occupant WHERE room = ?", (room,))
    return tuple(jid for (jid,) in found)


def occupants_with_settings(db: Connection, room: RoomId) -> list[tuple[str, str]]:
    """The same, each with what its user has set."""
    found = db.execute(
        "SELECT occupant.jid, account.settings FROM occupant"
        " JOIN account ON account.id = occupant.account WHERE occupant.room = ?",
        (room,),
    )
    return list(found)


def sessions(db: Connection, room: RoomId, account: AccountId) -> tuple[str, ...]:
    """Those of one account."""
    found = db.execute("SELECT jid FROM occupant WHERE room = ? AND account = ?", (room, account))
    return tuple(jid for (jid,) in found)


def come_in(
    db: Transaction, room: RoomId, jid: str, account: AccountId, user: UserJid, now: float
) -> None:
    """A session joins, perhaps again."""
    db.execute(
        "INSERT INTO occupant (room, jid, account, user, joined_at, heard_at)"
        " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (room, jid) DO UPDATE SET"
        " account = excluded.account,"
        " joined_at = excluded.joined_at, heard_at = excluded.heard_at",
        (room, jid, account, user, now, now),
    )


def beyond(db: Connection, room: RoomId, jid: str, account: AccountId, most: int) -> list[str]:
    """Sessions of an account that are in a room beside this one and beyond so many: those of long
    ago."""
    found = db.execute(
        "SELECT jid FROM occupant WHERE room = ? AND account = ? AND jid <> ?"
        " ORDER BY joined_at DESC LIMIT -1 OFFSET ?",
        (room, account, jid, most - 1),
    )
    return [other for (other,) in found]


def account_of(db: Connection, room: RoomId, jid: str) -> AccountId | None:
    """By which account a session is in a room."""
    found = db.execute(
        "SELECT account FROM occupant WHERE room = ? AND jid = ?", (room, jid)
    ).fetchone()
    return None if found is None or found[0] is None else AccountId(found[0])


def is_in(db: Connection, room: RoomId, jid: str) -> bool:
    """Whether a session is in a room."""
    found = db.execute("SELECT 1 FROM occupant WHERE room = ? AND jid = ?", (room, jid))
    return found.fetchone() is not None


def leave(db: Transaction, room: RoomId, jid: str) -> None:
    """A session is no longer in."""
    db.execute("DELETE FROM occupant WHERE room = ? AND jid = ?", (room, jid))
