# SPDX-License-Identifier: Apache-2.0
"""People who let a bot into chats of their own: core.telegram.org/api/business#connected-bots."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .accounts import Bot, User
from .chats import Chat, Member, of_person
from .errors import bad
from .messages import Message

Json = dict[str, Any]

_DAY = 24 * 3600


@dataclass(eq=False)
class Connection:
    """What one person has let one bot do."""

    owner: User
    bot: Bot
    rights: set[str]
    """Names of BusinessBotRights."""
    date: int
    id: str = field(default_factory=lambda: secrets.token_urlsafe(18))
    is_enabled: bool = True
    chats: dict[int, PersonalChat] = field(default_factory=dict)
    """Those that were chosen, by the id of the other person."""

    def json(self) -> Json:
        """A BusinessConnection."""
        return {
            "id": self.id,
            "user": self.owner.json(),
            "user_chat_id": self.owner.id,
            "date": self.date,
            "is_enabled": self.is_enabled,
            "rights": dict.fromkeys(self.rights, True),
        }

    def change(self, *rights: str, is_enabled: bool = True) -> None:
        """The owner wants something else, or nothing more of it. The bot is told."""
        self.rights, self.is_enabled = set(rights), is_enabled
        self.bot.updates.add("business_connection", self.json())

    def chat(self, other: User) -> PersonalChat:
        """The owner lets the bot into the chat with somebody."""
        assert other is not self.owner, "chats with oneself are not shown to bots"
        if other.id not in self.chats:
            self.chats[other.id] = PersonalChat(other.id, connection=self, other=other)
        return self.chats[other.id]

    def check(self, right: str) -> None:
        """Raise ApiError if the bot may not do that."""
        if not self.is_enabled:
            raise bad("BUSINESS_CONNECTION_INVALID")
        if right not in self.rights:
            raise bad("BOT_ACCESS_FORBIDDEN")


@dataclass(eq=False)
class PersonalChat(Chat):
    """Two people, as the one sees it who lets a bot in. Both write here; its id is the other's."""

    connection: Connection = field(kw_only=True)
    other: User = field(kw_only=True)
    read_up_to: int = 0
    """The newest message that the bot has marked as read."""

    def json(self) -> Json:
        """A Chat."""
        return of_person(self.other)

    def bots(self) -> Iterator[Bot]:
        """The one that was let in."""
        yield self.connection.bot

    def member(self, user: User) -> Member:
        """Nobody is anything else here."""
        return Member(user)

    def check_open_to(self, bot: Bot) -> None:
        """Raise ApiError if the owner does not want it, or the other was silent for a day."""
        self.connection.check("can_reply")

    def check_active(self, now: int) -> None:
        """Raise ApiError if the other person has said nothing for a day."""
        said = [each.date for each in self.messages.values() if each.sender is self.other]
        if not said or said[-1] <= now - _DAY:
            raise bad("BUSINESS_PEER_USAGE_MISSING")

    def shown_to(self, bot: Bot, message: Message) -> bool:
        """All, also what the bot has written."""
        return self.connection.is_enabled

    def topic(self, bot: Bot, thread_id: int | None) -> int | None:
        """There are none."""
        return None

    def speaker(self, bot: Bot) -> User:
        """The owner."""
        return self.connection.owner

    def may_edit(self, bot: Bot, message: Message, now: int) -> bool:
        """What the owner has said, too, for two days."""
        if message.written_by is bot:
            return True
        return message.sender is self.connection.owner and now - message.date < 2 * _DAY

    def marks(self, message: Message) -> Json:
        """By which connection, and whether by the bot."""
        made: Json = {"business_connection_id": self.connection.id}
        if message.written_by is not None:
            made["sender_business_bot"] = message.written_by.json()
        return made

    def kind(self, kind: str) -> str:
        """Updates have names of their own."""
        return kind.replace("message", "business_message")

    def tell_deleted(self, message_ids: list[int]) -> None:
        """Of these chats bots are told that."""
        update = {
            "business_connection_id": self.connection.id,
            "chat": self.json(),
            "message_ids": message_ids,
        }
        if self.connection.is_enabled:
            self.connection.bot.updates.add("deleted_business_messages", update)
