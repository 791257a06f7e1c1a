# SPDX-License-Identifier: Apache-2.0
"""Which groups of one network are linked for people without an account, and how they come to be.

Somebody who may use the gateway asks for a code; whoever administers the group sends it there. So
both sides have agreed, and the gateway knows of which group it is told.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace

import structlog
from msgspec import structs

from gateway.adapter import Clock
from gateway.bridge.inbound.rows import Committed
from gateway.events import (
    Affiliation,
    RemoteEvent,
    RemoteNotice,
    RemoteRoom,
    RemoteRoomMoved,
    RemoteUnreadable,
)
from gateway.ids import NetworkName, RemoteRoomId, UserJid
from gateway.locale import in_language
from gateway.store import Store, Transaction, portals
from gateway.store.portals import OUTCAST, Code, Portal
from gateway.text.wording import tr

log = structlog.get_logger("portals")

CODE_S = 900.0
"""How long a code counts."""
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
"""Without those that look like others."""

_WRONG = tr(
    "This code does not count any more. Whoever wants to link this group gets a new one from the "
    "gateway."
)
_NOT_YOURS = tr("Only the owner of this group can link it with this code.")
_IS_LINKED = tr("This group is linked already.")
_LINKED = tr("This group is linked now. People on XMPP join it at the address that {user} knows.")
_UNLINKED = tr("This group is not linked any more.")
_NOT_LINKED = tr("This group is not linked.")


def _nothing() -> None:
    """There is nothing to be told."""


class Portals:
    """Those of one network."""

    def __init__(self, network: NetworkName, store: Store, clock: Clock, language: str) -> None:
        """``language``: in which something is said to groups."""
        self._network = network
        self._store = store
        self._clock = clock
        self._language = language
        self._by_room: dict[RemoteRoomId, Portal] = {}
        self.linked: list[Callable[[Portal], None]] = []
        """Called when a group is linked."""
        self.unlinked: list[Callable[[Portal], None]] = []
        """Called when one is linked no longer."""
        self.ends: Callable[[Transaction, Portal], Callable[[], None]] = lambda *_: _nothing
        """Done in the unit by which one is linked no longer, if that has to be told to who has
        linked it; what it returns is called then."""
        self.put_out = self.ends
        """The same: puts all out of it."""
        self.opens = self.ends
        """The same for a unit by which others may come in than before."""
        self.announce: Callable[[RemoteRoomId, str], None] = lambda *_: None
        """Says something in a group."""

    def load(self) -> None:
        """Read which there are."""
        found = portals.of_network(self._store.reader, self._network)
        self._by_room = {portal.room: portal for portal in found}

    @property
    def rooms(self) -> frozenset[RemoteRoomId]:
        """All that are linked."""
        return frozenset(self._by_room)

    def of(self, room: RemoteRoomId) -> Portal | None:
        """What a group is to people without an account, if it is linked."""
        return self._by_room.get(room)

    def committed(self) -> None:
        """The house has told of linked groups what changes who may come in, or where they are."""
        self.load()

    async def new_code(self, user: UserJid, *, by_admin: bool, members_only: bool) -> Code:
        """What links the group in which it is sent. Raises `StoreUnavailable`."""
        now = self._clock.now()
        drawn = "".join(secrets.choice(_LETTERS) for _ in range(8))
        code = Code(
            code=f"{drawn[:4]}-{drawn[4:]}",
            user=user,
            by_admin=by_admin,
            members_only=members_only,
            until=now + CODE_S,
        )
        await self._store.write(lambda db: portals.put_code(db, self._network, code, now))
        return code

    async def link(self, room: RemoteRoomId, typed: str, *, is_owner: bool) -> str:
        """See `gateway.adapter.AccountContext.link_room`."""
        now, said = self._clock.now(), typed.strip().upper()

        def unit(db: Transaction) -> tuple[str, Portal | None]:
            code = portals.code(db, self._network, said, now)
            if portals.find(db, self._network, room) is not None:
                return _IS_LINKED, None
            if code is None:
                return _WRONG, None
            if not (is_owner or code.by_admin):
                return _NOT_YOURS, None
            portal = Portal(room=room, members_only=code.members_only, linked_by=code.user)
            portals.link(db, self._network, portal, now)
            portals.drop_code(db, self._network, said)
            return _LINKED.format(user=code.user), portal

        def committed(done: tuple[str, Portal | None]) -> None:
            portal = done[1]
            if portal is not None:
                self._by_room[room] = portal
                log.info("group_linked", network=self._network, by=portal.linked_by)
                for tell in self.linked:
                    tell(portal)

        text, _ = await self._store.write(unit, committed)
        return self.in_words(text)

    async def unlink(self, room: RemoteRoomId, *, by: UserJid | None = None) -> str:
        """A group is linked no longer, and nobody is in it. Returns what is to be said there.
        ``by``: who has done it here, and need not be told; but the group is. Raises
        `StoreUnavailable`."""
        is_linked = room in self._by_room

        def unit(db: Transaction) -> list[Callable[[], None]]:
            portal = portals.find(db, self._network, room)
            portals.unlink(db, self._network, room)
            if portal is None:
                return []
            return [
                self.put_out(db, portal),
                _nothing if portal.linked_by == by else self.ends(db, portal),
            ]

        def committed(told: list[Callable[[], None]]) -> None:
            for tell in told:
                tell()
            portal = self._by_room.pop(room, None)
            if portal is not None:
                log.info("group_unlinked", network=self._network)
                for unlinked in self.unlinked:
                    unlinked(portal)
                if by is not None:
                    self.announce(room, self.in_words(_UNLINKED))

        await self._store.write(unit, committed)
        return self.in_words(_UNLINKED if is_linked else _NOT_LINKED)

    async def open_up(self, room: RemoteRoomId, *, members_only: bool) -> None:
        """Change who may come in. Raises `StoreUnavailable`."""

        def unit(db: Transaction) -> tuple[Portal | None, Callable[[], None]]:
            portals.open_up(db, self._network, room, members_only=members_only)
            portal = portals.find(db, self._network, room)
            return portal, _nothing if portal is None else self.opens(db, portal)

        def committed(done: tuple[Portal | None, Callable[[], None]]) -> None:
            portal, told = done
            if portal is not None:
                self._by_room[room] = portal
            told()

        await self._store.write(unit, committed)

    def seen_by(self, user: UserJid, *, everything: bool = False) -> list[Portal]:
        """Those that somebody who may use the gateway may come into; ``everything``: all."""
        known = portals.of_user(self._store.reader, self._network, user)
        return [
            portal
            for portal in self._by_room.values()
            if everything
            or (
                known.get(portal.room) != OUTCAST
                and (portal.room in known or not portal.is_closed)
            )
        ]

    def ruled_by(self, user: UserJid, *, everything: bool = False) -> list[Portal]:
        """Those that are somebody's own; ``everything``: all."""
        known = portals.of_user(self._store.reader, self._network, user)
        return [
            portal
            for portal in self._by_room.values()
            if everything or known.get(portal.room) == Affiliation.OWNER
        ]

    def forget(self, db: Transaction, user: UserJid) -> Callable[[], None]:
        """Somebody leaves the gateway, by this unit. What is returned is called when it is
        stored."""
        portals.forget_user(db, self._network, user)

        def forgotten() -> None:
            for room, portal in self._by_room.items():
                if portal.linked_by == user:
                    self._by_room[room] = replace(portal, linked_by=UserJid(""))

        return forgotten

    def affiliation(self, room: RemoteRoomId, user: UserJid) -> str:
        """See `gateway.store.portals.affiliation`."""
        return portals.affiliation(self._store.reader, self._network, room, user)

    def named(self, room: RemoteRoomId, affiliation: str) -> list[UserJid]:
        """See `gateway.store.portals.named`."""
        return portals.named(self._store.reader, self._network, room, affiliation)

    def in_words(self, text: str) -> str:
        """As it is said in groups."""
        return in_language(text, self._language)


