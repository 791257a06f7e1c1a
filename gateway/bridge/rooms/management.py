# SPDX-License-Identifier: Apache-2.0
"""What users do with rooms while they wait for the answer."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import TypeVar

import structlog
from msgspec import structs

from gateway.adapter import Adapter, Session
from gateway.bridge.accounts import Account
from gateway.bridge.splitting import one_line
from gateway.errors import AdapterError, Transient, Unsupported
from gateway.events import FoundRoom, FoundRooms, LiftBan, RoomAction, SearchRooms
from gateway.events.record import Record
from gateway.ids import RemoteRoomId, RemoteUserId
from gateway.tasks import contained, within

log = structlog.get_logger("rooms")

T = TypeVar("T")

_LIMIT_S = 20.0
_MOST_TOPIC_CHARS = 200


class Management:
    """The actions on one network. None is kept, and none is tried again."""

    def __init__(self, adapter: Adapter) -> None:
        self._possible = adapter.capabilities.room_actions
        self.can_search = adapter.capabilities.room_search
        self._clock = adapter.context.clock

    def is_possible(self, kind: type[RoomAction]) -> bool:
        """Whether the network knows such a thing at all."""
        return kind in self._possible

    async def do(self, account: Account, action: RoomAction) -> RemoteRoomId | None:
        """Carry it out, within 20 s. Raises any `AdapterError`, with a sentence for the user."""
        kind = type(action)
        session = self._session(account, kind)
        return await self._answer(account, kind, contained(session.manage, action))

    async def banned(self, account: Account, room: RemoteRoomId) -> Sequence[RemoteUserId]:
        """Who may not come into a room. Raises as `do`."""
        session = self._session(account, LiftBan)
        return await self._answer(account, LiftBan, contained(session.banned, room))

    async def search(self, account: Account, wanted: SearchRooms) -> FoundRooms:
        """Rooms that anybody may find. Raises as `do`."""
        if not self.can_search:
            raise Unsupported("Groups of this network cannot be searched for.")
        work = contained(self._live(account).search_rooms, wanted)
        found = await self._answer(account, SearchRooms, work)
        return structs.replace(found, rooms=tuple(map(_brief, found.rooms[: wanted.most])))

    def _session(self, account: Account, kind: type[RoomAction]) -> Session:
        if not self.is_possible(kind):
            raise Unsupported("This cannot be done with groups of this network.")
        return self._live(account)

    def _live(self, account: Account) -> Session:
        session = account.link.session if account.link is not None else None
        if session is None:
            raise Transient("There is no connection to the network now. Please try again later.")
        return session

    async def _answer(self, account: Account, kind: type[Record], work: Awaitable[T]) -> T:
        try:
            return await within(self._clock, _LIMIT_S, work)
        except AdapterError:
            raise
        except TimeoutError:
            raise Transient(
                "The network did not answer in time. It may have been done or not."
            ) from None
        except Exception as error:
            log.exception("room_action_failed", account=account.id, kind=kind.__name__)
            raise Transient("Internal error of the gateway.") from error


def _brief(found: FoundRoom) -> FoundRoom:
    name, topic = one_line(found.name), one_line(found.topic, _MOST_TOPIC_CHARS)
    return structs.replace(found, name=name, topic=topic)
