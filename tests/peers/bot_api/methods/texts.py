# SPDX-License-Identifier: Apache-2.0
"""Sending, and what all messages that are sent have in common."""

from __future__ import annotations

from typing import Any

from tests.peers.bot_api.calls import Call, method
from tests.peers.bot_api.chats import Chat
from tests.peers.bot_api.errors import Misuse, bad
from tests.peers.bot_api.messages import Message
from tests.peers.bot_api.text import part, styles_of_part, units

Json = dict[str, Any]

_HOW = {
    "business_connection_id",
    "disable_notification",
    "protect_content",
    "message_thread_id",
    "reply_parameters",
}
_TYPING_IS = {
    "typing",
    "upload_photo",
    "record_video",
    "upload_video",
    "record_voice",
    "upload_voice",
    "upload_document",
    "choose_sticker",
    "find_location",
    "record_video_note",
    "upload_video_note",
}


@method
def send_message(call: Call) -> Json:
    """Say something."""
    check_known(call, {"chat_id", "text", "entities", "link_preview_options"})
    content = call.world.text(call.arguments["text"], call.arguments.get("entities", ()))
    if options := call.arguments.get("link_preview_options"):
        content["link_preview_options"] = options
    return post(call, call.chat(), content).json()


@method
def send_chat_action(call: Call) -> bool:
    """Show for 5 seconds that the bot is doing something."""
    check_known(call, {"chat_id", "action"})
    if call.arguments["action"] not in _TYPING_IS:
        raise bad("wrong parameter action in request")
    call.chat().topic(call.bot, call.arguments.get("message_thread_id"))
    return True


def check_known(call: Call, names: set[str]) -> None:
    """Misuse if arguments were given of which this server would make nothing."""
    if unknown := call.arguments.keys() - names - _HOW:
        raise Misuse(f"{call.method}: this server can't do {', '.join(sorted(unknown))}")


def post(call: Call, chat: Chat, content: Json, *, album: str = "") -> Message:
    """Send it: into the topic and as the answer that were asked for."""
    thread_id = call.arguments.get("message_thread_id")
    reply_to, quote = _answered(call, chat)
    if reply_to is not None and thread_id is None:
        thread_id = reply_to.thread_id
    thread_id = chat.topic(call.bot, thread_id)
    call.world.limits.check(chat, call.world.clock())
    speaker = chat.speaker(call.bot)
    return call.world.post(
        chat,
        speaker,
        content,
        written_by=None if speaker is call.bot else call.bot,
        reply_to=reply_to,
        quote=quote,
        thread_id=thread_id,
        album=album,
    )


def _answered(call: Call, chat: Chat) -> tuple[Message | None, Json | None]:
    wanted = call.arguments.get("reply_parameters")
    if not wanted:
        return None, None
    if wanted.get("chat_id", chat.id) != chat.id:
        raise Misuse("this server can't do answers to messages of other chats")
    found = chat.messages.get(wanted["message_id"])
    if found is None:
        if wanted.get("allow_sending_without_reply"):
            return None, None
        raise bad("message to be replied not found")
    if not wanted.get("quote"):
        return found, None
    return found, _quote(found, wanted)


def _quote(message: Message, wanted: Json) -> Json:
    """The part that is quoted. It has to be there, as it is."""
    quote = wanted["quote"]
    if units(quote) > 1024 or quote not in message.text:
        raise bad("QUOTE_TEXT_INVALID")
    position = units(message.text.partition(quote)[0])
    asked = wanted.get("quote_position", position)
    if part(message.text, asked, units(quote)) == quote:
        position = asked
    styles = styles_of_part(message.entities, position, units(quote))
    if styles != wanted.get("quote_entities", []):
        raise bad("QUOTE_TEXT_INVALID")
    made = {"text": quote, "position": position, "is_manual": True}
    return made | ({"entities": styles} if styles else {})
