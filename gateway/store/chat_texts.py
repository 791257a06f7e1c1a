# SPDX-License-Identifier: Apache-2.0
"""What messages of chats say, as far as edits, quotes and replies need it. Chats have no archive.

Of each part of a message there is a digest, by which an edit that changes nothing is known
(REQ-421), and of the newest messages of a chat how they begin.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from gateway.ids import ConversationId, RemoteMessageId
from gateway.store.writer import Connection, Transaction
from gateway.text import Span, clean, concealed

MOST_CHARS = 400
"""Of an excerpt."""
MOST_EXCERPTS = 200
"""Of a chat."""


@dataclass(frozen=True, slots=True)
class ChatText:
    """What a part of a message says."""

    message: int
    digest: bytes
    excerpt: str
    """How it begins, or all of it if it is shorter than `MOST_CHARS`, without what its spoilers
    hide; empty if that is not known any more."""
    is_gone: bool
    """It was taken back."""
    edited_at: float
    """When an edit of it came last, by our clock; 0 if none did."""
    answers: int | None
    """The message that it answers."""
    edit: RemoteMessageId | None
    """That edit has made it what it is now."""
    thread: RemoteMessageId | None
    """The message with which the thread began that it was said in."""


def digest(body: str, spans: Sequence[Span] = ()) -> bytes:
    """By which a text is known again, with how its parts are meant."""
    said = clean(body).encode()
    styles = msgspec.msgpack.encode(spans) if spans else b""
    return hashlib.blake2b(said + b"\0" + styles, digest_size=16).digest()


def put(
    db: Transaction,
    conversation: ConversationId,
    message: int,
    body: str,
    spans: Sequence[Span] = (),
    *,
    answers: int | None = None,
    edit: RemoteMessageId | None = None,
    thread: RemoteMessageId | None = None,
) -> None:
    """From now on a part says this. What was taken back stays so, and so does what it answers, and
    in which thread it was said."""
    excerpt = clean(concealed(body, spans)[:MOST_CHARS])
    db.execute(
        "INSERT INTO chat_text (message, conversation, digest, excerpt, answers, edit, thread)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (message) DO UPDATE SET"
        " digest = excluded.digest, excerpt = excluded.excerpt, edit = excluded.edit"
        " WHERE NOT gone",
        (message, conversation, digest(body, spans), excerpt, answers, edit, thread),
    )
    db.execute(
        "UPDATE chat_text INDEXED BY chat_text_excerpt SET excerpt = ''"
        " WHERE conversation = ? AND excerpt <> '' AND message <="
        " (SELECT message FROM chat_text INDEXED BY chat_text_excerpt"
        " WHERE conversation = ? AND excerpt <> '' ORDER BY message DESC LIMIT 1 OFFSET ?)",
        (conversation, conversation, MOST_EXCERPTS),
    )


def set_edit(db: Transaction, message: int, edit: RemoteMessageId) -> None:
    """This edit is the last one of a message of which this part says something else."""
    db.execute("UPDATE chat_text SET edit = ? WHERE message = ?", (edit, message))


def of(db: Connection, message: int) -> ChatText | None:
    """What a part says now; None if that was never known."""
    found = db.execute(
        "SELECT message, digest, excerpt, gone, edited_at, answers, edit, thread FROM chat_text"
        " WHERE message = ?",
        (message,),
    ).fetchone()
    if found is None:
        return None
    row, known, excerpt, gone, edited_at, answers, edit, thread = found
    return ChatText(row, known, excerpt, bool(gone), edited_at, answers, edit, thread)


def last_of_thread(
    db: Connection, conversation: ConversationId, thread: RemoteMessageId
) -> int | None:
    """The last message of a thread, but the one with which it began."""
    found = db.execute(
        "SELECT message FROM chat_text INDEXED BY chat_text_thread"
        " WHERE conversation = ? AND thread = ? ORDER BY message DESC LIMIT 1",
        (conversation, thread),
    ).fetchone()
    return None if found is None else int(found[0])


def newest(db: Connection, conversation: ConversationId) -> list[tuple[int, str]]:
    """The newest texts of a chat by how they begin, each with its part of a message; the newest
    first."""
    found = db.execute(
        "SELECT message, excerpt FROM chat_text INDEXED BY chat_text_excerpt"
        " WHERE conversation = ? AND excerpt <> '' ORDER BY message DESC LIMIT ?",
        (conversation, MOST_EXCERPTS),
    )
    return [(message, excerpt) for message, excerpt in found]


def is_gone(db: Connection, message: int) -> bool:
    """Whether a part was taken back."""
    found = db.execute("SELECT 1 FROM chat_text WHERE message = ? AND gone", (message,))
    return found.fetchone() is not None


def edited(db: Transaction, conversation: ConversationId, message: int, now: float) -> None:
    """An edit of it came. What it says need not be known."""
    db.execute(
        "INSERT INTO chat_text (message, conversation, digest, excerpt, edited_at)"
        " VALUES (?, ?, x'', '', ?) ON CONFLICT (message) DO UPDATE SET"
        " edited_at = excluded.edited_at",
        (message, conversation, now),
    )


def unknown(db: Transaction, message: int) -> None:
    """It says something else now, and nobody has said what."""
    db.execute(
        "UPDATE chat_text SET digest = x'', excerpt = '', edit = NULL WHERE message = ?",
        (message,),
    )


def take_back(db: Transaction, conversation: ConversationId, message: int) -> bool:
    """Nothing is kept of what it has said. False if it was taken back before."""
    changed = db.execute(
        "INSERT INTO chat_text (message, conversation, digest, excerpt, gone)"
        " VALUES (?, ?, x'', '', 1) ON CONFLICT (message) DO UPDATE SET digest = x'',"
        " excerpt = '', gone = 1 WHERE NOT gone",
        (message, conversation),
    )
    return changed.rowcount == 1
