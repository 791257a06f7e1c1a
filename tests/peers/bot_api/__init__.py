# SPDX-License-Identifier: Apache-2.0
"""Telegram, as far as bots see it: a strict server of ours that is told what happens.

    async with BotApi() as telegram:
        bot, anna = telegram.bot(), telegram.person("Anna")
        anna.say(bot, "hello")          # the bot gets it by getUpdates
        message = await telegram.world.private(bot, anna).seen.wait_for(...)

It is faithful to core.telegram.org/bots/api and to the vendor's own server, whose words its errors
have. What bots ask and what they are told is checked with types of others; see `vendor.py`.
"""

from .accounts import Bot, User
from .chats import Chat, Group, PrivateChat
from .errors import ApiError, bad, forbidden, too_many
from .faults import Fault
from .files import LocalDisk
from .messages import Message
from .people import Person
from .server import Asked, BotApi

__all__ = [
    "ApiError",
    "Asked",
    "Bot",
    "BotApi",
    "Chat",
    "Fault",
    "Group",
    "LocalDisk",
    "Message",
    "Person",
    "PrivateChat",
    "User",
    "bad",
    "forbidden",
    "too_many",
]
