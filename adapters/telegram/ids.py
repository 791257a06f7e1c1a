# SPDX-License-Identifier: Apache-2.0
"""How people, groups and messages are called. No I/O.

People and groups have numbers. Messages have numbers within a chat, so the chat is a part of their
ids; what is said about a message has an id that begins with that of the message.

One person may write to the bot and to its user, whose own chats the bot was let into: these are
two chats of the same number. So contacts there are called ``me.7000000014``. What is said there
has the number of the user's Telegram account before it, since numbers of messages are those of one
account.
"""

from __future__ import annotations

import re

from gateway.ids import RemoteMessageId, RemoteUserId

_PERSON = re.compile(r"[1-9]\d{0,15}", re.ASCII)
"""Chats with people have their number; those of groups are below zero."""
_IN_OWN_CHAT = re.compile(r"me\.([1-9]\d{0,15})", re.ASCII)
_GROUP = re.compile(r"-[1-9]\d{0,15}", re.ASCII)
_SUPERGROUPS = -(10**12)
"""The numbers of supergroups are below this, those of basic groups above (TDLib, ``DialogId``)."""
_MESSAGE = re.compile(r"(-?\d{1,20}):(\d{1,20})", re.ASCII)
_TOKEN = re.compile(r"([1-9]\d{2,15}):[\w-]{20,120}", re.ASCII)
"""Bot API, "Authorizing your bot": the number of the bot, and what proves that it is ours."""


def is_person(number: str) -> bool:
    """Whether somebody may be called so."""
    return _PERSON.fullmatch(number) is not None


def in_own_chat(person: int) -> RemoteUserId:
    """What the gateway calls somebody who writes to the user, and not to the bot."""
    return RemoteUserId(f"me.{person}")


def person_of(contact: str) -> int | None:
    """The number of somebody who is called so; None if it is nobody who writes to the user."""
    found = _IN_OWN_CHAT.fullmatch(contact)
    return None if found is None else int(found[1])


def face_of(contact: RemoteUserId) -> RemoteUserId:
    """The person who a contact is, whomever they write to."""
    person = person_of(contact)
    return contact if person is None else RemoteUserId(str(person))


def is_group(number: str) -> bool:
    """Whether a group may be called so."""
    return _GROUP.fullmatch(number) is not None


def is_supergroup(number: str) -> bool:
    """Whether a group of this number is one of those that can do all that groups can."""
    return is_group(number) and int(number) < _SUPERGROUPS


def address_of(contact: RemoteUserId) -> str | None:
    """People are addressed by their numbers, which is all that a bot can find them by."""
    return contact if is_person(contact) or person_of(contact) is not None else None


def contact_at(address: str) -> RemoteUserId | None:
    """The inverse."""
    contact = RemoteUserId(address)
    return None if address_of(contact) is None else contact


def message_id(chat: int, message: int) -> RemoteMessageId:
    """What the gateway calls a message."""
    return RemoteMessageId(f"{chat}:{message}")


def of_own(owner: int, message: RemoteMessageId) -> RemoteMessageId:
    """The same of a message in a chat of this Telegram account."""
    return RemoteMessageId(f"me.{owner}.{message}")


def number_of_own(owner: int, message: str | None, chat: int) -> int | None:
    """What Telegram calls such a message; None if it is none of that chat."""
    before = f"me.{owner}."
    known = message is not None and message.startswith(before)
    return number_of(message.removeprefix(before), str(chat)) if message and known else None


def sent_as(chat: int, message: int) -> RemoteMessageId | None:
    """The same of one that was sent; None if it has no number yet. Bot API, "Message",
    ``message_id``: a film for a large chat may be sent later, and is 0 before that."""
    return message_id(chat, message) if message else None


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
