# SPDX-License-Identifier: Apache-2.0
"""Accounts, chats and messages, as tests of the store need them."""

from __future__ import annotations

from gateway.events import ChatMessage, SendText
from gateway.ids import (
    AccountId,
    ConversationId,
    NetworkName,
    RemoteMessageId,
    RemoteUserId,
    StanzaId,
    UserJid,
)
from gateway.store import Connection, Transaction, accounts, conversations, journal
from gateway.store.conversations import Origin
from gateway.store.journal import InboundRow, OutboundRow

NETWORK = NetworkName("net")
BOB = RemoteUserId("bob")


def account(db: Transaction, user: str) -> AccountId:
    """A linked account."""
    return accounts.add(
        db,
        network=NETWORK,
        user=UserJid(user),
        realm="realm",
        remote_id=RemoteUserId(f"@{user}"),
        now=0,
    )


def chat(db: Transaction, user: str) -> tuple[AccountId, ConversationId]:
    """A linked account and its chat with bob."""
    made = account(db, user)
    return made, conversations.chat(db, made, BOB)


def message(
    db: Transaction,
    conversation: ConversationId,
    name: str,
    sent_at: float = 0,
    now: float | None = None,
) -> int:
    """A message of bob with the alias ``name``."""
    stored = conversations.add_message(
        db,
        conversation,
        stanza_id=StanzaId(name),
        origin=Origin.CONTACT,
        sent_at=sent_at,
        now=now,
        remote_id=RemoteMessageId(f"${name}"),
    )
    assert stored is not None
    return stored


def inbound(
    db: Transaction, of: AccountId, conversation: ConversationId, name: str, now: float = 0
) -> InboundRow:
    """A row on its way to the user."""
    sid = StanzaId(name)
    return journal.add_inbound(
        db,
        account=of,
        conversation=conversation,
        user=UserJid("alice@example.org"),
        contact=BOB,
        stanza_id=sid,
        delivery=ChatMessage(id=sid, body=name, sent_at=now),
        now=now,
    )


def outbound(
    db: Transaction, of: AccountId, conversation: ConversationId, name: str, now: float = 0
) -> OutboundRow:
    """A row on its way to the network."""
    return journal.add_outbound(
        db,
        account=of,
        conversation=conversation,
        contact=BOB,
        command=SendText(contact=BOB, body=name),
        now=now,
        stanza_id=StanzaId(name),
    )


def count(db: Connection, table: str) -> int:
    """How many rows a table has."""
    (rows,) = db.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(rows)
