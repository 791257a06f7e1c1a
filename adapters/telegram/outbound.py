# SPDX-License-Identifier: Apache-2.0
"""What the user does, as methods of the Bot API.

There is no key by which Telegram knows a message that is sent twice, nor a way to look for it. So
one that was not answered is `Uncertain`. To edit, delete or react twice is the same as once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

from telegram import Bot, ReactionTypeEmoji, ReplyParameters
from telegram.error import ChatMigrated, TelegramError

from adapters.telegram import ids
from adapters.telegram.answering import answer_to, answered
from adapters.telegram.buckets import Buckets
from adapters.telegram.changing import changed
from adapters.telegram.connected import Connected
from adapters.telegram.connected_outbound import ConnectedOutbound, is_in_own_chat
from adapters.telegram.emoji import bare
from adapters.telegram.entities import written
from adapters.telegram.errors import (
    OUT,
    STRANGER,
    error_of,
    is_gone,
    is_no_reaction,
)
from adapters.telegram.groups import Groups
from adapters.telegram.request import TooMany
from adapters.telegram.speaking import as_said
from adapters.telegram.uploads import Uploads
from adapters.telegram.votes import Votes
from gateway.adapter import AccountContext, Sent
from gateway.errors import NotFound, Unsupported
from gateway.events import (
    Author,
    ChatCommand,
    Command,
    React,
    ReactInRoom,
    Retract,
    RetractInRoom,
    RoomCommand,
    SendRoomText,
    SendText,
)
from gateway.ids import RemoteMessageId
from gateway.text.wording import tr

_MOST_TRIED = 5
MAX_TEXT_BYTES = 4096
"""Telegram has 4,096 units of UTF-16, and no text has more of these than bytes."""


class Outbound:
    """Carries out the commands of one account."""

    def __init__(
        self, account: AccountContext, bot: Bot, groups: Groups, connected: Connected
    ) -> None:
        self._account = account
        self._bot = bot
        self._groups = groups
        self._buckets = Buckets(account.clock)
        self._uploads = Uploads(account, bot)
        self._in_own_chats = ConnectedOutbound(
            bot, account.remote_id, connected, self._buckets, self._uploads
        )
        self._votes = Votes(account)

    async def turn(self, command: Command) -> None:
        """See `gateway.adapter.Session.turn`."""
        if isinstance(command, SendText) and is_in_own_chat(command):
            await self._buckets.turn(command.contact)
        elif isinstance(command, SendText | SendRoomText):
            await self._buckets.turn(self._chat(command))
        elif isinstance(command, ReactInRoom) and command.author is not None:
            vote = self._votes.counted(command, command.author)
            if vote.told(next(iter(vote.shown), None)):
                await self._buckets.turn(self._chat(command))

    async def send(self, command: Command, key: str) -> Sent:
        """See `gateway.adapter.Session.send`. A group that has another number is looked for there;
        nothing was done where it was."""
        if is_in_own_chat(command):
            return await self._in_own_chats.send(command, key)
        try:
            return await self._carry_out(command, key)
        except ChatMigrated as error:
            if isinstance(command, RoomCommand):
                self._groups.moved(command.room, error.new_chat_id)
        try:
            return await self._carry_out(command, key)
        except ChatMigrated as error:
            raise error_of(error) from None

    async def _carry_out(self, command: Command, key: str) -> Sent:
        if isinstance(command, SendRoomText):
            command = as_said(command)
        match command:
            case SendText(edits=None) | SendRoomText(edits=None):
                return await self._say(command)
            case SendText() | SendRoomText():
                return await self._edit(command, key)
            case ReactInRoom(author=Author() as author):
                return await self._vote(command, author, key)
            case React() | ReactInRoom():
                return await self._react(command, key)
            case Retract() | RetractInRoom():
                return await self._delete(command)
        raise Unsupported(tr("This cannot be done with a bot of Telegram."))

    @asynccontextmanager
    async def _asking(self, chat: str, *, is_repeatable: bool) -> AsyncIterator[None]:
        try:
            yield
        except TooMany as error:
            self._buckets.pause(chat, error.seconds)
            raise error_of(error) from None
        except ChatMigrated:
            raise
        except TelegramError as error:
            is_group = ids.is_group(chat)
            raise error_of(error, is_repeatable=is_repeatable, is_group=is_group) from None

    async def _say(self, command: SendText | SendRoomText) -> Sent:
        chat = self._chat(command)
        to = ids.number_of(command.reply_to, chat)
        reply = None
        if to is not None and command.reply_to != command.thread:  # if it is gone, words are not
            reply = answer_to(to, command, allow_sending_without_reply=True)
        self._buckets.heed(chat)
        async with self._asking(chat, is_repeatable=False):
            number = await answered(reply, partial(self._sent, command, chat))
        return Sent(remote_id=ids.sent_as(int(chat), number))

    async def _sent(
        self, command: SendText | SendRoomText, chat: str, reply: ReplyParameters | None
    ) -> int:
        """Returns the number of the message."""
        topic = ids.number_of(command.thread, chat)
        if command.file is not None:
            answer = None if reply is None else reply.to_dict()
            sent = await self._uploads.send(int(chat), command, command.file, answer, topic)
            return int(sent["message_id"])
        text, entities = written(command.body, command.spans, command.mentions)
        made = await self._bot.send_message(
            int(chat), text, entities=entities, reply_parameters=reply, message_thread_id=topic
        )
        return made.message_id

    async def _edit(self, command: SendText | SendRoomText, key: str) -> Sent:
        """Edits have no ids of their own."""
        assert command.edits is not None
        chat, message = self._message(command, command.edits)
        self._buckets.heed(chat)
        async with self._asking(chat, is_repeatable=True):
            await changed(self._bot, command, int(chat), message)
        return Sent(remote_id=ids.about(command.edits, key))

    async def _react(self, command: React | ReactInRoom, key: str) -> Sent:
        """One at the most; see `gateway.adapter.Capabilities.reactions_per_message`."""
        chat, message = self._message(command, command.message)
        if isinstance(command, React):
            known = self._account.chat_reactions(command.contact, command.message)
        else:
            known = self._account.reactions(command.room, command.message)
        made = {
            emoji: known.get(emoji) or ids.about(command.message, f"{key} {emoji}")
            for emoji in command.emoji[-1:]
        }
        reactions = [ReactionTypeEmoji(bare(emoji)) for emoji in made]
        self._buckets.heed(chat)
        async with self._asking(chat, is_repeatable=True):
            await self._bot.set_message_reaction(int(chat), message, reactions)
        return Sent(reactions=made)

    async def _vote(self, command: ReactInRoom, author: Author, key: str) -> Sent:
        """Of several people. A line that may not have arrived is uncertain, and so is the command:
        what somebody reacts with is nowhere else to be seen."""
        async with self._votes.turn(command.message):
            await self._voted(command, author)
            return Sent(reactions=self._votes.made(command, author, key))

    async def _voted(self, command: ReactInRoom, author: Author) -> None:
        chat, message = self._message(command, command.message)
        vote = self._votes.counted(command, author)
        self._buckets.heed(chat)
        async with self._asking(chat, is_repeatable=True):
            shown = await self._shown(int(chat), message, vote.shown)
        self._votes.shows(command.message, shown)
        if told := vote.told(shown):
            words, spans = self._votes.line(author, told)
            await self._say(
                SendRoomText(room=command.room, body=words, spans=spans, reply_to=command.message)
            )

    async def _shown(self, chat: int, message: int, emoji: Sequence[str]) -> str | None:
        """The first of these that the group has; none is shown if it has none of them."""
        for each in emoji[:_MOST_TRIED]:
            try:
                await self._bot.set_message_reaction(chat, message, [ReactionTypeEmoji(each)])
            except TelegramError as error:
                if not is_no_reaction(error):
                    raise
            else:
                return each
        await self._bot.set_message_reaction(chat, message, [])
        return None

    async def _delete(self, command: Retract | RetractInRoom) -> Sent:
        chat, message = self._message(command, command.message)
        self._buckets.heed(chat)
        async with self._asking(chat, is_repeatable=True):
            try:
                await self._bot.delete_message(int(chat), message)
            except TelegramError as error:
                if not is_gone(error):
                    raise
        return Sent()

    def _chat(self, command: ChatCommand | RoomCommand) -> str:
        """Its number. Raises `NotFound`."""
        if isinstance(command, RoomCommand):
            chat = self._groups.chat_of(command.room)
            if not ids.is_group(chat):
                raise NotFound(OUT)
            return chat
        if not ids.is_person(command.contact):
            raise NotFound(STRANGER)
        return command.contact

    def _message(
        self, command: ChatCommand | RoomCommand, message: RemoteMessageId
    ) -> tuple[str, int]:
        """The chat, and what Telegram calls a message there. Raises `NotFound`."""
        chat = self._chat(command)
        number = ids.number_of(message, chat)
        if number is None:
            raise NotFound(tr("Telegram does not have the message any more."))
        return chat, number
