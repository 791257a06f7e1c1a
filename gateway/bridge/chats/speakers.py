# SPDX-License-Identifier: Apache-2.0
"""By whom the user's clients are told what the user has said in another app (REQ-475).

That is decided where it is written, by what their server lets us do then, and kept when their
server has it: what is said about it is told by the same one, or no client would believe it.
"""

from __future__ import annotations

from collections.abc import Iterable

from gateway.events import ChatReactions, ChatRetraction, OwnDisplayed, OwnMessage
from gateway.ids import StanzaId
from gateway.store import Transaction, conversations
from gateway.store.conversations import Speaker
from gateway.store.journal import InboundRow
from gateway.store.writer import Connection


def is_own(row: InboundRow) -> bool:
    """Whether it is something that the user has done in another app."""
    told = row.delivery
    return isinstance(told, OwnMessage | OwnDisplayed) or bool(getattr(told, "own", False))


def of_target(db: Connection, row: InboundRow) -> Speaker | None:
    """By whom that was told which a row is about; None if that is not known, or was not said in
    another app."""
    named: StanzaId | None = None
    match row.delivery:
        case OwnMessage():
            named = row.delivery.replaces
        case ChatReactions() | ChatRetraction() if row.delivery.own:
            named = row.delivery.message
    found = None if named is None else conversations.by_alias(db, row.conversation, named)
    return None if found is None else found.speaker


def keep(db: Transaction, rows: Iterable[InboundRow]) -> None:
    """Their server has these rows."""
    for row in rows:
        if isinstance(row.delivery, OwnMessage) and row.delivery.replaces is None:
            conversations.set_speaker(db, row.conversation, row.stanza_id, row.speaker)
