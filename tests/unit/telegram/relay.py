# SPDX-License-Identifier: Apache-2.0
"""The gateway's own bot in a group, and people on XMPP for whom it speaks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from adapters.telegram import TelegramAdapter, TelegramSettings
from adapters.telegram.settings import ServerUrl
from gateway.adapter import Secret
from gateway.events import Author, ReactInRoom, RemoteRoomMessage, SendRoomText
from gateway.ids import RemoteMessageId, RemoteRoomId, UserJid, virtual_id
from tests.contract.account import Account, Context, Running
from tests.peers.bot_api import Bot, BotApi, Group, Message, Person
from tests.unit.telegram.world import Clock

ALICE = Author(user=virtual_id(UserJid("alice@example.org")), name="alice")
BERND = Author(user=virtual_id(UserJid("bernd@example.org")), name="Bernd 🐻")


@dataclass
class House:
    telegram: BotApi
    bot: Bot
    anna: Person
    """Owns the group."""
    group: Group
    adapter: TelegramAdapter
    account: Account
    clock: Clock

    @property
    def room(self) -> RemoteRoomId:
        return RemoteRoomId(str(self.group.id))

    def running(self) -> Running:
        return Running(self.adapter, self.account)

    def link(self) -> None:
        """It was linked before."""
        self.account.linked.add(self.room)

    def text(self, body: str, author: Author | None = ALICE, **about: Any) -> SendRoomText:
        return SendRoomText(room=self.room, body=body, author=author, **about)

    def reacts(self, message: RemoteMessageId, author: Author, *emoji: str) -> ReactInRoom:
        """A command; what it says counts from now on, as when it was carried out."""
        return ReactInRoom(room=self.room, message=message, emoji=emoji, author=author)

    async def heard(self, body: str) -> RemoteRoomMessage:
        return await self.account.first(RemoteRoomMessage, lambda event: event.body == body)

    async def polled(self) -> None:
        """All that has happened is done with: it waits for more."""
        asked = self.telegram.asked
        after = self.bot.updates.next_id
        await asked.wait_for(
            lambda each: each.method == "getUpdates" and each.arguments.get("offset") == after
        )

    def answers(self) -> list[Message]:
        """What the bot has said in the group."""
        return self.group.seen.items


@asynccontextmanager
async def house() -> AsyncIterator[House]:
    """The bot is in a group of anna that is not linked yet, and no administrator."""
    async with BotApi() as telegram, aiohttp.ClientSession() as http:
        bot, anna = telegram.bot(), telegram.person("Anna", last_name="Bauer")
        settings = TelegramSettings(
            api_url=ServerUrl(telegram.url), poll_timeout=1, relay_token=Secret(bot.token)
        )
        context: Any = Context(http, settings)
        adapter = TelegramAdapter(context)
        linked = adapter.house()
        assert linked is not None
        account = Account(linked, http)
        account.is_house = True
        clock = account.clock = Clock()
        group = telegram.groups.create("Tea", anna, bot)
        yield House(telegram, bot, anna, group, adapter, account, clock)
