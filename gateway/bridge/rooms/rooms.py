# SPDX-License-Identifier: Apache-2.0
"""The rooms of one network, as the sessions in them see them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

from gateway.bridge.accounts import Account
from gateway.bridge.ground import Ground
from gateway.bridge.inbound.rows import Committed, Frozen
from gateway.bridge.ports import XmppPort
from gateway.bridge.rooms import crowd, occupants, virtual
from gateway.bridge.rooms.archive import Archive
from gateway.bridge.rooms.nicks import fold
from gateway.bridge.rooms.room_rows import add_row
from gateway.bridge.rooms.sessions import Changing
from gateway.events import Affiliation, Departure, RoomJoined, RoomMessage, RoomRight
from gateway.ids import (
    RemoteRoomId,
    RemoteUserId,
    RoomId,
    UserJid,
    stanza_id,
)
from gateway.store import (
    Transaction,
    archive,
    knocks,
    member_lists,
    members,
    rooms,
    sessions,
    sharing,
    untold,
)
from gateway.store.journal import OF_SHARED_ROOM, InboundRow
from gateway.store.knocks import Knock
from gateway.store.member_lists import Listed
from gateway.store.members import MemberRow
from gateway.store.rooms import RoomRow
from gateway.store.sessions import Shown

_MOST_ONLINE = 1_000
"""People who are looked for in a large group."""
_SPACE = "\\40"
"""What Movim (August 2026) makes of each space in an address to which it sends a message."""
_LONGEST_NICK = 1023
"""RFC 7622 §3.1. To fold what is much longer takes long."""
MOST_OTHERS = 1_000
"""Occupants that a session is told of, and as many as may be set to be shown (`Cutoffs`). All
that it is told is one row: with the bytes of the history it has to stay below what may wait for
our server (REQ-712), or that row would end each stream."""
_MOST_TYPISTS = 30
"""Members of a group in which typing is shown."""
MOST_SESSIONS = 100
"""Of one user in one room (REQ-712). Each gets all that is said there, and servers choose how
their users' devices are called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a session asks for that wants to join: of the past, XEP-0045 §7.2.13."""

    id: str
    nick: str
    shown: Shown = field(default_factory=Shown)
    most: int = 20
    since: float = 0.0
    """Seconds since the epoch."""
    most_chars: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """What a session is told that has joined."""

    room: RoomRow
    me: MemberRow
    """The user's own occupant."""
    others: Sequence[MemberRow]
    history: Sequence[RoomMessage]


def is_ruler(member: MemberRow) -> bool:
    """Whether somebody is a moderator (REQ-524)."""
    return member.affiliation in (Affiliation.OWNER, Affiliation.ADMIN)


def allows(room: RoomRow, me: MemberRow | None, right: RoomRight) -> bool:
    """Whether an account, which is this member, may do such a thing in a room."""
    if room.may is not None:
        return right in room.may
    return me is not None and is_ruler(me)


def _done(do: Callable[[Transaction, Committed], None], db: Transaction) -> Committed:
    out = Committed()
    do(db, out)
    return out


