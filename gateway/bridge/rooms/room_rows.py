# SPDX-License-Identifier: Apache-2.0
"""The rows of rooms, as units find and add them inside the writer's transaction."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TypedDict

from msgspec import structs

from gateway.bridge.accounts import settings
from gateway.bridge.contacts.reserved import look
from gateway.bridge.inbound.aside import is_on_its_way
from gateway.bridge.inbound.rows import Committed, Rows
from gateway.bridge.rooms import awaiting, occupants, replies
from gateway.bridge.rooms.nicks import nick
from gateway.bridge.rooms.occupant_ids import occupant_id
from gateway.bridge.rooms.occupants import Cutoffs
from gateway.events import RoomDelivery, RoomInvitation, RoomMessage, is_for_one
from gateway.ids import (
    AccountId,
    RemoteMessageId,
    RemoteRoomId,
    RemoteUserId,
    StanzaId,
    UserJid,
    is_virtual,
    stanza_id,
)
from gateway.store import (
    Transaction,
    archive,
    conversations,
    journal,
    members,
    put_out,
    rooms,
    sharing,
    texts,
)
from gateway.store.archive import Level
from gateway.store.conversations import Origin
from gateway.store.journal import OF_SHARED_ROOM, InboundRow
from gateway.store.rooms import RoomRow


def add_row(
    db: Transaction,
    room: RoomRow,
    account: AccountId,
    user: UserJid,
    sid: StanzaId,
    told: RoomDelivery | RoomInvitation,
    now: float,
) -> InboundRow:
    """A row for sessions in a room, or for the user of an account alone. In a shared room those
    of all wait in one order, and belong to nobody."""
    is_of_all = room.is_shared and not is_for_one(told)
    return journal.add_inbound(
        db,
        account=OF_SHARED_ROOM if is_of_all else account,
        conversation=room.conversation if is_of_all else rooms.queue(db, room, account),
        user=UserJid("") if is_of_all else user,
        contact=RemoteUserId(room.remote_id),
        stanza_id=sid,
        delivery=told,
        now=now,
    )


THE_ROOM = RemoteUserId("")
"""Who has said what nobody has."""


def wanting(db: Transaction, room: RoomRow, level: Level) -> tuple[str, ...]:
    """The sessions in a room whose users want to hear of this (REQ-577)."""
    return tuple(
        jid
        for jid, stored in rooms.occupants_with_settings(db, room.id)
        if settings.usable(stored).room_lines.level >= level
    )


class Speaker(TypedDict):
    """Fields of what is said by somebody."""

    nick: str
    occupant: str


@dataclass(frozen=True, slots=True)
class RoomRows:
    """Of one account."""

    rows: Rows
    own: RemoteUserId
    """The account itself."""
    cutoffs: Cutoffs

    @property
    def is_past(self) -> bool:
        """What is said was said long ago, and nobody is told."""
        return False

    def users(self, db: Transaction, room: RoomRow) -> Collection[RemoteUserId]:
        """The members who have clients of XMPP."""
        return sharing.accounts_of(db, room.id) if room.is_shared else (self.own,)

    def language(self, room: RoomRow) -> str:
        """In which the room itself speaks. Where several accounts listen, none is better."""
        return self.rows.common_language if room.is_shared else self.rows.language()

    def find(self, db: Transaction, remote_id: RemoteRoomId) -> RoomRow | None:
        """A room that the account is in."""
        return rooms.find(db, self.rows.account, remote_id)

    def enter(self, db: Transaction, remote_id: RemoteRoomId) -> RoomRow:
        """A room that the account has come into."""
        return rooms.enter(db, self.rows.account, remote_id)

    def nick(self, db: Transaction, room: RoomRow, name: str, user: RemoteUserId) -> str:
        """What somebody of this name is called there."""

        # Who may choose any name could be taken for somebody else.
        others = members.others(db, room.id, user) if is_virtual(user) else ()
        looks = {seen for other in others if (seen := look(other))}

        def is_taken(folded: str) -> bool:
            found = members.by_nick(db, room.id, folded)
            if found is not None:
                return found.user != user
            if is_virtual(user):
                return look(folded) in looks or self.rows.reserved.is_gateways(folded)
            return user != self.own and self._is_reserved(db, room, user, folded)

        return nick(name, user, is_taken)

    def _is_reserved(
        self, db: Transaction, room: RoomRow, user: RemoteUserId, folded: str
    ) -> bool:
        """Users of this gateway are called whatever they are called (REQ-708)."""
        me = members.find(db, room.id, self.own)
        looks_like_me = me is not None and look(folded) == look(me.nick)
        if not looks_like_me and not self.rows.reserved.is_ours(folded):
            return False
        return sharing.account_of(db, room.id, user) is None

    def called(self, db: Transaction, room: RoomRow, user: RemoteUserId) -> str:
        """The nick of somebody, also of one who has left since."""
        member = members.find(db, room.id, user)
        return member.nick if member else self.nick(db, room, "", user)

    def speaker(self, db: Transaction, room: RoomRow, user: RemoteUserId) -> Speaker:
        """Somebody who says or does something there, as sessions know them."""
        return {
            "nick": self.called(db, room, user),
            "occupant": occupant_id(room.secret, user),
        }

    def origin(self, sender: RemoteUserId) -> Origin:
        """Of what comes by the network."""
        return Origin.ELSEWHERE if sender == self.own else Origin.CONTACT

    def say(
        self,
        db: Transaction,
        room: RoomRow,
        sender: RemoteUserId,
        said: RoomMessage,
        now: float,
        out: Committed,
        text_of: int | None = None,
        *,
        came_at: float | None = None,
        level: Level = Level.SAID,
    ) -> None:
        """Something that is kept in the archive, once, and told. ``text_of``: the message whose
        text it is; both ids mean that one from now on. ``came_at``: when it came, if it could not
        be read then, or is told long after: it is for who was in by then, and for the account that
        was told it. ``level``: who wants to hear of it, if nobody has said it."""
        kept = awaiting.level_of(db, room, said, text_of, level)
        if not self.keep(db, room, sender, said, now, text_of, came_at, kept):
            return
        if said.nick:
            occupants.spoke(self, db, room, sender, said.sent_at, now, out)
        to = rooms.occupants(db, room.id)
        if room.is_shared:
            put_out.was_told(db, room.id, self.rows.account, said.archive_id)
            if came_at is not None:
                sharing.owe(db, room.id, self.rows.account, said.archive_id)
        if level is not Level.SAID:
            to = wanting(db, room, level)
        elif room.is_shared and said.nick and said.subject is None:
            late = None if room.shows_past else came_at
            to = sharing.hearers(db, room.id, self.rows.account, sender, late)
        for addressed in self._addressed(db, room, said, to):
            self.tell(db, room, said.id, addressed, now, out)

    def _addressed(
        self, db: Transaction, room: RoomRow, said: RoomMessage, to: tuple[str, ...]
    ) -> list[RoomMessage]:
        """To these sessions; with a quote only to those that may read what is quoted. A file is
        one row, by which it gets its address, and nobody is told a quote with it."""
        if said.file is not None:
            return [structs.replace(replies.with_quote(said, ""), to=to)]
        if not room.is_shared or said.reply is None or not said.reply.quote:
            return [structs.replace(said, to=to)]
        may_read = texts.readers(db, room.id, said.reply.message, said.archive_id)
        unquoted = replies.with_quote(said, "")
        return [
            structs.replace(said, to=tuple(jid for jid in to if jid in may_read)),
            structs.replace(unquoted, to=tuple(jid for jid in to if jid not in may_read)),
        ]

    def told_again(
        self, db: Transaction, room: RoomRow, archive_id: StanzaId, came_at: float | None = None
    ) -> None:
        """The account was told what is in the archive already. ``came_at``: as in `say`."""
        if room.is_shared and came_at is not None:
            sharing.owe(db, room.id, self.rows.account, archive_id)
        if room.is_shared:
            sharing.owe_late(db, room.id, self.rows.account, archive_id)
            sharing.reach_back(db, room.id, self.rows.account, archive_id)
            put_out.was_told(db, room.id, self.rows.account, archive_id)

    def told_late(self, db: Transaction, room: RoomRow, came_at: float | None) -> None:
        """The account was told what came then, to whomever, and could not be read."""
        if room.is_shared and came_at is not None:
            sharing.was_in(db, room.id, self.rows.account, came_at)

    def keep(
        self,
        db: Transaction,
        room: RoomRow,
        sender: RemoteUserId,
        said: RoomMessage,
        now: float,
        text_of: int | None,
        came_at: float | None = None,
        level: Level = Level.SAID,
    ) -> bool:
        """In the archive alone. False if it is there already."""
        if not archive.keep(
            db,
            room.id,
            sender,
            replies.with_quote(said, ""),
            now,
            text_of,
            for_later=room.shows_past,
            came_at=came_at,
            place=self.place(),
            level=level,
        ):
            return False
        if text_of is not None:
            conversations.add_alias(db, room.conversation, said.archive_id, text_of)
        return True

    def add_part(
        self,
        db: Transaction,
        room: RoomRow,
        sid: StanzaId,
        remote_id: RemoteMessageId | None,
        sent_at: float,
        now: float,
        *,
        origin: Origin,
        part: int = 0,
    ) -> int | None:
        """A part of what somebody says, to which others may refer from now on. None if it is
        known."""
        return conversations.add_message(
            db,
            room.conversation,
            stanza_id=sid,
            origin=origin,
            sent_at=sent_at,
            remote_id=remote_id,
            part=part,
            now=now,
            number=self.place(),
        )

    def place(self) -> int | None:
        """Where in the order of all that was said the next thing belongs; None is the end."""
        return None

    def tell(
        self,
        db: Transaction,
        room: RoomRow,
        sid: StanzaId,
        told: RoomDelivery,
        now: float,
        out: Committed,
    ) -> None:
        """A row for the sessions that it is addressed to, if there are any, or for its file."""
        if told.to or is_on_its_way(told):
            self.add(db, room, sid, told, now, out)

    def add(
        self,
        db: Transaction,
        room: RoomRow,
        sid: StanzaId,
        told: RoomDelivery | RoomInvitation,
        now: float,
        out: Committed,
    ) -> None:
        """A row of the room's conversation; or what is for the user of the account alone."""
        out.inbound.append(add_row(db, room, self.rows.account, self.rows.user, sid, told, now))

    def id(self, room: RoomRow, *scope: str | int) -> StanzaId:
        """The id of something in the room: the same whenever it is made of the same, by whichever
        account that shares it."""
        if room.is_shared:
            return stanza_id(self.rows.network, room.realm, "room", room.remote_id, *scope)
        return self.rows.id("room", room.remote_id, *scope)
