# SPDX-License-Identifier: Apache-2.0
"""Writing deliveries: a row of the inbound journal becomes a stanza."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from msgspec import structs

from gateway.events import (
    CallInvite,
    CallOver,
    ChatMessage,
    ChatReactions,
    ChatReply,
    ChatRetraction,
    Delivery,
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
from gateway.locale import ENGLISH, in_language
from gateway.store.conversations import Speaker
from gateway.store.journal import InboundRow
from gateway.text import moved
from gateway.text.wording import tr
from gateway.xmpp.codec import errors, files, mentions, previews
from gateway.xmpp.codec.incoming import ATTENTION, CALL_INVITES, REACTIONS, REPLY, RETRACT
from gateway.xmpp.codec.restyling import restyled
from gateway.xmpp.codec.xml import Stanza, attribute, text

STORE = "<store xmlns='urn:xmpp:hints'/>"
NO_STORE = "<no-store xmlns='urn:xmpp:hints'/>"
MARKABLE = "<markable xmlns='urn:xmpp:chat-markers:0'/>"
"""Without it Conversations tells nobody that a message was read (XEP-0333 §4.1)."""
_NO_CARBON = "<private xmlns='urn:xmpp:carbons:2'/>"
"""XEP-0280 §9."""
_TAKEN_BACK = tr("A message was taken back, but your client cannot remove it.")
_YOU = tr("You: ")
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
    shows_as_you: bool = True
    """What the user has said in another app is told by the puppet where it cannot be told in their
    name."""
    told_by: Speaker | None = None
    """By whom that was told which the row is about, as in `MessageRow`."""
    language: str = ENGLISH
    """In which the user is spoken to."""
    marks: str = ""
    """XML that marks what comes from an occupant, who is puppet and resource then."""

    @property
    def contact(self) -> str:
        """By what the user's clients call the contact."""
        return self.sender if self.marks else self.puppet

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


def _said(message: ChatMessage | OwnMessage, route: Route, replaces: str | None) -> str:
    """A text with what it answers and what it takes the place of, or a file."""
    reply = message.reply
    thread = f"<thread>{text(message.thread)}</thread>" if message.thread else ""
    if message.file is not None:
        # Whoever answers with a file quotes nothing: the body is an address and no more.
        answers = "" if reply is None else _reply(structs.replace(reply, quote=""), route)
        beside = files.shared(message.file, message.id)
        return f"<body>{text(message.file.url)}</body>{beside}{answers}{thread}"
    above = "" if reply is None else reply.quote
    said = restyled(message.body, message.spans, len(above))
    about = replacing(replaces) + mentions.in_chat(message.mentions, said, len(above)) + thread
    about += previews.described(message.previews)
    answers = "" if reply is None else _reply(reply, route)
    return f"<body>{text(above + said.body)}</body>{said.beside}{answers}{about}"


def _reply(reply: ChatReply, route: Route) -> str:
    """REQ-434: the quote is for clients that know no replies; all others cut it off."""
    author = route.user.partition("/")[0] if reply.is_own else route.contact
    quote = ""
    if reply.quote:
        quote = fallback(REPLY, f"<body start='0' end='{len(reply.quote)}'/>")
    to, id = attribute(author), attribute(reply.message)
    return f"<reply xmlns='{REPLY}' to='{to}' id='{id}'/>{quote}"


def fallback(feature: str, part: str = "") -> str:
    """XEP-0428: what of the body is for clients without a feature; all of it, if not said."""
    return f"<fallback xmlns='urn:xmpp:fallback:0' for='{feature}'>{part}</fallback>"


