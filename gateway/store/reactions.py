# SPDX-License-Identifier: Apache-2.0
"""What people have reacted with to messages."""

from __future__ import annotations

from gateway.ids import ConversationId, RemoteMessageId, RemoteUserId
from gateway.store.writer import Connection


def of_sender(
    db: Connection, conversation: ConversationId, message: RemoteMessageId, sender: RemoteUserId
) -> dict[str, RemoteMessageId]:
    """Somebody's reactions to what the network means by an id, each with its own id."""
    found = db.execute(
        "SELECT reaction.emoji, reaction.remote_id FROM message"
        " JOIN reaction ON reaction.message = message.id"
        " WHERE message.conversation = ? AND message.remote_id = ? AND reaction.sender = ?",
        (conversation, message, sender),
    )
    return {emoji: RemoteMessageId(remote_id) for emoji, remote_id in found}