class Rooms:
    """Who is in which room, and who may be."""

    def __init__(
        self,
        ground: Ground,
        told: Callable[[Committed], None],
        *,
        entered: Callable[[Account, RoomId], None],
        online: Callable[[Account], Iterator[RemoteUserId]],
    ) -> None:
        """``entered``: a session of an account is in a room. ``online``: those of its contacts who
        are."""
        self._network = ground.network
        self._store = ground.store
        self._addresses = ground.addresses
        self._accounts_by_id = ground.accounts.by_id
        self._clock = ground.clock
        self._persist = ground.persist
        self._cutoffs = ground.settings.cutoffs
        self._told = told
        self._entered = entered
        self._online = online
        self.archive = Archive(ground.store)
        self._port: XmppPort

    def attach(self, port: XmppPort) -> None:
        """Connect to the XMPP side."""
        self._port = port

    def of(self, account: Account) -> list[RoomRow]:
        """All rooms of an account in which it still is, and which have not moved."""
        return [
            room
            for room in rooms.of_account(self._store.reader, account.id)
            if room.moved_to is None and self.me(account, room) is not None
        ]

    def find(self, account: Account, localpart: str) -> RoomRow | None:
        """The room at an address, as this account has it."""
        remote_id = self._addresses.room(localpart)
        return None if remote_id is None else self.known(account, remote_id)

    def known(self, account: Account, remote_id: RemoteRoomId) -> RoomRow | None:
        """A room as this account has it, or had it."""
        return rooms.find(self._store.reader, account.id, remote_id)

    def told_in(self, row: InboundRow) -> RoomRow | None:
        """The room of a row, be it for the sessions of several accounts or for those of one."""
        if row.account == OF_SHARED_ROOM:
            return rooms.of_conversation(self._store.reader, row.conversation)
        return rooms.find(self._store.reader, row.account, RemoteRoomId(row.contact))

    def users(self, room: RoomRow) -> dict[RemoteUserId, UserJid]:
        """The members of a room who are users of this gateway, as far as that is known there."""
        return sharing.users(self._store.reader, room.id)

    def rulers(self, room: RoomRow) -> frozenset[UserJid]:
        """The users of this gateway who moderate a room."""
        return sharing.rulers(self._store.reader, room.id)

    def me(self, account: Account, room: RoomRow) -> MemberRow | None:
        """The account's own membership; None if it is not in the room any more."""
        return members.find(self._store.reader, room.id, account.remote_id)

    def by_nick(self, room: RoomRow, nick: str) -> MemberRow | None:
        """Who is called so."""
        if len(nick) > _LONGEST_NICK:
            return None
        found = members.by_nick(self._store.reader, room.id, fold(nick))
        if found is None and _SPACE in nick:
            found = members.by_nick(self._store.reader, room.id, fold(nick.replace(_SPACE, " ")))
        return found

    def member(self, room: RoomRow, user: RemoteUserId) -> MemberRow | None:
        """Somebody in a room."""
        return members.find(self._store.reader, room.id, user)

    def members(self, room: RoomRow) -> list[MemberRow]:
        """Everybody in a room."""
        return members.of_room(self._store.reader, room.id)

    def count(self, room: RoomRow) -> int:
        """How many are in a room."""
        return members.count(self._store.reader, room.id)

    def people(self, room: RoomRow) -> int:
        """The same, with those whom the network only counts."""
        return max(self.count(room), room.people or 0)

    def listed(self, room: RoomRow, wanted: Listed) -> list[MemberRow]:
        """Some of those in a room."""
        return member_lists.listed(self._store.reader, room.id, wanted)

    def has_visitors(self, room: RoomRow) -> bool:
        """Whether somebody may not speak."""
        return member_lists.has_visitors(self._store.reader, room.id)

    def is_last_owner(self, room: RoomRow, member: MemberRow) -> bool:
        """Whether a room would have no owner without this one."""
        return member.affiliation is Affiliation.OWNER and not member_lists.count_others(
            self._store.reader, room.id, Affiliation.OWNER, member.user
        )

    def may(self, account: Account, room: RoomRow, right: RoomRight) -> bool:
        """Whether the account may do such a thing in a room."""
        return allows(room, self.me(account, room), right)

    def gone(self, account: Account, room: RoomRow) -> Departure | None:
        """How the account has come out of a room, as far as that is known."""
        return rooms.gone(self._store.reader, room.id, account.id)

    def knocks(self, account: Account) -> list[Knock]:
        """Who asks to be let into rooms of an account, the first one first."""
        return knocks.of_account(self._store.reader, account.id)

    async def forget_knock(self, account: Account, knock: Knock) -> None:
        """Somebody asks no longer. Raises `StoreUnavailable`."""
        room = self.known(account, knock.room)
        if room is not None:
            number = room.id
            await self._store.write(lambda db: knocks.drop(db, account.id, number, knock.user))

    def has_knocked(self, account: Account, room: RoomRow, user: RemoteUserId) -> bool:
        """Whether somebody asks to be let in."""
        return knocks.has(self._store.reader, account.id, room.id, user)

    def account_of(self, room: RoomRow, jid: str) -> Account | None:
        """By which account a session has joined."""
        found = rooms.account_of(self._store.reader, room.id, jid)
        return None if found is None else self._accounts_by_id(found)

    def is_in(self, room: RoomRow, jid: str) -> bool:
        """Whether a session has joined."""
        return rooms.is_in(self._store.reader, room.id, jid)

    def join(
        self,
        account: Account,
        room: RoomRow,
        jid: str,
        asked: Asked,
        refused: Callable[[], None],
        *,
        comes: Callable[[Transaction, Committed], bool] | None = None,
    ) -> None:
        """Let a session in. What it is told is a row, before those of what is said from now on;
        ``refused`` is called if it may not. ``comes``: its user comes in with it, if that is
        True."""
        now = self._clock.now()
        online: list[RemoteUserId] = []
        if members.has_more(self._store.reader, room.id, self._cutoffs.members):
            online += islice(self._online(account), _MOST_ONLINE)

        def unit(db: Transaction) -> tuple[Committed, list[str]] | None:
            out = Committed()
            occupants.begin(db, room.id, self._cutoffs, online, now)
            if comes is not None and not comes(db, out):
                return None
            if members.find(db, room.id, account.remote_id) is None:
                return None
            return out, self._enter(db, account, room, jid, asked, now, out)

        def committed(entered: tuple[Committed, list[str]] | None) -> None:
            if entered is None:
                refused()
                return
            out, displaced = entered
            self._told(out)
            self._entered(account, room.id)
            self._tell_out(account, room, displaced)

        self._persist.write(unit, committed)

    def change(self, do: Callable[[Transaction, Committed], None]) -> Awaitable[object]:
        """Something of a room is otherwise from now on, and told."""
        return self._persist.write(partial(_done, do), self._told)

    async def decide(self, do: Callable[[Transaction, Committed], None]) -> None:
        """The same, at once or not at all. Raises `StoreUnavailable`."""
        await self._store.write(partial(_done, do), self._told)

    def _enter(
        self,
        db: Transaction,
        account: Account,
        room: RoomRow,
        jid: str,
        asked: Asked,
        now: float,
        out: Committed,
    ) -> list[str]:
        """A session is in from now on. Returns which others are out for that."""
        with Changing(db, account, room.id, now, out, without=jid):
            rooms.come_in(db, room.id, jid, account.id, account.user, now)
            sessions.show(db, room.id, jid, asked.shown)
            displaced = rooms.beyond(db, room.id, jid, account.id, MOST_SESSIONS)
            for other in displaced:
                rooms.leave(db, room.id, other)
        told = RoomJoined(
            id=asked.id,
            nick=asked.nick,
            newest=archive.newest(db, room.id),
            most=asked.most,
            since=asked.since,
            most_chars=asked.most_chars,
            to=(jid,),
        )
        sid = stanza_id(self._network, account.user, "room", room.id, "joined", jid)
        out.inbound.append(add_row(db, room, account.id, account.user, sid, told, now))
        return displaced

    def joined(self, account: Account, room: RoomRow, told: RoomJoined) -> Joined | None:
        """What a session is told that has joined; None if it is not in any more."""
        reader = self._store.reader
        me = self.me(account, room)
        if me is None or not all(self.is_in(room, jid) for jid in told.to):
            return None
        known = crowd.known(reader, room.id, MOST_OTHERS + 1)
        others = [member for member in known if member.user != me.user][:MOST_OTHERS]
        return Joined(
            room=room, me=me, others=others, history=self.archive.history(account, room, told)
        )

    async def freeze(self, account: Account) -> None:
        """The account is logged out: nothing comes into its rooms any more, and nobody is told
        that they are still in (REQ-512). Raises `StoreUnavailable`."""

        def unit(db: Transaction, out: Committed) -> None:
            for room in rooms.of_account(db, account.id):
                me = members.find(db, room.id, account.remote_id)
                for jid in rooms.sessions(db, room.id, account.id):
                    rooms.leave(db, room.id, jid)
                    out.frozen.append(Frozen(room.remote_id, "" if me is None else me.nick, jid))
                virtual.went_out(db, room.id, account.id, out)

        await self.decide(unit)

    def unmask(self, db: Transaction, account: Account) -> Committed:
        """The account goes with all that belongs to it, by this unit: others who see it by the
        address of its user see it as somebody of the network from then on (REQ-521)."""
        out = Committed()
        for room in rooms.of_account(db, account.id):
            me = members.find(db, room.id, account.remote_id)
            if room.is_shared and room.private and me and rooms.occupants(db, room.id):
                crowd.note(db, room.id, me.user, me, me, out)
        return out

    def decided(self, told: Committed) -> None:
        """What a unit elsewhere has changed of rooms is stored, as by `unmask`."""
        self._told(told)

    def _tell_out(self, account: Account, room: RoomRow, sessions: Sequence[str]) -> None:
        me = self.me(account, room) if sessions else None
        for jid in sessions:
            self._port.frozen(room.remote_id, me.nick if me is not None else "", jid)

    def shows_typing(self, room: RoomRow) -> bool:
        """Where many may type, it is of no use to know of each."""
        many = members.has_more(self._store.reader, room.id, _MOST_TYPISTS)
        return room.private and not many

    def types(
        self, account: Account, remote_id: RemoteRoomId, user: RemoteUserId, active: bool
    ) -> None:
        """Somebody types (REQ-572)."""
        reader = self._store.reader
        room = rooms.find(reader, account.id, remote_id)
        if room is None or user == account.remote_id or not self.shows_typing(room):
            return
        member, to = (
            members.find(reader, room.id, user),
            rooms.sessions(reader, room.id, account.id),
        )
        is_known = untold.find(reader, room.id, user) is None
        if member is not None and is_known and to:
            self._port.room_typing(remote_id, member.nick, active, to)
