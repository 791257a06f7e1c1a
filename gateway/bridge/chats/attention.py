# SPDX-License-Identifier: Apache-2.0
"""Who wants somebody's attention (XEP-0224; REQ-457): as the network has it, else in words."""

from __future__ import annotations

from msgspec import structs

from gateway.bridge.outbound.wanted import Declined
from gateway.events import FailureReason, RemoteMessage, SendText
from gateway.ids import ConversationId
from gateway.locale import in_language
from gateway.store import Transaction, conversations
from gateway.text.wording import tr

_EVERY_S = 60.0
_WORDS = tr("/me wants your attention.")
_TOO_SOON = tr("You can ask somebody for attention once a minute.")


def wanted(
    db: Transaction,
    chat: ConversationId,
    text: SendText,
    now: float,
    *,
    language: str,
    has_network_it: bool,
) -> SendText | Declined:
    """What the user sends, as the network takes it. Words and files always go on.

    ``language``: that of the user, who says it.
    """
    says_more = bool(text.body) or text.file is not None
    if says_more and not has_network_it:
        return structs.replace(text, attention=False)
    if not conversations.tell_seldom(db, chat, "attention", now, _EVERY_S):
        if says_more:
            return structs.replace(text, attention=False)
        return Declined(FailureReason.BUSY, _TOO_SOON)
    if has_network_it:
        return text
    return structs.replace(text, body=in_language(_WORDS, language), attention=False)


def in_words(event: RemoteMessage, language: str) -> RemoteMessage:
    """What comes from the network without any, for clients that cannot show it otherwise."""
    if not event.attention or event.body or event.files:
        return event
    return structs.replace(event, body=in_language(_WORDS, language))
