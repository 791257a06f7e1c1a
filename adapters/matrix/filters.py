# SPDX-License-Identifier: Apache-2.0
"""What we ask /sync and /messages for. Matrix spec, client-server API, "Filtering"."""

from __future__ import annotations

import enum
import json

from adapters.matrix.inbound import MESSAGE_TYPES

_STATE = ("m.room.create", "m.room.encryption", "m.room.member")
_TIMELINE = (*MESSAGE_TYPES, *_STATE, "m.reaction", "m.room.redaction")


class Mode(enum.Enum):
    """How much of an answer is new."""

    FIRST = enum.auto()
    """A first link: nothing that was said before."""
    NEXT = enum.auto()
    """All of it: it continues from the cursor."""
    AGAIN = enum.auto()
    """The cursor was refused. What follows the last known event of each room."""


def filter_for(mode: Mode) -> str:
    """Spec, "Filtering". Lazy-loaded members: rooms of 5,000 people must cost nothing."""
    limit = 1 if mode is Mode.FIRST else 50
    return _compact(
        {
            "presence": {"not_types": ["*"]},
            "account_data": {"types": ["m.direct"]},
            "room": {
                "timeline": {"limit": limit, "lazy_load_members": True, "types": _TIMELINE},
                "state": {"lazy_load_members": True, "types": _STATE},
                "ephemeral": {"types": ["m.typing", "m.receipt"]},
                "account_data": {"not_types": ["*"]},
            },
        }
    )


HISTORY_FILTER = json.dumps({"types": _TIMELINE, "lazy_load_members": True})


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
