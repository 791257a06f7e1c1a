# SPDX-License-Identifier: Apache-2.0
"""Stanzas on their way to users: open until it is certain that their servers have them."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gateway.events import Delivery, RoomDelivery
from gateway.ids import (
    AccountId,
    ConversationId,
    NetworkName,
    RemoteUserId,
    RowId,
    StanzaId,
    UserJid,
)
from gateway.store.conversations import CONTACT, OF_NETWORK, Speaker
from gateway.store.journal import payload
from gateway.store.writer import Connection, Transaction

_RECENT = 10


class InboundState(enum.IntEnum):
    """*Written* is not stored: it holds within one connection only."""

    COMMITTED = 0
    TAKEN_OVER = 1
    """Our server answered a barrier that was sent after it."""
    SETTLED = 2
    DEAD = 3
    """Given up, and said so."""


@dataclass(slots=True, kw_only=True, eq=False)
class InboundRow:
    """A stanza on its way to a user."""

    id: RowId
    account: AccountId
    conversation: ConversationId
    user: UserJid
    contact: RemoteUserId
    stanza_id: StanzaId
    delivery: Delivery | None
    """None if this version cannot read it."""
    committed_at: float
    state: InboundState = InboundState.COMMITTED
    resent: bool = False
    """May have been written before: it then carries when it was first sent (REQ-906)."""
    bounces: int = 0
    written_at: float = field(default=0.0)
    """Monotonic; of a row that comes from the store, when it last changed by the clock."""
    received: bool = False
    """A client of the user has said so."""
    size: int = 0
    """Bytes of its payload."""
    after: RowId = field(default=RowId(0))
    """A row that has its turn before it, though it is newer: what it is about was told later."""
    speaker: Speaker | None = None
    """By whom it was written, if it is what the user has done in another app;"""
    told_by: Speaker | None = None
    """and by whom that was told which it is about, as in `MessageRow`."""

    @property
    def turn(self) -> tuple[RowId, RowId]:
        """In the order of its conversation."""
        return max((self.id, RowId(0)), (self.after, self.id))

    @property
    def is_of_room(self) -> bool:
        """It is for the sessions in a room. What comes back of it is one session's trouble, so it
        is never written again for that (REQ-557)."""
        return isinstance(self.delivery, RoomDelivery)


def add_inbound(
    db: Transaction,
    *,
    account: AccountId,
    conversation: ConversationId,
    user: UserJid,
    contact: RemoteUserId,
    stanza_id: StanzaId,
    delivery: Delivery,
    now: float,
) -> InboundRow:
    """Append to the inbound journal."""
    encoded = payload.encode(delivery)
    made = db.execute(
        "INSERT INTO inbound (conversation, stanza_id, payload, committed_at, changed_at)"
        " VALUES (?, ?, ?, ?, ?)",
        (conversation, stanza_id, encoded, now, now),
    )
    assert made.lastrowid is not None
    return InboundRow(
        id=RowId(made.lastrowid),
        account=account,
        conversation=conversation,
        user=user,
        contact=contact,
        stanza_id=stanza_id,
        delivery=delivery,
        committed_at=now,
        size=len(encoded),
    )


OF_SHARED_ROOM = AccountId(0)
"""Whose rows those of a shared room are: nobody's alone, and so without a user."""

_INBOUND = (
    f"inbound.id, coalesce(conversation.account, {OF_SHARED_ROOM}), inbound.conversation,"
    f" coalesce(account.user, ''), {CONTACT},"
    " inbound.stanza_id, inbound.payload, inbound.committed_at, inbound.state, inbound.bounces,"
    " inbound.changed_at"
    " FROM inbound JOIN conversation ON conversation.id = inbound.conversation"
    " LEFT JOIN account ON account.id = conversation.account"
)


def _inbound(values: Sequence[object]) -> InboundRow:
    return InboundRow(
        id=values[0],  # type: ignore[arg-type]
        account=values[1],  # type: ignore[arg-type]
        conversation=values[2],  # type: ignore[arg-type]
        user=values[3],  # type: ignore[arg-type]
        contact=values[4],  # type: ignore[arg-type]
        stanza_id=values[5],  # type: ignore[arg-type]
        delivery=payload.delivery(values[6]),  # type: ignore[arg-type]
        committed_at=values[7],  # type: ignore[arg-type]
        state=InboundState(values[8]),  # type: ignore[arg-type]
        bounces=values[9],  # type: ignore[arg-type]
        written_at=values[10],  # type: ignore[arg-type]
        # It comes from the store, not from the hand that committed it: it may have been written.
        resent=True,
        size=len(values[6]),  # type: ignore[arg-type]
    )


