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
from gateway.bridge.rooms.intake import RoomIntake
from gateway.bridge.rooms.network_rooms import NetworkRooms
from gateway.bridge.rooms.rooms import Asked
from gateway.errors import Unsupported
from gateway.events import Affiliation, Departure, Member
from gateway.ids import RemoteRoomId, UserJid, virtual_id
from gateway.store import Transaction, members, portals, rooms
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
        ground.portals.unlinked.append(self._put_all_out)
        ground.portals.opens = self._opens

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
        house = self._accounts.house
        room = None if house is None else self._rooms.known(house, portal.room)
        if house is None or room is None or self._rooms.me(house, room) is None:
            return None
        return room

    def refusal(self, user: UserJid, portal: Portal) -> Refusal | None:
        """Why somebody may not come in now, if so."""
        affiliation = self._portals.affiliation(portal.room, user)
        if affiliation == OUTCAST:
            return Refusal.BANNED
        if portal.members_only and not affiliation:
            return Refusal.NOT_NAMED
        return Refusal.AWAY if self.room(portal) is None else None

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

    def join(self, account: Account, room: RoomRow, session: str, asked: Asked) -> None:
        """A session comes in, and with it its user, under the nick that it asks for."""
        comes = partial(self._come_in, account, room, asked.nick)
        self._rooms.join(account, room, session, asked, lambda: None, comes=comes)

    def rename(self, account: Account, room: RoomRow, nick: str) -> None:
        """Somebody wants to be called otherwise (XEP-0045 §7.6)."""
        self._rooms.change(partial(self._come_in, account, room, nick))

    async def leave(self, account: Account) -> None:
        """Somebody whose sessions are out of all groups is in none any more. Raises
        `StoreUnavailable`."""

        def unit(db: Transaction, out: Committed) -> None:
            for room in rooms.of_account(db, account.id):
                virtual.went_out(db, room.id, account.id, out)

        await self._rooms.change(unit)

    def _come_in(
        self, account: Account, room: RoomRow, nick: str, db: Transaction, out: Committed
    ) -> None:
        assert account.link is not None
        member = Member(
            user=account.remote_id,
            name=nick,
            affiliation=self._affiliation(room.remote_id, account.user),
        )
        intake = account.link.intake.rooms
        virtual.come_in(intake, db, room, member, self._clock.now(), out)

    def _affiliation(self, room: RemoteRoomId, user: UserJid) -> Affiliation:
        stored = self._portals.affiliation(room, user)
        return Affiliation(stored) if stored and stored != OUTCAST else Affiliation.NONE

    def _put_all_out(self, portal: Portal) -> None:
        """A group is linked no longer: to those who were in it, it is no more."""
        room = self.room(portal)
        house = self._accounts.house
        if room is None or house is None:
            return
        intakes, now = self._intakes(), self._clock.now()

        def unit(db: Transaction, out: Committed) -> None:
            for account, intake in intakes:
                user = account.remote_id
                virtual.put_out(intake, db, room, user, Departure.DESTROYED, now, out)
            members.remove(db, room.id, house.remote_id)

        self._rooms.change(unit)

    def _intakes(self) -> list[tuple[Account, RoomIntake]]:
        """Of all for whom the house speaks."""
        return [
            (account, account.link.intake.rooms)
            for account in self._accounts.virtuals
            if account.link is not None
        ]

    def _opens(self, db: Transaction, portal: Portal) -> Callable[[], None]:
        """Others may come into a group than before. Where only who was named does, everybody knows
        who the others are, so nobody else stays in it."""
        house, out, now = self._accounts.house, Committed(), self._clock.now()
        room = None if house is None else rooms.find(db, house.id, portal.room)
        if house is None or house.link is None or room is None:
            return lambda: None
        for account, intake in self._intakes() if portal.members_only else ():
            if not portals.affiliation(db, self._network, portal.room, account.user):
                user = account.remote_id
                virtual.put_out(intake, db, room, user, Departure.KICKED, now, out)
        house.link.intake.rooms.opened(db, room, now, out, is_private=portal.members_only)
        return lambda: self._rooms.decided(out)
