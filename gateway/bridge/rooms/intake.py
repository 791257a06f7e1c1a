# SPDX-License-Identifier: Apache-2.0
"""From events of rooms to what is stored of them, and to rows for the sessions in them: what they
are, and who is there. For what is said see `gateway.bridge.rooms.said`.

Runs inside the writer's transaction. Who gets a row is decided here: the sessions that are in the
room when it is committed.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.bridge.rooms import occupants
from gateway.bridge.rooms.invitations import InvitationIntake
from gateway.bridge.rooms.nicks import fold
from gateway.bridge.rooms.occupants import Cutoffs
from gateway.bridge.rooms.room_rows import RoomRows
from gateway.bridge.rooms.said import Said, what_is_said
from gateway.bridge.rooms.slow_mode import LONGEST_S
from gateway.bridge.rows import Committed, Rows
from gateway.bridge.splitting import NAME_CHARS, brief
from gateway.bridge.wellformed import honest_time
from gateway.events import (
    Departure,
    Member,
    RemoteMember,
    RemoteMemberGone,
    RemoteRoom,
    RemoteRoomEvent,
    RemoteRoomInvite,
    RemoteRoomInviteGone,
    RemoteRoomMoved,
    RoomChanged,
    RoomInvitation,
    RoomMoved,
    RoomSubject,
)
from gateway.ids import RemoteRoomId, RemoteUserId
from gateway.store import Transaction, rooms
from gateway.store.rooms import MemberRow, RoomRow

_TOPIC_CHARS = 2_000


def room_intake(rows: Rows, own: RemoteUserId, cutoffs: Cutoffs) -> RoomIntake:
    """That of one account. ``own``: the account itself."""
    room_rows = RoomRows(rows, own, cutoffs)
    return RoomIntake(room_rows, what_is_said(room_rows), InvitationIntake(room_rows))


@dataclass(frozen=True, slots=True)
class RoomIntake:
    """Rooms of one account."""

    room_rows: RoomRows
    said: Said
    invitations: InvitationIntake

    def apply(self, db: Transaction, event: RemoteRoomEvent, now: float, out: Committed) -> None:
        """One event of a room."""
        match event:
            case RemoteRoom():
                self._room(db, event, now, out)
                return
            case RemoteRoomInvite():
                self.invitations.invited(db, event, now, out)
                return
            case RemoteRoomInviteGone():
                self.invitations.withdrawn(db, event)
                return
        room = self.room_rows.find(db, event.room)
        if room is None:
            return  # the account is no longer in it
        match event:
            case RemoteMember():
                self._member(db, room, event.member, now, out)
            case RemoteMemberGone():
                self._gone(db, room, event, now, out)
            case RemoteRoomMoved():
                self.invitations.moved(db, room, event, now, out)
            case _:
                self.said.apply(db, room, event, now, out)

    def line(
        self,
        db: Transaction,
        remote_id: RemoteRoomId,
        about: str,
        text: str,
        now: float,
        out: Committed,
    ) -> None:
        """One of the room itself, once for each ``about``."""
        room = self.room_rows.find(db, remote_id)
        if room is not None:
            self.said.lines.line(db, room, about, text, now, out)

    # --- what it is -----------------------------------------------------------------------------

    def _room(self, db: Transaction, event: RemoteRoom, now: float, out: Committed) -> None:
        before = self.room_rows.find(db, event.room)
        room = before or self.room_rows.make(db, event.room)
        was_left = before is not None and self._was_left(db, before)
        waited = self.invitations.came_in(db, event.room)
        name = brief(event.name, NAME_CHARS)
        topic = brief(event.topic, _TOPIC_CHARS)
        topic_at = None if event.topic_at is None else honest_time(event.topic_at, now)
        slow_mode_s = min(max(0, event.slow_mode_s), LONGEST_S)
        rooms.describe(
            db,
            room.id,
            name=name,
            topic=topic,
            topic_by=event.topic_by,
            topic_at=topic_at,
            private=event.is_private,
            may=event.may,
            slow_mode_s=slow_mode_s,
        )
        wanted = "" if waited is None else waited.localpart
        self.room_rows.rows.addresses.assign_room(db, event.room, name, wanted)
        if event.members is not None:
            self._all_members(db, room, event.members, now, out)
        is_joining = waited is not None and waited.is_joining
        if event.is_new and (before is None or was_left) and not is_joining:
            self._announce(db, room, name, now, out)
        if before is None:
            return
        if topic != before.topic:
            setter = rooms.member(db, room.id, event.topic_by) if event.topic_by else None
            sid = self.room_rows.id(room, "subject", topic, str(topic_at))
            self.room_rows.tell(
                db,
                room,
                sid,
                RoomSubject(
                    id=sid,
                    nick=setter.nick if setter else "",
                    topic=topic,
                    sent_at=now if topic_at is None else topic_at,
                    to=rooms.occupants(db, room.id),
                ),
                now,
                out,
            )
        shape = (name, event.is_private, event.may, slow_mode_s)
        if shape != (before.name, before.private, before.may, before.slow_mode_s):
            sid = self.room_rows.id(room, "changed", *map(str, shape), str(now))
            is_private = event.is_private if event.is_private != before.private else None
            to = rooms.occupants(db, room.id)
            changed = RoomChanged(id=sid, is_private=is_private, to=to)
            self.room_rows.tell(db, room, sid, changed, now, out)

    def _was_left(self, db: Transaction, room: RoomRow) -> bool:
        """Others are known to be in it, and the account is not."""
        own = rooms.member(db, room.id, self.room_rows.own)
        return own is None and rooms.count_members(db, room.id) > 0

    def _announce(
        self, db: Transaction, room: RoomRow, name: str, now: float, out: Committed
    ) -> None:
        """REQ-590: for clients that know invitations, and a line for those that do not."""
        sid = self.room_rows.id(room, "invitation", str(now))
        line_id = self.room_rows.id(room, "announcement", str(now))
        told = RoomInvitation(id=sid, line_id=line_id, name=name)
        self.room_rows.add(db, room, sid, told, now, out)

    # --- who is there ---------------------------------------------------------------------------

    def _all_members(
        self,
        db: Transaction,
        room: RoomRow,
        members: tuple[Member, ...],
        now: float,
        out: Committed,
    ) -> None:
        listed = {member.user for member in members}
        for known in rooms.members(db, room.id):
            if known.user not in listed:
                gone = RemoteMemberGone(room=room.remote_id, user=known.user)
                self._remove(db, room, known, gone, now, out)
        for member in members:
            self._member(db, room, member, now, out)
        occupants.show_if_small(self.room_rows, db, room, now, out)

    def _member(
        self, db: Transaction, room: RoomRow, member: Member, now: float, out: Committed
    ) -> None:
        before = rooms.member(db, room.id, member.user)
        name = brief(member.name, NAME_CHARS)
        if before is not None and before.name == name:
            called = before.nick
        else:
            called = self.room_rows.nick(db, room, name, member.user)
        after = MemberRow(
            user=member.user,
            name=name,
            nick=called,
            affiliation=member.affiliation,
            may_speak=member.may_speak,
            title=brief(member.title, NAME_CHARS),
            is_shown=occupants.is_shown(self.room_rows, db, room, member, before),
        )
        if after == before:
            return
        if before is None and member.user == self.room_rows.own:
            out.entered.append(room.remote_id)
        known = Member(
            user=member.user,
            name=name,
            affiliation=member.affiliation,
            may_speak=member.may_speak,
            title=after.title,
        )
        rooms.put_member(db, room.id, known, called, fold(called), is_shown=after.is_shown)
        to = rooms.occupants(db, room.id)
        if not to:
            return
        if before is not None and before.nick != called:
            self._present(db, room, before, now, out, gone=Departure.LEFT, new_nick=called, to=to)
        self._present(db, room, after, now, out, to=to)

    def _gone(
        self, db: Transaction, room: RoomRow, event: RemoteMemberGone, now: float, out: Committed
    ) -> None:
        known = rooms.member(db, room.id, event.user)
        if known is None:
            return
        self._remove(db, room, known, event, now, out)
        occupants.show_if_small(self.room_rows, db, room, now, out)

    def _remove(
        self,
        db: Transaction,
        room: RoomRow,
        known: MemberRow,
        event: RemoteMemberGone,
        now: float,
        out: Committed,
    ) -> None:
        to = rooms.occupants(db, room.id)
        is_over = event.how is Departure.DESTROYED and known.user == self.room_rows.own
        if to and is_over:
            sid = self.room_rows.id(room, "destroyed", str(now))
            told = RoomMoved(nick=known.nick, reason=brief(event.reason), to=to)
            self.room_rows.tell(db, room, sid, told, now, out)
        elif to:
            actor = rooms.member(db, room.id, event.actor) if event.actor else None
            self._present(
                db,
                room,
                known,
                now,
                out,
                gone=event.how,
                actor=actor.nick if actor else "",
                reason=brief(event.reason),
                to=to,
            )
        rooms.remove_member(db, room.id, known.user)
        if known.user == self.room_rows.own:
            for jid in to:
                rooms.leave(db, room.id, jid)

    def _present(
        self,
        db: Transaction,
        room: RoomRow,
        member: MemberRow,
        now: float,
        out: Committed,
        *,
        to: tuple[str, ...],
        gone: Departure | None = None,
        new_nick: str = "",
        actor: str = "",
        reason: str = "",
    ) -> None:
        """Nothing is told of who is not shown."""
        if not member.is_shown:
            return
        occupants.present(
            self.room_rows,
            db,
            room,
            member,
            now,
            out,
            to=to,
            gone=gone,
            new_nick=new_nick,
            actor=actor,
            reason=reason,
        )