def heard(db: Transaction, network: NetworkName, event: RemoteEvent) -> RemoteEvent | None:
    """What counts of what the session of the house tells: nothing of chats, and of groups only
    those that are linked."""
    if isinstance(event, RemoteNotice):
        return event if event.contact is None else None
    room: RemoteRoomId | None = getattr(event, "room", None)
    if room is None:
        return event if isinstance(event, RemoteUnreadable) else None
    if portals.find(db, network, room) is None:
        return None
    return structs.replace(event, is_new=False) if isinstance(event, RemoteRoom) else event


def as_portal(
    db: Transaction, network: NetworkName, event: RemoteRoom, out: Committed
) -> RemoteRoom:
    """A room as whoever comes into it finds it, if it is that of a linked group: where the network
    lets in anybody, who has linked it may still let in only who was named."""
    if portals.told(db, network, event.room, is_private=event.is_private):
        out.portals = True
    portal = portals.find(db, network, event.room)
    if portal is None:
        return event
    return structs.replace(event, is_private=portal.is_closed, takes_private=False)


def moved(db: Transaction, network: NetworkName, event: RemoteRoomMoved, out: Committed) -> None:
    """A linked group that goes on as another one is linked there."""
    if portals.move(db, network, event.room, event.to):
        out.portals = True
