# SPDX-License-Identifier: Apache-2.0
"""From events of rooms to what is stored of them, and to rows for the sessions in them: what they
are. For who is there see `gateway.bridge.rooms.membership`, for what is said
`gateway.bridge.rooms.said`.

Runs inside the writer's transaction. Who gets a row is decided here: the sessions that are in the
room when it is committed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.bridge.inbound.rows import Committed, Rows
from gateway.bridge.inbound.wellformed import honest_time
from gateway.bridge.portals.portals import as_portal, moved
from gateway.bridge.rooms import topics, virtual
from gateway.bridge.rooms.gaps import Gaps
from gateway.bridge.rooms.invitations import InvitationIntake
from gateway.bridge.rooms.knocking import KnockIntake
from gateway.bridge.rooms.known import Known
from gateway.bridge.rooms.leads import Leads
from gateway.bridge.rooms.membership import Membership
from gateway.bridge.rooms.occupants import Cutoffs
from gateway.bridge.rooms.room_rows import RoomRows
from gateway.bridge.rooms.said import Said, what_is_said
from gateway.bridge.rooms.slow_mode import LONGEST_S
from gateway.bridge.splitting import one_line, reference
from gateway.events import (
    RemoteMember,
    RemoteMemberGone,
    RemoteRoom,
    RemoteRoomEvent,
    RemoteRoomGap,
    RemoteRoomInvite,
    RemoteRoomInviteGone,
    RemoteRoomKnock,
    RemoteRoomKnockGone,
    RemoteRoomMoved,
    RemoteRoomRead,
    RemoteUndecryptable,
    RoomChanged,
    RoomInvitation,
)
from gateway.ids import AccountId, RemoteRoomId, RemoteUserId
from gateway.store import Transaction, avatars, held, members, rooms
from gateway.store.rooms import RoomRow


def room_intake(
    rows: Rows,
    own: RemoteUserId,
    cutoffs: Cutoffs,
    is_live: Callable[[AccountId], bool],
    *,
    has_history: bool,
) -> RoomIntake:
    """That of one account. ``own``: the account itself. ``has_history``: the network tells what
    was said before."""
    room_rows, leads = RoomRows(rows, own, cutoffs), Leads(rows.account, is_live)
    said = what_is_said(room_rows)
    known = Known(room_rows, said.speech.references)
    gaps = Gaps(room_rows, known, said.lines, has_history)
    return RoomIntake(
        room_rows,
        leads,
        gaps,
        Membership(room_rows, leads, gaps),
        said,
        InvitationIntake(room_rows),
        KnockIntake(room_rows),
    )


_MOST_PEOPLE = 10**9


@dataclass(frozen=True, slots=True)
class RoomIntake:
    """Rooms of one account."""

    room_rows: RoomRows
    leads: Leads
    gaps: Gaps
    membership: Membership
    said: Said
    invitations: InvitationIntake
    knocks: KnockIntake

    def apply(self, db: Transaction, event: RemoteRoomEvent, now: float, out: Committed) -> None:
        """One event of a room."""
        match event:
            case RemoteRoom():
                self._room(db, event, now, out)
                return
            case (
                RemoteRoomInvite()
                | RemoteRoomInviteGone()
                | RemoteRoomKnock(user=self.room_rows.own)
            ):
                self.invitations.apply(db, event, now, out)
                return
        room = self.room_rows.find(db, event.room)
        if room is None:
            return  # the account is no longer in it
        if not self._counts(room, event):  # another one's session tells it
            self.membership.heard(db, room, event)
            return
        match event:
            case RemoteMember():
                self.membership.member(db, room, event.member, now, out)
            case RemoteMemberGone():
                self._gone(db, room, event, now, out)
            case RemoteRoomKnock() | RemoteRoomKnockGone():
                self.knocks.apply(db, room, event, now, out)
            case RemoteRoomMoved():
                self._moved(db, room, event, now, out)
            case RemoteRoomGap():
                is_said = self.leads.does(room)
                self.gaps.named(db, room, event, now, out, is_said=is_said)
            case _:
                self.said.apply(db, room, event, now, out)

    def _gone(
        self, db: Transaction, room: RoomRow, event: RemoteMemberGone, now: float, out: Committed
    ) -> None:
        self.membership.gone(db, room, event, now, out)
        if self.room_rows.rows.is_of_house and event.user == self.room_rows.own:
            virtual.freeze(db, room, out)

    def _moved(
        self, db: Transaction, room: RoomRow, event: RemoteRoomMoved, now: float, out: Committed
    ) -> None:
        self.invitations.moved(db, room, event, now, out)
        if self.room_rows.rows.is_of_house:
            virtual.moved(db, room)
            moved(db, self.room_rows.rows.network, event, out)

    def stand_in(
        self, db: Transaction, event: RemoteUndecryptable, reason: str, now: float, out: Committed
    ) -> None:
        """A line in place of a message that still cannot be read, and the reactions to it."""
        room = self.room_rows.find(db, event.room) if event.room is not None else None
        if room is not None:
            self.said.speech.stand_in(db, room, event, reason, now, out)
            for reaction in held.take_reactions(db, room.conversation, event.id):
                self.said.apply_waiting(db, room, reaction, now, out)

    def _counts(self, room: RoomRow, event: RemoteRoomEvent) -> bool:
        """Whether the word of this session counts. Of its own account it always does."""
        match event:
            case RemoteMember():
                return event.member.user == self.room_rows.own or self.leads.does(room)
            case RemoteMemberGone():
                return event.user == self.room_rows.own or self.leads.does(room)
            case RemoteRoomRead():
                return event.reader == self.room_rows.own or self.leads.does(room)
        return True

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

    def _room(self, db: Transaction, event: RemoteRoom, now: float, out: Committed) -> None:
        before = self.room_rows.find(db, event.room)
        room = before or self.room_rows.enter(db, event.room)
        if room.is_shared:
            event = as_portal(db, self.room_rows.rows.network, event, out)
        was_left = before is not None and self._was_left(db, before)
        waited = self.invitations.came_in(db, event.room)
        name = one_line(event.name)
        wanted = "" if waited is None else waited.localpart
        self.room_rows.rows.addresses.assign_room(db, event.room, name, wanted)
        rooms.allow(db, room.id, self.room_rows.rows.account, event.may)
        counts = self.leads.may_tell(db, room, whole=event.members is not None)
        if counts:
            self._describe(db, room, event, now, out)
            if event.is_private and not room.private:
                virtual.close(self.room_rows, db, room, now, out)
        elif not event.shows_past:
            # The leader's session may be told later than this one, which tells what is said next.
            rooms.hide_past(db, room.id)
        if event.members is not None:
            tell = self.membership.all if counts else self.membership.own
            tell(db, room, event.members, now, out)
            self.knocks.listed(db, room)
        is_joining = waited is not None and waited.is_joining
        if event.is_new and (before is None or was_left) and not is_joining:
            self._announce(db, room, name, now, out)
        self._tell_change(db, room, event, now, out, is_described=counts)

    def _was_left(self, db: Transaction, room: RoomRow) -> bool:
        """Others are known to be in it, and the account is not."""
        own = members.find(db, room.id, self.room_rows.own)
        return own is None and members.count(db, room.id) > 0

    def _describe(
        self, db: Transaction, room: RoomRow, event: RemoteRoom, now: float, out: Committed
    ) -> None:
        topic = topics.topic(event.topic)
        topic_at = None if event.topic_at is None else honest_time(event.topic_at, now)
        rooms.describe(
            db,
            room.id,
            name=one_line(event.name),
            topic=topic,
            topic_by=event.topic_by,
            topic_at=topic_at,
            private=event.is_private,
            shows_past=event.shows_past,
            slow_mode_s=_slow_mode_s(event),
            avatar=reference(event.avatar),
            is_listed=event.is_listed,
            takes_private=event.takes_private,
            people=None if event.people is None else min(max(0, event.people), _MOST_PEOPLE),
        )
        # What it is at first sight is no change of it.
        if topic != room.topic and members.count(db, room.id):
            at = now if topic_at is None else topic_at
            self.said.topics.changed(db, room, topic, event.topic_by, at, now, out)

    def _announce(
        self, db: Transaction, room: RoomRow, name: str, now: float, out: Committed
    ) -> None:
        """REQ-590: for clients that know invitations, and a line for those that do not."""
        sid = self.room_rows.id(room, "invitation", self.room_rows.own, str(now))
        line_id = self.room_rows.id(room, "announcement", self.room_rows.own, str(now))
        told = RoomInvitation(id=sid, line_id=line_id, name=name)
        self.room_rows.add(db, room, sid, told, now, out)

    def opened(
        self, db: Transaction, room: RoomRow, now: float, out: Committed, *, is_private: bool
    ) -> None:
        """Others may come into a linked group than before."""
        if room.private == is_private:
            return
        rooms.set_private(db, room.id, is_private)
        if is_private:
            virtual.close(self.room_rows, db, room, now, out)
        sid = self.room_rows.id(room, "opened", str(is_private), str(now))
        to = rooms.occupants(db, room.id)
        changed = RoomChanged(id=sid, is_private=is_private, to=to)
        self.room_rows.tell(db, room, sid, changed, now, out)

    def _tell_change(
        self,
        db: Transaction,
        room: RoomRow,
        event: RemoteRoom,
        now: float,
        out: Committed,
        *,
        is_described: bool,
    ) -> None:
        """REQ-542. What the account may do concerns its own sessions alone."""
        shape = (
            one_line(event.name),
            event.is_private,
            _slow_mode_s(event),
            event.is_listed,
            event.takes_private,
        )
        known = (room.name, room.private, room.slow_mode_s, room.is_listed, room.takes_private)
        is_private = None
        picture = self._new_picture(db, room, event, out) if is_described else None
        is_other = shape != known or picture is not None
        if is_described and is_other:
            to = rooms.occupants(db, room.id)
            is_private = event.is_private if event.is_private != room.private else None
        elif event.may != room.may:
            to = rooms.sessions(db, room.id, self.room_rows.rows.account)
        else:
            return
        sid = self.room_rows.id(room, "changed", *map(str, (*shape, event.may, picture)), str(now))
        changed = RoomChanged(id=sid, is_private=is_private, picture=picture, to=to)
        self.room_rows.tell(db, room, sid, changed, now, out)

    def _new_picture(
        self, db: Transaction, room: RoomRow, event: RemoteRoom, out: Committed
    ) -> str | None:
        """The hash of another one; None if it is as it was. One that is not there yet is told when
        it is."""
        avatar = reference(event.avatar)
        if avatar == room.avatar:
            return None
        picture = avatars.hash_of(db, room.id, avatar)
        if picture is None and rooms.occupants(db, room.id):
            out.pictured.append(room.id)
        return picture


def _slow_mode_s(event: RemoteRoom) -> int:
    return min(max(0, event.slow_mode_s), LONGEST_S)
