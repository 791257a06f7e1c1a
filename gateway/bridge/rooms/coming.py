# SPDX-License-Identifier: Apache-2.0
"""Coming into rooms and going out of them, for users who wait.

The network is asked, and says by its own events what has come of it: a room is there when its
members are. What waits for an account to come in is stored, so that its address is known for as
long as it does.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace

import structlog

from gateway.bridge.accounts import Account
from gateway.bridge.ground import Ground
from gateway.bridge.rooms.management import Management
from gateway.bridge.rooms.rooms import Rooms
from gateway.errors import AdapterError, Banned, Forbidden, Knocked, NotFound, Transient
from gateway.events import CreateRoom, DestroyRoom, FindRoom, JoinRoom, LeaveRoom
from gateway.ids import AccountId, RemoteRoomId
from gateway.store import invitations
from gateway.store.invitations import Invitation
from gateway.store.rooms import RoomRow
from gateway.tasks import within
from gateway.text.wording import tr

log = structlog.get_logger("coming")

_LIMIT_S = 15.0
"""A client waits so long for the answer to its join (REQ-514)."""
_FOLLOWED = 10
"""Rooms that an account follows within an hour: whoever rules one sends its people anywhere."""
_HOUR_S = 3_600.0
_TOO_MANY = tr("Too many groups wait for you. Please send “decline” first.")
_ASKED_AGAIN_S = 60.0
"""So long the network may take to tell that the account has asked to be let in."""
_ASKED = tr("You have asked to be let into this group, and nobody has answered yet.")
_NOT_YET = tr("The network has not let you in yet. Please try again in a moment.")


class Coming:
    """Of the accounts of one network."""

    def __init__(self, ground: Ground, management: Management, rooms: Rooms) -> None:
        self._network = ground.network
        self._store = ground.store
        self._addresses = ground.addresses
        self._clock = ground.clock
        self._tasks = ground.tasks
        self._persist = ground.persist
        self._management = management
        self._rooms = rooms
        self._waiting: dict[tuple[AccountId, RemoteRoomId], list[asyncio.Future[None]]] = {}
        """Who waits until an account is in a room."""
        self._asked: dict[tuple[AccountId, RemoteRoomId], float] = {}
        """When accounts have asked lately to be let in; monotonic."""
        self._followed: dict[AccountId, deque[float]] = defaultdict(deque)

    # --- what waits -----------------------------------------------------------------------------

    def load(self, accounts: Collection[AccountId]) -> None:
        """After a start no session waits at any door, whatever was so before."""
        self._persist.write(lambda db: invitations.nobody_joins(db, accounts))

    def invitations(self, account: Account) -> list[Invitation]:
        """What waits for the account to come in, the oldest first."""
        return invitations.of_account(self._store.reader, account.id)

    def invitation(self, account: Account, localpart: str) -> Invitation | None:
        """What waits for it at an address."""
        room = self._addresses.room(localpart)
        return None if room is None else invitations.get(self._store.reader, account.id, room)

    # --- coming in ------------------------------------------------------------------------------

    async def accept(self, account: Account, invitation: Invitation) -> RoomRow:
        """A session is at the door of a room: the account comes in. Raises any `AdapterError`, or
        `StoreUnavailable`."""
        room = invitation.room
        await self._store.write(
            lambda db: invitations.set_joining(db, account.id, room, is_joining=True)
        )
        asks = not (invitation.has_knocked or self._has_asked(account, room))
        try:
            return await self._come(account, JoinRoom(address=invitation.address, asks=asks))
        except AdapterError as error:
            await self._store.write(
                lambda db: invitations.set_joining(db, account.id, room, is_joining=False)
            )
            if isinstance(error, Knocked):
                self._asked[account.id, room] = self._clock.monotonic()
            elif not asks and isinstance(error, Forbidden) and not isinstance(error, Banned):
                raise Knocked(_ASKED) from error
            raise

    def _has_asked(self, account: Account, room: RemoteRoomId) -> bool:
        """Whether the account has asked to be let in, and the network has not told of it yet."""
        now = self._clock.monotonic()
        for key, at in list(self._asked.items()):
            if now - at >= _ASKED_AGAIN_S:
                del self._asked[key]
        return (account.id, room) in self._asked

    async def come_to(self, account: Account, localpart: str) -> RoomRow:
        """A session is at the door of a room that it calls by a name of the network. Returns the
        room, which may have another address. Raises any `AdapterError`, or `StoreUnavailable`."""
        address, remote_id = await self.find(account, localpart)
        room = self._rooms.known(account, remote_id)
        if room is not None and self._rooms.me(account, room) is not None:
            return room
        known = invitations.get(self._store.reader, account.id, remote_id)
        waiting = known or Invitation(room=remote_id, address=address)
        waiting = replace(waiting, localpart=localpart, is_joining=True)
        now = self._clock.now()
        if not await self._store.write(lambda db: invitations.put(db, account.id, waiting, now)):
            raise Transient(_TOO_MANY)
        try:
            return await self.accept(account, waiting)
        except (Transient, Knocked):
            raise
        except AdapterError:
            if known is None:
                await self._drop(account, remote_id)
            raise

    async def find(self, account: Account, localpart: str) -> tuple[str, RemoteRoomId]:
        """What the network calls the room at a localpart, and which it is. Raises any
        `AdapterError`."""
        address = self._addresses.room_address(localpart)
        room = None
        if address is not None:
            room = await self._management.do(account, FindRoom(address=address))
        if address is None or room is None:
            raise NotFound(tr("There is no group at this address."))
        return address, room

    async def join(self, account: Account, address: str) -> RoomRow:
        """Come into a room by what the network calls it. Raises any `AdapterError`."""
        return await self._come(account, JoinRoom(address=address))

    async def create(self, account: Account, room: CreateRoom) -> RoomRow:
        """Make a room. Raises any `AdapterError`."""
        return await self._come(account, room)

    async def _come(self, account: Account, action: JoinRoom | CreateRoom) -> RoomRow:
        try:
            return await within(self._clock, _LIMIT_S, self._asked_in(account, action))
        except TimeoutError:
            raise Transient(_NOT_YET) from None

    async def _asked_in(self, account: Account, action: JoinRoom | CreateRoom) -> RoomRow:
        remote_id = await self._management.do(account, action)
        if remote_id is None:
            raise Transient(_NOT_YET)
        while True:
            room = self._rooms.known(account, remote_id)
            if room is not None and self._rooms.me(account, room) is not None:
                return room
            await self._until_in(account.id, remote_id)

    async def _until_in(self, account: AccountId, room: RemoteRoomId) -> None:
        came: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault((account, room), [])
        waiting.append(came)
        try:
            await came
        finally:
            waiting.remove(came)
            if not waiting:
                self._waiting.pop((account, room), None)

    def entered(self, account: AccountId, room: RemoteRoomId) -> None:
        """An account is in this one from now on."""
        for came in self._waiting.get((account, room), ()):
            if not came.done():
                came.set_result(None)

    # --- going where a room has gone ------------------------------------------------------------

    def follow(self, account: Account, rooms: list[RemoteRoomId]) -> None:
        """Rooms of the account go on as these."""
        for room in rooms:
            waiting = invitations.get(self._store.reader, account.id, room)
            if waiting is not None and self._may_follow(account.id):
                self._tasks.spawn(self._follow(account, waiting), "follow")

    def _may_follow(self, account: AccountId) -> bool:
        now, followed = self._clock.monotonic(), self._followed[account]
        while followed and now - followed[0] >= _HOUR_S:
            followed.popleft()
        if len(followed) >= _FOLLOWED:
            return False
        followed.append(now)
        return True

    async def _follow(self, account: Account, waiting: Invitation) -> None:
        """If this fails, the user may still go there: they were told where it is."""
        try:
            await self._management.do(account, JoinRoom(address=waiting.address))
        except AdapterError as error:
            log.info(
                "room_not_followed",
                network=self._network,
                account=account.id,
                reason=error.text,
            )

    # --- going out ------------------------------------------------------------------------------

    async def leave(self, account: Account, room: RoomRow) -> None:
        """Go out of a room on the network. Raises any `AdapterError`."""
        await self._management.do(account, LeaveRoom(room=room.remote_id))

    async def destroy(self, account: Account, room: RoomRow, reason: str) -> None:
        """End a room for everybody. Raises any `AdapterError`."""
        await self._management.do(account, DestroyRoom(room=room.remote_id, reason=reason))

    async def decline(self, account: Account, invitation: Invitation) -> None:
        """Do not come in. Raises any `AdapterError`, or `StoreUnavailable`."""
        if invitation.event is not None or invitation.has_knocked:
            with suppress(NotFound, Forbidden):  # it is gone already
                await self._management.do(account, LeaveRoom(room=invitation.room))
        await self._drop(account, invitation.room)

    async def _drop(self, account: Account, room: RemoteRoomId) -> None:
        await self._store.write(lambda db: invitations.drop(db, account.id, room))
