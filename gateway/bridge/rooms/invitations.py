# SPDX-License-Identifier: Apache-2.0
"""Into which rooms an account is asked, and where rooms go on: from events to what waits, and to
what the user is told (REQ-590, REQ-548).

Runs inside the writer's transaction.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from gateway.bridge.inbound.rows import Committed
from gateway.bridge.rooms.room_rows import RoomRows
from gateway.bridge.splitting import brief, in_line, one_line
from gateway.events import (
    GatewayNotice,
    RemoteRoomInvite,
    RemoteRoomInviteGone,
    RemoteRoomKnock,
    RemoteRoomMoved,
    RoomInvitation,
    RoomMoved,
)
from gateway.ids import RemoteRoomId
from gateway.store import Transaction, conversations, invitations, members, rooms, sharing
from gateway.store.conversations import GATEWAY
from gateway.store.invitations import MOST, Invitation
from gateway.store.rooms import RoomRow
from gateway.text.wording import tr

_TOO_MANY = tr(
    "{most} invitations to groups wait for you. You are not told of more: "
    "please look for them in another app of the network, or send “decline”.",
    most=MOST,
)
_KNOCKED = tr(
    "You have asked to be let into the group “{name}”. You will be told when "
    "you are invited. If you do not want that any more, send “decline”.",
)
_REFUSED = tr("You are not let into the group “{name}”.")


@dataclass(frozen=True, slots=True)
class InvitationIntake:
    """Of one account."""

    room_rows: RoomRows

    def apply(
        self,
        db: Transaction,
        event: RemoteRoomInvite | RemoteRoomInviteGone | RemoteRoomKnock,
        now: float,
        out: Committed,
    ) -> None:
        """One is there, or no longer; or the account has asked for one."""
        match event:
            case RemoteRoomInvite():
                self._invited(db, event, now, out)
            case RemoteRoomInviteGone():
                self._withdrawn(db, event, now, out)
            case RemoteRoomKnock():
                self._knocked(db, event, now, out)

    def _invited(
        self, db: Transaction, event: RemoteRoomInvite, now: float, out: Committed
    ) -> None:
        """The user is told, once."""
        account = self.room_rows.rows.account
        known = invitations.get(db, account, event.room)
        if self._is_in(db, event.room) or (known is not None and known.event == event.id):
            return
        name = one_line(event.name)
        waiting = known or Invitation(room=event.room, address=event.room)
        invitation = replace(
            waiting,
            event=event.id,
            name=name,
            inviter=event.inviter,
            has_knocked=False,
            own_name=one_line(event.own_name),
        )
        if not invitations.put(db, account, invitation, now):
            self._tell_too_many(db, now, out)
            return
        self.room_rows.rows.addresses.assign_room(db, event.room, name)
        self.room_rows.rows.addresses.assign(db, event.inviter)
        if not invitation.is_joining:
            self._tell(db, event, name, now, out, is_answer=waiting.has_knocked)

    def _knocked(
        self, db: Transaction, event: RemoteRoomKnock, now: float, out: Committed
    ) -> None:
        """The account has asked to be let in, perhaps in another app."""
        account = self.room_rows.rows.account
        known = invitations.get(db, account, event.room)
        if self._is_in(db, event.room) or (known is not None and known.has_knocked):
            return
        waiting = known or Invitation(room=event.room, address=event.room)
        name = one_line(event.name)
        waiting = replace(waiting, event=None, name=name, has_knocked=True)
        if invitations.put(db, account, waiting, now):
            self.room_rows.rows.addresses.assign_room(db, event.room, name, waiting.localpart)
            self._say(db, _KNOCKED, waiting, now, out)

    def _say(
        self, db: Transaction, text: str, about: Invitation, now: float, out: Committed
    ) -> None:
        sid = self.room_rows.rows.id("room", about.room, "knock", text, str(now))
        said = text.format(name=in_line(about.name) or tr("without a name"))
        notice = GatewayNotice(id=sid, text=said)
        self.room_rows.rows.add(db, GATEWAY, sid, notice, now, out)

    def _is_in(self, db: Transaction, remote_id: RemoteRoomId) -> bool:
        room = self.room_rows.find(db, remote_id)
        return room is not None and members.find(db, room.id, self.room_rows.own) is not None

    def _tell(
        self,
        db: Transaction,
        event: RemoteRoomInvite,
        name: str,
        now: float,
        out: Committed,
        *,
        is_answer: bool,
    ) -> None:
        rows = self.room_rows.rows
        sid = rows.id("room", event.room, "invited", event.id)
        told = RoomInvitation(
            id=sid,
            line_id=rows.id(sid, "line"),
            name=name,
            waiting=event.room,
            inviter=event.inviter,
            inviter_name=one_line(event.inviter_name),
            reason=brief(event.reason),
            is_answer=is_answer,
        )
        # The room is no conversation yet: this is one of the gateway.
        rows.add(db, GATEWAY, sid, told, now, out)

    def _tell_too_many(self, db: Transaction, now: float, out: Committed) -> None:
        rows = self.room_rows.rows
        if conversations.tell_once(db, rows.chat(db, GATEWAY), "invitations", until_pruned_at=now):
            sid = rows.id("invitations", str(now))
            rows.add(db, GATEWAY, sid, GatewayNotice(id=sid, text=_TOO_MANY), now, out)

    def _withdrawn(
        self, db: Transaction, event: RemoteRoomInviteGone, now: float, out: Committed
    ) -> None:
        """It was answered elsewhere, or is no more."""
        account = self.room_rows.rows.account
        known = invitations.get(db, account, event.room)
        if known is not None:
            invitations.drop(db, account, event.room)
            if event.is_refusal and known.has_knocked:
                self._say(db, _REFUSED, known, now, out)

    def came_in(self, db: Transaction, remote_id: RemoteRoomId) -> Invitation | None:
        """The account is in the room. Returns what waited for that."""
        account = self.room_rows.rows.account
        waited = invitations.get(db, account, remote_id)
        if waited is not None:
            invitations.drop(db, account, remote_id)
        return waited

    def moved(
        self, db: Transaction, room: RoomRow, event: RemoteRoomMoved, now: float, out: Committed
    ) -> None:
        """The sessions are told where it goes on, and the account goes there too."""
        was_told = room.moved_to == event.to
        if event.to == room.remote_id or (was_told and not room.is_shared):
            return
        rows, reason = self.room_rows.rows, brief(event.reason)
        if not was_told:
            rooms.set_moved(db, room.id, event.to)
            rows.addresses.assign_room(db, event.to, room.name)
            self._tell_sessions(db, room, event.to, reason, now, out)
        known = invitations.get(db, rows.account, event.to)
        if self._is_in(db, event.to) or (was_told and known is not None):
            return
        waiting = Invitation(room=event.to, address=event.address or event.to, name=room.name)
        if known is None and not invitations.put(db, rows.account, waiting, now):
            self._tell_too_many(db, now, out)
            return
        out.followed.append(event.to)
        sid = self.room_rows.id(room, "moved", event.to, self.room_rows.own)
        told = RoomInvitation(
            id=sid,
            line_id=rows.id(sid, "line"),
            name=room.name,
            waiting=event.to,
            reason=reason,
        )
        rows.add(db, GATEWAY, sid, told, now, out)

    def _tell_sessions(
        self,
        db: Transaction,
        room: RoomRow,
        new: RemoteRoomId,
        reason: str,
        now: float,
        out: Committed,
    ) -> None:
        for user, account in sharing.accounts_of(db, room.id).items():
            me = members.find(db, room.id, user)
            to = rooms.sessions(db, room.id, account)
            told = RoomMoved(nick=me.nick if me else "", new=new, reason=reason, to=to)
            sid = self.room_rows.id(room, "destroyed", new, user)
            self.room_rows.tell(db, room, sid, told, now, out)
            for jid in to:
                rooms.leave(db, room.id, jid)
