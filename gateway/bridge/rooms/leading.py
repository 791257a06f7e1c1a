# SPDX-License-Identifier: Apache-2.0
"""Sees to it that every shared room has a leader with a session (`gateway.bridge.rooms.leads`).

When there is none, the session of another account in the room is asked to tell it whole, and with
that it leads. The same is asked of an account whose rooms are in another realm than before.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import suppress

import structlog

from gateway.bridge.accounts import Account
from gateway.bridge.ground import Ground
from gateway.bridge.links.link import LinkState
from gateway.errors import AdapterError, StoreUnavailable
from gateway.ids import AccountId, RemoteRoomId, RoomId
from gateway.store import realms, sharing
from gateway.tasks import CutOff, contained, within

log = structlog.get_logger("rooms")

_EVERY_S = 10.0
_PATIENCE_S = 30.0
"""A session that comes back within that leads on: most do, and to tell a room whole costs much."""
_ASK_LIMIT_S = 30.0
_OVER = (LinkState.EXPIRED, LinkState.STOPPED, LinkState.WAITING)
_ROOMS = 100
"""Of one leader, at a time; and as many are looked at in one go."""


class Leading:
    """In the shared rooms of one network."""

    def __init__(self, ground: Ground) -> None:
        self._network = ground.network
        self._store = ground.store
        self._clock = ground.clock
        self._accounts = ground.accounts
        self._missing_since: dict[AccountId, float] = {}
        self._is_needed = asyncio.Event()

    def link_changed(self, account: Account) -> None:
        """Where nobody has to wait for a leader to come back, nobody does."""
        if not self._accounts.is_live(account.id):
            self._missing_since.setdefault(account.id, self._clock.monotonic())
            if not self._comes_back(account):
                self._is_needed.set()

    async def watch(self) -> None:
        """Look again and again."""
        while True:
            with suppress(TimeoutError):
                await within(self._clock, _EVERY_S, self._is_needed.wait())
            self._is_needed.clear()
            try:
                await self._look()
            except StoreUnavailable as error:
                log.info("leaders_not_looked_for", network=self._network, reason=str(error))
            except Exception:  # else rooms would never have a leader again
                log.exception("leaders_not_looked_for", network=self._network)

    async def _look(self) -> None:
        wanted: dict[AccountId, list[RemoteRoomId]] = defaultdict(list)
        for leader in sharing.led(self._store.reader, self._network):
            if leader is None or self._is_missing(leader):
                for other, remote_id in await self._to_be_led(leader):
                    wanted[other].append(remote_id)
        for number, rooms in wanted.items():
            await self._ask(number, rooms)
        for number in realms.untold(self._store.reader, self._network):
            if self._accounts.is_live(number) and await self._ask(number, None):
                await self._store.write(lambda db: realms.told(db, number))  # noqa: B023

    async def _to_be_led(self, leader: AccountId | None) -> list[tuple[AccountId, RemoteRoomId]]:
        """Rooms of a leader who is missing, each with who may lead it. In some nobody may now."""
        found: list[tuple[AccountId, RemoteRoomId]] = []
        after = RoomId(0)
        while len(found) < _ROOMS:
            part = sharing.led_by(self._store.reader, self._network, leader, after, _ROOMS)
            if not part:
                break
            for room, remote_id in part:
                if (other := self._other(room)) is not None:
                    found.append((other, remote_id))
            after = part[-1][0]
            await asyncio.sleep(0)
        return found

    def _is_missing(self, leader: AccountId) -> bool:
        now = self._clock.monotonic()
        if self._accounts.is_live(leader):
            self._missing_since.pop(leader, None)
            return False
        account = self._accounts.by_id(leader)
        if account is None or not self._comes_back(account):
            return True
        return now - self._missing_since.setdefault(leader, now) >= _PATIENCE_S

    def _comes_back(self, account: Account) -> bool:
        """Whether it will have a session again, whatever its user does."""
        return account.link is not None and account.link.phase not in _OVER

    def _other(self, room: RoomId) -> AccountId | None:
        """Who may lead it: somebody who is in it, and has a session."""
        inside = sharing.staying(self._store.reader, room)
        return next(filter(self._accounts.is_live, inside), None)

    async def _ask(self, number: AccountId, rooms: list[RemoteRoomId] | None) -> bool:
        account: Account | None = self._accounts.by_id(number)
        session = None if account is None or account.link is None else account.link.session
        if session is None:
            return False
        try:
            await within(self._clock, _ASK_LIMIT_S, contained(session.tell_rooms, rooms))
        except (AdapterError, TimeoutError, CutOff) as error:
            log.info("rooms_not_told", account=number, reason=str(error))
            return False
        except Exception:  # an adapter is not ours, and others are asked as well
            log.exception("rooms_not_told", account=number)
            return False
        return True
