# SPDX-License-Identifier: Apache-2.0
"""Which message of a chat is meant: always the first part of the message itself, be the name that
of another part, of an edit, or of what was said about it (REQ-409, REQ-411)."""

from __future__ import annotations

from gateway.ids import ConversationId, RemoteMessageId
from gateway.store import conversations
from gateway.store.conversations import MessageRow
from gateway.store.writer import Connection


def found(
    db: Connection, chat: ConversationId, remote_id: RemoteMessageId | None
) -> MessageRow | None:
    """By an id of the network; None if it is not known."""
    row = None if remote_id is None else conversations.by_remote_id(db, chat, remote_id)
    return None if row is None else conversations.original(db, row)


def parts(db: Connection, chat: ConversationId, row: MessageRow) -> list[MessageRow]:
    """All parts of a message, the first one of which this is."""
    return [row] if row.remote_id is None else conversations.parts(db, chat, row.remote_id)
