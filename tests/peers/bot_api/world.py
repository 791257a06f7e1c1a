# SPDX-License-Identifier: Apache-2.0
"""All that Telegram knows, and how bots are told of what happens."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any

from .accounts import Bot, User
from .business import Connection
from .chats import Chat, Group, Member, PrivateChat
from .errors import bad
from .files import Files
from .limits import Limits
from .messages import Message
from .text import Entity, put_right

Json = dict[str, Any]

LONGEST_TEXT = 4096
LONGEST_CAPTION = 1024


class World:
    """Accounts, chats and messages. Ids of accounts need more than 32 bits, as they do today."""

    def __init__(self) -> None:
        """Nobody is there yet."""
        self.clock: Callable[[], float] = time.time
        """Seconds since 1970."""
        self.users: dict[int, User] = {}
        self.bots: list[Bot] = []
        self.files = Files()
        self.limits = Limits()
        self.connections: dict[str, Connection] = {}
        """By their ids."""
        self._private: dict[tuple[int, int], PrivateChat] = {}
        self._groups: dict[int, Group] = {}
        self._user_ids = itertools.count(7_000_000_001, 13)
        self._group_ids = itertools.count(1)
        self._poll_ids = itertools.count(5_000_000_000_000_000_001)

    @property
    def now(self) -> int:
        """The time as messages have it."""
        return int(self.clock())

    def next_user_id(self) -> int:
        """An id that nobody has."""
        return next(self._user_ids)

    def next_poll_id(self) -> int:
        """An id that no poll has."""
        return next(self._poll_ids)

    def add_group(self, title: str, *, is_super: bool, is_forum: bool = False) -> Group:
        """A group without members."""
        number = next(self._group_ids)
        chat_id = -1_002_000_000_000 - number if is_super else -4_000_000_000 - number
        group = Group(chat_id, title=title, is_super=is_super, is_forum=is_forum)
        self._groups[chat_id] = group
        return group

    def private(self, bot: Bot, person: User) -> PrivateChat:
        """The chat of these two, which the person begins by this."""
        key = (bot.id, person.id)
        if key not in self._private:
            self._private[key] = PrivateChat(person.id, person=person, bot=bot)
        return self._private[key]

    def chat(self, bot: Bot, chat_id: int | str) -> Chat:
        """The chat that a bot means; ApiError if there is none for it."""
        if isinstance(chat_id, str) and chat_id.startswith("@"):
            named = [each for each in self._groups.values() if each.username == chat_id[1:]]
            chat_id = named[0].id if named and chat_id[1:] else 0
        if isinstance(chat_id, int) and (found := self._groups.get(chat_id)):
            if bot.id in found.members or found.username:
                return found
        elif isinstance(chat_id, int) and (bot.id, chat_id) in self._private:
            return self._private[bot.id, chat_id]
        elif isinstance(chat_id, int) and self._meets(bot, chat_id):
            person = self.users[chat_id]
            return PrivateChat(chat_id, person=person, bot=bot, is_begun=False)
        raise bad("chat not found")

    def _meets(self, bot: Bot, user_id: int) -> bool:
        """Whether a bot knows somebody from a group, or from a chat that it was let into."""
        groups = self._groups.values()
        if any({bot.id, user_id} <= group.members.keys() for group in groups):
            return True
        connections = (each for each in self.connections.values() if each.bot is bot)
        return any(user_id in (each.owner.id, *each.chats) for each in connections)

    def text(self, text: str, entities: Sequence[Entity] = ()) -> Json:
        """What a text message holds."""
        text, found = put_right(
            text, self._known(entities), limit=LONGEST_TEXT, too_long="message is too long"
        )
        if not text:
            raise bad("message text is empty")
        return {"text": text, "entities": found} if found else {"text": text}

    def caption(self, caption: str, entities: Sequence[Entity] = ()) -> Json:
        """What the words below a medium are; nothing if there are none."""
        caption, found = put_right(
            caption,
            self._known(entities),
            limit=LONGEST_CAPTION,
            too_long="message caption is too long",
        )
        if not caption:
            return {}
        return {"caption": caption, "caption_entities": found} if found else {"caption": caption}

    def _known(self, entities: Sequence[Entity]) -> list[Entity]:
        """Mentions of people have all of these, and those of strangers are none."""
        made = []
        for entity in entities:
            if entity["type"] == "text_mention":
                user = self.users.get(entity["user"]["id"])
                if user is None:
                    continue
                entity = {**entity, "user": user.json()}
            made.append(entity)
        return made

    # What happens

    def post(self, chat: Chat, sender: User, content: Json, **more: Any) -> Message:
        """Somebody writes something, and all bots who see it are told."""
        message = Message(chat, chat.next_message_id, sender, self.now, content, **more)
        chat.next_message_id += 1
        chat.messages[message.id] = message
        if sender.is_bot or message.written_by is not None:
            chat.seen.add(message)
        self.tell(message, "message")
        return message

    def edit(self, message: Message, content: Json) -> None:
        """It says something else now."""
        message.content = content
        message.edited = self.now
        self.tell(message, "edited_message")

    def tell(self, message: Message, kind: str) -> None:
        """All bots who see a message are told of it."""
        for bot in message.chat.bots():
            if message.chat.shown_to(bot, message):
                bot.updates.add(message.chat.kind(kind), message.json())

    def tell_poll(self, message: Message) -> None:
        """All bots who have seen a poll are told what it is; where it is they are not told."""
        for bot in message.chat.bots():
            if message.chat.shown_to(bot, message):
                bot.updates.add("poll", {**message.content["poll"]})

    def delete(self, message: Message) -> None:
        """Somebody takes it back."""
        del message.chat.messages[message.id]
        message.chat.tell_deleted([message.id])

    def connect(self, owner: User, bot: Bot, *rights: str) -> Connection:
        """Somebody lets a bot into chats of theirs; which ones, see `Connection.chat`."""
        assert bot.is_secretary, "BOT_BUSINESS_MISSING: @BotFather has to turn this on first"
        connection = Connection(owner, bot, set(rights), self.now)
        self.connections[connection.id] = connection
        bot.updates.add("business_connection", connection.json())
        return connection

    def react(self, message: Message, user: User, reactions: list[Json]) -> None:
        """Somebody's reactions to a message are these now."""
        old = message.reactions.get(user.id, [])
        if old == reactions:
            return
        message.reactions[user.id] = reactions
        if user.is_bot:
            return
        update = {
            "chat": message.chat.json(),
            "message_id": message.id,
            "user": user.json(),
            "date": self.now,
            "old_reaction": old,
            "new_reaction": reactions,
        }
        for bot in message.chat.bots():
            if isinstance(message.chat, PrivateChat) or message.chat.member(bot).is_admin:
                bot.updates.add("message_reaction", update)

    def change_member(self, chat: Chat, old: Member, new: Member, by: User) -> None:
        """Somebody is something else in a chat from now on."""
        update = {
            "chat": chat.json(),
            "from": by.json(),
            "date": self.now,
            "old_chat_member": old.json(),
            "new_chat_member": new.json(),
        }
        if isinstance(chat, Group):
            chat.members[new.user.id] = new
        if isinstance(new.user, Bot):
            new.user.updates.add("my_chat_member", update)
        elif isinstance(chat, PrivateChat):
            chat.bot.updates.add("my_chat_member", update)
        for bot in chat.bots():
            if bot is not new.user and chat.member(bot).is_admin:
                bot.updates.add("chat_member", update)
