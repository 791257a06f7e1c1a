# SPDX-License-Identifier: Apache-2.0
"""Who can be reached, in both directions."""

from __future__ import annotations

import enum

from gateway.events.record import Record


class Availability(enum.StrEnum):
    """RFC 6121 §4.7.2.1, as far as other networks have it."""

    AVAILABLE = "available"
    AWAY = "away"
    XA = "xa"
    """Away for long."""
    DND = "dnd"
    UNAVAILABLE = "unavailable"


BEST_REACHED = (Availability.AVAILABLE, Availability.DND, Availability.AWAY, Availability.XA)
"""Which of several devices speaks for a user: the first of them."""


class Presence(Record, frozen=True, kw_only=True):
    """How somebody can be reached. State, not an event: the latest counts, and none is stored."""

    availability: Availability = Availability.AVAILABLE
    status: str = ""
    """Words of the person."""
    idle_since: float | None = None
    """Seconds since the epoch. Only where the network knows it well: a "recently" belongs into
    ``status`` (REQ-311)."""


AVAILABLE = Presence()
UNAVAILABLE = Presence(availability=Availability.UNAVAILABLE)
