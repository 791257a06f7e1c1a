# SPDX-License-Identifier: Apache-2.0
"""Members of rooms, and which of them are shown as occupants."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.events import Affiliation, Member
from gateway.ids import (
    RemoteUserId,
    RoomId,
)
from gateway.store import avatars
from gateway.store.writer import Connection, Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberRow:
    """Somebody in a room."""

    user: RemoteUserId
    name: str
    nick: str
    affiliation: Affiliation
    may_speak: bool
    title: str = ""
    is_shown: bool = True
    """An occupant of the room. In large groups most are not."""
    avatar: str = ""
    """As in `gateway.store.rooms.RoomRow`, and so is the next one."""
    picture: str | None = ""


MEMBER = (
    "remote_id, name, nick, affiliation, may_speak, title, shown, avatar,"
    f" {avatars.HASH.format(of='member', room='member.room')}"
)


def member_row(values: tuple[object, ...]) -> MemberRow:
    """Of what `MEMBER` selects."""
    return MemberRow(
        user=values[0],  # type: ignore[arg-type]
        name=values[1],  # type: ignore[arg-type]
        nick=values[2],  # type: ignore[arg-type]
        affiliation=Affiliation(str(values[3])),
        may_speak=bool(values[4]),
        title=str(values[5]),
        is_shown=bool(values[6]),
        avatar=str(values[7]),
        picture=values[8],  # type: ignore[arg-type]
    )


def find(db: Connection, room: RoomId, user: RemoteUserId) -> MemberRow | None:
    """Somebody in a room, if they are in it."""
    found = db.execute(
        f"SELECT {MEMBER} FROM member WHERE room = ? AND remote_id = ?", (room, user)
    ).fetchone()
    return member_row(found) if found else None


def by_nick(db: Connection, room: RoomId, folded: str) -> MemberRow | None:
    """Who has a nick, as `gateway.bridge.rooms.nicks.fold` makes it."""
    found = db.execute(
        f"SELECT {MEMBER} FROM member WHERE room = ? AND folded = ?", (room, folded)
    ).fetchone()
    return member_row(found) if found else None


def of_room(db: Connection, room: RoomId) -> list[MemberRow]:
    """All members of a room."""
    found = db.execute(f"SELECT {MEMBER} FROM member WHERE room = ?", (room,))
    return list(map(member_row, found))


def others(db: Connection, room: RoomId, user: RemoteUserId) -> list[str]:
    """The nicks of all but one."""
    found = db.execute("SELECT nick FROM member WHERE room = ? AND remote_id <> ?", (room, user))
    return [nick for (nick,) in found]


def count(db: Connection, room: RoomId) -> int:
    """How many there are."""
    (count,) = db.execute("SELECT count(*) FROM member WHERE room = ?", (room,)).fetchone()
    return int(count)


def put(
    db: Transaction, room: RoomId, of: Member, nick: str, folded: str, *, is_shown: bool
) -> None:
    """Somebody is in a room, as this."""
    db.execute(
        "INSERT INTO member"
        " (room, remote_id, name, nick, folded, affiliation, may_speak, title, shown, avatar)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (room, remote_id) DO UPDATE SET"
        " name = excluded.name, nick = excluded.nick, folded = excluded.folded,"
        " affiliation = excluded.affiliation, may_speak = excluded.may_speak,"
        " title = excluded.title, shown = excluded.shown, avatar = excluded.avatar",
        (
            room,
            of.user,
            of.name,
            nick,
            folded,
            of.affiliation,
            of.may_speak,
            of.title,
            is_shown,
            of.avatar,
        ),
    )


def remove(db: Transaction, room: RoomId, user: RemoteUserId) -> None:
    """Somebody is no longer in a room."""
    db.execute("DELETE FROM member WHERE room = ? AND remote_id = ?", (room, user))


# --- who of them is an occupant ------------------------------------------------------------------


def has_more(db: Connection, room: RoomId, than: int) -> bool:
    """Whether there are more than so many. Not slower where there are many more."""
    found = db.execute("SELECT 1 FROM member WHERE room = ? LIMIT 1 OFFSET ?", (room, than))
    return found.fetchone() is not None


_MODERATES = f"affiliation IN ('{Affiliation.OWNER}', '{Affiliation.ADMIN}')"


def shown(db: Connection, room: RoomId, most: int) -> list[MemberRow]:
    """The occupants of a room; those who moderate it are first, then who has spoken last."""
    found = db.execute(
        f"SELECT {MEMBER} FROM member WHERE room = ? AND shown"
        f" ORDER BY {_MODERATES} DESC, spoke_at DESC LIMIT ?",
        (room, most),
    )
    return list(map(member_row, found))


def hidden(db: Connection, room: RoomId) -> list[MemberRow]:
    """The members of a room who are no occupants."""
    found = db.execute(f"SELECT {MEMBER} FROM member WHERE room = ? AND NOT shown", (room,))
    return list(map(member_row, found))


def spoke(db: Transaction, room: RoomId, user: RemoteUserId, now: float) -> None:
    """A member has said something."""
    db.execute(
        "UPDATE member SET spoke_at = ? WHERE room = ? AND remote_id = ?", (now, room, user)
    )


def show(db: Transaction, room: RoomId, user: RemoteUserId, *, is_shown: bool = True) -> None:
    """A member is an occupant from now on, or not."""
    db.execute(
        "UPDATE member SET shown = ? WHERE room = ? AND remote_id = ?", (is_shown, room, user)
    )


_MAY_GO = (
    f"room = ? AND shown AND NOT {_MODERATES} AND remote_id NOT IN (SELECT account.remote_id"
    " FROM account_room JOIN account ON account.id = account_room.account"
    " WHERE account_room.room = ?)"
)


def beyond_speakers(db: Connection, room: RoomId, most: int) -> list[MemberRow]:
    """The occupants beyond so many who have spoken last, without those who moderate the room and
    those who are users of this gateway."""
    found = db.execute(
        f"SELECT {MEMBER} FROM member WHERE {_MAY_GO} ORDER BY spoke_at DESC LIMIT -1 OFFSET ?",
        (room, room, most),
    )
    return list(map(member_row, found))


def silent(db: Connection, room: RoomId, since: float) -> list[MemberRow]:
    """Those of them who have not spoken since a time."""
    found = db.execute(
        f"SELECT {MEMBER} FROM member WHERE {_MAY_GO} AND spoke_at < ?", (room, room, since)
    )
    return list(map(member_row, found))
