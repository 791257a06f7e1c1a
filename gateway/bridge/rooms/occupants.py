# SPDX-License-Identifier: Apache-2.0
"""Which members of a group are occupants of its room, and what is told of them (REQ-553, REQ-554).

Of a small group all are. Of a large one there are the account itself, those who moderate it, those
who have spoken, and contacts who were online when the first session came. Who is shown is a
property of the room and not of a session, so all sessions in it know the same occupants, and each
is told of whoever becomes one before what they say. How they are told is in
`gateway.bridge.rooms.crowd`.

Runs inside the writer's transaction.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from gateway.bridge.inbound.rows import Committed
from gateway.bridge.rooms import crowd
from gateway.events import Affiliation, Member
from gateway.ids import RemoteUserId, RoomId
from gateway.store import Transaction, members, rooms, sharing, untold
from gateway.store.members import MemberRow
from gateway.store.rooms import RoomRow

if TYPE_CHECKING:
    from gateway.bridge.rooms.room_rows import RoomRows


_MOST_MAKING_ROOM = 50
"""Who have not spoken for longest, and go together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cutoffs:
    """Which group is large, and who is seen of it."""

    members: int = 200
    """A group of so many is shown as a whole. In a larger one, so many who do not moderate it."""
    speakers: int = 100
    lately_s: float = 86_400.0
    """The first session that comes into a larger one finds who has spoken within that time, and at
    most so many of them; and as many of those who are online as there is place for beside."""


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
    if member is None:
        return
    if not member.is_shown:
        _make_room(db, room.id, room_rows.cutoffs.members, out)
        _show(db, room.id, member, out)
    crowd.tell_of(db, room_rows.rows.network, room, user, now, out)


def _make_room(db: Transaction, room: RoomId, most: int, out: Committed) -> None:
    """Not for each who speaks: people who leave are noise in a client."""
    if not members.beyond_speakers(db, room, most - 1):
        return
    at_once = max(1, min(_MOST_MAKING_ROOM, most // 10))
    for quiet in members.beyond_speakers(db, room, most - at_once):
        members.show(db, room, quiet.user, is_shown=False)
        if rooms.occupants(db, room):
            crowd.note(db, room, quiet.user, quiet, replace(quiet, is_shown=False), out)


def _show(db: Transaction, room: RoomId, member: MemberRow, out: Committed) -> None:
    members.show(db, room, member.user)
    if rooms.occupants(db, room):
        crowd.note(db, room, member.user, member, replace(member, is_shown=True), out)


def show_if_small(room_rows: RoomRows, db: Transaction, room: RoomRow, out: Committed) -> None:
    """A group that is large no longer is shown as a whole."""
    if members.has_more(db, room.id, room_rows.cutoffs.members):
        return
    for member in members.hidden(db, room.id):
        _show(db, room.id, member, out)


def begin(
    db: Transaction,
    room: RoomId,
    cutoffs: Cutoffs,
    online: Iterable[RemoteUserId],
    now: float,
) -> None:
    """A session comes in. If it is the first one, nobody knows who was shown until now.
    ``online``: people who are there, as the network has told."""
    if rooms.occupants(db, room):
        return
    untold.clear(db, room)
    if not members.has_more(db, room, cutoffs.members):
        for member in members.hidden(db, room):  # of before the admin has changed the cut-offs
            members.show(db, room, member.user)
        return
    silent = members.silent(db, room, now - cutoffs.lately_s)
    for quiet in (*silent, *members.beyond_speakers(db, room, cutoffs.speakers)):
        members.show(db, room, quiet.user, is_shown=False)
    found = (members.find(db, room, user) for user in online)
    hidden = (member for member in found if member is not None and not member.is_shown)
    for there in islice(hidden, cutoffs.members - cutoffs.speakers):
        members.show(db, room, there.user)
