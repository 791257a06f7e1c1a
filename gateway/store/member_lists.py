# SPDX-License-Identifier: Apache-2.0
"""Who is what in a room: lists, and what is asked of all at once."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.events import Affiliation
from gateway.ids import RemoteUserId, RoomId
from gateway.store.members import MEMBER, MemberRow, member_row
from gateway.store.writer import Connection


def has_visitors(db: Connection, room: RoomId) -> bool:
    """Whether somebody in a room may not speak."""
    found = db.execute("SELECT 1 FROM member WHERE room = ? AND NOT may_speak LIMIT 1", (room,))
    return found.fetchone() is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """Which members are wanted: all of them, if nothing is said."""

    affiliations: tuple[Affiliation, ...] = tuple(Affiliation)
    may_speak: bool | None = None
    most: int


def listed(db: Connection, room: RoomId, wanted: Listed) -> list[MemberRow]:
    """Some members: those who rule first, then those who have spoken last."""
    places = ", ".join("?" * len(wanted.affiliations))
    order = "CASE affiliation WHEN 'owner' THEN 0 WHEN 'admin' THEN 1 ELSE 2 END"
    found = db.execute(
        f"SELECT {MEMBER} FROM member WHERE room = ? AND affiliation IN ({places})"
        " AND (? IS NULL OR may_speak = ?)"
        f" ORDER BY {order}, spoke_at DESC, remote_id LIMIT ?",
        (room, *wanted.affiliations, wanted.may_speak, wanted.may_speak, wanted.most),
    )
    return list(map(member_row, found))


def count_others(
    db: Connection, room: RoomId, affiliation: Affiliation, user: RemoteUserId
) -> int:
    """How many beside somebody are the same."""
    (count,) = db.execute(
        "SELECT count(*) FROM member WHERE room = ? AND affiliation = ? AND remote_id <> ?",
        (room, affiliation, user),
    ).fetchone()
    return int(count)
