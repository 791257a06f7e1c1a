# SPDX-License-Identifier: Apache-2.0
"""Events that could not be stored or read: kept for a while, so that the admin can look at them,
and try them again with a later version."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from gateway.events import RemoteEvent, RemoteUnreadable
from gateway.ids import AccountId, NetworkName, RemoteMessageId, UserJid
from gateway.store.writer import Connection, Transaction
from gateway.text import clean
from gateway.text.wording import plain

_CONTENT_CHARS = 256 * 1024
_REASON_CHARS = 500
_KEPT = 1000
"""Of one account: the newest. An adapter that errs in everything must not fill the disk."""

_decoder = msgspec.json.Decoder(RemoteEvent)


@dataclass(frozen=True, slots=True)
class DeadEvent:
    """Something of a network that never became a message."""

    id: int
    network: NetworkName
    user: UserJid
    kind: str
    """What it was: ``RemoteMessage``, …"""
    stored_at: float


def add(
    db: Transaction,
    account: AccountId,
    event: object,
    reason: str,
    now: float,
    remote_id: RemoteMessageId | None = None,
) -> int | None:
    """Keep an event. Returns its number; None if the one of this ``remote_id`` is there."""
    made = db.execute(
        "INSERT INTO dead_event (account, remote_id, kind, content, reason, stored_at)"
        " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (account, remote_id, type(event).__name__, _written(event), _short(reason), now),
    )
    if not made.rowcount:
        return None
    db.execute(
        "DELETE FROM dead_event WHERE account = ? AND id <="
        " (SELECT id FROM dead_event WHERE account = ? ORDER BY id DESC LIMIT 1 OFFSET ?)",
        (account, account, _KEPT),
    )
    return made.lastrowid


def dead_events(db: Connection) -> list[DeadEvent]:
    """All that are kept, in the order in which they came."""
    rows = db.execute(
        "SELECT dead_event.id, account.network, account.user, dead_event.kind,"
        " dead_event.stored_at FROM dead_event JOIN account ON account.id = dead_event.account"
        " WHERE dead_event.id > 0 ORDER BY dead_event.id"
    )
    return [DeadEvent(*values) for values in rows]


def content_of(db: Connection, event: int) -> tuple[str, str] | None:
    """Why it could not be taken, and what it was."""
    found = db.execute("SELECT reason, content FROM dead_event WHERE id = ?", (event,)).fetchone()
    return None if found is None else (found[0], found[1])


def retry(db: Transaction, events: Iterable[int]) -> int:
    """They are tried again with the next session. Returns how many can be."""
    count = 0
    for event in events:
        found = content_of(db, event)
        if found is not None and _read(found[1]) is not None:
            db.execute("UPDATE dead_event SET again = 1 WHERE id = ?", (event,))
            count += 1
    return count


def to_retry(db: Connection, account: AccountId) -> list[tuple[int, RemoteEvent]]:
    """Number and event of those that are to be tried again."""
    rows = db.execute(
        "SELECT id, content FROM dead_event WHERE account = ? AND again = 1 ORDER BY id",
        (account,),
    )
    read = [(number, _read(content)) for number, content in rows]
    return [(number, event) for number, event in read if event is not None]


def drop(db: Transaction, events: Iterable[int]) -> int:
    """They are deleted. Returns how many."""
    delete = "DELETE FROM dead_event WHERE id = ?"
    return sum(db.execute(delete, (event,)).rowcount for event in events)


def _read(content: str) -> RemoteEvent | None:
    """None for what no version can take again: it was no event, or is not whole."""
    try:
        event = _decoder.decode(content)
    except msgspec.DecodeError:
        return None
    return None if isinstance(event, RemoteUnreadable) else event


def _written(event: object) -> str:
    """As JSON where that is possible; for people where it is not."""
    try:
        written = msgspec.json.encode(event, enc_hook=plain).decode()
    except Exception:  # it may be anything at all
        try:
            written = clean(repr(event))
        except Exception:
            written = "?"
    return written[:_CONTENT_CHARS]


def _short(reason: str) -> str:
    return clean(reason)[:_REASON_CHARS]
