# SPDX-License-Identifier: Apache-2.0
"""Who is in a room: from events to the list of its members, and to rows for the sessions in it.

Runs inside the writer's transaction, as `gateway.bridge.rooms.intake`.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace as changed

from msgspec.structs import replace

from gateway.bridge.inbound.rows import Committed
from gateway.bridge.rooms import crowd, occupants, virtual
from gateway.bridge.rooms.crowd import presence_of
from gateway.bridge.rooms.gaps import Gaps
from gateway.bridge.rooms.leads import Leads
from gateway.bridge.rooms.nicks import fold
from gateway.bridge.rooms.room_rows import RoomRows
from gateway.bridge.splitting import brief, one_line, reference
from gateway.events import (
    Departure,
    Member,
    RemoteMember,
    RemoteMemberGone,
    RemoteRoomEvent,
    RoomMoved,
)
from gateway.ids import AccountId, RemoteUserId, is_virtual
from gateway.store import Transaction, avatars, knocks, members, put_out, rooms, sharing
from gateway.store.members import MemberRow
from gateway.store.rooms import RoomRow


def _is_only_unseen(before: MemberRow | None, after: MemberRow) -> bool:
    """Whether nothing is new but a picture that is told when it is there."""
    return (
        before is not None
        and after.picture is None
        and changed(before, avatar=after.avatar, picture=None) == after
    )


@dataclass(frozen=True, slots=True)
class Membership:
    """In the rooms of one account."""

    room_rows: RoomRows
    leads: Leads
    gaps: Gaps

    def all(
        self,
        db: Transaction,
        room: RoomRow,
        people: tuple[Member, ...],
        now: float,
        out: Committed,
    ) -> None:
        """These are in it, and nobody else; but that accounts with a session of their own have
        left is told by that one."""
        listed = {member.user for member in people}
        for known in members.of_room(db, room.id):
            if known.user not in listed and not self._tells_itself(db, room, known.user):
                gone = RemoteMemberGone(room=room.remote_id, user=known.user)
                self._remove(db, room, known, gone, now, out)
        for member in people:
            self.member(db, room, member, now, out)
        occupants.show_if_small(self.room_rows, db, room, out)

    def _tells_itself(self, db: Transaction, room: RoomRow, user: RemoteUserId) -> bool:
        if is_virtual(user):  # of whom no network tells
            return True
        account = sharing.account_of(db, room.id, user) if room.is_shared else None
        is_other = account is not None and account != self.leads.account
        return is_other and account is not None and self.leads.is_live(account)

    def own(
        self,
        db: Transaction,
        room: RoomRow,
        people: tuple[Member, ...],
        now: float,
        out: Committed,
    ) -> None:
        """The account is among these; another one's session tells of the others."""
        for member in people:
            if member.user == self.room_rows.own:
                self.member(db, room, member, now, out)
        listed = {member.user for member in people}
        for user in sharing.accounts_of(db, room.id):
            if user in listed or not self._tells_itself(db, room, user):
                self._hear(db, room, user, is_there=user in listed)

    def heard(self, db: Transaction, room: RoomRow, event: RemoteRoomEvent) -> None:
        """A session that does not lead tells who comes or goes: what it tells next is for those
        who are in as far as it knows."""
        match event:
            case RemoteMember():
                self._hear(db, room, event.member.user, is_there=True)
            case RemoteMemberGone():
                self._hear(db, room, event.user, is_there=False)

    def _hear(self, db: Transaction, room: RoomRow, user: RemoteUserId, *, is_there: bool) -> None:
        account, told_by = sharing.account_of(db, room.id, user), self.leads.account
        if account is not None and account != told_by:
            tell = put_out.tell_there if is_there else put_out.tell_gone
            tell(db, room.id, told_by, account)

    def member(
        self, db: Transaction, room: RoomRow, member: Member, now: float, out: Committed
    ) -> None:
        """Somebody is in it, as this."""
        if member.user == self.room_rows.own and not is_virtual(member.user):
            virtual.make_way(db, room, self.room_rows.rows.user, out)
        before = members.find(db, room.id, member.user)
        name = one_line(member.name)
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
            title=one_line(member.title),
            is_shown=occupants.is_shown(self.room_rows, db, room, member, before),
            avatar=reference(member.avatar),
            picture=avatars.hash_of(db, room.id, reference(member.avatar)),
        )
        is_known_now = False
        if before is None or member.user == self.room_rows.own:
            is_known_now = self._came_in(db, room, member.user, now, out, is_new=before is None)
        if after == before:
            if is_known_now:  # whose client that is, the others can see from now on (REQ-521)
                crowd.tell(self.room_rows, db, room, before, after, now, out)
            return
        known = Member(
            user=member.user,
            name=name,
            affiliation=member.affiliation,
            may_speak=member.may_speak,
            title=after.title,
            avatar=after.avatar,
        )
        members.put(db, room.id, known, called, fold(called), is_shown=after.is_shown)
        if _is_only_unseen(before, after):
            if rooms.occupants(db, room.id):
                out.pictured.append(room.id)
            return
        crowd.tell(self.room_rows, db, room, before, after, now, out)

    def _came_in(
        self,
        db: Transaction,
        room: RoomRow,
        user: RemoteUserId,
        now: float,
        out: Committed,
        *,
        is_new: bool,
    ) -> bool:
        """If that is somebody with an account here, who was not there until now. Another one's
        session may have told of them before their own did."""
        account = sharing.account_of(db, room.id, user)
        if account is None:
            return False
        if account == self.leads.account:
            put_out.expect(db, room.id, account, is_out=False)
        if room.is_shared and not sharing.is_staying(db, room.id, account):
            is_new = True
        if is_new:
            rooms.set_gone(db, room.id, account, None)
            self.gaps.came_back(db, room, account, now)
            if room.is_shared:
                sharing.begin_stay(db, room.id, account, now)
            out.entered.append((account, room.remote_id))
        return is_new

    def gone(
        self, db: Transaction, room: RoomRow, event: RemoteMemberGone, now: float, out: Committed
    ) -> None:
        """Somebody is no longer in it, or may not come in any more, or may again."""
        if self._is_told_again(db, room, event.user):
            return
        known = members.find(db, room.id, event.user)
        if known is None or event.how is Departure.BANNED:
            out.outcasts.append(room.id)
        if known is None:
            self._note_gone(db, room, event)
            return
        self._remove(db, room, known, event, now, out)
        occupants.show_if_small(self.room_rows, db, room, out)

    def _is_told_again(self, db: Transaction, room: RoomRow, user: RemoteUserId) -> bool:
        """Whether the account's own session tells of it what another one has told before. It may
        have come back since."""
        is_own = user == self.room_rows.own
        return is_own and put_out.is_expected(db, room.id, self.leads.account)

    def _remove(
        self,
        db: Transaction,
        room: RoomRow,
        known: MemberRow,
        event: RemoteMemberGone,
        now: float,
        out: Committed,
    ) -> None:
        account = sharing.account_of(db, room.id, known.user)
        own = rooms.sessions(db, room.id, account) if account is not None else ()
        actor = members.find(db, room.id, event.actor) if event.actor else None
        by, reason = actor.nick if actor else "", brief(event.reason)
        if event.how is Departure.DESTROYED:
            sid = self.room_rows.id(room, "destroyed", known.user, str(now))
            told = RoomMoved(nick=known.nick, reason=reason, to=own)
            self.room_rows.tell(db, room, sid, told, now, out)
        else:
            gone = replace(
                presence_of(room, known), gone=event.how, actor=by, reason=reason, to=own
            )
            crowd.tell_own(self.room_rows, db, room, gone, now, out)
        members.remove(db, room.id, known.user)
        self._note_gone(db, room, event)
        if account is not None:
            self._went_out(db, room, account)
        if rooms.occupants(db, room.id):
            crowd.note(
                db, room.id, known.user, known, None, out, how=event.how, actor=by, reason=reason
            )

    def _note_gone(self, db: Transaction, room: RoomRow, event: RemoteMemberGone) -> None:
        account = sharing.account_of(db, room.id, event.user)
        if account is not None:
            rooms.set_gone(db, room.id, account, event.how)

    def _went_out(self, db: Transaction, room: RoomRow, account: AccountId) -> None:
        knocks.drop_all(db, account, room.id)
        for jid in rooms.sessions(db, room.id, account):
            rooms.leave(db, room.id, jid)
        if room.is_shared:
            sharing.end_stay(db, room.id, account)
            put_out.expect(db, room.id, account, is_out=account != self.leads.account)
            if room.leader == account:
                sharing.lead(db, room.id, None)
