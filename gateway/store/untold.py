# SPDX-License-Identifier: Apache-2.0
"""Members of rooms of whom the sessions there know something else than what is so now (REQ-554).

What they are now is in the list of members; here is what the sessions were told last. Once they
are told, nothing is left here, however often somebody came and went meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.events import Departure
from gateway.ids import NetworkName, RemoteUserId, RoomId
from gateway.store.writer import Connection, Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Untold:
    """What the sessions in a room know of somebody."""

    user: RemoteUserId
    nick: str
    """Under which they are known; empty if they are not."""
    how: Departure | None = None
    """They have gone."""
    actor: str = ""
    """Nick of who has removed them."""
    reason: str = ""


_UNTOLD = "remote_id, nick, how, actor, reason"


def _untold(values: tuple[str, ...]) -> Untold:
    user, nick, how, actor, reason = values
    return Untold(
        user=RemoteUserId(user),
        nick=nick,
        how=Departure(how) if how else None,
        actor=actor,
        reason=reason,
    )


def put(db: Transaction, room: RoomId, told: Untold) -> None:
    """Somebody has changed. What was known of them before the first change stays."""
    db.execute(
        "INSERT INTO untold (room, remote_id, nick, how, actor, reason) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (room, remote_id) DO UPDATE SET how = excluded.how, actor = excluded.actor,"
        " reason = excluded.reason",
        (room, told.user, told.nick, told.how or "", told.actor, told.reason),
    )


def find(db: Connection, room: RoomId, user: RemoteUserId) -> Untold | None:
    """What sessions know of somebody who has changed since; None if they know all."""
    found = db.execute(
        f"SELECT {_UNTOLD} FROM untold WHERE room = ? AND remote_id = ?", (room, user)
    ).fetchone()
    return None if found is None else _untold(found)


def known_as(db: Connection, room: RoomId, nick: str) -> list[Untold]:
    """Of whom sessions know under a nick, and who has changed since."""
    found = db.execute(f"SELECT {_UNTOLD} FROM untold WHERE room = ? AND nick = ?", (room, nick))
    return list(map(_untold, found))


def first(db: Connection, room: RoomId, most: int) -> list[Untold]:
    """Those who wait for longest, and so many of them."""
    found = db.execute(
        f"SELECT {_UNTOLD} FROM untold WHERE room = ? ORDER BY id LIMIT ?", (room, most)
    )
    return list(map(_untold, found))


def of_room(db: Connection, room: RoomId) -> list[Untold]:
    """All of them."""
    return first(db, room, -1)


def drop(db: Transaction, room: RoomId, user: RemoteUserId) -> None:
    """Sessions know all of somebody."""
    db.execute("DELETE FROM untold WHERE room = ? AND remote_id = ?", (room, user))


def clear(db: Transaction, room: RoomId) -> None:
    """No session is in a room."""
    db.execute("DELETE FROM untold WHERE room = ?", (room,))


def places(db: Connection, network: NetworkName) -> list[RoomId]:
    """The rooms in which sessions have to be told something."""
    found = db.execute(
        "SELECT DISTINCT untold.room FROM untold JOIN room ON room.id = untold.room"
        " WHERE room.network = ?",
        (network,),
    )
    return [RoomId(room) for (room,) in found]
