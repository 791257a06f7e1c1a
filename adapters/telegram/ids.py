# SPDX-License-Identifier: Apache-2.0
"""How people, groups and messages are called. No I/O.

People and groups have numbers. Messages have numbers within a chat, so the chat is a part of their
ids; what is said about a message has an id that begins with that of the message.
"""

from __future__ import annotations

import re

from gateway.ids import RemoteMessageId, RemoteUserId

_PERSON = re.compile(r"[1-9]\d{0,15}", re.ASCII)
"""Chats with people have their number; those of groups are below zero."""
_GROUP = re.compile(r"-[1-9]\d{0,15}", re.ASCII)
_MESSAGE = re.compile(r"(-?\d{1,20}):(\d{1,20})", re.ASCII)
_TOKEN = re.compile(r"([1-9]\d{2,15}):[\w-]{20,120}", re.ASCII)
"""Bot API, "Authorizing your bot": the number of the bot, and what proves that it is ours."""


def is_person(number: str) -> bool:
    """Whether somebody may be called so."""
    return _PERSON.fullmatch(number) is not None


def is_group(number: str) -> bool:
    """Whether a group may be called so."""
    return _GROUP.fullmatch(number) is not None


def contact_at(address: str) -> RemoteUserId | None:
    """People are addressed by their numbers, which is all that a bot can find them by."""
    return RemoteUserId(address) if is_person(address) else None


def message_id(chat: int, message: int) -> RemoteMessageId:
    """What the gateway calls a message."""
    return RemoteMessageId(f"{chat}:{message}")


def about(message: RemoteMessageId, what: str) -> RemoteMessageId:
    """What it calls something that is said about a message."""
    return RemoteMessageId(f"{message}/{what}")


def number_of(message: str | None, chat: str) -> int | None:
    """What Telegram calls a message of a chat; None if it is none of it."""
    found = _MESSAGE.fullmatch(message or "")
    return int(found[2]) if found is not None and found[1] == chat else None


def bot_of(token: str) -> RemoteUserId | None:
    """Whose token it is; None if it is none."""
    found = _TOKEN.fullmatch(token)
    return None if found is None else RemoteUserId(found[1])
