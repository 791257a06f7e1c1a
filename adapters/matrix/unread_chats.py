# SPDX-License-Identifier: Apache-2.0
"""What waits unread in chats when an account is linked.

Matrix spec, client-server API, "Syncing": ``unread_notifications`` of a room say how much. Chats
that are encrypted are left out: a new device has no keys of what was said before it came.
"""

from __future__ import annotations

from collections.abc import Sequence

from adapters.matrix.filters import HISTORY_FILTER
from adapters.matrix.gaps import Fill, is_room_id, rooms_in, state_in
from adapters.matrix.history import page
from adapters.matrix.http import Api
from adapters.matrix.inbound import MESSAGE_TYPES, Event, as_dict, as_dicts
from adapters.matrix.rooms import RoomId
from gateway.errors import Forbidden, NotFound, Unsupported
from gateway.ids import RemoteUserId

_MOST_CHATS = 50
"""Those that were written in last: each costs a request before the account is there."""


async def fetch_unread(
    api: Api, answer: Event, account: RemoteUserId, at_most: int
) -> dict[RoomId, Fill]:
    """What comes before the timeline of each chat in the first answer of /sync, and is unread like
    that: ``at_most`` so many messages of each chat.

    Raises `Transient`, `RateLimited` or `AuthExpired`.
    """
    fills = {}
    for room_id, content in _unread(answer) if at_most else ():
        there = as_dicts(as_dict(content.get("timeline")).get("events"))
        newest_first = [*reversed(there), *await _before(api, room_id, content, at_most)]
        unread = _newest(newest_first, account, min(at_most, _count(content)))
        if len(unread) >= len(there):
            is_all = _count(content) <= at_most
            fills[room_id] = Fill(unread[len(there) :][::-1], complete=is_all)
    return fills


async def _before(api: Api, room_id: RoomId, content: Event, at_most: int) -> Sequence[Event]:
    """Newest first. What is no message stands between the messages, hence twice as many."""
    token = as_dict(content.get("timeline")).get("prev_batch")
    if not isinstance(token, str):
        return []
    try:
        answer = await page(api, room_id, token, HISTORY_FILTER, 2 * at_most)
    except (Forbidden, NotFound, Unsupported):
        return []
    return as_dicts(answer.content.get("chunk"))


def _newest(newest_first: Sequence[Event], account: RemoteUserId, wanted: int) -> list[Event]:
    """Up to so many messages; whoever has answered has read what comes before."""
    kept: list[Event] = []
    for event in newest_first:
        if not wanted or event.get("sender") == account:
            break
        kept.append(event)
        wanted -= event.get("type") in MESSAGE_TYPES
    return kept


def _unread(answer: Event) -> Sequence[tuple[RoomId, Event]]:
    direct = _direct_rooms(answer)
    found = [
        (room_id, content)
        for room_id, content in rooms_in(answer, "join")
        if room_id in direct and _count(content) and not _is_encrypted(content)
    ]
    return sorted(found, key=_written_at, reverse=True)[:_MOST_CHATS]


def _count(content: Event) -> int:
    count = as_dict(content.get("unread_notifications")).get("notification_count")
    return count if isinstance(count, int) and count > 0 else 0


def _written_at(chat: tuple[RoomId, Event]) -> int:
    events = as_dicts(as_dict(chat[1].get("timeline")).get("events"))
    at = events[-1].get("origin_server_ts") if events else None
    return at if isinstance(at, int) else 0


def _is_encrypted(content: Event) -> bool:
    return any(event.get("type") == "m.room.encryption" for event in state_in(content))


def _direct_rooms(answer: Event) -> set[RoomId]:
    rooms: set[RoomId] = set()
    for event in as_dicts(as_dict(answer.get("account_data")).get("events")):
        if event.get("type") == "m.direct":
            for listed in as_dict(event.get("content")).values():
                rooms.update(filter(is_room_id, listed if isinstance(listed, list) else ()))
    return rooms
