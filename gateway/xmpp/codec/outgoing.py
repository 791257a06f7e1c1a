# SPDX-License-Identifier: Apache-2.0
"""Writing deliveries: a row of the inbound journal becomes a stanza."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gateway.events import (
    ChatMessage,
    Displayed,
    Failure,
    GatewayNotice,
    Notice,
    OwnDisplayed,
    OwnMessage,
    Receipt,
    SubscriptionRequest,
    Unavailable,
    Unsubscribed,
)
from gateway.store.journal import InboundRow
from gateway.xmpp.codec import errors
from gateway.xmpp.codec.xml import Stanza, attribute, text

STORE = "<store xmlns='urn:xmpp:hints'/>"
NO_STORE = "<no-store xmlns='urn:xmpp:hints'/>"
MARKABLE = "<markable xmlns='urn:xmpp:chat-markers:0'/>"
"""Without it Conversations tells nobody that a message was read (XEP-0333 §4.1)."""
_NO_CARBON = "<private xmlns='urn:xmpp:carbons:2'/>"
"""XEP-0280 §9."""
_DELAYED_S = 60.0
"""Content older than this carries when it was sent (REQ-410)."""


@dataclass(slots=True, kw_only=True)
class Route:
    """The addresses of a row, and what its user's server and network allow."""

    puppet: str
    """Bare JID of the contact's puppet, or of the gateway."""
    resource: str
    user: str
    gateway: str
    read_marks: bool
    wants_receipt: bool
    may_send_as_user: str
    """The user's server, if it lets us send in the user's name (XEP-0356); else empty."""
    marks: str = ""
    """XML that marks what comes from an occupant, who is puppet and resource then."""

    @property
    def sender(self) -> str:
        """The one full JID from which everything of a puppet comes (REQ-405)."""
        return f"{self.puppet}/{self.resource}"


def delay(stamp: float, sender: str) -> str:
    """XEP-0203."""
    when = timestamp(stamp)
    return f"<delay xmlns='urn:xmpp:delay' from='{attribute(sender)}' stamp='{when}'/>"


def timestamp(stamp: float) -> str:
    """XEP-0082 §3.2. With a fraction, or what was sent within one second is sorted by chance."""
    precision = "seconds" if stamp == int(stamp) else "milliseconds"
    when = datetime.fromtimestamp(stamp, UTC).replace(tzinfo=None).isoformat("T", precision)
    return f"{when}Z"


def stanza_of(row: InboundRow, route: Route, now: float) -> Stanza | None:
    """The stanza of a row; None if this user's server gives us no way to say it."""
    return _WRITERS[type(row.delivery)](row, row.delivery, route, now)


def chat_state(state: str, sender: str, user: str, kind: str = "chat", marks: str = "") -> Stanza:
    """XEP-0085 §5.1, §5.5."""
    inner = f"<{state} xmlns='http://jabber.org/protocol/chatstates'/>{NO_STORE}{marks}"
    return Stanza("message", sender, user, kind, inner=inner)


def subscription(kind: str, puppet: str, user: str, name: str = "") -> Stanza:
    """RFC 6121 §3: between bare JIDs, always (REQ-302)."""
    return Stanza("presence", puppet, user, kind, inner=nick(name) if kind == "subscribe" else "")


def nick(name: str) -> str:
    """XEP-0172."""
    return f"<nick xmlns='http://jabber.org/protocol/nick'>{text(name)}</nick>" if name else ""


def replacing(message: str | None) -> str:
    """XEP-0308 §3; empty if nothing is replaced."""
    if message is None:
        return ""
    return f"<replace xmlns='urn:xmpp:message-correct:0' id='{attribute(message)}'/>"


def _displayed(message: str) -> str:
    return f"<displayed xmlns='urn:xmpp:chat-markers:0' id='{attribute(message)}'/>"


def _message(row: InboundRow, route: Route, inner: str) -> Stanza:
    # A repeated stanza says when it was first sent: Conversations then looks for its double.
    late = delay(row.committed_at, route.puppet) if row.resent else ""
    inner += late + route.marks
    return Stanza("message", route.sender, route.user, "chat", row.stanza_id, inner)


