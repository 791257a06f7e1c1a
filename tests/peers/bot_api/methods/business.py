# SPDX-License-Identifier: Apache-2.0
"""What bots do in chats of people who have let them in; sending is as everywhere."""

from __future__ import annotations

from typing import Any

from tests.peers.bot_api.business import PersonalChat
from tests.peers.bot_api.calls import Call, method
from tests.peers.bot_api.errors import bad

Json = dict[str, Any]


@method
def get_business_connection(call: Call) -> Json:
    """What it may do."""
    return call.connection().json()


@method
def read_business_message(call: Call) -> bool:
    """Mark all up to a message as read."""
    connection = call.connection()
    connection.check("can_read_messages")
    chat = connection.chats.get(call.arguments["chat_id"])
    if chat is None:
        raise bad("BUSINESS_PEER_INVALID")
    chat.check_active(call.world.now)
    if call.arguments["message_id"] not in chat.messages:
        raise bad("MESSAGE_ID_INVALID")
    chat.read_up_to = max(chat.read_up_to, call.arguments["message_id"])
    return True


@method
def delete_business_messages(call: Call) -> bool:
    """Take up to 100 back, which are all of one chat. The bot is told of that as of what others
    delete: that is not documented, and the harder case."""
    connection = call.connection()
    wanted = call.arguments["message_ids"]
    if not 0 < len(wanted) <= 100:
        raise bad("too many message identifiers specified")
    if not connection.is_enabled:
        raise bad("BUSINESS_CONNECTION_INVALID")
    for chat in connection.chats.values():
        found = [chat.messages[each] for each in wanted if each in chat.messages]
        if found:
            _check_right(chat, is_own=all(each.written_by is call.bot for each in found))
            for message in found:
                call.world.delete(message)
            return True
    raise bad("message to delete not found")


def _check_right(chat: PersonalChat, *, is_own: bool) -> None:
    rights = chat.connection.rights
    if "can_delete_all_messages" not in rights:
        chat.connection.check("can_delete_outgoing_messages")
        if not is_own:
            raise bad("BOT_ACCESS_FORBIDDEN")
