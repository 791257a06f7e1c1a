# SPDX-License-Identifier: Apache-2.0
"""What the core tells a user."""

from __future__ import annotations

import enum

from gateway.events.files import SharedFile
from gateway.events.mentions import ChatMention
from gateway.events.previews import LinkPreview
from gateway.events.record import Record
from gateway.events.room_deliveries import (
    RoomChanged,
    RoomDisplayed,
    RoomInvitation,
    RoomJoined,
    RoomKnock,
    RoomMessage,
    RoomMoved,
    RoomPresence,
    RoomPresences,
)
from gateway.events.through import Through
from gateway.ids import StanzaId
from gateway.text import Span


class FailureReason(enum.StrEnum):
    """Why a message of the user was not delivered. Maps to a stanza error (REQ-460)."""

    NOT_FOUND = "not-found"
    FORBIDDEN = "forbidden"
    TOO_LARGE = "too-large"
    RATE_LIMITED = "rate-limited"
    UNREACHABLE = "unreachable"
    """The link to the network was down for longer than the limit."""
    NETWORK_ERROR = "network-error"
    ENCRYPTED = "encrypted"
    UNSUPPORTED = "unsupported"
    UNREGISTERED = "unregistered"
    BUSY = "busy"
    """The gateway cannot store it now."""
    UNCERTAIN = "uncertain"


class ChatReply(Record, frozen=True, kw_only=True):
    """Which message of the chat another one answers (XEP-0461)."""

    message: StanzaId
    is_own: bool
    """The user has said that, and their clients show it so."""
    quote: str = ""
    """How that begins, for clients that know no replies."""


class ChatMessage(Record, frozen=True, kw_only=True):
    """A text from the contact's puppet to the user."""

    id: StanzaId
    body: str
    sent_at: float
    nick: str = ""
    """The contact's name, with the first text after it is known (REQ-312)."""
    replaces: StanzaId | None = None
    """The message that it is an edit of, or the line that was given in its place (XEP-0308)."""
    through: Through | None = None
    to: str = ""
    """Full JID, if it is for one session alone."""
    spans: tuple[Span, ...] = ()
    """How parts of the body are meant."""
    reply: ChatReply | None = None
    thread: str = ""
    """To which it belongs (XEP-0201); empty if to none."""
    file: SharedFile | None = None
    """It is what the message says; the body is how it is called in a line."""
    attention: bool = False
    """As in `RemoteMessage`."""
    mentions: tuple[ChatMention, ...] = ()
    """Who is named in the body."""
    previews: tuple[LinkPreview, ...] = ()
    """Of links in the body."""


class OwnMessage(Record, frozen=True, kw_only=True):
    """A text that the user sent with another client of the network (REQ-475)."""

    id: StanzaId
    body: str
    sent_at: float
    replaces: StanzaId | None = None
    """As in `ChatMessage`."""
    spans: tuple[Span, ...] = ()
    reply: ChatReply | None = None
    thread: str = ""
    file: SharedFile | None = None
    """As in `ChatMessage`."""
    of_client: bool = False
    """What it replaces was sent by a client of the user: nobody else can replace that."""
    through: Through | None = None
    """In whose window it belongs; with no sessions if none of the user's is in that room."""
    to: str = ""
    """As in `ChatMessage`."""
    mentions: tuple[ChatMention, ...] = ()
    """As in `ChatMessage`."""
    previews: tuple[LinkPreview, ...] = ()
    """As in `ChatMessage`."""


class ChatReactions(Record, frozen=True, kw_only=True):
    """What the contact or, if ``own``, the user reacts with to a message of the chat: these emoji
    and no others (XEP-0444)."""

    id: StanzaId
    message: StanzaId
    emoji: tuple[str, ...]
    sent_at: float
    own: bool = False
    through: Through | None = None


class ChatRetraction(Record, frozen=True, kw_only=True):
    """A message of the chat was taken back (XEP-0424)."""

    id: StanzaId
    message: StanzaId
    sent_at: float
    own: bool = False
    """It was one of the user,"""
    of_client: bool = False
    """and sent by a client of theirs, as in `OwnMessage`."""
    through: Through | None = None


class CallInvite(Record, frozen=True, kw_only=True):
    """Where the user can join a call of the contact (XEP-0482 §2.1)."""

    id: StanzaId
    join: str
    is_video: bool = False


class CallOver(Record, frozen=True, kw_only=True):
    """There is nothing to join any more (XEP-0482 §2.2, §2.5)."""

    id: StanzaId
    invite: StanzaId
    was_answered: bool = False


class Displayed(Record, frozen=True, kw_only=True):
    """The contact read the user's messages up to ``message``."""

    id: StanzaId
    message: StanzaId
    through: Through | None = None


class OwnDisplayed(Record, frozen=True, kw_only=True):
    """The user read the contact's messages up to ``message`` with another client (REQ-416)."""

    id: StanzaId
    message: StanzaId
    through: Through | None = None


class Receipt(Record, frozen=True, kw_only=True):
    """The network has the user's message (REQ-412)."""

    id: StanzaId
    message: StanzaId
    through: Through | None = None


class Failure(Record, frozen=True, kw_only=True):
    """The network does not have the user's message, and will not get it (REQ-460)."""

    message: StanzaId
    to: str
    """Full JID of the device that sent it, as it came."""
    reason: FailureReason
    text: str
    through: Through | None = None
    language: str = ""
    """Of the text; empty if that is English."""


class Notice(Record, frozen=True, kw_only=True):
    """One line of the gateway inside a conversation."""

    id: StanzaId
    text: str
    through: Through | None = None
    language: str = ""
    """As in `Failure`."""
    to: str = ""
    """As in `ChatMessage`."""


class GatewayNotice(Record, frozen=True, kw_only=True):
    """One line from the gateway's own JID."""

    id: StanzaId
    text: str
    language: str = ""
    """As in `Failure`."""


class SubscriptionRequest(Record, frozen=True, kw_only=True):
    """The contact asks for the user's presence."""

    name: str = ""
    status: str = ""
    """Why, for people."""


class Unavailable(Record, frozen=True, kw_only=True):
    """The contact is not there, and will not be: said before `Unsubscribed`."""


class Unsubscribed(Record, frozen=True, kw_only=True):
    """The user is told the contact's presence no more."""


Delivery = (
    ChatMessage
    | OwnMessage
    | ChatReactions
    | ChatRetraction
    | CallInvite
    | CallOver
    | Displayed
    | OwnDisplayed
    | Receipt
    | Failure
    | Notice
    | GatewayNotice
    | SubscriptionRequest
    | Unavailable
    | Unsubscribed
    | RoomMessage
    | RoomDisplayed
    | RoomPresence
    | RoomPresences
    | RoomChanged
    | RoomJoined
    | RoomMoved
    | RoomInvitation
    | RoomKnock
)

SaidInChat = ChatMessage | OwnMessage | Notice
"""What is said in a chat, in words."""
