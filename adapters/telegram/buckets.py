# SPDX-License-Identifier: Apache-2.0
"""When a message may be sent, so that Telegram need not ask for a pause.

Bot API FAQ, "My bot is hitting limits": about one message a second in one chat, where a few may
come at once, 20 a minute in one group, and about 30 a second in all. Whoever is asked to wait
(429) waits alone: others go on.
"""

from __future__ import annotations

from dataclasses import dataclass

from adapters.telegram import ids
from adapters.telegram.errors import rate_limited
from gateway.adapter import Clock

_CHAT_BURST, _CHAT_PER_S = 5.0, 1.0
_GROUP_PER_S = 0.25
"""With as many at once as in a chat that is 20 in the first minute."""
_ALL_BURST, _ALL_PER_S = 30.0, 30.0
_MOST_CHATS = 1_000


@dataclass(slots=True)
class _Bucket:
    """Fills by itself; below nothing it is owed what was taken."""

    burst: float
    per_s: float
    left: float
    at: float

    def take(self, now: float) -> float:
        """One. Returns how long to wait for it."""
        self.left = min(self.burst, self.left + (now - self.at) * self.per_s) - 1
        self.at = now
        return max(0.0, -self.left / self.per_s)

    def is_full(self, now: float) -> bool:
        """Nobody has taken anything for long."""
        return self.left + (now - self.at) * self.per_s >= self.burst


class Buckets:
    """Of one bot."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._all = _Bucket(_ALL_BURST, _ALL_PER_S, _ALL_BURST, clock.monotonic())
        self._chats: dict[str, _Bucket] = {}
        self._not_before: dict[str, float] = {}
        """Chats in which Telegram has asked for a pause."""

    async def turn(self, chat: str) -> None:
        """Wait until something may be said there. Raises as `heed` does."""
        self.heed(chat)
        wait_s = self._bucket(chat).take(self._clock.monotonic())
        if wait_s > 0:
            await self._clock.sleep(wait_s)
        wait_s = self._all.take(self._clock.monotonic())
        if wait_s > 0:
            await self._clock.sleep(wait_s)

    def heed(self, chat: str) -> None:
        """Raises `RateLimited` while Telegram wants silence there."""
        left_s = self._not_before.get(chat, 0.0) - self._clock.monotonic()
        if left_s > 0:
            raise rate_limited(left_s)
        self._not_before.pop(chat, None)

    def _bucket(self, chat: str) -> _Bucket:
        if chat not in self._chats:
            now = self._clock.monotonic()
            if len(self._chats) >= _MOST_CHATS:
                busy = self._chats.items()
                self._chats = {name: each for name, each in busy if not each.is_full(now)}
            per_s = _GROUP_PER_S if ids.is_group(chat) else _CHAT_PER_S
            self._chats[chat] = _Bucket(_CHAT_BURST, per_s, _CHAT_BURST, now)
        return self._chats[chat]

    def pause(self, chat: str, seconds: float) -> None:
        """Telegram wants nothing more to be said there for so long."""
        until = self._clock.monotonic() + seconds
        self._not_before[chat] = max(until, self._not_before.get(chat, until))
