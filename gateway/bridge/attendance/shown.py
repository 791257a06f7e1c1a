# SPDX-License-Identifier: Apache-2.0
"""What a user was shown of their contacts' presence, and what the network has told since."""

from __future__ import annotations

import asyncio

from gateway.events import Presence
from gateway.ids import RemoteUserId

_IDLE_GRAIN_S = 60.0


class ShownContact:
    """One contact, as one user sees them."""

    __slots__ = (
        "forced",
        "generation",
        "pictured",
        "recent",
        "shown",
        "shown_at",
        "state",
        "waits",
    )

    def __init__(self) -> None:
        self.state: Presence | None = None
        self.shown: Presence | None = None
        self.shown_at = float("-inf")
        self.generation = 0
        """In which stay of the user it was shown."""
        self.recent = 0
        self.forced = False
        """The user is told even what they were told before."""
        self.pictured = False
        """They have another picture than the user was told."""
        self.waits = False
        """Its turn comes, or the 30 s end."""


class Shown:
    """What one account is shown."""

    __slots__ = ("came_at", "contacts", "generation", "hidden", "hiding", "probed_at", "waiting")

    def __init__(self) -> None:
        self.contacts: dict[RemoteUserId, ShownContact] = {}
        self.hidden = False
        """All are unavailable, because the link is down."""
        self.hiding: asyncio.Task[None] | None = None
        self.generation = 0
        """Counts the stays of the user: what was shown before they left counts no more."""
        self.came_at = float("-inf")
        self.probed_at = float("-inf")
        self.waiting: asyncio.Task[None] | None = None


def is_same(one: Presence, other: Presence) -> bool:
    """Whether nobody would see a difference: clocks of networks are not exact."""
    if (one.availability, one.status) != (other.availability, other.status):
        return False
    if one.idle_since is None or other.idle_since is None:
        return one.idle_since is other.idle_since
    return abs(one.idle_since - other.idle_since) < _IDLE_GRAIN_S
