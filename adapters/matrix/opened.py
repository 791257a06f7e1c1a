# SPDX-License-Identifier: Apache-2.0
"""What encryption has made of the events of an answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from adapters.matrix.rooms import RoomId

Place = tuple[RoomId, str]
"""Room and event id."""


@dataclass(frozen=True, slots=True)
class Unread:
    """An event that cannot be read: see `gateway.events.RemoteUndecryptable`."""

    needs: str
    reason: str


@dataclass(frozen=True, slots=True)
class Opened:
    """The encrypted events of an answer."""

    clear: dict[Place, Mapping[str, Any]] = field(default_factory=dict)
    """Those that could be decrypted, as if they had been said in clear."""
    unread: dict[Place, Unread] = field(default_factory=dict)
    """Those that could not."""
