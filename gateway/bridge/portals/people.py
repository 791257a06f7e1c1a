# SPDX-License-Identifier: Apache-2.0
"""Those who are in linked groups without an account: the house speaks for them."""

from __future__ import annotations

import enum
from collections.abc import Callable
from functools import partial

from gateway.bridge.accounts import Account
from gateway.bridge.ground import Ground
from gateway.bridge.inbound.rows import Committed
from gateway.bridge.links.links import Links
from gateway.bridge.rooms import virtual
from gateway.bridge.rooms.network_rooms import NetworkRooms
from gateway.bridge.rooms.rooms import Asked
from gateway.errors import Unsupported
from gateway.events import Affiliation, Departure, Member
from gateway.ids import AccountId, RemoteRoomId, UserJid, virtual_id
from gateway.store import Connection, Transaction, accounts, members, portals, rooms, sessions
from gateway.store.accounts import AccountStatus
from gateway.store.kinds import AccountKind
from gateway.store.portals import OUTCAST, Portal
from gateway.store.rooms import RoomRow
from gateway.text.wording import tr


class Refusal(enum.Enum):
    """Why somebody may not come into a linked group."""

    AWAY = enum.auto()
    """The house is not in it now."""
    BANNED = enum.auto()
    NOT_NAMED = enum.auto()
    """Only who was named comes in."""
    UNLINKED = enum.auto()
    """It is none any more."""


