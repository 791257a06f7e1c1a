# SPDX-License-Identifier: Apache-2.0
"""What is not told any more when its turn comes."""

from __future__ import annotations

from gateway.events import (
    CallInvite,
    ChatMessage,
    ChatReactions,
    ChatRetraction,
    Displayed,
    SubscriptionRequest,
    Unavailable,
    Unsubscribed,
)
from gateway.store import Connection, contacts, sharing
from gateway.store.contacts import Subscription
from gateway.store.journal import InboundRow

_SAID_BY_CONTACTS = (
    ChatMessage,
    ChatReactions,
    ChatRetraction,
    CallInvite,
    Displayed,
    SubscriptionRequest,
)
"""But for those that are the user's own. What became of the user's own texts is told always."""


def is_overtaken(db: Connection, row: InboundRow) -> bool:
    """What has come after it is why it is not told any more: the user wants somebody again
    whose removal it tells (REQ-309), or has blocked whoever has said it (REQ-137)."""
    if isinstance(row.delivery, Unavailable | Unsubscribed):
        contact = contacts.get(db, row.account, row.contact)
        return contact.to_user in (Subscription.ASKED, Subscription.GRANTED)
    return (
        isinstance(row.delivery, _SAID_BY_CONTACTS)
        and not getattr(row.delivery, "own", False)
        and sharing.is_ignored(db, row.account, row.contact)
    )
