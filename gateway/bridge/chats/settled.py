# SPDX-License-Identifier: Apache-2.0
"""What the gateway knows of a chat once the network has what the user wanted there.

Runs inside the writer's transaction.
"""

from __future__ import annotations

from gateway.adapter import Sent
from gateway.bridge.chats import references
from gateway.events import React, Retract, SendText
from gateway.ids import RemoteMessageId, RemoteUserId, StanzaId
from gateway.store import Transaction, chat_texts, conversations, reactions, waiting_edits
from gateway.store.conversations import MessageRow, Origin
from gateway.store.journal import OutboundRow


def accepted(db: Transaction, own: RemoteUserId, row: OutboundRow, sent: Sent, now: float) -> None:
    """The network has it. ``own``: what the account is called there."""
    target = None if row.target is None else conversations.message(db, row.target)
    match row.command:
        case SendText() if row.message is not None:
            _said(db, row, row.message, row.command, target)
        case React() if target is not None:
            _reacted(db, own, row, row.command, sent, target, now)
        case Retract() if target is not None:
            _taken_back(db, row, target)


def _said(
    db: Transaction,
    row: OutboundRow,
    message: int,
    text: SendText,
    target: MessageRow | None,
) -> None:
    stored = conversations.message(db, message)
    if stored is None or stored.about is None or target is None:
        return
    if text.edits is not None:
        _edited(db, row, text, stored, conversations.original(db, target))
        return
    # A correction was said anew: its ids mean that from now on, and so do those of what never
    # arrived.
    conversations.set_about(db, message, None)
    chat_texts.put(db, row.conversation, message, text.body, text.spans)
    if target.remote_id is None:
        conversations.set_about(db, target.id, message)


def _edited(
    db: Transaction, row: OutboundRow, text: SendText, edit: MessageRow, target: MessageRow
) -> None:
    """Edits that the user made with another app before this one are of no interest any more; those
    made while this one was under way come after it."""
    waiting = waiting_edits.waiting(db, target.id)
    if waiting is None or not _is_later(row, waiting.sent_at):
        waiting_edits.take(db, target.id)
    known = chat_texts.of(db, target.id)
    told_at = None
    if known is not None and known.edit is not None:
        told_at = conversations.sent_at(db, row.conversation, known.edit)
    if told_at is None or not _is_later(row, told_at):
        chat_texts.put(db, row.conversation, target.id, text.body, text.spans, edit=edit.remote_id)


def _is_later(row: OutboundRow, made_at: float) -> bool:
    """Than what the network was given."""
    return row.attempted_at is not None and made_at > row.attempted_at


def _reacted(
    db: Transaction,
    own: RemoteUserId,
    row: OutboundRow,
    command: React,
    sent: Sent,
    target: MessageRow,
    now: float,
) -> None:
    elsewhere = _made_elsewhere(db, own, row, command, sent, target)
    reactions.put(db, target.id, own, {**elsewhere, **sent.reactions})
    for remote_id in sent.reactions.values():  # what comes back is known
        conversations.add_message(
            db,
            row.conversation,
            stanza_id=StanzaId(""),
            origin=Origin.USER,
            sent_at=now,
            remote_id=remote_id,
            about=target.id,
        )


def _made_elsewhere(
    db: Transaction,
    own: RemoteUserId,
    row: OutboundRow,
    command: React,
    sent: Sent,
    target: MessageRow,
) -> dict[str, RemoteMessageId]:
    """What is wanted, and was made by another app of the user while this was under way."""
    if target.remote_id is None:
        return {}
    wanted = set(command.emoji) - set(sent.reactions)
    known = reactions.of_sender(db, row.conversation, target.remote_id, own)
    return {emoji: id for emoji, id in known.items() if emoji in wanted}


def _taken_back(db: Transaction, row: OutboundRow, target: MessageRow) -> None:
    """All parts of it, and what people have reacted with."""
    for part in references.parts(db, row.conversation, target):
        chat_texts.take_back(db, row.conversation, part.id)
        waiting_edits.take(db, part.id)
        reactions.drop(db, part.id)
