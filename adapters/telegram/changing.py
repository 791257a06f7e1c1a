# SPDX-License-Identifier: Apache-2.0
"""Changing what the bot has said. Bot API, editMessageText, editMessageCaption."""

from __future__ import annotations

from telegram import Bot, Message
from telegram.error import TelegramError

from adapters.telegram.entities import written
from adapters.telegram.errors import is_caption, is_unchanged
from gateway.events import SendRoomText, SendText


async def changed(
    bot: Bot,
    command: SendText | SendRoomText,
    chat: int,
    message: int,
    connection: str | None = None,
) -> Message | None:
    """Give a message the words of a command, or what is said about a file if that is one. Returns
    it as it is now; None where Telegram does not say, or it had these words. Raises
    `TelegramError`. ``connection``: by which the bot is in a chat of the user's own."""
    text, entities = written(command.body, command.spans, command.mentions)
    try:
        try:
            made = await bot.edit_message_text(
                text,
                chat_id=chat,
                message_id=message,
                entities=entities,
                business_connection_id=connection,
            )
        except TelegramError as error:
            if not is_caption(error):
                raise
            made = await bot.edit_message_caption(
                chat,
                message,
                caption=text,
                caption_entities=entities,
                business_connection_id=connection,
            )
    except TelegramError as error:
        if not is_unchanged(error):
            raise
        return None
    return made if isinstance(made, Message) else None
