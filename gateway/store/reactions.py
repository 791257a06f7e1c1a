# SPDX-License-Identifier: Apache-2.0
"""What people have reacted with to messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.ids import ConversationId, RemoteMessageId, RemoteUserId, is_virtual
from gateway.store.writer import Connection, Transaction


@dataclass(frozen=True, slots=True)
class ReactionRow:
    """One emoji of somebody."""

    message: int
    sender: RemoteUserId
    emoji: str


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


def of_virtual(
    db: Connection, conversation: ConversationId, message: RemoteMessageId
) -> dict[RemoteUserId, tuple[str, ...]]:
    """What those have reacted with to what the network means by an id for whom the house
    speaks."""
    found = db.execute(
        "SELECT reaction.sender, reaction.emoji FROM message"
        " JOIN reaction ON reaction.message = message.id"
        " WHERE message.conversation = ? AND message.remote_id = ?"
        " ORDER BY reaction.sender, reaction.emoji",
        (conversation, message),
    )
    made: dict[RemoteUserId, tuple[str, ...]] = {}
    for sender, emoji in found:
        if is_virtual(sender):
            made[sender] = (*made.get(sender, ()), emoji)
    return made


def emoji_of(db: Connection, message: int, sender: RemoteUserId) -> tuple[str, ...]:
    """With what somebody has reacted to a message."""
    found = db.execute(
        "SELECT emoji FROM reaction WHERE message = ? AND sender = ?", (message, sender)
    )
    return tuple(emoji for (emoji,) in found)


def senders(db: Connection, message: int) -> list[RemoteUserId]:
    """Who has reacted to a message."""
    found = db.execute(
        "SELECT DISTINCT sender FROM reaction WHERE message = ? ORDER BY sender", (message,)
    )
    return [RemoteUserId(sender) for (sender,) in found]


def find(
    db: Connection, conversation: ConversationId, remote_id: RemoteMessageId
) -> ReactionRow | None:
    """The reaction that the network means by this id."""
    found = db.execute(
        "SELECT reaction.message, reaction.sender, reaction.emoji FROM reaction"
        " JOIN message ON message.id = reaction.message"
        " WHERE reaction.remote_id = ? AND message.conversation = ?",
        (remote_id, conversation),
    ).fetchone()
    return None if found is None else ReactionRow(*found)


def add(
    db: Transaction, message: int, sender: RemoteUserId, emoji: str, remote_id: RemoteMessageId
) -> bool:
    """One emoji more. False if it is there already."""
    made = db.execute(
        "INSERT INTO reaction (message, sender, emoji, remote_id) VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        (message, sender, emoji, remote_id),
    )
    return made.rowcount == 1


def remove(db: Transaction, of: ReactionRow) -> None:
    """It was taken back."""
    db.execute(
        "DELETE FROM reaction WHERE message = ? AND sender = ? AND emoji = ?",
        (of.message, of.sender, of.emoji),
    )


def put(
    db: Transaction,
    message: int,
    sender: RemoteUserId,
    reactions: Mapping[str, RemoteMessageId],
) -> None:
    """Somebody's reactions to a message are these and no others."""
    db.execute("DELETE FROM reaction WHERE message = ? AND sender = ?", (message, sender))
    for emoji, remote_id in reactions.items():
        add(db, message, sender, emoji, remote_id)


def drop(db: Transaction, message: int) -> None:
    """The message was taken back, and with it what people have reacted to it."""
    db.execute("DELETE FROM reaction WHERE message = ?", (message,))
