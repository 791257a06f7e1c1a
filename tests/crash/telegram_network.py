# SPDX-License-Identifier: Apache-2.0
"""Telegram in the place of the scripted network: alice is a bot, and bob a person, and they may be
in a group; or she is a person too, who has let her bot into their chat."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Self

from adapters.telegram.inbound import KINDS
from gateway.ids import RemoteUserId
from tests.crash.victim import FastClock
from tests.peers.bot_api import BotApi, Chat, Message, Person


@dataclass(frozen=True, slots=True)
class Sent:
    """What the bot has sent."""

    key: str
    body: str


class TelegramNetwork:
    """The same people, of the same ids, in each run."""

    def __init__(self, *, in_own_chat: bool = False) -> None:
        self._telegram = BotApi()
        self._bot, self._bob = self._telegram.bot("Alice"), self._telegram.person("Bob")
        self._bot.token = f"{self._bot.id}:{'t' * 35}"
        self._chat: Chat = self._telegram.world.private(self._bot, self._bob)
        self.alice, self.bob = (RemoteUserId(str(each.id)) for each in (self._bot, self._bob))
        self.token = self._bot.token
        self._me: Person | None = None
        if in_own_chat:
            self._bot.is_secretary = True
            self._me = self._telegram.person("Alice")
            connection = self._telegram.world.connect(self._me, self._bot, "can_reply")
            self._chat = connection.chat(self._bob)
            self.bob = RemoteUserId(f"me.{self._bob.id}")

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._telegram.url.rpartition(":")[2])

    def says(self, user: str, contact: str, body: str, *, own: bool = False) -> None:
        """Bob writes to the bot or, with an app, one of both in their own chat."""
        if own:
            assert self._me is not None, "bots have no apps"
            self._me.say(self._chat, body)
        else:
            self._bob.say(self._chat, body)

    def proves(self, code: str) -> None:
        """Alice, on Telegram, sends her bot a code."""
        assert self._me is not None
        self._me.say(self._bot, f"/own {code}")

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


class TelegramGroup(TelegramNetwork):
    """Both are in a group, of the same id in each run, in which bob has said something."""

    def __init__(self) -> None:
        super().__init__()
        self.bot, self.person = self._bot, self._bob
        self.group = self._telegram.groups.create("Tea", self._bob, self._bot)
        self._telegram.groups.promote(self.group, self._bot)  # else it is told no reactions
        self.theirs = self._bob.say(self.group, "theirs")

    def go_on(self, position: int) -> Message:
        """After a life of the gateway in which alice has said something, which is returned, and
        of which the next update has this number."""
        mine = self._telegram.world.post(self.group, self._bot, {"text": "mine"})
        self._bot.updates.expire()
        self._bot.updates.draw_ids_anew(position)
        self._bot.updates.allow(list(KINDS))
        return mine

    @property
    def said(self) -> list[Message]:
        """What the bot has said there, in order."""
        return self.group.seen.items


class LinkedGroup(TelegramGroup):
    """The bot is the gateway's own, and speaks in the group for alice, who has no account."""

    def __init__(self) -> None:
        super().__init__()
        self._bot.first_name = "Relay"  # the other nick is alice's
        # Who is in the room hears what was said later than they came.
        self._telegram.world.clock = FastClock().now

    def say_theirs(self) -> None:
        """Bob says it once more, for she has not heard what he said before she came."""
        self.theirs = self._bob.say(self.group, "theirs")

    def go_on(self, position: int) -> Message:
        """It has said that for her."""
        self.say_theirs()
        mine = super().go_on(position)
        mine.content = {"text": "Alice: mine"}
        return mine
