# SPDX-License-Identifier: Apache-2.0
"""Edits of messages that wait, because another one may follow at once (REQ-423). Of each
message the last one waits; those before it are kept, since that may be taken back."""

from __future__ import annotations

from gateway.events import RemoteMessage, RemoteRoomMessage
from gateway.ids import AccountId, ConversationId, NetworkName, RemoteMessageId
from gateway.store.journal import payload
from gateway.store.writer import Connection, Transaction

Edit = RemoteMessage | RemoteRoomMessage

_OVERTAKEN = 20
"""Edits of one message that are kept besides the one that waits. Nobody makes more in the time."""


def put(
    db: Transaction,
    conversation: ConversationId,
    message: int,
    event: Edit,
    now: float,
    *,
    quiet_s: float,
    longest_s: float,
) -> None:
    """It waits until no other one has come for so long, but not longer than the longest time after
    the first of those that were not told."""
    before = waiting(db, message)
    if before is not None:
        _overtake(db, message, before)
    db.execute(
        "INSERT INTO waiting_edit (message, conversation, since, due_at, payload)"
        " VALUES (?, ?, ?, ?, ?) ON CONFLICT (message) DO UPDATE SET payload = excluded.payload,"
        " due_at = min(excluded.due_at, since + ?)",
        (message, conversation, now, now + quiet_s, payload.encode(event), longest_s),
    )


def _overtake(db: Transaction, message: int, event: Edit) -> None:
    db.execute(
        "INSERT INTO overtaken_edit (message, edit, payload) VALUES (?, ?, ?)",
        (message, event.id, payload.encode(event)),
    )
    db.execute(
        "DELETE FROM overtaken_edit WHERE message = ? AND id <="
        " (SELECT id FROM overtaken_edit WHERE message = ? ORDER BY id DESC LIMIT 1 OFFSET ?)",
        (message, message, _OVERTAKEN),
    )


def take(db: Transaction, message: int) -> Edit | None:
    """The edit of a message, which does not wait any longer; None if none does that this version
    can read."""
    found = db.execute(
        "DELETE FROM waiting_edit WHERE message = ? RETURNING payload", (message,)
    ).fetchone()
    return None if found is None else payload.edit(found[0])


def take_back(db: Transaction, message: int, edit: RemoteMessageId) -> None:
    """An edit of a message is no more. If it waited, the one before it does in its place."""
    db.execute("DELETE FROM overtaken_edit WHERE message = ? AND edit = ?", (message, edit))
    last = waiting(db, message)
    if last is None or last.id != edit:
        return
    before = db.execute(
        "DELETE FROM overtaken_edit WHERE id ="
        " (SELECT id FROM overtaken_edit WHERE message = ? ORDER BY id DESC LIMIT 1)"
        " RETURNING payload",
        (message,),
    ).fetchone()
    if before is None:
        take(db, message)
    else:
        db.execute("UPDATE waiting_edit SET payload = ? WHERE message = ?", (*before, message))


def waiting(db: Connection, message: int) -> Edit | None:
    """The edit of a message that waits, if one does that this version can read."""
    found = db.execute("SELECT payload FROM waiting_edit WHERE message = ?", (message,)).fetchone()
    return None if found is None else payload.edit(found[0])


def since(db: Connection, message: int) -> float | None:
    """When the first edit of a message came of which nobody was told yet; None if none waits."""
    found = db.execute("SELECT since FROM waiting_edit WHERE message = ?", (message,)).fetchone()
    return None if found is None else found[0]


def of(db: Connection, conversation: ConversationId, limit: int) -> list[int]:
    """So many messages of a conversation of which edits wait, in the order in which these came."""
    found = db.execute(
        "SELECT message FROM waiting_edit WHERE conversation = ? ORDER BY since, message LIMIT ?",
        (conversation, limit),
    )
    return [message for (message,) in found]


_DUE = (
    "SELECT waiting_edit.due_at, account.id, waiting_edit.message FROM waiting_edit"
    " JOIN conversation ON conversation.id = waiting_edit.conversation"
)
_IN_TIME = (
    " WHERE (waiting_edit.due_at <= ? OR waiting_edit.since > ?) AND account.network = ?"
    " ORDER BY waiting_edit.due_at LIMIT ?"
)
_OF_CHATS = f"{_DUE} JOIN account ON account.id = conversation.account{_IN_TIME}"
_OF_ROOMS = (
    f"{_DUE} JOIN account_room ON account_room.room = conversation.room"
    f" JOIN account ON account.id = account_room.account{_IN_TIME}"
)


def due(
    db: Connection, network: NetworkName, now: float, limit: int
) -> list[tuple[AccountId, int]]:
    """The messages of which edits have waited long enough, each with the account whose chat it is
    in, or with each of the accounts that are in the room; so many of either kind. A clock that was
    set back makes nobody wait."""
    found = [
        row
        for sql in (_OF_CHATS, _OF_ROOMS)
        for row in db.execute(sql, (now, now, network, limit))
    ]
    return [(AccountId(account), message) for _, account, message in sorted(found)]


def are_any(db: Connection) -> bool:
    """Whether any edit waits, of whomever."""
    return db.execute("SELECT 1 FROM waiting_edit LIMIT 1").fetchone() is not None
