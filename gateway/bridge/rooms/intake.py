# SPDX-License-Identifier: Apache-2.0
"""From events of rooms to what is stored of them, and to rows for the sessions in them.

Runs inside the writer's transaction. Who gets a row is decided here: the sessions that are in the
room when it is committed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass

from msgspec import structs

from gateway.bridge.rooms.nicks import fold, nick
from gateway.bridge.rows import Committed, Rows
from gateway.bridge.splitting import NAME_CHARS, brief, split_text
from gateway.bridge.unread import line, storable
from gateway.bridge.wellformed import honest_time
from gateway.events import (
    Departure,
    Member,
    RemoteMember,
    RemoteMemberGone,
    RemoteRoom,
    RemoteRoomEvent,
    RemoteRoomMessage,
    RemoteUndecryptable,
    RoomChanged,
    RoomDelivery,
    RoomInvitation,
    RoomMessage,
    RoomPresence,
    RoomSubject,
)
from gateway.ids import RemoteRoomId, RemoteUserId, StanzaId
from gateway.store import Transaction, conversations, held, journal, rooms
from gateway.store.conversations import MessageRow, Origin
from gateway.store.rooms import MemberRow, RoomRow
from gateway.text import clean

_TOPIC_CHARS = 2_000


def occupant_id(secret: bytes, user: RemoteUserId) -> str:
    """XEP-0421 §4: the same for ever, and of no use to know the person by in another room."""
    digest = hmac.new(secret, user.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def presence_of(room: RoomRow, member: MemberRow) -> RoomPresence:
    """That somebody is there, as it is told to whoever joins."""
    return RoomPresence(
        nick=member.nick,
        occupant=occupant_id(room.secret, member.user),
        member=member.user,
        affiliation=member.affiliation,
        may_speak=member.may_speak,
    )


def _addressed(said: RoomMessage, to: tuple[str, ...]) -> RoomMessage:
    return structs.replace(said, to=to)


@dataclass(frozen=True, slots=True)
class RoomIntake:
    """Rooms of one account."""

    rows: Rows
    own: RemoteUserId
    """The account itself."""

    def apply(self, db: Transaction, event: RemoteRoomEvent, now: float, out: Committed) -> None:
        """One event of a room."""
        if isinstance(event, RemoteRoom):
            self._room(db, event, now, out)
            return
        room = self.find(db, event.room)
        if room is None:
            return  # the account is no longer in it
        match event:
            case RemoteMember():
                self._member(db, room, event.member, now, out)
            case RemoteMemberGone():
                self._gone(db, room, event, now, out)
            case RemoteRoomMessage():
                self._message(db, room, event, now, out)

    def find(self, db: Transaction, remote_id: RemoteRoomId) -> RoomRow | None:
        """A room that the account is in."""
        return rooms.find(db, self.rows.network, self.rows.account, remote_id)

    # --- what it is -----------------------------------------------------------------------------

    def _room(self, db: Transaction, event: RemoteRoom, now: float, out: Committed) -> None:
        before = self.find(db, event.room)
        room = before or rooms.add(db, self.rows.network, self.rows.account, event.room)
        was_left = before is not None and self._was_left(db, before)
        name = brief(event.name, NAME_CHARS)
        topic = brief(event.topic, _TOPIC_CHARS)
        topic_at = None if event.topic_at is None else honest_time(event.topic_at, now)
        rooms.describe(
            db,
            room.id,
            name=name,
            topic=topic,
            topic_by=event.topic_by,
            topic_at=topic_at,
            private=event.is_private,
        )
        self.rows.addresses.assign_room(db, event.room, name)
        if event.members is not None:
            self._all_members(db, room, event.members, now, out)
        if event.is_new and (before is None or was_left):
            self._announce(db, room, name, now, out)
        if before is None:
            return
        if topic != before.topic:
            setter = rooms.member(db, room.id, event.topic_by) if event.topic_by else None
            sid = self._id(room, "subject", topic, str(topic_at))
            self._tell(
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
        if (name, event.is_private) != (before.name, before.private):
            sid = self._id(room, "changed", name, str(event.is_private), str(now))
            self._tell(
                db, room, sid, RoomChanged(id=sid, to=rooms.occupants(db, room.id)), now, out
            )

    def _was_left(self, db: Transaction, room: RoomRow) -> bool:
        """Others are known to be in it, and the account is not."""
        return rooms.member(db, room.id, self.own) is None and rooms.count_members(db, room.id) > 0

    def _announce(
        self, db: Transaction, room: RoomRow, name: str, now: float, out: Committed
    ) -> None:
        """REQ-590: for clients that know invitations, and a line for those that do not."""
        sid = self._id(room, "invitation", str(now))
        told = RoomInvitation(id=sid, line_id=self._id(room, "announcement", str(now)), name=name)
        self._add(db, room, sid, told, now, out)

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

    def _member(
        self, db: Transaction, room: RoomRow, member: Member, now: float, out: Committed
    ) -> None:
        before = rooms.member(db, room.id, member.user)
        name = brief(member.name, NAME_CHARS)
        if before is not None and before.name == name:
            called = before.nick
        else:
            called = self._nick(db, room, name, member.user)
        after = MemberRow(
            user=member.user,
            name=name,
            nick=called,
            affiliation=member.affiliation,
            may_speak=member.may_speak,
        )
        if after == before:
            return
        known = Member(
            user=member.user,
            name=name,
            affiliation=member.affiliation,
            may_speak=member.may_speak,
        )
        rooms.put_member(db, room.id, known, called, fold(called))
        to = rooms.occupants(db, room.id)
        if not to:
            return
        if before is not None and before.nick != called:
            self._present(db, room, before, now, out, gone=Departure.LEFT, new_nick=called, to=to)
        self._present(db, room, after, now, out, to=to)

    def _nick(self, db: Transaction, room: RoomRow, name: str, user: RemoteUserId) -> str:
        def is_taken(folded: str) -> bool:
            found = rooms.by_nick(db, room.id, folded)
            return found is not None and found.user != user

        return nick(name, user, is_taken)

    def _gone(
        self, db: Transaction, room: RoomRow, event: RemoteMemberGone, now: float, out: Committed
    ) -> None:
        known = rooms.member(db, room.id, event.user)
        if known is None:
            return
        self._remove(db, room, known, event, now, out)

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
        if to:
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
        if known.user == self.own:
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
        sid = self._id(room, "presence", member.user, str(now), new_nick, str(gone))
        told = RoomPresence(
            nick=member.nick,
            occupant=occupant_id(room.secret, member.user),
            member=member.user,
            affiliation=member.affiliation,
            may_speak=member.may_speak,
            gone=gone,
            new_nick=new_nick,
            actor=actor,
            reason=reason,
            to=to,
        )
        self._tell(db, room, sid, told, now, out)

    # --- what is said ---------------------------------------------------------------------------

    def _message(
        self,
        db: Transaction,
        room: RoomRow,
        event: RemoteRoomMessage,
        now: float,
        out: Committed,
    ) -> None:
        if event.sender == self.own and self._is_echo(db, room, event, now, out):
            return
        if held.release(db, room.conversation, event.id):
            shown = conversations.by_remote_id(db, room.conversation, event.id)
            if shown is not None:
                self._readable(db, room, event, shown, now, out)
                return
        called = self._called(db, room, event.sender)
        sent_at = honest_time(event.sent_at, now)
        for part, body in enumerate(split_text(clean(event.body))):
            sid = self._id(room, event.id, part)
            stored = conversations.add_message(
                db,
                room.conversation,
                stanza_id=sid,
                origin=Origin.ELSEWHERE if event.sender == self.own else Origin.CONTACT,
                sent_at=sent_at,
                remote_id=event.id,
                part=part,
                now=now,
            )
            if stored is None:
                return
            said = RoomMessage(
                id=sid,
                archive_id=self._id(room, "archive", event.id, part),
                nick=called,
                occupant=occupant_id(room.secret, event.sender),
                body=body,
                sent_at=sent_at,
            )
            self._say(db, room, stored, event.sender, said, now, out)

    def _called(self, db: Transaction, room: RoomRow, user: RemoteUserId) -> str:
        """Also of somebody who has left since."""
        member = rooms.member(db, room.id, user)
        return member.nick if member else self._nick(db, room, "", user)

    # --- what cannot be read yet ----------------------------------------------------------------

    def keep(
        self, db: Transaction, event: RemoteUndecryptable, now: float, out: Committed
    ) -> None:
        """A message that cannot be read."""
        room = self.find(db, event.room) if event.room is not None else None
        if room is None:
            return
        if conversations.by_remote_id(db, room.conversation, event.id) is None:
            held.hold(db, room.conversation, storable(event, now), now)
            out.held |= bool(event.needs)

    def stand_in(
        self, db: Transaction, event: RemoteUndecryptable, reason: str, now: float, out: Committed
    ) -> None:
        """One line in its place, by who has said it."""
        room = self.find(db, event.room) if event.room is not None else None
        if room is None:
            return
        sid = self._id(room, event.id, 0)
        made = conversations.add_message(
            db,
            room.conversation,
            stanza_id=sid,
            origin=Origin.ELSEWHERE if event.own else Origin.CONTACT,
            sent_at=event.sent_at,
            remote_id=event.id,
            now=now,
        )
        if made is None:
            return
        said = RoomMessage(
            id=sid,
            archive_id=self._id(room, "archive", event.id, 0),
            nick=self._called(db, room, event.contact),
            occupant=occupant_id(room.secret, event.contact),
            body=line(reason),
            sent_at=event.sent_at,
        )
        self._say(db, room, made, event.contact, said, now, out)

    def _readable(
        self,
        db: Transaction,
        room: RoomRow,
        event: RemoteRoomMessage,
        before: MessageRow,
        now: float,
        out: Committed,
    ) -> None:
        """The line in its place is corrected while nothing came after it (XEP-0308 §3); else the
        message comes as one that is late. In the archive the line becomes the message."""
        shown = rooms.archived(db, room.id, self._id(room, "archive", event.id, 0))
        is_newest = shown is not None and shown.id == rooms.newest_archived(db, room.id)
        sent_at = honest_time(event.sent_at, now)
        for part, body in enumerate(split_text(clean(event.body))):
            if shown is not None and not part:
                rooms.rewrite(db, room.id, structs.replace(shown.message, body=body))
            said = RoomMessage(
                id=self._id(room, event.id, "readable", part),
                archive_id=self._id(room, "archive", event.id, "readable", part),
                nick=self._called(db, room, event.sender),
                occupant=occupant_id(room.secret, event.sender),
                body=body,
                sent_at=sent_at,
                replaces=before.stanza_id if is_newest and not part else None,
            )
            conversations.add_alias(db, room.conversation, said.id, before.id)
            self._say(db, room, before.id, event.sender, said, now, out)

    def _is_echo(
        self,
        db: Transaction,
        room: RoomRow,
        event: RemoteRoomMessage,
        now: float,
        out: Committed,
    ) -> bool:
        """What a user sent by XMPP came back: it is reflected, if it was not when it was accepted
        (REQ-560)."""
        row = self.rows.sent_row(event.key)
        if row is None:
            return False
        message = journal.echoed_message(db, room.conversation, row, event.id)
        if message is None:
            return False
        conversations.set_remote_id(db, message, event.id)
        self.reflect(db, room, message, event.body, now, out)
        return True

    def reflect(
        self,
        db: Transaction,
        room: RoomRow,
        message: int,
        body: str,
        now: float,
        out: Committed,
    ) -> None:
        """The network has what a user said: all sessions are told, that of the user too, under
        the id that its client gave it (REQ-560). Once, whoever comes first."""
        stored = conversations.message(db, message)
        if stored is None:
            return
        said = RoomMessage(
            id=stored.stanza_id or self._id(room, "own", message),
            archive_id=self._own_id(room, stored),
            nick=self._called(db, room, self.own),
            occupant=occupant_id(room.secret, self.own),
            body=clean(body),
            sent_at=now,
        )
        self._say(db, room, message, self.own, said, now, out)

    def say_again(
        self, db: Transaction, room: RoomRow, message: int, jid: str, now: float, out: Committed
    ) -> None:
        """A session has sent again what was reflected already: it has not seen that (REQ-911)."""
        stored = conversations.message(db, message)
        said = rooms.archived(db, room.id, self._own_id(room, stored)) if stored else None
        if said is not None:
            addressed = _addressed(said.message, (jid,))
            self._tell(db, room, addressed.id, addressed, now, out)

    def _own_id(self, room: RoomRow, stored: MessageRow) -> StanzaId:
        """The archive's id of what the user said. Numbers of messages come again when the newest
        is gone, as after the end of an account; what clients remember stays."""
        scope = (room.conversation, stored.id, stored.stanza_id)
        return self._id(room, "archive", "own", *scope)

    def _say(
        self,
        db: Transaction,
        room: RoomRow,
        message: int,
        sender: RemoteUserId,
        said: RoomMessage,
        now: float,
        out: Committed,
    ) -> None:
        if not rooms.archive(db, room.id, sender, said, now):
            return
        conversations.add_alias(db, room.conversation, said.archive_id, message)
        addressed = _addressed(said, rooms.occupants(db, room.id))
        self._tell(db, room, said.id, addressed, now, out)

    # --- rows -----------------------------------------------------------------------------------

    def _tell(
        self,
        db: Transaction,
        room: RoomRow,
        sid: StanzaId,
        told: RoomDelivery,
        now: float,
        out: Committed,
    ) -> None:
        if told.to:
            self._add(db, room, sid, told, now, out)

    def _add(
        self,
        db: Transaction,
        room: RoomRow,
        sid: StanzaId,
        told: RoomDelivery | RoomInvitation,
        now: float,
        out: Committed,
    ) -> None:
        out.inbound.append(
            journal.add_inbound(
                db,
                account=self.rows.account,
                conversation=room.conversation,
                user=self.rows.user,
                contact=RemoteUserId(room.remote_id),
                stanza_id=sid,
                delivery=told,
                now=now,
            )
        )

    def _id(self, room: RoomRow, *scope: str | int) -> StanzaId:
        return self.rows.id("room", room.remote_id, *scope)
