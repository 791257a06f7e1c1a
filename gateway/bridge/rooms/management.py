# SPDX-License-Identifier: Apache-2.0
"""What users do with rooms while they wait for the answer."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import structs

from gateway.adapter import Adapter, Session
from gateway.bridge.accounts import Account
from gateway.bridge.splitting import one_line
from gateway.bridge.waiting import answered, live
from gateway.errors import Unsupported
from gateway.events import FoundRoom, FoundRooms, LiftBan, RoomAction, SearchRooms
from gateway.ids import RemoteRoomId, RemoteUserId
from gateway.store.kinds import AccountKind
from gateway.tasks import contained
from gateway.text.wording import tr

_MOST_TOPIC_CHARS = 200


class Management:
    """The actions on one network. None is kept, and none is tried again."""

    def __init__(self, adapter: Adapter) -> None:
        self._possible = adapter.capabilities.room_actions
        self.can_search = adapter.capabilities.room_search
        self._clock = adapter.context.clock
        self.of_virtual = self.on_network
        """Carries out what those want for whom the house speaks (`gateway.bridge.portals`)."""

    def is_possible(self, kind: type[RoomAction]) -> bool:
        """Whether the network knows such a thing at all."""
        return kind in self._possible

    async def do(self, account: Account, action: RoomAction) -> RemoteRoomId | None:
        """Carry it out, within 20 s. Raises any `AdapterError`, with a sentence for the user."""
        if account.kind is AccountKind.VIRTUAL:
            return await self.of_virtual(account, action)
        return await self.on_network(account, action)

    async def on_network(self, account: Account, action: RoomAction) -> RemoteRoomId | None:
        """Have the network do it, for whoever wants it. Raises as `do`."""
        kind = type(action)
        session = self._session(account, kind)
        return await answered(
            self._clock, account, kind.__name__, contained(session.manage, action)
        )

    async def banned(self, account: Account, room: RemoteRoomId) -> Sequence[RemoteUserId]:
        """Who may not come into a room. Raises as `do`."""
        session = self._session(account, LiftBan)
        return await answered(self._clock, account, "LiftBan", contained(session.banned, room))

    async def search(self, account: Account, wanted: SearchRooms) -> FoundRooms:
        """Rooms that anybody may find. Raises as `do`."""
        if not self.can_search:
            raise Unsupported(tr("Groups of this network cannot be searched for."))
        work = contained(live(account).search_rooms, wanted)
        found = await answered(self._clock, account, "SearchRooms", work)
        return structs.replace(found, rooms=tuple(map(_brief, found.rooms[: wanted.most])))

    def _session(self, account: Account, kind: type[RoomAction]) -> Session:
        if not self.is_possible(kind):
            raise Unsupported(tr("This cannot be done with groups of this network."))
        return live(account)


def _brief(found: FoundRoom) -> FoundRoom:
    name, topic = one_line(found.name), one_line(found.topic, _MOST_TOPIC_CHARS)
    return structs.replace(found, name=name, topic=topic)
