# SPDX-License-Identifier: Apache-2.0
"""The two journals. A row stays open until its fate is known for certain."""

from gateway.store.journal.inbound import (
    InboundRow,
    InboundState,
    add_inbound,
    bounce,
    close_inbound,
    newest_inbound,
    open_inbound,
    open_inbound_conversations,
    recent_inbound,
    set_inbound_state,
)
from gateway.store.journal.outbound import (
    NO_STANZA,
    Earlier,
    OutboundRow,
    OutboundState,
    add_outbound,
    earlier_outbound,
    echoed_message,
    mark_attempted,
    open_outbound,
    open_outbound_conversations,
    readdress,
    settle_outbound,
)

__all__ = [
    "NO_STANZA",
    "Earlier",
    "InboundRow",
    "InboundState",
    "OutboundRow",
    "OutboundState",
    "add_inbound",
    "add_outbound",
    "bounce",
    "close_inbound",
    "earlier_outbound",
    "echoed_message",
    "mark_attempted",
    "newest_inbound",
    "open_inbound",
    "open_inbound_conversations",
    "open_outbound",
    "open_outbound_conversations",
    "readdress",
    "recent_inbound",
    "set_inbound_state",
    "settle_outbound",
]
