# SPDX-License-Identifier: Apache-2.0
"""Threads of chats (REQ-478): messages that belong together, by the one with which that began.

What clients see is an id that is always the same, and another name of that first message: so it is
known again when a client sends it. Any other id of a client is a matter of its own.
"""

from __future__ import annotations

from gateway.bridge.chats import references
from gateway.bridge.inbound.rows import Rows
from gateway.events import RemoteMessage
from gateway.ids import ConversationId, RemoteMessageId, RemoteUserId, StanzaId
from gateway.store import Transaction, chat_texts, conversations
from gateway.store.conversations import MessageRow
from gateway.store.writer import Connection


def answered(event: RemoteMessage) -> RemoteMessageId | None:
    """What a message answers. One of a thread, that answers none in it, is shown as an answer to
    the one before it, or else to the first: most clients know no threads."""
    return event.reply_to or event.thread_after or event.thread


def told(
    db: Transaction,
    rows: Rows,
    chat: ConversationId,
    contact: RemoteUserId,
    root: RemoteMessageId | None,
) -> str:
    """The id of the thread that began with a message; empty if there is none."""
    if root is None:
        return ""
    name = rows.id(contact, "thread", root)
    first = references.found(db, chat, root)
    if first is not None:
        conversations.add_alias(db, chat, name, first.id)
    return name


def wanted(
    db: Connection, chat: ConversationId, thread: str, reply: MessageRow | None
) -> RemoteMessageId | None:
    """The thread into which a user wants to say something: that which their client names, or else
    that of what they answer, since most clients know no threads. None is begun from here."""
    first = conversations.by_alias(db, chat, StanzaId(thread)) if thread else None
    named = None if first is None else conversations.original(db, first).remote_id
    if named is not None and chat_texts.last_of_thread(db, chat, named) is not None:
        return named
    said = None if reply is None else chat_texts.of(db, reply.id)
    return None if said is None else said.thread


def last(
    db: Connection, chat: ConversationId, root: RemoteMessageId | None
) -> RemoteMessageId | None:
    """The message of a thread that was said last, as far as the network has it, or the first."""
    message = None if root is None else chat_texts.last_of_thread(db, chat, root)
    found = None if message is None else conversations.remote_id_of(db, message)
    return found or root
