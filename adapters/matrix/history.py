# SPDX-License-Identifier: Apache-2.0
"""Fetching what an answer of /sync left out.

Matrix spec, client-server API, "GET /rooms/{roomId}/messages". The pages go backwards from the
``prev_batch`` of the answer to the last event that is known.
"""

from __future__ import annotations

from collections.abc import Iterable

from adapters.matrix.filters import HISTORY_FILTER
from adapters.matrix.gaps import Fill, Gap, begins_here
from adapters.matrix.http import MIB, Answer, Api
from adapters.matrix.inbound import Event, as_dicts
from adapters.matrix.rooms import RoomId
from gateway.errors import Forbidden, NotFound, Unsupported
from gateway.ids import RemoteUserId

_PAGE = 100
_PAGE_LIMIT = 32 * MIB
_AT_ONCE = 32 * MIB
"""Of what one answer left out in all its rooms: it is held in memory until it is committed."""


async def page(
    api: Api, room_id: RoomId, token: str | None, wanted: str, limit: int = _PAGE
) -> Answer:
    """Events before this point, or the last ones of all, the newest first. Raises any
    `AdapterError`."""
    query = {"dir": "b", "limit": str(limit), "filter": wanted}
    if token is not None:
        query["from"] = token
    return await api.get_answer("rooms", room_id, "messages", query=query, limit=_PAGE_LIMIT)


async def fill_all(
    api: Api, found: Iterable[Gap], account: RemoteUserId, max_events: int
) -> dict[RoomId, Fill]:
    """The missing events of each room, as far as there is space for them. Raises `Transient`."""
    fills: dict[RoomId, Fill] = {}
    left = _AT_ONCE
    for gap in found:
        fills[gap.room_id] = await fill(api, gap, account, max_events, left)
        left -= fills[gap.room_id].size
    return fills


async def fill(
    api: Api, gap: Gap, account: RemoteUserId, max_events: int, max_bytes: int = _AT_ONCE
) -> Fill:
    """The missing events, or the newest of them. Raises `Transient`."""
    newest_first: list[Event] = []
    token, size = gap.prev_batch, 0
    for _ in range(2 + 2 * max_events // _PAGE):
        if size >= max_bytes:
            break
        try:
            answer = await page(api, gap.room_id, token, HISTORY_FILTER)
        except (Forbidden, NotFound, Unsupported):
            break
        content, size = answer.content, size + answer.size
        for event in as_dicts(content.get("chunk")):
            if begins_here(event, gap.last, account, gap.entry):
                return Fill(newest_first[::-1], True, size)
            if len(newest_first) >= max_events:
                return Fill(newest_first[::-1], False, size)
            newest_first.append(event)
        following = content.get("end")
        if not isinstance(following, str) or following == token:
            return Fill(newest_first[::-1], True, size)
        token = following
    return Fill(newest_first[::-1], False, size)
