# SPDX-License-Identifier: Apache-2.0
"""One request of a bot: read, and held against the vendor's types."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from .accounts import Bot
from .business import Connection
from .chats import Chat
from .errors import Misuse, bad
from .files import Stored
from .messages import Message
from .vendor import Schema, vendor
from .world import World

_MISSING = {
    "chat_id": "chat_id is empty",
    "text": "message text is empty",
    "message_id": "message identifier is not specified",
    "message_ids": "message identifiers are not specified",
    "action": "wrong parameter action in request",
    "file_id": "file_id not specified",
    **{
        kind: f"there is no {kind.replace('_', ' ')} in the request"
        for kind in (
            "photo",
            "document",
            "video",
            "voice",
            "audio",
            "animation",
            "sticker",
            "video_note",
        )
    },
}
"""What the vendor's server says of what is missing."""


@dataclass
class Call:
    """What a method needs."""

    world: World
    bot: Bot
    method: str
    arguments: dict[str, Any]
    files: Mapping[str, Stored] = field(default_factory=dict)
    """Files that came with it, by their names in the request."""

    def chat(self, *, to_write: bool = True) -> Chat:
        """The chat that is meant; ApiError if there is none, or the bot can't write there."""
        if "business_connection_id" in self.arguments:
            return self._personal_chat()
        chat = self.world.chat(self.bot, self.arguments["chat_id"])
        if to_write:
            chat.check_open_to(self.bot)
        return chat

    def connection(self) -> Connection:
        """By which it was let into chats of somebody; ApiError if there is no such one."""
        found = self.world.connections.get(self.arguments["business_connection_id"])
        if found is None or found.bot is not self.bot:
            raise bad("business connection not found")
        return found

    def _personal_chat(self) -> Chat:
        connection = self.connection()
        if self.arguments["chat_id"] == connection.owner.id:
            raise bad("Messages must not be sent to self")
        chat = connection.chats.get(self.arguments["chat_id"])
        if chat is None:
            raise bad("BUSINESS_PEER_INVALID")
        chat.check_open_to(self.bot)
        chat.check_active(self.world.now)
        return chat

    def message(self, what: str) -> Message:
        """The message that is meant; ApiError, in which it is called `what`."""
        found = self.chat().messages.get(self.arguments["message_id"])
        if found is None:
            raise bad(f"{what} not found")
        return found


Method = Callable[[Call], Any | Awaitable[Any]]
METHODS: dict[str, Method] = {}


def method(function: Method) -> Method:
    """Make a function the method of the same name, as get_updates of getUpdates."""
    first, *rest = function.__name__.split("_")
    METHODS[first + "".join(each.title() for each in rest)] = function
    return function


def read(method: str, given: Mapping[str, Any], files: Mapping[str, Stored]) -> dict[str, Any]:
    """The arguments, of their types; Misuse if the documents do not allow them.

    The vendor's server passes over arguments that it does not know; this one does not.
    """
    known = vendor().parameters(method)
    assert known is not None
    direct = {name: f"attach://{name}" for name in files if name in known}
    arguments = {}
    for name, value in {**given, **direct}.items():
        if name not in known:
            raise Misuse(f"{method} has no parameter {name}")
        if isinstance(value, str) and name not in direct:
            value = _decoded(name, value, known[name])
        if error := vendor().argument_error(method, name, value):
            raise Misuse(f"{name} of {method} is wrong: {error}")
        arguments[name] = value
    for name in vendor().required(method):
        if name not in arguments:
            raise Misuse(_MISSING.get(name, f"{name} of {method} is missing"))
    return arguments


def _decoded(name: str, value: str, schema: Schema) -> Any:
    """In forms everything is a string; what is one, is written without quotes."""
    kinds = vendor().kinds(schema)
    if kinds == {"string"}:
        return value
    if kinds & {"integer", "number"} and "string" in kinds:
        with suppress(ValueError):
            return int(value)
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise Misuse(f"can't parse {name} JSON object") from None
