# SPDX-License-Identifier: Apache-2.0
"""Calls in chats, from when they ring until they are over."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.ids import ConversationId, StanzaId
from gateway.store.writer import Connection, Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRow:
    """One that is not over."""

    message: int
    """By which it was told."""
    is_own: bool
    """The account has called."""
    is_video: bool
    invite: StanzaId | None = None
    """By which the user was told where to join it."""
    answered_at: float | None = None


def put(db: Transaction, conversation: ConversationId, name: str, row: CallRow) -> None:
    """A call, or what is new of it. One that has its name was over without our being told."""
    db.execute(
        "INSERT OR REPLACE INTO call"
        " (conversation, name, message, own, video, invite, answered_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            conversation,
            name,
            row.message,
            row.is_own,
            row.is_video,
            row.invite or "",
            row.answered_at,
        ),
    )


def get(db: Connection, conversation: ConversationId, name: str) -> CallRow | None:
    """The call that the network calls so, unless it is over."""
    found = db.execute(
        "SELECT message, own, video, invite, answered_at FROM call"
        " WHERE conversation = ? AND name = ?",
        (conversation, name),
    ).fetchone()
    if found is None:
        return None
    message, own, video, invite, answered_at = found
    return CallRow(
        message=message,
        is_own=bool(own),
        is_video=bool(video),
        invite=StanzaId(invite) if invite else None,
        answered_at=answered_at,
    )


def drop(db: Transaction, conversation: ConversationId, name: str) -> None:
    """It is over."""
    db.execute("DELETE FROM call WHERE conversation = ? AND name = ?", (conversation, name))
