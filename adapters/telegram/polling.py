# SPDX-License-Identifier: Apache-2.0
"""Fetching updates, and letting Telegram forget them when they are durable.

Bot API, getUpdates. To ask for what comes after an update confirms it, so that is done only after
its commit. Numbers of updates begin anew, anywhere, after a week without one: whoever then still
asked for what comes after the last one would wait for it for ever. So that is not asked after some
days; what was not confirmed comes again, and is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from telegram import Bot

from adapters.telegram.inbound import KINDS
from adapters.telegram.request import SharedRequest
from gateway.errors import Transient
from gateway.text.wording import tr

_FRESH_S = 5 * 86_400.0
_KEPT_S = 86_400.0
_SPARE_S = 15.0
"""So much later than it has promised the server may answer."""
_MOST = 100
Raw = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Cursor:
    """The number of the next update, when the last one came, and when Telegram last answered."""

    offset: int
    at: float
    asked: float

    def written(self) -> str:
        """As it is stored."""
        return f"{self.offset} {int(self.at)} {int(self.asked)}"

    @staticmethod
    def read(stored: str | None) -> Cursor | None:
        """Inverse of `written`; None of what is none."""
        parts = (stored or "").split()
        if len(parts) != 3 or not all(map(str.isdecimal, parts)):
            return None
        offset, at, asked = map(int, parts)
        return Cursor(offset, at, asked)

    def is_fresh(self, now: float) -> bool:
        """Whether numbers still go on from there."""
        return 0 <= now - self.at < _FRESH_S

    def silence_s(self, now: float) -> float:
        """For how long nobody has asked, if that is longer than Telegram keeps updates; or 0."""
        silence_s = now - self.asked
        return silence_s if silence_s > _KEPT_S else 0.0


class Polling:
    """Of one bot."""

    def __init__(self, bot: Bot, request: SharedRequest) -> None:
        self._url = f"{bot.base_url}/getUpdates"
        self._request = request

    async def fetch(self, cursor: Cursor | None, now: float, timeout_s: int) -> Sequence[Raw]:
        """What has come after the cursor. Raises `TelegramError` or `Transient`."""
        values: dict[str, Any] = {
            "timeout": timeout_s,
            "limit": _MOST,
            "allowed_updates": list(KINDS),
        }
        if cursor is not None and cursor.is_fresh(now):
            values["offset"] = cursor.offset
        found = await self._request.call(self._url, values, timeout_s + _SPARE_S)
        is_list = isinstance(found, list) and all(map(_is_update, found))
        if not is_list:
            raise Transient(tr("Telegram answered something that nobody understands."))
        updates: list[Raw] = found
        return updates


def _is_update(found: object) -> bool:
    return isinstance(found, dict) and isinstance(found.get("update_id"), int)