def _chat(
    row: InboundRow,
    said: str,
    sent_at: float,
    route: Route,
    now: float,
    *,
    plain: bool = False,
    name: str = "",
    hint: str = "",
) -> Stanza:
    """``said``: XML."""
    parts = [
        said,
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
    parts += (_late(row, sent_at, route, now), hint, route.marks)
    return Stanza("message", route.sender, route.user, "chat", row.stanza_id, "".join(parts))


def speaker_of(told: Delivery | None, route: Route) -> Speaker | None:
    """By whom it is told what the user has done in another app; None if it is nothing of that
    kind. What somebody has told is changed by the same one, or by nobody."""
    is_own = isinstance(told, OwnMessage | OwnDisplayed) or getattr(told, "own", False)
    if not is_own:
        return None
    may_be_by_puppet = isinstance(told, OwnMessage | ChatRetraction)
    if route.told_by is Speaker.NOBODY:
        return Speaker.NOBODY
    if route.told_by is Speaker.PUPPET and may_be_by_puppet:
        return Speaker.PUPPET
    if route.may_send_as_user:
        return Speaker.USER
    if isinstance(told, OwnMessage):
        return Speaker.PUPPET if route.shows_as_you else Speaker.NOBODY
    if isinstance(told, ChatRetraction) and not _is_of_user(told, route):
        return Speaker.PUPPET
    return Speaker.NOBODY


def _is_of_user(told: OwnMessage | ChatRetraction, route: Route) -> bool:
    """What it is about came in the user's name: nobody else can change that."""
    return told.of_client or route.told_by is Speaker.USER


def _own(row: InboundRow, message: OwnMessage, route: Route, now: float) -> Stanza | None:
    """REQ-475: in the user's name where their server lets us, else marked as theirs."""
    speaker = speaker_of(message, route)
    if speaker is Speaker.NOBODY:
        return None
    if speaker is Speaker.PUPPET:
        you = in_language(_YOU, route.language)
        said_there = files.in_words(message.body, message.file)
        body, spans = f"{you}{said_there}", moved(message.spans, len(you))
        replaces = None if _is_of_user(message, route) else message.replaces
        named = mentions.after(message.mentions, len(you))
        words = structs.replace(message, body=body, spans=spans, mentions=named, file=None)
        said = _said(words, route, replaces)
        return _chat(row, said, message.sent_at, route, now, plain=True)
    inner = (
        f"{_said(message, route, message.replaces)}"
        f"<origin-id xmlns='urn:xmpp:sid:0' id='{attribute(row.stanza_id)}'/>"
    )
    return _as_user(row, route, inner + _late(row, message.sent_at, route, now))


def _late(row: InboundRow, sent_at: float, route: Route, now: float) -> str:
    """When it was said, if that was not just now (REQ-410)."""
    is_late = row.resent or now - sent_at > _DELAYED_S
    return delay(sent_at, route.puppet) if is_late else ""


def _reactions(
    row: InboundRow, reactions: ChatReactions, route: Route, now: float
) -> Stanza | None:
    """REQ-430; those of the user in their name or not at all (REQ-433)."""
    emoji = "".join(f"<reaction>{text(each)}</reaction>" for each in reactions.emoji)
    target = attribute(reactions.message)
    inner = f"<reactions xmlns='{REACTIONS}' id='{target}'>{emoji}</reactions>{STORE}"
    return _about(row, reactions, route, now, inner)


def _retraction(
    row: InboundRow, retraction: ChatRetraction, route: Route, now: float
) -> Stanza | None:
    """REQ-426. What a client of the user has sent, nobody can take back but the user."""
    inner = (
        f"<retract xmlns='{RETRACT}' id='{attribute(retraction.message)}'/>"
        f"<body>{text(in_language(_TAKEN_BACK, route.language))}</body>{fallback(RETRACT)}{STORE}"
    )
    return _about(row, retraction, route, now, inner)


def _about(
    row: InboundRow,
    told: ChatReactions | ChatRetraction,
    route: Route,
    now: float,
    inner: str,
) -> Stanza | None:
    inner += _late(row, told.sent_at, route, now)
    speaker = speaker_of(told, route)
    if speaker is Speaker.NOBODY:
        return None
    if speaker is Speaker.USER:
        return _as_user(row, route, inner)
    return Stanza("message", route.sender, route.user, "chat", row.stanza_id, inner + route.marks)


def _as_user(row: InboundRow, route: Route, inner: str) -> Stanza:
    """XEP-0356 §5.3: the message inside is a client's, so its namespace is."""
    forwarded = (
        "<privilege xmlns='urn:xmpp:privilege:2'><forwarded xmlns='urn:xmpp:forward:0'>"
        f"<message xmlns='jabber:client' from='{attribute(route.user)}'"
        f" to='{attribute(route.contact)}' type='chat' id='{attribute(row.stanza_id)}'>{inner}"
        f"{route.marks}</message></forwarded></privilege>"
    )
    return Stanza(
        "message", route.gateway, route.may_send_as_user, id=row.stanza_id, inner=forwarded
    )


def _chat_message(row: InboundRow, message: ChatMessage, route: Route, now: float) -> Stanza:
    said = _said(message, route, message.replaces)
    if message.attention and not _late(row, message.sent_at, route, now):
        said += f"<attention xmlns='{ATTENTION}'/>"  # XEP-0224 §4: never after a delay
    return _chat(
        row,
        said,
        message.sent_at,
        route,
        now,
        name=message.nick,
        hint=_NO_CARBON if message.to else "",
    )


def _call_invite(row: InboundRow, invite: CallInvite, route: Route, _: float) -> Stanza:
    """XEP-0482 §2.1. For people there is a line of its own."""
    video = "true" if invite.is_video else "false"
    join = f"<external uri='{attribute(invite.join)}'/>"
    inner = f"<invite xmlns='{CALL_INVITES}' video='{video}'>{join}</invite>"
    return _message(row, route, inner + STORE)


def _call_over(row: InboundRow, over: CallOver, route: Route, _: float) -> Stanza:
    """XEP-0482 §2.2, §2.5."""
    name = "left" if over.was_answered else "retract"
    inner = f"<{name} xmlns='{CALL_INVITES}' id='{attribute(over.invite)}'/>"
    return _message(row, route, inner + STORE)


def _mark(row: InboundRow, mark: Displayed, route: Route, _: float) -> Stanza:
    return _message(row, route, _displayed(mark.message) + STORE)


def _own_mark(row: InboundRow, mark: OwnDisplayed, route: Route, _: float) -> Stanza | None:
    if speaker_of(mark, route) is Speaker.NOBODY:
        return None
    return _as_user(row, route, _displayed(mark.message) + STORE)


def _receipt(row: InboundRow, receipt: Receipt, route: Route, _: float) -> Stanza:
    inner = f"<received xmlns='urn:xmpp:receipts' id='{attribute(receipt.message)}'/>"
    return _message(row, route, inner + STORE)


def _failure(_: InboundRow, failure: Failure, route: Route, __: float) -> Stanza:
    error = errors.OF_REASON[failure.reason].xml(failure.text, language=failure.language)
    sender = route.sender if route.marks else route.puppet
    return Stanza("message", sender, failure.to, "error", failure.message, error)


def _notice(row: InboundRow, notice: Notice, route: Route, now: float) -> Stanza:
    said = f"<body>{text(f'[{notice.text}]')}</body>"
    stanza = _chat(row, said, row.committed_at, route, now, plain=True)
    return replace(stanza, language=notice.language)


def _gateway_notice(row: InboundRow, notice: GatewayNotice, route: Route, now: float) -> Stanza:
    said = f"<body>{text(notice.text)}</body>"
    stanza = _chat(row, said, row.committed_at, route, now, plain=True)
    return replace(stanza, language=notice.language)


def _request(_: InboundRow, request: SubscriptionRequest, route: Route, __: float) -> Stanza:
    asks = subscription("subscribe", route.puppet, route.user, request.name)
    if request.status:
        asks.inner += f"<status>{text(request.status)}</status>"
    return asks


def _unavailable(_: InboundRow, __: Unavailable, route: Route, ___: float) -> Stanza:
    return Stanza("presence", route.sender, route.user, "unavailable")


def _unsubscribed(_: InboundRow, __: Unsubscribed, route: Route, ___: float) -> Stanza:
    return subscription("unsubscribed", route.puppet, route.user)


_WRITERS: dict[type, Callable[[InboundRow, Any, Route, float], Stanza | None]] = {
    ChatMessage: _chat_message,
    OwnMessage: _own,
    ChatReactions: _reactions,
    ChatRetraction: _retraction,
    CallInvite: _call_invite,
    CallOver: _call_over,
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
