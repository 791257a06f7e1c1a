# SPDX-License-Identifier: Apache-2.0
"""The queue of one bot: what it has not confirmed yet."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from .errors import ApiError
from .vendor import vendor

Json = dict[str, Any]

_ON_REQUEST = {"chat_member", "message_reaction", "message_reaction_count"}
_FAR = 10
"""An offset so far beyond the newest update is taken for one of before the ids were drawn anew."""


class Updates:
    """Updates with their ids, and who waits for them.

    What an offset means is as in the vendor's own server, github.com/tdlib/telegram-bot-api.
    """

    def __init__(self) -> None:
        """Begin at random, as Telegram does."""
        self.waiting: list[Json] = []
        self.webhook = ""
        """Where updates go instead; nobody may ask for them as long as there is one."""
        self._next = random.randrange(10**8, 9 * 10**8)
        self._allowed: set[str] | None = None
        self._poll: asyncio.Future[None] | None = None
        self._polled = asyncio.Event()

    def add(self, kind: str, content: Json) -> None:
        """Something has happened. It is forgotten if the bot does not want to know such things."""
        update = {"update_id": self._next, kind: content}
        error = vendor().update_error(update)
        assert error is None, f"this server made an update that is none: {error}\n{update}"
        if kind in _ON_REQUEST if self._allowed is None else kind not in self._allowed:
            return
        self._next += 1
        self.waiting.append(update)
        if self._poll is not None and not self._poll.done():
            self._poll.set_result(None)

    @property
    def next_id(self) -> int:
        """Of the next update."""
        return self._next

    def draw_ids_anew(self, first: int) -> None:
        """As after a week without updates: the next one has this id, larger or smaller."""
        assert not self.waiting, "there was no week of silence"
        self._next = first

    def expire(self) -> list[Json]:
        """24 hours pass: what was not fetched is lost. Returns it."""
        lost, self.waiting = self.waiting, []
        return lost

    def allow(self, kinds: list[str] | None) -> None:
        """What the bot wants to know from now on. None leaves it as it was."""
        if kinds is not None:
            self._allowed = set(kinds) or None

    async def polled(self, timeout: float = 30) -> None:
        """Return as soon as somebody waits for updates."""
        async with asyncio.timeout(timeout):
            await self._polled.wait()

    async def get(self, offset: int, limit: int, timeout: float) -> list[Json]:
        """Forget what is confirmed; the rest, after waiting until there is something."""
        if self.webhook:
            raise ApiError(
                409,
                "Conflict: can't use getUpdates method while webhook is active;"
                " use deleteWebhook to delete the webhook first",
            )
        found = self._take(offset, limit)
        if found or timeout <= 0:
            return found
        if self._poll is not None and not self._poll.done():
            self._poll.set_exception(
                ApiError(
                    409,
                    "Conflict: terminated by other getUpdates request;"
                    " make sure that only one bot instance is running",
                )
            )
        self._poll = poll = asyncio.get_running_loop().create_future()
        self._polled.set()
        try:
            async with asyncio.timeout(timeout):
                await poll
        except TimeoutError:
            return []
        finally:
            if self._poll is poll:
                self._polled.clear()
        return self._take(offset, limit)

    def _take(self, offset: int, limit: int) -> list[Json]:
        if offset < 0:
            self.waiting = self.waiting[offset:]
        elif 0 < offset <= self._next + _FAR:
            self.waiting = [each for each in self.waiting if each["update_id"] >= offset]
        return self.waiting[:limit]
