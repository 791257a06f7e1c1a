# SPDX-License-Identifier: Apache-2.0
"""People with a Telegram app: what they do, and what bots are told of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from .accounts import Bot, User
from .chats import Chat, Group, Member
from .files import Stored
from .media import medium
from .messages import Message
from .text import Entity, part, units
from .world import World

Json = dict[str, Any]


class Person(User):
    """Somebody with an app. `where`: a chat, or a bot for the chat with it."""

    def __init__(self, world: World, first_name: str, **more: Any) -> None:
        """Join Telegram; `more` are fields of User."""
        super().__init__(world.next_user_id(), first_name, **more)
        self._world = world
        world.users[self.id] = self

    def start(self, bot: Bot) -> Message:
        """Press the button below which a bot says what it does. Before, it can't write."""
        return self.say(bot, "/start")

    def say(
        self,
        where: Chat | Bot,
        text: str,
        entities: Sequence[Entity] = (),
        **more: Any,
    ) -> Message:
        """Send a text. `more`: as in `send`."""
        return self.send(where, self._world.text(text, entities), **more)

    def open_topic(self, bot: Bot, name: str) -> int:
        """Begin a topic in the chat with a bot that has them. Returns its id."""
        assert bot.has_topics, f"{bot.name} has no topics"
        chat = self._world.private(bot, self)
        topic = chat.next_message_id
        chat.topics[topic] = name
        content = {"forum_topic_created": {"name": name, "icon_color": 7322096}}
        self.send(chat, content, topic=topic)
        return topic

    def send(
        self,
        where: Chat | Bot,
        content: Json,
        *,
        reply_to: Message | None = None,
        quote: str = "",
        topic: int | None = None,
        album: str = "",
        forwarded_from: User | str = "",
        is_anonymous: bool = False,
    ) -> Message:
        """Send something with these fields of a Message.

        `quote` is the part of `reply_to` that is answered. Answers go into the topic of it. A name
        in `forwarded_from` is of somebody who does not want to be found.
        """
        chat = self._chat(where)
        if reply_to is not None and topic is None:
            topic = reply_to.thread_id
        return self._world.post(
            chat,
            self,
            content,
            reply_to=reply_to,
            quote=_quoted(reply_to, quote) if reply_to and quote else None,
            thread_id=topic,
            album=album,
            forward_origin=self._origin(forwarded_from) if forwarded_from else None,
            is_anonymous=is_anonymous,
        )

    def send_file(
        self,
        where: Chat | Bot,
        kind: str,
        data: bytes,
        *,
        name: str = "",
        mime: str = "",
        size: int = 0,
        caption: str = "",
        facts: Mapping[str, Any] = MappingProxyType({}),
        **more: Any,
    ) -> Message:
        """Send a file as a `kind` of `media.KINDS`; `size` is what it pretends to have.

        `facts` are what the app says of it, as the fields of that kind of medium; `more`: as in
        `send`.
        """
        stored = Stored(data, name, mime, size)
        content = medium(self._world.files, kind, stored, facts) | self._world.caption(caption)
        return self.send(where, content, **more)

    def ask(self, where: Chat | Bot, question: str, *answers: str, **more: Any) -> Message:
        """Begin a poll. `more`: as in `send`."""
        about = {"id": str(self._world.next_poll_id()), "question": question, "type": "regular"}
        flags = ("is_closed", "allows_multiple_answers", "allows_revoting", "members_only")
        options = [
            {"persistent_id": str(number), "text": answer, "voter_count": 0}
            for number, answer in enumerate(answers)
        ]
        poll = about | dict.fromkeys(flags, False) | {"is_anonymous": True, "options": options}
        return self.send(where, {"poll": {**poll, "total_voter_count": 0}}, **more)

    def close_poll(self, message: Message, *votes: int) -> None:
        """End an own poll, in which so many have chosen each answer."""
        assert message.sender is self
        poll = message.content["poll"]
        options = [
            {**option, "voter_count": count}
            for option, count in zip(poll["options"], votes, strict=True)
        ]
        closed = {"options": options, "total_voter_count": sum(votes), "is_closed": True}
        message.content = {"poll": {**poll, **closed}}
        self._world.tell_poll(message)

    def show(self, data: bytes) -> None:
        """Have another profile photo."""
        self.photos.insert(0, self._world.files.photo(data, sides=(160, 320, 640)))

    def edit(self, message: Message, text: str, entities: Sequence[Entity] = ()) -> None:
        """Change the text, or the caption, of an own message."""
        if "text" in message.content:
            content = self._world.text(text, entities)
        else:
            old = {k: v for k, v in message.content.items() if not k.startswith("caption")}
            content = old | self._world.caption(text, entities)
        self.change(message, content)

    def change(self, message: Message, content: Json) -> None:
        """Change an own message that is no text, as a place does while somebody moves.

        With what it was before it is what bots are told of changes that they cannot see.
        """
        assert message.sender is self, "people edit their own messages only"
        self._world.edit(message, content)

    def delete(self, message: Message) -> None:
        """Delete a message for everybody. Bots are told in chats that they were let into."""
        self._world.delete(message)

    def react(self, message: Message, *emojis: str) -> None:
        """Have these reactions to a message, none for taking them back."""
        self._world.react(message, self, [{"type": "emoji", "emoji": each} for each in emojis])

    def leave_telegram(self) -> None:
        """Delete the account. Bots are not told."""
        self.is_deleted = True

    def block(self, bot: Bot) -> None:
        """Stop a bot: it can't write, and is told so."""
        self._block(bot, "member", "kicked")
        bot.blocked_by.add(self.id)

    def unblock(self, bot: Bot) -> None:
        """Let it write again."""
        self._block(bot, "kicked", "member")
        bot.blocked_by.discard(self.id)

    def _block(self, bot: Bot, old: str, new: str) -> None:
        chat = self._world.private(bot, self)
        self._world.change_member(chat, Member(bot, old), Member(bot, new), self)

    def _origin(self, author: User | str) -> Json:
        date = self._world.now - 60
        if isinstance(author, str):
            return {"type": "hidden_user", "sender_user_name": author, "date": date}
        return {"type": "user", "sender_user": author.json(), "date": date}

    def _chat(self, where: Chat | Bot) -> Chat:
        if isinstance(where, Bot):
            return self._world.private(where, self)
        if isinstance(where, Group):
            assert where.member(self).is_present, f"{self.name} is not in {where.title}"
            assert where.became is None, f"{where.title} is a supergroup now"
        return where


def _quoted(message: Message, quote: str) -> Json:
    assert quote in message.text, "only what was said can be quoted"
    position = units(message.text.partition(quote)[0])
    assert part(message.text, position, units(quote)) == quote
    return {"text": quote, "position": position, "is_manual": True}
