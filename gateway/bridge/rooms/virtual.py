# SPDX-License-Identifier: Apache-2.0
"""Members of linked groups for whom the house speaks: they are there while a session of theirs is.

What was said while they were away is for them as well, as it is in any room of XMPP: so a stay of
theirs begins with the first time that they come, and does not end when they go. It ends when they
may not come in any more.

Runs inside the writer's transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import structs

from gateway.bridge.inbound.rows import Committed, Frozen
from gateway.bridge.rooms import crowd
from gateway.bridge.rooms.crowd import presence_of
from gateway.events import Departure, Member, RoomMoved
from gateway.ids import (
    AccountId,
    RemoteUserId,
    RoomId,
    UserJid,
    is_virtual,
    user_of,
    virtual_id,
)
from gateway.store import Transaction, accounts, members, portals, rooms, sharing
from gateway.store.rooms import RoomRow

if TYPE_CHECKING:
    from gateway.bridge.rooms.intake import RoomIntake
    from gateway.bridge.rooms.room_rows import RoomRows


def come_in(
    intake: RoomIntake, db: Transaction, room: RoomRow, member: Member, now: float, out: Committed
) -> None:
    """Somebody is there from now on, as this; or is something else there. ``intake``: of their
    account."""
    known = intake.room_rows.enter(db, room.remote_id)
    intake.membership.member(db, known, member, now, out)


def went_out(
    db: Transaction,
    room: RoomId,
    account: AccountId,
    out: Committed,
    *,
    how: Departure = Departure.LEFT,
    actor: str = "",
    reason: str = "",
) -> None:
    """A session of an account is not there any more. With the last one of somebody for whom the
    house speaks they have gone, and others are told."""
    user = accounts.remote_id(db, account)
    if user is None or not is_virtual(user) or rooms.sessions(db, room, account):
        return
    member = members.find(db, room, user)
    if member is None:
        return
    members.remove(db, room, user)
    if rooms.occupants(db, room):
        crowd.note(db, room, user, member, None, out, how=how, actor=actor, reason=reason)


def put_out(
    room_rows: RoomRows,
    db: Transaction,
    room: RoomRow,
    user: RemoteUserId,
    how: Departure,
    now: float,
    out: Committed,
    *,
    actor: str = "",
    reason: str = "",
    may_come_back: bool = False,
) -> None:
    """Somebody is removed by a moderator, or with the room: their sessions are told so. What is
    said from now on is not for them, unless they ``may_come_back`` whenever they like.
    ``room_rows``: of any account in the room."""
    account = sharing.account_of(db, room.id, user)
    if account is None:
        return  # they were never in it
    member = members.find(db, room.id, user)
    own = rooms.sessions(db, room.id, account)
    if member is not None and how is Departure.DESTROYED:
        sid = room_rows.id(room, "destroyed", user, str(now))
        told = RoomMoved(nick=member.nick, reason=reason, to=own)
        room_rows.tell(db, room, sid, told, now, out)
    elif member is not None and own:
        gone = presence_of(room, member)
        gone = structs.replace(gone, gone=how, actor=actor, reason=reason, to=own)
        crowd.tell_own(room_rows, db, room, gone, now, out)
    for jid in own:
        rooms.leave(db, room.id, jid)
    went_out(db, room.id, account, out, how=how, actor=actor, reason=reason)
    if not may_come_back:
        sharing.end_stay(db, room.id, account)


def close(room_rows: RoomRows, db: Transaction, room: RoomRow, now: float, out: Committed) -> None:
    """Only who was named may be in a linked group from now on."""
    portal = portals.find(db, room_rows.rows.network, room.remote_id)
    if portal is None:
        return
    for user in _known(db, room):
        said = portals.affiliation(db, room_rows.rows.network, room.remote_id, user_of(user))
        if said in ("", portals.OUTCAST):
            put_out(room_rows, db, room, user, Departure.LEFT, now, out)


def put_all_out(
    room_rows: RoomRows, db: Transaction, room: RoomRow, now: float, out: Committed
) -> None:
    """A group is linked no longer: to those who were in it, it is no more."""
    for user in _known(db, room):
        put_out(room_rows, db, room, user, Departure.DESTROYED, now, out)


def _known(db: Transaction, room: RoomRow) -> list[RemoteUserId]:
    """All who are in it, or have been."""
    return [user for user in sharing.accounts_of(db, room.id) if is_virtual(user)]


def moved(db: Transaction, room: RoomRow) -> None:
    """A group goes on as another one, into which their clients come."""
    for user, account in sharing.accounts_of(db, room.id).items():
        if is_virtual(user):
            members.remove(db, room.id, user)
            sharing.end_stay(db, room.id, account)


def freeze(db: Transaction, room: RoomRow, out: Committed) -> None:
    """The house is not in a group any more: nobody for whom it speaks is, until it is back."""
    for user in _known(db, room):
        _freeze(db, room, user, out)


def make_way(db: Transaction, room: RoomRow, user: UserJid, out: Committed) -> None:
    """One person is one occupant: who comes in by an account of their own is there by that alone.
    Their clients join again."""
    _freeze(db, room, virtual_id(user), out)


def _freeze(db: Transaction, room: RoomRow, user: RemoteUserId, out: Committed) -> None:
    account = sharing.account_of(db, room.id, user)
    if account is None:
        return
    member = members.find(db, room.id, user)
    nick = "" if member is None else member.nick
    for jid in rooms.sessions(db, room.id, account):
        rooms.leave(db, room.id, jid)
        out.frozen.append(Frozen(room.remote_id, nick, jid))
    went_out(db, room.id, account, out)
    sharing.end_stay(db, room.id, account)
