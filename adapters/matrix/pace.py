# SPDX-License-Identifier: Apache-2.0
"""How often a homeserver is asked for news that answers at once, whether or not there are any.

Each answer costs a commit, and all accounts share one writer. A proxy that takes no notice of the
time-out would else be asked a thousand times a second.
"""

from __future__ import annotations

from gateway.adapter import Clock

_BURST = 50
_PER_S = 10.0


class Pace:
    """Of one session's requests."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._left = float(_BURST)
        self._at = clock.monotonic()

    async def keep(self) -> None:
        """Before each request: wait, if there were too many of late."""
        now = self._clock.monotonic()
        self._left = min(_BURST, self._left + (now - self._at) * _PER_S) - 1
        self._at = now
        if self._left < 0:
            await self._clock.sleep(-self._left / _PER_S)
