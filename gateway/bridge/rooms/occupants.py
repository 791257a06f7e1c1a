# SPDX-License-Identifier: Apache-2.0
"""Which members of a group are occupants of its room, and what is told of them (REQ-553, REQ-554).

Of a small group all are. Of a large one there are the account itself, those who moderate it, and
those who have spoken. Who is shown is a property of the room and not of a session, so all sessions
in it know the same occupants, and each is told of whoever becomes one before what they say.

Runs inside the writer's transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.bridge.rooms.occupant_ids import occupant_id
from gateway.bridge.rows import Committed
from gateway.events import Affiliation, Departure, Member, RoomPresence
from gateway.ids import RemoteUserId, RoomId
from gateway.store import Transaction, members, rooms, sharing
from gateway.store.members import MemberRow
from gateway.store.rooms import RoomRow

if TYPE_CHECKING:
    from gateway.bridge.rooms.room_rows import RoomRows


@dataclass(frozen=True, slots=True, kw_only=True)
class Cutoffs:
    """Which group is large, and who is seen of it."""

    members: int = 200
    """A group of so many is shown as a whole. In a larger one, so many who do not moderate it."""
    speakers: int = 100
    lately_s: float = 86_400.0
    """The first session that comes into a larger one finds who has spoken within that time, and at
    most so many of them."""


def presence_of(room: RoomRow, member: MemberRow) -> RoomPresence:
    """That somebody is there, as it is told to whoever joins."""
    return RoomPresence(
        nick=member.nick,
        occupant=occupant_id(room.secret, member.user),
        member=member.user,
        affiliation=member.affiliation,
        may_speak=member.may_speak,
        title=member.title,
        picture=member.picture,
    )


def present(
    room_rows: RoomRows,
    db: Transaction,
    room: RoomRow,
    member: MemberRow,
    now: float,
    out: Committed,
    *,
    to: tuple[str, ...],
    gone: Departure | None = None,
    is_hidden: bool = False,
    new_nick: str = "",
    actor: str = "",
    reason: str = "",
) -> None:
    """Tell sessions that somebody is there, or is not any more."""
    scope = ("presence", member.user, str(now), new_nick, str(gone), str(is_hidden))
    told = RoomPresence(
        nick=member.nick,
        occupant=occupant_id(room.secret, member.user),
        member=member.user,
        affiliation=member.affiliation,
        may_speak=member.may_speak,
        title=member.title,
        gone=gone,
        is_hidden=is_hidden,
        new_nick=new_nick,
        actor=actor,
        reason=reason,
        picture=member.picture,
        to=to,
    )
    if to and gone is None and member.picture is None:
        out.pictured.append(room.id)
    room_rows.tell(db, room, room_rows.id(room, *scope), told, now, out)


def is_shown(
    room_rows: RoomRows, db: Transaction, room: RoomRow, member: Member, before: MemberRow | None
) -> bool:
    """Whether somebody who comes, or has changed, is an occupant."""
    return (
        (before is not None and before.is_shown)
        or sharing.account_of(db, room.id, member.user) is not None
        or member.affiliation in (Affiliation.OWNER, Affiliation.ADMIN)
        or not members.has_more(db, room.id, room_rows.cutoffs.members - (before is None))
    )


def spoke(
    room_rows: RoomRows,
    db: Transaction,
    room: RoomRow,
    user: RemoteUserId,
    sent_at: float,
    now: float,
    out: Committed,
) -> None:
    """Somebody has said something, of which sessions are told next. There is an end to those who
    are shown: somebody else goes, who was silent for longest."""
    members.spoke(db, room.id, user, sent_at)
    member = members.find(db, room.id, user)
    if member is None or member.is_shown:
        return
    to, most = rooms.occupants(db, room.id), room_rows.cutoffs.members
    for quiet in members.beyond_speakers(db, room.id, most - 1):
        members.show(db, room.id, quiet.user, is_shown=False)
        left = Departure.LEFT
        present(room_rows, db, room, quiet, now, out, to=to, gone=left, is_hidden=True)
    members.show(db, room.id, user)
    present(room_rows, db, room, member, now, out, to=to)


def show_if_small(
    room_rows: RoomRows, db: Transaction, room: RoomRow, now: float, out: Committed
) -> None:
    """A group that is large no longer is shown as a whole."""
    if members.has_more(db, room.id, room_rows.cutoffs.members):
        return
    for member in members.hidden(db, room.id):
        members.show(db, room.id, member.user)
        to = rooms.occupants(db, room.id)
        present(room_rows, db, room, member, now, out, to=to)


def begin(db: Transaction, room: RoomId, cutoffs: Cutoffs, now: float) -> None:
    """A session comes in. If it is the first one, nobody knows who was shown until now."""
    if rooms.occupants(db, room):
        return
    if not members.has_more(db, room, cutoffs.members):
        for member in members.hidden(db, room):  # of before the admin has changed the cut-offs
            members.show(db, room, member.user)
        return
    silent = members.silent(db, room, now - cutoffs.lately_s)
    for quiet in (*silent, *members.beyond_speakers(db, room, cutoffs.speakers)):
        members.show(db, room, quiet.user, is_shown=False)