def _chat(
    row: InboundRow,
    body: str,
    sent_at: float,
    route: Route,
    now: float,
    *,
    plain: bool = False,
    name: str = "",
    replaces: str | None = None,
    hint: str = "",
) -> Stanza:
    parts = [
        f"<body>{text(body)}</body>{replacing(replaces)}",
        f"<origin-id xmlns='urn:xmpp:sid:0' id='{attribute(row.stanza_id)}'/>",
    ]
    if not plain:
        if route.wants_receipt:
            parts.append("<request xmlns='urn:xmpp:receipts'/>")
        if route.read_marks:
            parts.append(MARKABLE)
        parts.append("<active xmlns='http://jabber.org/protocol/chatstates'/>")
        if not route.marks:
            parts.append(nick(name))
    if row.resent or now - sent_at > _DELAYED_S:
        parts.append(delay(sent_at, route.puppet))
    parts += (hint, route.marks)
    return Stanza("message", route.sender, route.user, "chat", row.stanza_id, "".join(parts))


def _own(row: InboundRow, message: OwnMessage, route: Route, now: float) -> Stanza:
    """REQ-475: in the user's name where their server lets us, else marked as theirs."""
    if not route.may_send_as_user:
        body = f"You: {message.body}"
        return _chat(row, body, message.sent_at, route, now, plain=True, replaces=message.replaces)
    late = row.resent or now - message.sent_at > _DELAYED_S
    inner = (
        f"<body>{text(message.body)}</body>{replacing(message.replaces)}"
        f"<origin-id xmlns='urn:xmpp:sid:0' id='{attribute(row.stanza_id)}'/>"
        f"{delay(message.sent_at, route.puppet) if late else ''}"
    )
    return _as_user(row, route, inner)


def _as_user(row: InboundRow, route: Route, inner: str) -> Stanza:
    """XEP-0356 §5.3: the message inside is a client's, so its namespace is."""
    forwarded = (
        "<privilege xmlns='urn:xmpp:privilege:2'><forwarded xmlns='urn:xmpp:forward:0'>"
        f"<message xmlns='jabber:client' from='{attribute(route.user)}'"
        f" to='{attribute(route.puppet)}' type='chat' id='{attribute(row.stanza_id)}'>{inner}"
        "</message></forwarded></privilege>"
    )
    return Stanza(
        "message", route.gateway, route.may_send_as_user, id=row.stanza_id, inner=forwarded
    )


def _chat_message(row: InboundRow, message: ChatMessage, route: Route, now: float) -> Stanza:
    return _chat(
        row,
        message.body,
        message.sent_at,
        route,
        now,
        name=message.nick,
        replaces=message.replaces,
        hint=_NO_CARBON if message.to else "",
    )


def _mark(row: InboundRow, mark: Displayed, route: Route, _: float) -> Stanza:
    return _message(row, route, _displayed(mark.message) + STORE)


def _own_mark(row: InboundRow, mark: OwnDisplayed, route: Route, _: float) -> Stanza | None:
    if not route.may_send_as_user:
        return None
    return _as_user(row, route, _displayed(mark.message) + STORE)


def _receipt(row: InboundRow, receipt: Receipt, route: Route, _: float) -> Stanza:
    inner = f"<received xmlns='urn:xmpp:receipts' id='{attribute(receipt.message)}'/>"
    return _message(row, route, inner + STORE)


def _failure(_: InboundRow, failure: Failure, route: Route, __: float) -> Stanza:
    error = errors.OF_REASON[failure.reason].xml(failure.text)
    sender = route.sender if route.marks else route.puppet
    return Stanza("message", sender, failure.to, "error", failure.message, error)


def _notice(row: InboundRow, notice: Notice, route: Route, now: float) -> Stanza:
    return _chat(row, f"[{notice.text}]", row.committed_at, route, now, plain=True)


def _gateway_notice(row: InboundRow, notice: GatewayNotice, route: Route, now: float) -> Stanza:
    return _chat(row, notice.text, row.committed_at, route, now, plain=True)


def _request(_: InboundRow, request: SubscriptionRequest, route: Route, __: float) -> Stanza:
    return subscription("subscribe", route.puppet, route.user, request.name)


def _unavailable(_: InboundRow, __: Unavailable, route: Route, ___: float) -> Stanza:
    return Stanza("presence", route.sender, route.user, "unavailable")


def _unsubscribed(_: InboundRow, __: Unsubscribed, route: Route, ___: float) -> Stanza:
    return subscription("unsubscribed", route.puppet, route.user)


_WRITERS: dict[type, Callable[[InboundRow, Any, Route, float], Stanza | None]] = {
    ChatMessage: _chat_message,
    OwnMessage: _own,
    Displayed: _mark,
    OwnDisplayed: _own_mark,
    Receipt: _receipt,
    Failure: _failure,
    Notice: _notice,
    GatewayNotice: _gateway_notice,
    SubscriptionRequest: _request,
    Unavailable: _unavailable,
    Unsubscribed: _unsubscribed,
}
