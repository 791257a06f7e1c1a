# SPDX-License-Identifier: Apache-2.0
"""Encrypted events that cannot be read yet: kept as they came until what they need is there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gateway.events import RemoteReaction, RemoteRoomReaction, RemoteUndecryptable
from gateway.ids import AccountId, ConversationId, NetworkName, RemoteMessageId, RemoteUserId
from gateway.store.journal import payload
from gateway.store.writer import Connection, Transaction

Reaction = RemoteReaction | RemoteRoomReaction

_KEPT = 10_000
_KEPT_CHARACTERS = 32 * 1024 * 1024
_REACTIONS = 100
_SWEEP_EVERY = 100
_AT_ONCE = 2_000
"""Events that one key may release at once: the newest ones."""


@dataclass(frozen=True, slots=True)
class Untold:
    """An event in whose place the user has not been given anything."""

    account: AccountId
    conversation: ConversationId
    event: RemoteUndecryptable


_EVENT = (
    "coalesce(conversation.contact, held.sender), held.remote_id, held.sent_at, held.content,"
    " held.own, held.needs, held.reason, (SELECT room_link.remote_id FROM room_link"
    " WHERE room_link.room = conversation.room AND room_link.home)"
)


_OF_ACCOUNT = (
    "conversation.id IN (SELECT id FROM conversation WHERE account = ? UNION ALL"
    " SELECT conversation.id FROM account_room"
    " JOIN conversation ON conversation.room = account_room.room WHERE account_room.account = ?)"
)


def _event(values: tuple[object, ...]) -> RemoteUndecryptable:
    return RemoteUndecryptable(
        contact=values[0],  # type: ignore[arg-type]
        id=values[1],  # type: ignore[arg-type]
        sent_at=values[2],  # type: ignore[arg-type]
        content=values[3],  # type: ignore[arg-type]
        own=bool(values[4]),
        needs=values[5],  # type: ignore[arg-type]
        reason=values[6],  # type: ignore[arg-type]
        room=values[7],  # type: ignore[arg-type]
    )


def hold(
    db: Transaction,
    conversation: ConversationId,
    event: RemoteUndecryptable,
    now: float,
) -> None:
    """Keep an event. If it is kept already, what it needs and why is what was said last.

    Of a conversation at most the newest 10,000 or so are kept, and of these 32 MiB: they are
    outside of all marks, and their sender may be anybody.
    """
    made = db.execute(
        "INSERT INTO held"
        " (conversation, remote_id, own, sent_at, stored_at, content, needs, reason, sender)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (conversation, remote_id)"
        " DO UPDATE SET needs = excluded.needs, reason = excluded.reason",
        (
            conversation,
            event.id,
            event.own,
            event.sent_at,
            now,
            event.content,
            event.needs,
            event.reason,
            "" if event.room is None else event.contact,
        ),
    )
    if made.lastrowid is not None and made.lastrowid % _SWEEP_EVERY == 0:
        _bound(db, conversation)


def _bound(db: Transaction, conversation: ConversationId) -> None:
    """Drop the oldest events of a conversation that has too many."""
    characters = 0
    rows = db.execute(
        "SELECT rowid, length(content) FROM held WHERE conversation = ? ORDER BY rowid DESC",
        (conversation,),
    )
    for number, (row, length) in enumerate(rows, start=1):
        characters += length
        if number > _KEPT or characters > _KEPT_CHARACTERS:
            db.execute(
                "DELETE FROM held WHERE conversation = ? AND rowid <= ?", (conversation, row)
            )
            return


class Released(NamedTuple):
    """An event that can be read now."""

    kept_since: float
    reactions: tuple[Reaction, ...]
    """To it, in the order in which they came."""


def release(
    db: Transaction, conversation: ConversationId, remote_id: RemoteMessageId
) -> Released | None:
    """It can be read now. None if it was not kept."""
    gone = db.execute(
        "DELETE FROM held WHERE conversation = ? AND remote_id = ? RETURNING stored_at, reactions",
        (conversation, remote_id),
    ).fetchone()
    if gone is None:
        return None
    return Released(float(gone[0]), tuple(payload.reactions(gone[1])) if gone[1] else ())


def react(
    db: Transaction, conversation: ConversationId, event: Reaction, remote_id: RemoteMessageId
) -> None:
    """Keep a reaction with the event that it is about, if that waits to be readable. Of one at
    most 100 are kept."""
    found = db.execute(
        "SELECT reactions FROM held WHERE conversation = ? AND remote_id = ?",
        (conversation, remote_id),
    ).fetchone()
    if found is None:
        return
    kept = payload.reactions(found[0]) if found[0] else []
    # In a room that many share each session tells it.
    if len(kept) < _REACTIONS and all(one.id != event.id for one in kept):
        _put_reactions(db, conversation, remote_id, [*kept, event])


def take_back_reaction(
    db: Transaction, conversation: ConversationId, reaction: RemoteMessageId
) -> None:
    """A reaction to an event that waits is no more."""
    found = db.execute(
        "SELECT remote_id, reactions FROM held WHERE conversation = ? AND reactions IS NOT NULL",
        (conversation,),
    ).fetchall()
    for remote_id, encoded in found:
        kept = payload.reactions(encoded)
        left = [one for one in kept if one.id != reaction]
        if len(left) < len(kept):
            _put_reactions(db, conversation, remote_id, left)


def take_reactions(
    db: Transaction, conversation: ConversationId, remote_id: RemoteMessageId
) -> list[Reaction]:
    """Those to an event in whose place a line is now: they are kept no longer."""
    found = db.execute(
        "SELECT reactions FROM held WHERE conversation = ? AND remote_id = ?",
        (conversation, remote_id),
    ).fetchone()
    if found is None or found[0] is None:
        return []
    _put_reactions(db, conversation, remote_id, [])
    return payload.reactions(found[0])


def _put_reactions(
    db: Transaction,
    conversation: ConversationId,
    remote_id: RemoteMessageId,
    reactions: Sequence[Reaction],
) -> None:
    db.execute(
        "UPDATE held SET reactions = ? WHERE conversation = ? AND remote_id = ?",
        (payload.encode(reactions) if reactions else None, conversation, remote_id),
    )


def sender_of(
    db: Connection, conversation: ConversationId, remote_id: RemoteMessageId
) -> RemoteUserId | None:
    """Who has said in a room what waits to be readable; None if it does not wait."""
    found = db.execute(
        "SELECT sender FROM held WHERE conversation = ? AND remote_id = ?",
        (conversation, remote_id),
    ).fetchone()
    return None if found is None else RemoteUserId(found[0])


def is_own(
    db: Connection, conversation: ConversationId, remote_id: RemoteMessageId
) -> bool | None:
    """Whether an event that waits to be readable is by the account itself; None if it does not
    wait."""
    found = db.execute(
        "SELECT own FROM held WHERE conversation = ? AND remote_id = ?", (conversation, remote_id)
    ).fetchone()
    return None if found is None else bool(found[0])


def kept_since(
    db: Connection, conversation: ConversationId, remote_id: RemoteMessageId
) -> float | None:
    """Since when an event waits to be readable; None if it does not."""
    found = db.execute(
        "SELECT stored_at FROM held WHERE conversation = ? AND remote_id = ?",
        (conversation, remote_id),
    ).fetchone()
    return None if found is None else float(found[0])


def waiting(db: Connection, account: AccountId, needs: str | None) -> list[RemoteUndecryptable]:
    """The events of an account that need this, oldest first; all of them if it is None."""
    if needs is None:
        # The database sorts without the contents: with them it would copy all of them for that.
        rows = db.execute(
            f"SELECT {_EVENT}, held.stored_at, held.rowid FROM held"
            " JOIN conversation ON conversation.id = held.conversation"
            " WHERE held.rowid IN (SELECT held.rowid FROM conversation"
            f" JOIN held ON held.conversation = conversation.id WHERE {_OF_ACCOUNT}"
            " ORDER BY held.stored_at DESC, held.rowid DESC LIMIT ?)",
            (account, account, _AT_ONCE),
        )
        return list(map(_event, sorted(rows, key=lambda values: values[-2:])))
    rows = db.execute(
        f"SELECT {_EVENT} FROM held"
        " JOIN conversation ON conversation.id = held.conversation"
        f" WHERE held.needs = ? AND {_OF_ACCOUNT} ORDER BY held.rowid DESC LIMIT ?",
        (needs, account, account, _AT_ONCE),
    )
    return list(map(_event, rows))[::-1]


def untold(db: Connection, network: NetworkName, before: float, limit: int) -> Iterator[Untold]:
    """Events that have been waiting since before then without a line to the user."""
    rows = db.execute(
        f"SELECT {_EVENT}, account.id, conversation.id FROM held"
        " JOIN conversation ON conversation.id = held.conversation"
        " LEFT JOIN room ON room.id = conversation.room"
        " JOIN account ON account.id = coalesce(conversation.account, room.leader,"
        " (SELECT max(account) FROM account_room WHERE account_room.room = room.id))"
        " WHERE held.told = 0 AND held.needs > '' AND held.stored_at < ? AND account.network = ?"
        " ORDER BY held.stored_at LIMIT ?",
        (before, network, limit),
    )
    for values in rows:
        yield Untold(values[8], values[9], _event(values))


def tell(db: Transaction, conversation: ConversationId, remote_id: RemoteMessageId) -> str | None:
    """The user is given a line in its place. Returns why it waits; None if it does not any more,
    or was told already."""
    found = db.execute(
        "UPDATE held SET told = 1 WHERE conversation = ? AND remote_id = ? AND told = 0"
        " RETURNING reason",
        (conversation, remote_id),
    ).fetchone()
    return None if found is None else str(found[0])
