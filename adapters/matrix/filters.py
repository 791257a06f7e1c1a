# SPDX-License-Identifier: Apache-2.0
"""What we ask /sync and /messages for. Matrix spec, client-server API, "Filtering"."""

from __future__ import annotations

import enum
import json
from collections.abc import Callable, Sequence, Set

from adapters.matrix.calls import CALL_TYPES
from adapters.matrix.group_events import PINS
from adapters.matrix.http import Api
from adapters.matrix.inbound import BEATS, MESSAGE_TYPES, VOTES
from adapters.matrix.marks import IGNORED
from gateway.errors import AdapterError, AuthExpired, Transient
from gateway.ids import RemoteUserId

_STATE = (
    "m.room.create",
    "m.room.encryption",
    "m.room.history_visibility",
    "m.room.member",
    "m.room.name",
    "m.room.canonical_alias",
    "m.room.topic",
    "m.room.avatar",
    "m.room.join_rules",
    "m.room.power_levels",
    "m.room.tombstone",
)
_TIMELINE = (
    *(*MESSAGE_TYPES, *CALL_TYPES, *BEATS, *VOTES, *_STATE),
    *("m.reaction", "m.room.redaction", PINS),
)


class Mode(enum.Enum):
    """How much of an answer is new."""

    FIRST = enum.auto()
    """A first link: nothing that was said before."""
    NEXT = enum.auto()
    """All of it: it continues from the cursor."""
    AGAIN = enum.auto()
    """The cursor was refused. What follows the last known event of each room."""


def filter_for(mode: Mode, people: Sequence[str] = ()) -> str:
    """Spec, "Filtering". Lazy-loaded members: rooms of 5,000 people must cost nothing.

    Nor must their presence, so it is asked for ``people`` alone.
    """
    limit = 1 if mode is Mode.FIRST else 50
    return _compact(
        {
            "presence": {"types": ["m.presence"], "senders": people}
            if people
            else {"not_types": ["*"]},
            "account_data": {"types": ["m.direct", IGNORED]},
            "room": {
                "timeline": {"limit": limit, "lazy_load_members": True, "types": _TIMELINE},
                "state": {"lazy_load_members": True, "types": _STATE},
                "ephemeral": {"types": ["m.typing", "m.receipt"]},
                "account_data": {"not_types": ["*"]},
            },
        }
    )


HISTORY_FILTER = json.dumps({"types": _TIMELINE, "lazy_load_members": True})
SAID_FILTER = json.dumps({"types": MESSAGE_TYPES, "lazy_load_members": True})
PAST_FILTER = json.dumps(
    {
        "types": (*MESSAGE_TYPES, "m.reaction", PINS, "m.room.encryption", "m.room.topic"),
        "lazy_load_members": True,
    }
)
"""What was said, and nothing of who has come and gone."""


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


_LONGEST = 4_000
"""Of a filter within an address; a longer one is left with the homeserver."""


class Filters:
    """The filter of the next request. Spec, "POST /user/{userId}/filter"."""

    def __init__(self, account: RemoteUserId, api: Callable[[], Api]) -> None:
        self._account = account
        self._api = api
        self._left: tuple[str, str] | None = None
        """The last long filter, and its id at the homeserver."""

    async def of(self, mode: Mode, contacts: Set[RemoteUserId]) -> str:
        """The filter, or its id. Raises `Transient` or `AuthExpired`.

        A homeserver that keeps no filters is not asked for presence.
        """
        wanted = filter_for(mode, sorted({*contacts, self._account}))
        if len(wanted) <= _LONGEST:
            return wanted
        if self._left is None or self._left[0] != wanted:
            self._left = wanted, await self._leave(wanted) or filter_for(mode)
        return self._left[1]

    async def _leave(self, wanted: str) -> str | None:
        body = json.loads(wanted)
        try:
            answer = await self._api().post("user", self._account, "filter", body=body)
        except (Transient, AuthExpired):
            raise
        except AdapterError:
            return None
        filter_id = answer.get("filter_id")
        return filter_id if isinstance(filter_id, str) else None