class People:
    """Those of one network."""

    def __init__(self, ground: Ground, links: Links, network_rooms: NetworkRooms) -> None:
        self._network = ground.network
        self._store = ground.store
        self._clock = ground.clock
        self._accounts = ground.accounts
        self._addresses = ground.addresses
        self._portals = ground.portals
        self._links = links
        self._rooms = network_rooms
        ground.portals.put_out = self._put_all_out
        ground.portals.opens = self._opens
        network_rooms.entered.append(self._entered)

    def portal(self, local: str) -> Portal | None:
        """The linked group at an address."""
        room = self._addresses.room(local)
        return None if room is None else self._portals.of(room)

    def account_at(self, user: UserJid, local: str) -> Account | None:
        """By which account somebody is in the room at an address, or might be: by their own, if
        that is in it; else by that by which the house speaks for them."""
        own = self._accounts.of(user)
        if self.portal(local) is None or (own is not None and self._is_in(own, local)):
            return own
        return self._accounts.virtual(user)

    def _is_in(self, account: Account, local: str) -> bool:
        room = self._rooms.find(account, local)
        return room is not None and self._rooms.me(account, room) is not None

    def room(self, portal: Portal) -> RoomRow | None:
        """The room of a linked group, while the house is in it."""
        return self._room(self._store.reader, portal.room)

    def _room(self, db: Connection, remote_id: RemoteRoomId) -> RoomRow | None:
        house = self._accounts.house
        if house is None or house.status is not AccountStatus.LINKED:
            return None
        room = rooms.find(db, house.id, remote_id)
        if room is None or members.find(db, room.id, house.remote_id) is None:
            return None
        return room

    def is_named(self, user: UserJid) -> bool:
        """Whether somebody who rules a linked group has named a person who comes into such."""
        if self._accounts.virtual(user) is None:
            return False
        said = portals.of_user(self._store.reader, self._network, user)
        return any(affiliation != OUTCAST for affiliation in said.values())

    # --- who comes in ----------------------------------------------------------------------------

    def refusal(self, user: UserJid, room: RemoteRoomId) -> Refusal | None:
        """Why somebody may not come in now, if so."""
        is_banned = self._is_banned_there(user, room)
        return Refusal.BANNED if is_banned else self._refusal(self._store.reader, user, room)

    def _is_banned_there(self, user: UserJid, room: RemoteRoomId) -> bool:
        """Whom the network has put out does not come back by the house."""
        own = self._accounts.of(user)
        theirs = None if own is None else self._rooms.known(own, room)
        if own is None or theirs is None:
            return False
        return self._rooms.gone(own, theirs) is Departure.BANNED

    def _refusal(self, db: Connection, user: UserJid, room: RemoteRoomId) -> Refusal | None:
        portal = portals.find(db, self._network, room)
        if portal is None:
            return Refusal.UNLINKED
        affiliation = portals.affiliation(db, self._network, room, user)
        if affiliation == OUTCAST:
            return Refusal.BANNED
        if self._room(db, room) is None:
            return Refusal.AWAY
        return Refusal.NOT_NAMED if portal.is_closed and not affiliation else None

    async def account_for(self, user: UserJid) -> Account:
        """That by which the house speaks for somebody, made if there is none. Raises `Unsupported`
        and `StoreUnavailable`."""
        house = self._accounts.house
        if house is None:
            raise Unsupported(tr("There are no linked groups here."))
        account = await self._accounts.add_virtual(user, virtual_id(user), house.realm)
        if account.link is None:
            self._links.prepare(account)
        return account

    def join(
        self,
        account: Account,
        room: RoomRow,
        session: str,
        asked: Asked,
        refused: Callable[[Refusal], None],
    ) -> None:
        """A session comes in, and with it its user, under the nick that it asks for, or if they
        are in already under theirs. Much may have become of the group since it was asked for."""

        def comes(db: Transaction, out: Committed) -> bool:
            if self._refusal(db, account.user, room.remote_id) is not None:
                return False
            if members.find(db, room.id, account.remote_id) is None:
                self._be_there(account, room, asked.nick, db, out)
            return True

        def not_in() -> None:
            refused(self.refusal(account.user, room.remote_id) or Refusal.AWAY)

        self._rooms.join(account, room, session, asked, not_in, comes=comes)

    def rename(self, account: Account, room: RoomRow, nick: str) -> None:
        """Somebody who is there wants to be called otherwise (XEP-0045 §7.6)."""

        def unit(db: Transaction, out: Committed) -> None:
            if members.find(db, room.id, account.remote_id) is not None:
                self._be_there(account, room, nick, db, out)

        self._rooms.change(unit)

    def _be_there(
        self, account: Account, room: RoomRow, nick: str, db: Transaction, out: Committed
    ) -> None:
        assert account.link is not None
        said = portals.affiliation(db, self._network, room.remote_id, account.user)
        member = Member(
            user=account.remote_id,
            name=nick,
            affiliation=Affiliation(said) if said and said != OUTCAST else Affiliation.NONE,
        )
        intake = account.link.intake.rooms
        now = self._clock.now()
        accounts.set_active(db, account.id, now)
        virtual.come_in(intake, db, room, member, now, out)

    # --- who goes --------------------------------------------------------------------------------

    async def settle(self, permits: Callable[[UserJid], bool]) -> None:
        """Nobody is in who is not admitted any more, or where the house is not: there may be none
        any more, or another one. Raises `StoreUnavailable`."""
        house, reader = self._accounts.house, self._store.reader
        for remote_id in self._portals.rooms:
            room = None if house is None else rooms.find(reader, house.id, remote_id)
            if room is not None and self._room(reader, remote_id) is None:
                await self._rooms.decide(partial(_freeze, room))
        there = sessions.accounts(reader, self._network)
        for account in self._accounts.virtuals:
            if account.id in there and not permits(account.user):
                await self._rooms.freeze(account)

    async def shut_out(self, user: UserJid) -> None:
        """Somebody is not admitted any more. Raises `StoreUnavailable`."""
        account = self._accounts.virtual(user)
        if account is not None:
            await self._rooms.freeze(account)

    def _entered(self, number: AccountId, remote_id: RemoteRoomId) -> None:
        """As `virtual.make_way`, where the room of an own account is another one, at the same
        address."""
        own = self._accounts.by_id(number)
        if own is None or own.kind is not AccountKind.OWN:
            return
        other, user = self._accounts.virtual(own.user), own.user
        room = None if other is None else self._rooms.known(other, remote_id)
        if room is not None:
            self._rooms.change(lambda db, out: virtual.make_way(db, room, user, out))

    def _put_all_out(self, db: Transaction, portal: Portal) -> Callable[[], None]:
        """A group is linked no longer."""
        house, out = self._accounts.house, Committed()
        room = None if house is None else rooms.find(db, house.id, portal.room)
        if house is not None and house.link is not None and room is not None:
            room_rows = house.link.intake.rooms.room_rows
            virtual.put_all_out(room_rows, db, room, self._clock.now(), out)
            members.remove(db, room.id, house.remote_id)
        return partial(self._rooms.decided, out)

    def _opens(self, db: Transaction, portal: Portal) -> Callable[[], None]:
        """Others may come into a group than before. Where only who was named does, everybody knows
        who the others are, so nobody else stays in it."""
        house, out, now = self._accounts.house, Committed(), self._clock.now()
        room = None if house is None else rooms.find(db, house.id, portal.room)
        if house is not None and house.link is not None and room is not None:
            intake = house.link.intake.rooms
            intake.opened(db, room, now, out, is_private=portal.is_closed)
        return partial(self._rooms.decided, out)


def _freeze(room: RoomRow, db: Transaction, out: Committed) -> None:
    virtual.freeze(db, room, out)
