# SPDX-License-Identifier: Apache-2.0
"""A user with a Telegram account of their own, who lets the bot into chats of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from gateway.events import RemoteNotice, SendText
from gateway.ids import RemoteMessageId, RemoteUserId
from tests.contract.account import Account
from tests.peers.bot_api import Bot, BotApi, Message, Person
from tests.peers.bot_api.business import Connection, PersonalChat
from tests.unit.telegram.world import World

ALL = ("can_reply", "can_read_messages", "can_delete_all_messages")


@dataclass
class Own:
    """Alice is on Telegram, too, and talks with Bob there."""

    world: World
    alice: Person
    bob: Person
    connection: Connection
    chat: PersonalChat

    @property
    def telegram(self) -> BotApi:
        return self.world.telegram

    @property
    def bot(self) -> Bot:
        return self.world.bot

    @property
    def account(self) -> Account:
        return self.world.account

    @property
    def contact(self) -> RemoteUserId:
        return RemoteUserId(f"me.{self.bob.id}")

    def id(self, message: Message | int) -> RemoteMessageId:
        """What the gateway calls a message of the chat with Bob."""
        number = message if isinstance(message, int) else message.id
        return RemoteMessageId(f"me.{self.alice.id}.{self.bob.id}:{number}")

    def text(self, body: str, **about: Any) -> SendText:
        return SendText(contact=self.contact, body=body, **about)

    async def prove(self) -> None:
        """Alice sends the code that she was told."""
        await prove(self.world, self.alice)


async def code_of(world: World, person: Person) -> str:
    """The last one that the gateway has told of somebody who has connected the bot."""

    def is_question(notice: RemoteNotice) -> bool:
        return f"({person.id})" in notice.text and "/own " in notice.text

    await world.account.first(RemoteNotice, is_question)
    (*_, last) = filter(is_question, world.account.of(RemoteNotice))
    found = re.search(r"/own (\d{8})", last.text)
    assert found is not None
    return found[1]


async def prove(world: World, person: Person) -> None:
    """Somebody sends the code that the gateway has told."""
    person.say(world.bot, f"/own {await code_of(world, person)}")
    await world.account.first(
        RemoteNotice,
        lambda notice: f"Telegram account ({person.name}" in notice.text,
    )


def connected(world: World, *rights: str) -> Own:
    """Alice has connected the bot, and nobody knows yet that it was her."""
    world.bot.is_secretary = True
    alice, bob = world.telegram.person("Alice"), world.telegram.person("Bob", last_name="Burns")
    connection = world.telegram.world.connect(alice, world.bot, *rights)
    return Own(world, alice, bob, connection, connection.chat(bob))
