# SPDX-License-Identifier: Apache-2.0
"""A group is ended for everybody → requests.

Matrix knows no such thing: a room is no more when nobody is in it and nobody can come in. So it is
closed and taken off the directory, everybody is put out, and the account goes last.

Matrix spec, client-server API, "GET /rooms/{roomId}/members", "GET /rooms/{roomId}/aliases", "PUT
/directory/list/room/{roomId}", "m.room.member".
"""

from __future__ import annotations

from contextlib import suppress

from msgspec.structs import replace

from adapters.matrix.groups import level_of, levels_in
from adapters.matrix.http import MIB, Api
from adapters.matrix.ids import is_user_id
from adapters.matrix.inbound import as_dict, as_dicts
from adapters.matrix.links import is_alias
from adapters.matrix.marks import DESTROYED
from adapters.matrix.rooms import Group
from adapters.matrix.ruling import Ruling
from gateway.errors import Forbidden, NotFound, Unsupported
from gateway.events import DestroyRoom
from gateway.ids import RemoteRoomId, RemoteUserId
from gateway.text.wording import tr

_MOST = 100
"""One request each, while somebody waits."""
_MEMBERS_LIMIT = 8 * MIB
_MOST_ALIASES = 20
_NOT_YOURS = tr("You may not destroy this group: your rights there are not enough.")
_OTHERS = tr(
    "Somebody else there has as many rights as you, and cannot be put out. You can only leave it.",
)
_TOO_MANY = tr(
    "The group has more than {most} members: too many to be put out from here.", most=_MOST
)


class Destroying:
    """Of one account."""

    def __init__(self, api: Api, ruling: Ruling, own: RemoteUserId) -> None:
        self._api = api
        self._ruling = ruling
        self._own = own

    async def destroy(self, action: DestroyRoom) -> None:
        """What would stop it half-way is looked for first. To do it again goes on with it."""
        group, content = await self._ruling.levels(action.room)
        levels = levels_in(content)
        group = replace(group, levels=levels)
        if level_of(group, self._own) < max(levels.kick, levels.join_rules):
            raise Forbidden(_NOT_YOURS)
        others = await self._others(action.room, group)
        await self._ruling.put_state(action.room, "m.room.join_rules", {"join_rule": "invite"})
        await self._hide(action.room)
        for user in (*others, self._own):
            await self._put_out(action, user)

    async def _others(self, room: RemoteRoomId, group: Group) -> list[RemoteUserId]:
        path, query = ("rooms", room, "members"), {"not_membership": "leave"}
        answer = await self._api.get(*path, query=query, limit=_MEMBERS_LIMIT)
        listed = [
            RemoteUserId(str(event.get("state_key")))
            for event in as_dicts(answer.get("chunk"))
            if as_dict(event.get("content")).get("membership") in ("join", "invite", "knock")
            and is_user_id(event.get("state_key"))
            and event.get("state_key") != self._own
        ]
        if len(listed) > _MOST:
            raise Unsupported(_TOO_MANY)
        if any(level_of(group, user) >= level_of(group, self._own) for user in listed):
            raise Forbidden(_OTHERS)
        return listed

    async def _hide(self, room: RemoteRoomId) -> None:
        """Its addresses, where the account may: others are not in the way."""
        with suppress(Forbidden, NotFound, Unsupported):
            listing = {"visibility": "private"}
            await self._api.put("directory", "list", "room", room, body=listing)
        with suppress(Forbidden, NotFound, Unsupported):
            found = (await self._api.get("rooms", room, "aliases")).get("aliases")
            aliases = found if isinstance(found, list) else []
            for alias in [one for one in aliases if isinstance(one, str)][:_MOST_ALIASES]:
                if is_alias(alias):
                    await self._api.delete("directory", "room", alias)

    async def _put_out(self, action: DestroyRoom, user: RemoteUserId) -> None:
        """With the mark, by which other gateways know what has happened."""
        body = {"membership": "leave", DESTROYED: True}
        if action.reason:
            body["reason"] = action.reason
        await self._api.put("rooms", action.room, "state", "m.room.member", user, body=body)
