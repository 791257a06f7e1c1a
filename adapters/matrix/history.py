# SPDX-License-Identifier: Apache-2.0
"""Fetching what an answer of /sync left out.

Matrix spec, client-server API, "GET /rooms/{roomId}/messages". The pages go backwards from the
``prev_batch`` of the answer to the last event that is known.
"""

from __future__ import annotations

from adapters.matrix.filters import HISTORY_FILTER
from adapters.matrix.gaps import Fill, Gap, begins_here
from adapters.matrix.http import MIB, Api
from adapters.matrix.inbound import Event, as_dicts
from gateway.errors import Forbidden, NotFound, Unsupported
from gateway.ids import RemoteUserId

_PAGE = 100
_PAGE_LIMIT = 32 * MIB


async def fill(api: Api, gap: Gap, account: RemoteUserId, max_events: int) -> Fill:
    """The missing events, or the newest ``max_events`` of them. Raises `Transient`."""
    newest_first: list[Event] = []
    token = gap.prev_batch
    for _ in range(2 + 2 * max_events // _PAGE):
        try:
            page = await api.get(
                "rooms",
                gap.room_id,
                "messages",
                query={
                    "dir": "b",
                    "from": token,
                    "limit": str(_PAGE),
                    "filter": HISTORY_FILTER,
                },
                limit=_PAGE_LIMIT,
            )
        except (Forbidden, NotFound, Unsupported):
            break
        for event in as_dicts(page.get("chunk")):
            if begins_here(event, gap.last, account):
                return _fill(newest_first, complete=True)
            if len(newest_first) >= max_events:
                return _fill(newest_first, complete=False)
            newest_first.append(event)
        following = page.get("end")
        if not isinstance(following, str) or following == token:
            return _fill(newest_first, complete=True)
        token = following
    return _fill(newest_first, complete=False)


def _fill(newest_first: list[Event], *, complete: bool) -> Fill:
    return Fill(newest_first[::-1], complete)
