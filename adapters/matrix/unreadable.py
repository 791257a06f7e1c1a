# SPDX-License-Identifier: Apache-2.0
"""What is kept of an event whose conversion raised. None of this raises."""

from __future__ import annotations

import json
import traceback

from adapters.matrix.inbound import Event
from adapters.matrix.text import clean

_MAX_BYTES = 65_536
"""Of an event (Matrix spec, "Size limits")."""


def as_it_came(event: Event) -> str:
    """The event as JSON; of one that cannot be written down, what identifies it."""
    try:
        return clean(json.dumps(event), _MAX_BYTES)
    except Exception:
        return clean(" ".join(str(event.get(key))[:255] for key in ("type", "event_id")), 600)


def where(error: Exception) -> str:
    """What went wrong and where, without a word of anybody's message."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return type(error).__name__ + place
