# SPDX-License-Identifier: Apache-2.0
"""Telegram in the place of the scripted network: alice is a bot, and bob a person."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Self

from gateway.ids import RemoteUserId
from tests.peers.bot_api import BotApi


@dataclass(frozen=True, slots=True)
class Sent:
    """What the bot has sent."""

    key: str
    body: str


class TelegramNetwork:
    """The same people, of the same ids, in each run."""

    def __init__(self) -> None:
        self._telegram = BotApi()
        self._bot, self._bob = self._telegram.bot("Alice"), self._telegram.person("Bob")
        self._bot.token = f"{self._bot.id}:{'t' * 35}"
        self._chat = self._telegram.world.private(self._bot, self._bob)
        self.alice, self.bob = (RemoteUserId(str(each.id)) for each in (self._bot, self._bob))
        self.token = self._bot.token

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._telegram.url.rpartition(":")[2])

    def says(self, user: str, contact: str, body: str, *, own: bool = False) -> None:
        """Bob writes to the bot; nobody else can."""
        assert not own
        self._bob.say(self._bot, body)

    def last_position(self, user: str) -> int:
        """What comes after the last update."""
        return self._bot.updates.next_id

    @property
    def acknowledged(self) -> dict[str, int]:
        """From where on the bot has asked: what is before that is forgotten."""
        asked = (each.arguments.get("offset", 0) for each in self._telegram.asked.items)
        return {"alice": max(asked, default=0)}

    @property
    def sent(self) -> list[Sent]:
        """In order."""
        return [Sent(str(message.id), message.text) for message in self._chat.seen.items]

    @property
    def is_busy(self) -> bool:
        """Somebody is connected, so that something may be on its way."""
        return self._telegram.connections > 0

    async def __aenter__(self) -> Self:
        await self._telegram.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._telegram.__aexit__(kind, error, trace)
