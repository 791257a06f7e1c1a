# SPDX-License-Identifier: Apache-2.0
"""What the user does in own chats, by the bot that they have let in.

Bot API, "business_connection_id", readBusinessMessage, deleteBusinessMessages. There is no method
by which to react there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeGuard

from msgspec import structs
from telegram import Bot, ReplyParameters
from telegram.error import TelegramError

from adapters.telegram import ids
from adapters.telegram.answering import answer_to, answered
from adapters.telegram.buckets import Buckets
from adapters.telegram.changing import changed
from adapters.telegram.connected import READ, REPLY, TAKE_BACK, Connected
from adapters.telegram.connected_events import edit_of
from adapters.telegram.entities import written
from adapters.telegram.errors import error_of, is_gone
from adapters.telegram.request import TooMany
from adapters.telegram.uploads import Uploads
from gateway.adapter import Sent
from gateway.errors import NotFound, Unsupported
from gateway.events import ChatCommand, Command, MarkRead, Retract, SendText
from gateway.ids import RemoteMessageId, RemoteUserId
from gateway.text.wording import tr

OwnCommand = ChatCommand | MarkRead


def is_in_own_chat(command: Command) -> TypeGuard[OwnCommand]:
    """Whether it is for a chat of the user's own, and not for one with the bot."""
    return isinstance(command, OwnCommand) and ids.person_of(command.contact) is not None


class ConnectedOutbound:
    """Carries out the commands of one account in own chats."""

    def __init__(
        self,
        bot: Bot,
        own: RemoteUserId,
        connected: Connected,
        buckets: Buckets,
        uploads: Uploads,
    ) -> None:
        """``own``: the bot, for which the gateway takes the user."""
        self._bot = bot
        self._own = own
        self._connected = connected
        self._buckets = buckets
        self._uploads = uploads

    async def send(self, command: OwnCommand, key: str) -> Sent:
        """See `gateway.adapter.Session.send`."""
        match command:
            case SendText(edits=None):
                return await self._say(self._naming(command))
            case SendText():
                return await self._edit(self._naming(command), key)
            case Retract():
                return await self._delete(command)
            case MarkRead():
                return await self._read(command)
        raise Unsupported(tr("Telegram does not let bots react in your own chats."))

    def _naming(self, command: SendText) -> SendText:
        """With those whom it names as Telegram calls them."""
        owner = self._connected.by(REPLY).user

        def named(user: RemoteUserId | None) -> RemoteUserId | None:
            if user == self._own:
                return RemoteUserId(str(owner))
            person = None if user is None else ids.person_of(user)
            return None if person is None else RemoteUserId(str(person))

        mentions = (structs.replace(each, user=named(each.user)) for each in command.mentions)
        return structs.replace(command, mentions=tuple(mentions))

    async def _say(self, command: SendText) -> Sent:
        owner, chat = self._connected.by(REPLY), _chat(command)
        to = ids.number_of_own(owner.user, command.reply_to, chat)
        reply = None if to is None else answer_to(to, command)
        send = partial(self._sent, command, chat, owner.connection.id)
        async with self._asking(command, is_repeatable=False):
            number = await answered(reply, send)
        sent = ids.sent_as(chat, number)
        return Sent(remote_id=None if sent is None else ids.of_own(owner.user, sent))

    async def _sent(
        self, command: SendText, chat: int, connection: str, reply: ReplyParameters | None
    ) -> int:
        """Returns the number of the message."""
        if command.file is not None:
            answer = None if reply is None else reply.to_dict()
            sent = await self._uploads.send(
                chat, command, command.file, answer, connection=connection
            )
            return int(sent["message_id"])
        text, entities = written(command.body, command.spans, command.mentions)
        made = await self._bot.send_message(
            chat,
            text,
            entities=entities,
            reply_parameters=reply,
            business_connection_id=connection,
        )
        return made.message_id

    async def _edit(self, command: SendText, key: str) -> Sent:
        owner, chat = self._connected.by(REPLY), _chat(command)
        edited = command.edits
        number = self._number(owner.user, edited, chat)
        assert edited is not None
        async with self._asking(command, is_repeatable=True):
            made = await changed(self._bot, command, chat, number, owner.connection.id)
        if made is not None:
            return Sent(remote_id=edit_of(made, edited))
        return Sent(remote_id=ids.about(edited, key))

    async def _delete(self, command: Retract) -> Sent:
        owner = self._connected.by(*TAKE_BACK)
        number = self._number(owner.user, command.message, _chat(command))
        async with self._asking(command, is_repeatable=True):
            try:
                await self._bot.delete_business_messages(owner.connection.id, [number])
            except TelegramError as error:
                if not is_gone(error):
                    raise
        return Sent()

    async def _read(self, command: MarkRead) -> Sent:
        """All up to a message."""
        owner, chat = self._connected.by(READ), _chat(command)
        number = self._number(owner.user, command.up_to, chat)
        async with self._asking(command, is_repeatable=True):
            await self._bot.read_business_message(owner.connection.id, chat, number)
        return Sent()

    def _number(self, owner: int, message: RemoteMessageId | None, chat: int) -> int:
        """What Telegram calls a message. Raises `NotFound`: also of one of another account."""
        number = ids.number_of_own(owner, message, chat)
        if number is None:
            raise NotFound(tr("Telegram does not have the message any more."))
        return number

    @asynccontextmanager
    async def _asking(self, command: OwnCommand, *, is_repeatable: bool) -> AsyncIterator[None]:
        self._buckets.heed(command.contact)
        try:
            yield
        except TooMany as error:
            self._buckets.pause(command.contact, error.seconds)
            raise error_of(error) from None
        except TelegramError as error:
            raise error_of(error, is_repeatable=is_repeatable, is_own_chat=True) from None


def _chat(command: OwnCommand) -> int:
    person = ids.person_of(command.contact)
    assert person is not None
    return person
