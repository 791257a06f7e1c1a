# SPDX-License-Identifier: Apache-2.0
"""How often a bot may say something: core.telegram.org/bots/faq, "My bot is hitting limits"."""

from __future__ import annotations

import math
from collections import defaultdict, deque
from dataclasses import dataclass, field

from .chats import Chat, Group
from .errors import too_many


@dataclass(eq=False)
class Limits:
    """Not kept unless a test sets them. What is refused does not count."""

    group_per_minute: float = math.inf
    """Telegram's is 20."""
    per_second: float = math.inf
    """In all chats together; Telegram's is 30."""
    _said: dict[int | None, deque[float]] = field(default_factory=lambda: defaultdict(deque))
    """When, by chat, and in all chats together."""

    def check(self, chat: Chat, now: float) -> None:
        """Count a message, or raise ApiError with the seconds to wait."""
        waits = [self._wait(None, now, self.per_second, 1)]
        if isinstance(chat, Group):
            waits.append(self._wait(chat.id, now, self.group_per_minute, 60))
        if longest := max(waits):
            raise too_many(math.ceil(longest))
        for key in (None, chat.id):
            self._said[key].append(now)

    def _wait(self, key: int | None, now: float, most: float, seconds: float) -> float:
        said = self._said[key]
        while said and said[0] <= now - seconds:
            said.popleft()
        return 0 if len(said) < most else said[0] + seconds - now
