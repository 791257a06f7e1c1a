# SPDX-License-Identifier: Apache-2.0
"""What moderators do with groups → requests.

Matrix spec, client-server API, "POST /rooms/{roomId}/kick" and its likes, "PUT
/rooms/{roomId}/state/{eventType}/{stateKey}", "PUT /rooms/{roomId}/redact/{eventId}/{txnId}",
"GET /rooms/{roomId}/members".
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from msgspec.structs import replace

from adapters.matrix.groups import level_of, levels_in
from adapters.matrix.http import MIB, Api
from adapters.matrix.ids import is_user_id
from adapters.matrix.inbound import as_dicts
from adapters.matrix.ledger import Ledger
from adapters.matrix.media import Media
from adapters.matrix.powers import Content, affiliated, initial, voiced
from adapters.matrix.rooms import Group, RoomId
from gateway.errors import Forbidden, NotFound
from gateway.events import (
    DescribeRoom,
    LiftBan,
    ModerateMessage,
    RemoveFromRoom,
    SetAffiliation,
    SetRoomAvatar,
    SetVoice,
)
from gateway.ids import RemoteRoomId, RemoteUserId
from gateway.text.wording import joined, tr

_LEVELS = "m.room.power_levels"
_MOST_BANNED = 1_000
_MEMBERS_LIMIT = 8 * MIB
_GONE = tr("You are not in this group any more.")


class Ruling:
    """Of one account."""

    def __init__(self, api: Api, ledger: Ledger, own: RemoteUserId, media: Media) -> None:
        self._api = api
        self._media = media
        self._ledger = ledger
        self._own = own

    async def banned(self, room: RemoteRoomId) -> Sequence[RemoteUserId]:
        """See `gateway.adapter.Session.banned`."""
        path, query = ("rooms", room, "members"), {"membership": "ban"}
        answer = await self._api.get(*path, query=query, limit=_MEMBERS_LIMIT)
        listed = (event.get("state_key") for event in as_dicts(answer.get("chunk")))
        return [RemoteUserId(user) for user in listed if is_user_id(user)][:_MOST_BANNED]

    # --- people -------------------------------------------------------------------------------

    async def remove(self, action: RemoveFromRoom) -> None:
        """Kick or ban."""
        how = "ban" if action.is_ban else "kick"
        with _refused(tr("You may not remove them from this group.")):
            await self._about(action.room, how, action.user, action.reason)

    async def lift_ban(self, action: LiftBan) -> None:
        """Unban."""
        with _refused(tr("You may not lift their ban.")):
            await self._about(action.room, "unban", action.user)

    async def _about(
        self, room: RemoteRoomId, what: str, user: RemoteUserId, reason: str = ""
    ) -> None:
        body = {"user_id": user, **({"reason": reason} if reason else {})}
        await self._api.post("rooms", room, what, body=body)

    # --- rights -------------------------------------------------------------------------------

    async def affiliate(self, action: SetAffiliation) -> None:
        """By the level of a user. Who changes others at the same time may be overwritten: the
        homeserver has no condition for that."""
        with _refused(tr("You may not change their rights in this group.")):
            group, content = await self.levels(action.room)
            changed = affiliated(content, group, self._own, action.user, action.affiliation)
            await self._set_levels(action.room, changed)

    async def voice(self, action: SetVoice) -> None:
        """Likewise."""
        with _refused(tr("You may not decide whether they speak in this group.")):
            group, content = await self.levels(action.room)
            changed = voiced(content, group, self._own, action.user, may_speak=action.may_speak)
            await self._set_levels(action.room, changed)

    async def levels(self, room: RemoteRoomId) -> tuple[Group, Content]:
        """As they are now, not as they were told."""
        group = self._group(room)
        try:
            return group, await self._api.get("rooms", room, "state", _LEVELS, "")
        except NotFound:
            if group.levels is not None:
                raise  # there are some: they must not be written anew
            return group, initial(group)

    async def _set_levels(self, room: RemoteRoomId, content: Content | None) -> None:
        if content is not None:
            await self.put_state(room, _LEVELS, content)

    def _group(self, room: RemoteRoomId) -> Group:
        group = self._ledger.book.group(RoomId(room))
        if group is None:
            raise NotFound(_GONE)
        return group

    async def put_state(self, room: RemoteRoomId, kind: str, content: Mapping[str, Any]) -> None:
        """One event of the state."""
        await self._api.put("rooms", room, "state", kind, "", body=content)

    # --- what it is ---------------------------------------------------------------------------

    async def describe(self, action: DescribeRoom) -> None:
        """Each has an event of its own; whether they are all permitted is asked before."""
        with _refused(tr("You may not change this group like that.")):
            await self._describe(action)

    async def _describe(self, action: DescribeRoom) -> None:
        group, content = await self.levels(action.room)
        levels = levels_in(content)
        wanted: list[tuple[str, Mapping[str, Any], int, str]] = []
        if action.name is not None:
            wanted.append(("m.room.name", {"name": action.name}, levels.name, tr("its name")))
        if action.topic is not None:
            wanted.append(("m.room.topic", {"topic": action.topic}, levels.topic, tr("its topic")))
        if action.is_private is not None:
            rule = {"join_rule": "invite" if action.is_private else "public"}
            said = tr("who may come in")
            wanted.append(("m.room.join_rules", rule, levels.join_rules, said))
        mine = level_of(replace(group, levels=levels), self._own)
        for _, _, least, what in wanted:
            if mine < least:
                raise Forbidden(
                    tr("Your rights there are not enough to change {what}.", what=what)
                )
        for kind, put, _, _ in wanted:
            await self.put_state(action.room, kind, put)

    async def picture(self, action: SetRoomAvatar) -> None:
        """Whether it is permitted is asked before anything is uploaded: that stays."""
        with _refused(tr("You may not change the picture of this group.")):
            group, content = await self.levels(action.room)
            levels = levels_in(content)
            if level_of(replace(group, levels=levels), self._own) < levels.avatar:
                raise Forbidden(tr("Your rights there are not enough."))
            url = await self._media.upload(action.data, action.media_type) if action.data else ""
            await self.put_state(action.room, "m.room.avatar", {"url": url} if url else {})

    async def moderate(self, action: ModerateMessage) -> None:
        """Redact. To do it again changes nothing. The reason is not encrypted, and so is not sent
        to a group where the rest is (docs/decisions/0010)."""
        group = self._ledger.book.group(RoomId(action.room))
        is_clear = group is not None and group.encrypted is False
        path = ("rooms", action.room, "redact", action.message, str(uuid.uuid4()))
        body = {"reason": action.reason} if action.reason and is_clear else {}
        with _refused(tr("You may not take back this message.")):
            await self._api.put(*path, body=body)


@contextmanager
def _refused(said: str) -> Iterator[None]:
    """What a refusal is about, in words."""
    try:
        yield
    except Forbidden as error:
        raise Forbidden(joined((said, error.text))) from error
