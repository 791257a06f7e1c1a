# SPDX-License-Identifier: Apache-2.0
"""What sessions in a room are told of the others: what is so when they are told (REQ-554).

Who comes, changes or goes is noted. `gateway.bridge.rooms.telling` tells it a moment later, so
many at a time, and what has become of it by then; of whoever says something it is told before
that. All sessions in a room know the same of the others, and who joins is told just that.

Runs inside the writer's transaction.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from dataclasses import replace as changed
from typing import TYPE_CHECKING

from msgspec.structs import replace

from gateway.bridge.inbound.rows import Committed
from gateway.bridge.rooms.occupant_ids import occupant_id
from gateway.events import Affiliation, Departure, RoomPresence, RoomPresences
from gateway.ids import NetworkName, RemoteUserId, RoomId, UserJid, stanza_id
from gateway.store import Connection, Transaction, journal, members, rooms, sharing, untold
from gateway.store.journal import OF_SHARED_ROOM, InboundRow
from gateway.store.members import MemberRow
from gateway.store.rooms import RoomRow
from gateway.store.untold import Untold

if TYPE_CHECKING:
    from gateway.bridge.rooms.room_rows import RoomRows


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


def tell(
    room_rows: RoomRows,
    db: Transaction,
    room: RoomRow,
    before: MemberRow | None,
    after: MemberRow,
    now: float,
    out: Committed,
) -> None:
    """Somebody has come, or has changed. Of themselves they are told at once, in the order of what
    is said and of what becomes of their sessions."""
    account = sharing.account_of(db, room.id, after.user)
    own = rooms.sessions(db, room.id, account) if account is not None else ()
    if before is not None and before.nick != after.nick:
        left = presence_of(room, before)
        left = replace(left, gone=Departure.LEFT, new_nick=after.nick, to=own)
        tell_own(room_rows, db, room, left, now, out)
    tell_own(room_rows, db, room, replace(presence_of(room, after), to=own), now, out)
    if len(rooms.occupants(db, room.id)) > len(own):
        note(db, room.id, after.user, before, after, out)


def tell_own(
    room_rows: RoomRows,
    db: Transaction,
    room: RoomRow,
    told: RoomPresence,
    now: float,
    out: Committed,
) -> None:
    """The sessions of somebody with an account here, of themselves."""
    scope = ("presence", told.member, str(now), told.new_nick, str(told.gone))
    if told.to and told.gone is None and told.picture is None:
        out.pictured.append(room.id)
    room_rows.tell(db, room, room_rows.id(room, *scope), told, now, out)


def note(
    db: Transaction,
    room: RoomId,
    user: RemoteUserId,
    before: MemberRow | None,
    after: MemberRow | None,
    out: Committed,
    *,
    how: Departure | None = None,
    actor: str = "",
    reason: str = "",
) -> None:
    """Somebody has changed; None if they were not, or are not, in the room. Nothing is told of who
    is not shown, nor of who came and went before it could be told."""
    waiting = untold.find(db, room, user)
    known = before.nick if before is not None and before.is_shown else ""
    if waiting is not None:
        known = waiting.nick
    is_there = after is not None and after.is_shown
    if not known and not is_there:
        if waiting is not None:
            untold.drop(db, room, user)
        return
    untold.put(db, room, Untold(user=user, nick=known, how=how, actor=actor, reason=reason))
    out.untold.append(room)
    if after is not None and is_there and after.picture is None:
        out.pictured.append(room)


def known(db: Connection, room: RoomId, most: int) -> list[MemberRow]:
    """The occupants of whom all sessions in a room know, as they know them."""
    shown = members.shown(db, room, most)
    waiting = {one.user: one for one in untold.of_room(db, room)}
    if not waiting:
        return shown
    seen = [waiting.pop(member.user, None) for member in shown]
    those = [
        member if one is None else changed(member, nick=one.nick)
        for member, one in zip(shown, seen, strict=True)
        if one is None or one.nick
    ]
    those += [_gone(db, room, one) for one in waiting.values() if one.nick]
    return those[:most]


def _gone(db: Connection, room: RoomId, one: Untold) -> MemberRow:
    """Somebody whose departure was not told."""
    member = members.find(db, room, one.user)
    if member is not None:
        return changed(member, nick=one.nick)
    return MemberRow(
        user=one.user,
        name="",
        nick=one.nick,
        affiliation=Affiliation.MEMBER,
        may_speak=True,
    )


@dataclass(slots=True)
class Telling:
    """Presences of one room that are told now."""

    db: Transaction
    room: RoomRow
    users: set[RemoteUserId] = field(default_factory=set)
    leaves: list[RoomPresence] = field(default_factory=list)
    comes: list[RoomPresence] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.leaves) + len(self.comes)

    def of(self, one: Untold) -> Telling:
        """Those of one person, and first of whoever is known under the nick that they have now."""
        group, waiting = Telling(self.db, self.room), [one]
        while waiting:
            other = waiting.pop()
            if other.user in self.users or other.user in group.users:
                continue
            group.users.add(other.user)
            member = members.find(self.db, self.room.id, other.user)
            group._add(other, member)
            if member is not None and member.is_shown and member.nick != other.nick:
                waiting += untold.known_as(self.db, self.room.id, member.nick)
        return group

    def take(self, group: Telling) -> None:
        """Tell these as well."""
        self.users |= group.users
        self.leaves += group.leaves
        self.comes += group.comes

    def _add(self, one: Untold, member: MemberRow | None) -> None:
        is_there = member is not None and member.is_shown
        nick = member.nick if member is not None and is_there else ""
        if one.nick and one.nick != nick:
            self.leaves.append(self._left(one, member, nick))
        if member is not None and is_there:
            self.comes.append(presence_of(self.room, member))

    def _left(self, one: Untold, member: MemberRow | None, new_nick: str) -> RoomPresence:
        return RoomPresence(
            nick=one.nick,
            occupant=occupant_id(self.room.secret, one.user),
            member=one.user,
            affiliation=member.affiliation if member is not None else Affiliation.NONE,
            may_speak=member is None or member.may_speak,
            gone=Departure.LEFT if member is not None else one.how or Departure.LEFT,
            is_hidden=member is not None and not new_nick,
            new_nick=new_nick,
            actor=one.actor,
            reason=one.reason,
        )

    def rows(self, network: NetworkName, now: float) -> list[InboundRow]:
        """For all sessions; of somebody with an account here not for their own, which were told
        when it was so. Who leaves is first: somebody else may have their nick."""
        everybody = rooms.occupants(self.db, self.room.id)
        others: dict[RemoteUserId, tuple[str, ...]] = {}
        for user, account in sharing.accounts_of(self.db, self.room.id).items():
            if user in self.users:
                own = set(rooms.sessions(self.db, self.room.id, account))
                others[user] = tuple(jid for jid in everybody if jid not in own)
        for user in self.users:
            untold.drop(self.db, self.room.id, user)
        rows: list[InboundRow] = []
        for kind, presences in (("left", self.leaves), ("came", self.comes)):
            by_sessions: dict[tuple[str, ...], list[RoomPresence]] = {}
            for presence in presences:
                to = others.get(presence.member, everybody)
                by_sessions.setdefault(to, []).append(presence)
            for to, some in by_sessions.items():
                if to:
                    rows.append(self._row(network, kind, to, some, now))
        return rows

    def _row(
        self,
        network: NetworkName,
        kind: str,
        to: tuple[str, ...],
        presences: list[RoomPresence],
        now: float,
    ) -> InboundRow:
        account, user = rooms.owner(self.db, self.room.id) or (OF_SHARED_ROOM, UserJid(""))
        scope = (kind, presences[0].member, str(now))
        return journal.add_inbound(
            self.db,
            account=account,
            conversation=self.room.conversation,
            user=user,
            contact=RemoteUserId(self.room.remote_id),
            stanza_id=stanza_id(network, self.room.realm, "room", self.room.remote_id, *scope),
            delivery=RoomPresences(presences=tuple(presences), to=to),
            now=now,
        )


def tell_of(
    db: Transaction,
    network: NetworkName,
    room: RoomRow,
    user: RemoteUserId,
    now: float,
    out: Committed,
) -> None:
    """Somebody says something next: whatever is untold of them is told now."""
    one = untold.find(db, room.id, user)
    if one is None:
        return
    telling = Telling(db, room)
    telling.take(telling.of(one))
    out.inbound += telling.rows(network, now)
