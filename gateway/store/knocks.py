# SPDX-License-Identifier: Apache-2.0
"""Who asks to be let into a room, for accounts that may let them in."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.ids import AccountId, RemoteMessageId, RemoteRoomId, RemoteUserId, RoomId
from gateway.store.writer import Connection, Transaction

MOST = 100
"""For one account (REQ-712): strangers ask as often as they like."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Knock:
    """Somebody who waits."""

    room: RemoteRoomId
    user: RemoteUserId
    name: str


def put(
    db: Transaction,
    account: AccountId,
    room: RoomId,
    user: RemoteUserId,
    event: RemoteMessageId,
    name: str,
    now: float,
) -> bool:
    """Somebody asks. False if that is known: it was told."""
    made = db.execute(
        "INSERT INTO knock (account, room, remote_id, event, name, knocked_at)"
        " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (account, room, remote_id) DO UPDATE"
        " SET event = excluded.event, name = excluded.name, knocked_at = excluded.knocked_at"
        " WHERE event <> excluded.event",
        (account, room, user, event, name, now),
    )
    return made.rowcount == 1


def count(db: Connection, account: AccountId) -> int:
    """How many wait."""
    (count,) = db.execute("SELECT count(*) FROM knock WHERE account = ?", (account,)).fetchone()
    return int(count)


def has(db: Connection, account: AccountId, room: RoomId, user: RemoteUserId) -> bool:
    """Whether somebody waits."""
    found = db.execute(
        "SELECT 1 FROM knock WHERE account = ? AND room = ? AND remote_id = ?",
        (account, room, user),
    )
    return found.fetchone() is not None


def of_account(db: Connection, account: AccountId) -> list[Knock]:
    """All who wait, the first one first."""
    found = db.execute(
        "SELECT room_link.remote_id, knock.remote_id, knock.name FROM knock"
        " JOIN room_link ON room_link.room = knock.room AND room_link.home"
        " WHERE knock.account = ? ORDER BY knock.knocked_at, knock.remote_id",
        (account,),
    )
    return [
        Knock(room=RemoteRoomId(room), user=RemoteUserId(user), name=name)
        for room, user, name in found
    ]


def drop(db: Transaction, account: AccountId, room: RoomId, user: RemoteUserId) -> None:
    """Somebody asks no longer."""
    db.execute(
        "DELETE FROM knock WHERE account = ? AND room = ? AND remote_id = ?",
        (account, room, user),
    )


def drop_all(db: Transaction, account: AccountId, room: RoomId) -> None:
    """The account can let nobody in any more."""
    db.execute("DELETE FROM knock WHERE account = ? AND room = ?", (account, room))


def drop_members(db: Transaction, account: AccountId, room: RoomId) -> None:
    """Whoever is in the room does not wait."""
    db.execute(
        "DELETE FROM knock WHERE account = ? AND room = ? AND EXISTS (SELECT 1 FROM member"
        " WHERE member.room = knock.room AND member.remote_id = knock.remote_id)",
        (account, room),
    )