def open_inbound(
    db: Connection, conversation: ConversationId, after: RowId, limit: int
) -> list[InboundRow]:
    """The next unsettled rows of a conversation, in order."""
    rows = db.execute(
        f"SELECT {_INBOUND} WHERE inbound.conversation = ? AND inbound.state < 2"
        " AND inbound.id > ? ORDER BY inbound.id LIMIT ?",
        (conversation, after, limit),
    )
    return [_inbound(values) for values in rows]


def recent_inbound(db: Connection, stanza_id: StanzaId) -> list[InboundRow]:
    """What can come back under this id, newest first, while its content is kept for that.

    A few at most: ids are ours, so that one of several users may have it, but nobody many times.
    """
    rows = db.execute(
        f"SELECT {_INBOUND} WHERE inbound.stanza_id = ? ORDER BY inbound.id DESC LIMIT ?",
        (stanza_id, _RECENT),
    )
    return [_inbound(values) for values in rows]


def open_named(
    db: Connection, conversation: ConversationId, stanza_id: StanzaId
) -> list[InboundRow]:
    """Those rows of a conversation that are not settled and have this id."""
    rows = db.execute(
        f"SELECT {_INBOUND} WHERE inbound.stanza_id = ? AND inbound.conversation = ?"
        " AND inbound.state < 2 ORDER BY inbound.id",
        (stanza_id, conversation),
    )
    return [_inbound(values) for values in rows]


def open_inbound_conversations(
    db: Connection, network: NetworkName
) -> list[tuple[AccountId, ConversationId]]:
    """Conversations of a network with unsettled rows."""
    rows = db.execute(
        f"SELECT DISTINCT coalesce(conversation.account, {OF_SHARED_ROOM}), inbound.conversation"
        f" FROM inbound JOIN conversation ON conversation.id = inbound.conversation{OF_NETWORK}"
        " WHERE inbound.state < 2 AND coalesce(account.network, room.network) = ?"
        " ORDER BY 1, 2",
        (network,),
    )
    return [(AccountId(account), ConversationId(conversation)) for account, conversation in rows]


def newest_inbound(db: Connection) -> RowId:
    """The newest row there is, of whomever; 0 if there is none."""
    (newest,) = db.execute("SELECT coalesce(max(id), 0) FROM inbound").fetchone()
    return RowId(newest)


def set_inbound_state(
    db: Transaction, rows: Iterable[RowId], state: InboundState, now: float
) -> None:
    """Move rows from one open state to another. What is settled or dead stays so."""
    db.executemany(
        "UPDATE inbound SET state = ?, changed_at = ? WHERE id = ? AND state < 2",
        [(state, now, row) for row in rows],
    )


def close_inbound(
    db: Transaction, rows: Iterable[InboundRow], state: InboundState, now: float
) -> list[InboundRow]:
    """Rows are settled or dead. Returns those that were open until now."""
    change = "UPDATE inbound SET state = ?, changed_at = ? WHERE id = ? AND state < 2"
    return [row for row in rows if db.execute(change, (state, now, row.id)).rowcount]


def reword(db: Transaction, row: RowId, delivery: Delivery) -> None:
    """A row says it in another way when it is written again."""
    db.execute("UPDATE inbound SET payload = ? WHERE id = ?", (payload.encode(delivery), row))


def put_last(db: Transaction, row: InboundRow, delivery: Delivery, now: float) -> InboundRow:
    """A row that was never written has its turn after all that there is now, and says this."""
    db.execute("DELETE FROM inbound WHERE id = ?", (row.id,))
    moved = add_inbound(
        db,
        account=row.account,
        conversation=row.conversation,
        user=row.user,
        contact=row.contact,
        stanza_id=row.stanza_id,
        delivery=delivery,
        now=now,
    )
    moved.size = row.size  # as it was counted
    return moved


def bounce(db: Transaction, row: InboundRow, now: float) -> list[InboundRow]:
    """A row came back and is written again. Returns it if it was not open any longer."""
    found = db.execute("SELECT state FROM inbound WHERE id = ?", (row.id,)).fetchone()
    db.execute(
        "UPDATE inbound SET state = ?, bounces = bounces + 1, changed_at = ? WHERE id = ?",
        (InboundState.COMMITTED, now, row.id),
    )
    return [row] if found is not None and found[0] >= InboundState.SETTLED else []
