# SPDX-License-Identifier: Apache-2.0
"""Messages of networks that keep nothing, when too much waits for their user: counted, told."""

from __future__ import annotations

from gateway.bridge.accounts.languages import told_in
from gateway.bridge.rooms.ways import way_of
from gateway.events import Notice
from gateway.ids import AccountId, ConversationId, NetworkName, RemoteMessageId, stanza_id
from gateway.store import Transaction, backlog, conversations, journal
from gateway.store.journal import InboundRow
from gateway.text.wording import tr


def cut(db: Transaction, conversation: ConversationId, message: RemoteMessageId) -> None:
    """A message is not kept. One that is known already is not missing."""
    if conversations.by_remote_id(db, conversation, message) is None:
        backlog.add_cut(db, conversation)


def tell_cut(
    db: Transaction, network: NetworkName, account: AccountId, language: str, now: float
) -> list[InboundRow]:
    """There is room again: one line in each conversation of which messages are missing."""
    told = []
    for missing in backlog.take_cut(db, account):
        sid = stanza_id(network, missing.user, missing.contact, "cut", str(now))
        text = tr(
            "Messages missing here: {count}. Too much was waiting for you, and this network does "
            "not keep messages.",
            count=missing.messages,
        )
        way = way_of(db, missing.conversation, missing.contact)
        told.append(
            journal.add_inbound(
                db,
                account=account,
                conversation=missing.conversation,
                user=missing.user,
                contact=missing.contact,
                stanza_id=sid,
                delivery=told_in(Notice(id=sid, text=text, through=way), language),
                now=now,
            )
        )
    return told
