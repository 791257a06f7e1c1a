# SPDX-License-Identifier: Apache-2.0
"""Changing what was said, taking it back, and reacting to it."""

from __future__ import annotations

from typing import Any

from tests.peers.bot_api.accounts import User
from tests.peers.bot_api.calls import Call, method
from tests.peers.bot_api.chats import Chat, Group
from tests.peers.bot_api.errors import Misuse, bad
from tests.peers.bot_api.messages import Message

Json = dict[str, Any]

_TWO_DAYS = 48 * 3600
_WHICH = {"business_connection_id", "chat_id", "message_id"}


@method
def edit_message_text(call: Call) -> Json:
    """Another text."""
    message = _own(call, {"text", "entities", "link_preview_options"})
    if "text" not in message.content:
        raise bad("there is no text in the message to edit")
    content = call.world.text(call.arguments["text"], call.arguments.get("entities", ()))
    if options := call.arguments.get("link_preview_options"):
        content["link_preview_options"] = options
    return _edited(call, message, content)


@method
def edit_message_caption(call: Call) -> Json:
    """Another text below a medium, or none."""
    message = _own(call, {"caption", "caption_entities"})
    if "text" in message.content:
        raise bad("there is no caption in the message to edit")
    kept = {k: v for k, v in message.content.items() if not k.startswith("caption")}
    caption = call.world.caption(
        call.arguments.get("caption", ""), call.arguments.get("caption_entities", ())
    )
    return _edited(call, message, kept | caption)


@method
def delete_message(call: Call) -> bool:
    """Take one back."""
    message = call.message("message to delete")
    if not _may_delete(call, message):
        raise bad("message can't be deleted for everyone")
    del message.chat.messages[message.id]
    return True


@method
def delete_messages(call: Call) -> bool:
    """Take up to 100 back, passing over those that are not there."""
    chat = call.chat()
    wanted = call.arguments["message_ids"]
    if not wanted or len(wanted) > 100:
        raise bad("too many message identifiers specified")
    found = [chat.messages[each] for each in wanted if each in chat.messages]
    if not all(_may_delete(call, message) for message in found):
        raise bad("message can't be deleted for everyone")
    for message in found:
        del chat.messages[message.id]
    return True


@method
def set_message_reaction(call: Call) -> bool:
    """React. Bots have one reaction to a message."""
    message = call.message("message to react")
    wanted = call.arguments.get("reaction", [])
    if len(wanted) > 1:
        raise bad("REACTIONS_TOO_MANY")
    allowed = message.chat.reactions
    if any(each["type"] != "emoji" for each in wanted):
        raise bad("REACTION_INVALID")
    if allowed is not None and any(each["emoji"] not in allowed for each in wanted):
        raise bad("REACTION_INVALID")
    call.world.react(message, call.bot, wanted)
    return True


def _own(call: Call, more: set[str]) -> Message:
    if "chat_id" not in call.arguments or "message_id" not in call.arguments:
        raise bad("message identifier is not specified")
    if unknown := call.arguments.keys() - more - _WHICH:
        raise Misuse(f"{call.method}: this server can't do {', '.join(sorted(unknown))}")
    message = call.message("message to edit")
    if not message.chat.may_edit(call.bot, message, call.world.now):
        raise bad("message can't be edited")
    return message


def _edited(call: Call, message: Message, content: Json) -> Json:
    if content == message.content:
        raise bad(
            "message is not modified: specified new message content and reply markup are exactly"
            " the same as a current content and reply markup of the message"
        )
    call.world.edit(message, content)
    return message.json()


def _may_delete(call: Call, message: Message) -> bool:
    if not isinstance(message.chat, Group):
        return call.world.now - message.date < _TWO_DAYS
    if _is_admin_with(message.chat, call.bot, "can_delete_messages"):
        return True
    is_own = message.sender is call.bot and not message.is_service
    return is_own and call.world.now - message.date < _TWO_DAYS


def _is_admin_with(chat: Chat, user: User, right: str) -> bool:
    return chat.member(user).may(right)
