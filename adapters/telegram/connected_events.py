# SPDX-License-Identifier: Apache-2.0
"""What happens in the user's own chats, as events of the gateway. No I/O.

Bot API, "Update", ``business_connection`` to ``deleted_business_messages``. Both sides are told,
also what the bot has written itself: the gateway knows that by its id. Of chats with groups,
channels and oneself nothing comes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any, Final

from msgspec import structs
from telegram import Bot, Message
from telegram.constants import ChatType

from adapters.telegram import ids
from adapters.telegram.connected import Connected, Raw
from adapters.telegram.naming import Usernames
from adapters.telegram.reading import update_in
from adapters.telegram.service_messages import happening
from adapters.telegram.spoken import name_of, spoken
from gateway.adapter import Clock
from gateway.events import (
    RemoteEvent,
    RemoteMessage,
    RemoteNotice,
    RemoteProfile,
    RemoteRetraction,
)
from gateway.ids import RemoteMessageId, RemoteUserId
from gateway.text import clean

_CONNECTION: Final = "business_connection"
_SAID = ("business_message", "edited_business_message")
_DELETED: Final = "deleted_business_messages"
KINDS = (_CONNECTION, *_SAID, _DELETED)
"""Of updates; see "allowed_updates"."""
_DIGEST = 16


def connection_in(update: Raw) -> str | None:
    """The connection by which an update has come, if it is about one of somebody's own chats."""
    for kind in (*_SAID, _DELETED):
        about = update.get(kind)
        if isinstance(about, dict) and isinstance(about.get("business_connection_id"), str):
            connection: str = about["business_connection_id"]
            return connection
    return None


class ConnectedEvents:
    """Of one bot."""

    def __init__(
        self,
        bot: Bot,
        own: RemoteUserId,
        connected: Connected,
        usernames: Usernames,
        clock: Clock,
    ) -> None:
        """``own``: the bot, for which the gateway takes the user."""
        self._bot = bot
        self._own = own
        self._usernames = usernames
        self._connected = connected
        self._clock = clock

    def takes(self, raw: Raw) -> bool:
        """Whether an update is about the user's own chats, or about whose these are."""
        if any(kind in raw for kind in KINDS):
            return True
        message = raw.get("message")
        return isinstance(message, dict) and self._connected.is_proof(message)

    def contact(self, raw: Raw) -> RemoteUserId | None:
        """In whose chat with the user an update has happened, as far as that can be read."""
        about = next((raw[kind] for kind in (*_SAID, _DELETED) if kind in raw), None)
        chat = about.get("chat") if isinstance(about, dict) else None
        number = chat.get("id") if isinstance(chat, dict) else None
        return ids.in_own_chat(number) if isinstance(number, int) and number > 0 else None

    def events(self, raw: Raw) -> Iterator[RemoteEvent]:
        """What it says. Nothing, if the bot was let in by somebody who is not its user."""
        number = raw["update_id"]
        if _CONNECTION in raw:
            yield from self._connected.changed(raw[_CONNECTION], number)
        elif (connection := connection_in(raw)) is not None:
            yield from self._connected.opened(connection, number)
            owner = self._connected.owner_of(connection)
            if owner is not None:
                yield from self._in_chat(raw, owner)
        elif "message" in raw:
            yield from self._connected.proved(raw["message"])

    def _in_chat(self, raw: Raw, owner: int) -> Iterator[RemoteEvent]:
        if _DELETED in raw:
            yield from self._deleted(raw[_DELETED], owner)
            return
        update = update_in(raw, self._bot)
        message = update.business_message or update.edited_business_message
        assert message is not None
        self._usernames.learn_of(message)
        chat = message.chat
        if chat.type != ChatType.PRIVATE or chat.id == owner:
            return
        contact = ids.in_own_chat(chat.id)
        name = " ".join(clean(chat.effective_name or "").split())
        yield RemoteProfile(contact=contact, name=name)
        sender, is_edit = message.from_user, update.edited_business_message is not None
        is_own = sender is not None and sender.id == owner
        happened = happening(message, "" if sender is None else name_of(sender))
        if happened is None:
            said = self._said(message, owner, is_edit=is_edit)
            yield RemoteMessage(contact=contact, own=is_own, **said)
        elif happened.text:
            id = ids.of_own(owner, ids.message_id(chat.id, message.message_id))
            yield RemoteNotice(contact=contact, id=id, text=happened.text)

    def _said(self, message: Message, owner: int, *, is_edit: bool) -> dict[str, Any]:
        said = spoken(message, 0 if is_edit else None, self._usernames)
        for name in ("id", "edits", "reply_to"):
            if said[name] is not None:
                said[name] = ids.of_own(owner, said[name])
        if said["edits"] is not None:
            said["id"] = edit_of(message, said["edits"])
        for name in ("cards", "mentions"):
            said[name] = tuple(
                structs.replace(each, user=self._called(each.user, owner)) for each in said[name]
            )
        return said

    def _called(self, user: RemoteUserId | None, owner: int) -> RemoteUserId | None:
        """People are those whom the user knows, and not those who write to the bot."""
        if user is None:
            return None
        return self._own if user == str(owner) else ids.in_own_chat(int(user))

    def _deleted(self, about: Raw, owner: int) -> Iterator[RemoteEvent]:
        """By one of both; Telegram says neither who it was nor when."""
        chat = about["chat"]["id"]
        for number in about["message_ids"]:
            message = ids.of_own(owner, ids.message_id(chat, number))
            yield RemoteRetraction(
                contact=ids.in_own_chat(chat),
                id=ids.about(message, "deleted"),
                message=message,
                sent_at=self._clock.now(),
            )


def edit_of(message: Message, edited: RemoteMessageId) -> RemoteMessageId:
    """What the gateway calls what a message has become, whoever tells it: the answer to
    who has asked for it, or the update. Edits have no ids of their own, and times in seconds."""
    at = message.edit_date or message.date
    words = message.text if message.text is not None else message.caption
    entities = [each.to_dict() for each in message.entities or message.caption_entities]
    content = json.dumps([words, entities], sort_keys=True, default=str)
    digest = hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()
    return ids.about(edited, f"{int(at.timestamp())}.{digest[:_DIGEST]}")
