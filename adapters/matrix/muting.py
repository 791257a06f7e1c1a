# SPDX-License-Identifier: Apache-2.0
"""Rooms of which the account's apps are not to notify.

Matrix spec, client-server API, "Push Rules": an override rule of the room, without actions, as
other apps make it.
"""

from __future__ import annotations

from collections.abc import Sequence

from adapters.matrix.errors import status_of
from adapters.matrix.http import Api
from adapters.matrix.inbound import Event, as_dict, as_dicts
from adapters.matrix.rooms import Book, RoomId
from gateway.adapter import Muted
from gateway.errors import AdapterError, NotFound
from gateway.ids import RemoteRoomId, RemoteUserId
from gateway.text.wording import tr


async def mute(
    api: Api,
    book: Book,
    contact: RemoteUserId | None,
    group: RemoteRoomId | None,
    is_muted: bool,
) -> None:
    """Make the rule of a group, or of each room of a chat, or take it away."""
    chats = () if contact is None else [room_id for room_id, _ in book.rooms_of(contact)]
    rooms: Sequence[str] = chats if group is None else [group]
    if not rooms:
        raise NotFound(tr("There is no chat with them on the network yet."))
    for room in rooms:
        path = ("pushrules", "global", "override", room)
        if is_muted:
            condition = {"kind": "event_match", "key": "room_id", "pattern": room}
            await api.put(*path, body={"conditions": [condition], "actions": []})
            continue
        try:
            await api.delete(*path)
        except AdapterError as error:
            if status_of(error) != 404:  # there is none
                raise


async def muted(api: Api, book: Book) -> Muted:
    """What such a rule is of, by whatever app it was made. Spec, "GET /pushrules/"."""
    rules = as_dicts(as_dict((await api.get("pushrules", "")).get("global")).get("override"))
    rooms = _rooms_of(rules)
    chats = [room.contact for room_id in rooms if (room := book.room(RoomId(room_id)))]
    return Muted(contacts=frozenset(chats), rooms=frozenset(map(RemoteRoomId, rooms)))


def _rooms_of(rules: Sequence[Event]) -> list[str]:
    return [
        room
        for rule in rules
        if rule.get("enabled") is True
        and rule.get("actions") in ([], ["dont_notify"])
        and (room := _only_room(as_dicts(rule.get("conditions"))))
    ]


def _only_room(conditions: Sequence[Event]) -> str:
    """The room, if a rule is about all that is said in one."""
    if len(conditions) != 1 or conditions[0].get("kind") != "event_match":
        return ""
    room = conditions[0].get("pattern")
    return room if conditions[0].get("key") == "room_id" and isinstance(room, str) else ""
