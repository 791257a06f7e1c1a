# SPDX-License-Identifier: Apache-2.0
"""What flows through the gateway: immutable records, in both directions.

=================  =========================  ==============================================
union              from → to                  kept in
=================  =========================  ==============================================
``RemoteEvent``    adapter → core             nowhere; the core turns it into deliveries
``Delivery``       core → XMPP                the inbound journal
``Command``        core → adapter             the outbound journal
=================  =========================  ==============================================

Deliveries and commands are stored, so a record only ever gains optional fields: rows that an older
version wrote must still decode. Times are seconds since the epoch, UTC.
"""

from __future__ import annotations

import enum

import msgspec

from gateway.ids import RemoteMessageId, RemoteRoomId, RemoteUserId, StanzaId


class _Record(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """A record is compared and stored by value; its class name is its tag in the journal."""


# --- adapter → core ---------------------------------------------------------------------------


class RemoteMessage(_Record, frozen=True, kw_only=True):
    """A text in the chat with ``contact``."""

    contact: RemoteUserId
    id: RemoteMessageId
    body: str
    sent_at: float
    own: bool = False
    """Sent by the account itself, from any of its clients."""
    key: str | None = None
    """The key given to ``Session.send``, if the network carried it: marks our own echo."""


class RemoteRead(_Record, frozen=True, kw_only=True):
    """Everything up to ``up_to`` was read by the contact or, if ``own``, by the account itself."""

    contact: RemoteUserId
    up_to: RemoteMessageId
    own: bool = False


class RemoteUndecryptable(_Record, frozen=True, kw_only=True):
    """An encrypted message that cannot be read now. It is kept.

    A `RemoteMessage` with its id takes its place. Until then the user is given one line in its
    place, after a minute; or, if nothing is known that would help, one for the conversation. Told
    again it has other needs or another reason.
    """

    contact: RemoteUserId
    id: RemoteMessageId
    sent_at: float
    content: str
    """The event as the network gave it."""
    own: bool = False
    needs: str = ""
    """What would make it readable, for `gateway.adapter.AccountContext.waiting`: the name of a
    key. Empty if the adapter cannot read such messages at all."""
    reason: str = ""
    """Why it cannot be read, in a sentence for the user, if the network has said so."""
    room: RemoteRoomId | None = None
    """The room in which ``contact`` has said it; then a `RemoteRoomMessage` takes its place."""


class RemoteUnreadable(_Record, frozen=True, kw_only=True):
    """An event that the adapter failed to convert: a defect of it, and one event's trouble only.

    The user gets a line in the conversation, once, and the admin a dead letter.
    """

    contact: RemoteUserId
    id: RemoteMessageId
    content: str
    """The event as the network gave it, as far as it can be written down."""
    reason: str
    """For the admin: what went wrong."""


class RemoteNotice(_Record, frozen=True, kw_only=True):
    """Something that the user should know of a conversation."""

    contact: RemoteUserId | None
    """None if the gateway itself is to say it."""
    id: RemoteMessageId
    """It is told once."""
    text: str
    """One or two plain sentences."""


class RemoteInvite(_Record, frozen=True, kw_only=True):
    """A person asks to talk with the account."""

    contact: RemoteUserId
    id: RemoteMessageId
    """Of the invitation, so that a repeated one is not told twice."""


class RemoteInviteGone(_Record, frozen=True, kw_only=True):
    """The invitation was withdrawn or answered elsewhere."""

    contact: RemoteUserId


class RemoteContactGone(_Record, frozen=True, kw_only=True):
    """The account's list of contacts on the network has this person no longer (REQ-309).

    Who removed whom does not matter. They may still write, and be written to.
    """

    contact: RemoteUserId
    id: RemoteMessageId
    """Of the removal."""


class RemoteProfile(_Record, frozen=True, kw_only=True):
    """The name under which a contact is known. The empty name means that there is none."""

    contact: RemoteUserId
    name: str


class RemoteGap(_Record, frozen=True, kw_only=True):
    """Messages before the next event of this chat could not be fetched."""

    contact: RemoteUserId
    id: RemoteMessageId
    """Of the first event after the gap, so that a repeated gap is not told twice."""
    about: int | None = None
    """Roughly how many, if the network tells."""


# --- rooms: adapter → core -------------------------------------------------------------------


class Affiliation(enum.StrEnum):
    """What somebody is in a room for long (XEP-0045 §5.2)."""

    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"
    NONE = "none"


class Member(_Record, frozen=True, kw_only=True):
    """Somebody in a room."""

    user: RemoteUserId
    name: str = ""
    """As the room shows it. The empty name means that there is none."""
    affiliation: Affiliation = Affiliation.MEMBER
    may_speak: bool = True


class Departure(enum.StrEnum):
    """How somebody came out of a room."""

    LEFT = "left"
    KICKED = "kicked"
    BANNED = "banned"


class RemoteRoom(_Record, frozen=True, kw_only=True):
    """A room of the account as it is now: the whole of it, whenever something of it changes."""

    room: RemoteRoomId
    name: str = ""
    topic: str = ""
    topic_by: RemoteUserId | None = None
    topic_at: float | None = None
    is_private: bool = True
    """Only who is invited comes in. Everybody there knows who the others are."""
    members: tuple[Member, ...] | None = None
    """All of them, with the account itself. None where they have not changed, or where each
    change is told by a `RemoteMember`."""
    is_new: bool = False
    """The account has come into it just now: the user is told of it."""


class RemoteMember(_Record, frozen=True, kw_only=True):
    """Somebody has come into a room, or is something else there now."""

    room: RemoteRoomId
    member: Member


class RemoteMemberGone(_Record, frozen=True, kw_only=True):
    """Somebody is no longer in a room. If that is the account itself, the room is over for it."""

    room: RemoteRoomId
    user: RemoteUserId
    how: Departure = Departure.LEFT
    actor: RemoteUserId | None = None
    """Who has removed them."""
    reason: str = ""


class RemoteRoomMessage(_Record, frozen=True, kw_only=True):
    """A text in a room. Whoever has left since is still its sender."""

    room: RemoteRoomId
    sender: RemoteUserId
    id: RemoteMessageId
    body: str
    sent_at: float
    key: str | None = None
    """As in `RemoteMessage`."""


RemoteRoomEvent = RemoteRoom | RemoteMember | RemoteMemberGone | RemoteRoomMessage
"""Those of a room come in its order: what it is, who is there, what is said."""

RemoteEvent = (
    RemoteMessage
    | RemoteRead
    | RemoteUndecryptable
    | RemoteUnreadable
    | RemoteNotice
    | RemoteInvite
    | RemoteInviteGone
    | RemoteContactGone
    | RemoteProfile
    | RemoteGap
    | RemoteRoom
    | RemoteMember
    | RemoteMemberGone
    | RemoteRoomMessage
)


# --- presence, in both directions --------------------------------------------------------------


class Availability(enum.StrEnum):
    """RFC 6121 §4.7.2.1, as far as other networks have it."""

    AVAILABLE = "available"
    AWAY = "away"
    XA = "xa"
    """Away for long."""
    DND = "dnd"
    UNAVAILABLE = "unavailable"


class Presence(_Record, frozen=True, kw_only=True):
    """How somebody can be reached. State, not an event: the latest counts, and none is stored."""

    availability: Availability = Availability.AVAILABLE
    status: str = ""
    """Words of the person."""
    idle_since: float | None = None
    """Seconds since the epoch. Only where the network knows it well: a "recently" belongs into
    ``status`` (REQ-311)."""


AVAILABLE = Presence()
UNAVAILABLE = Presence(availability=Availability.UNAVAILABLE)


# --- core → XMPP ------------------------------------------------------------------------------


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


class ChatMessage(_Record, frozen=True, kw_only=True):
    """A text from the contact's puppet to the user."""

    id: StanzaId
    body: str
    sent_at: float
    nick: str = ""
    """The contact's name, with the first text after it is known (REQ-312)."""
    replaces: StanzaId | None = None
    """The line that was given in its place (XEP-0308)."""


class OwnMessage(_Record, frozen=True, kw_only=True):
    """A text that the user sent with another client of the network (REQ-475)."""

    id: StanzaId
    body: str
    sent_at: float
    replaces: StanzaId | None = None
    """The line that was given in its place (XEP-0308)."""


class Displayed(_Record, frozen=True, kw_only=True):
    """The contact read the user's messages up to ``message``."""

    id: StanzaId
    message: StanzaId


class OwnDisplayed(_Record, frozen=True, kw_only=True):
    """The user read the contact's messages up to ``message`` with another client (REQ-416)."""

    id: StanzaId
    message: StanzaId


class Receipt(_Record, frozen=True, kw_only=True):
    """The network has the user's message (REQ-412)."""

    id: StanzaId
    message: StanzaId


class Failure(_Record, frozen=True, kw_only=True):
    """The network does not have the user's message, and will not get it (REQ-460)."""

    message: StanzaId
    to: str
    """Full JID of the device that sent it, as it came."""
    reason: FailureReason
    text: str


class Notice(_Record, frozen=True, kw_only=True):
    """One line of the gateway inside a conversation."""

    id: StanzaId
    text: str


class GatewayNotice(_Record, frozen=True, kw_only=True):
    """One line from the gateway's own JID."""

    id: StanzaId
    text: str


class SubscriptionRequest(_Record, frozen=True, kw_only=True):
    """The contact asks for the user's presence."""

    name: str = ""


class Unavailable(_Record, frozen=True, kw_only=True):
    """The contact is not there, and will not be: said before `Unsubscribed`."""


class Unsubscribed(_Record, frozen=True, kw_only=True):
    """The user is told the contact's presence no more."""


class RoomMessage(_Record, frozen=True, kw_only=True):
    """A text of an occupant, for the sessions that were in the room when it was committed."""

    id: StanzaId
    archive_id: StanzaId
    """The room's own id of it (XEP-0359), by which its archive finds it."""
    nick: str
    occupant: str
    """XEP-0421."""
    body: str
    sent_at: float
    to: tuple[str, ...] = ()
    """Full JIDs."""
    replaces: StanzaId | None = None
    """The line that was given in its place (XEP-0308)."""


class RoomSubject(_Record, frozen=True, kw_only=True):
    """The room has another subject."""

    id: StanzaId
    nick: str
    topic: str
    sent_at: float
    to: tuple[str, ...] = ()


class RoomPresence(_Record, frozen=True, kw_only=True):
    """An occupant has come, has changed, or has gone."""

    nick: str
    occupant: str
    member: RemoteUserId
    affiliation: Affiliation = Affiliation.NONE
    may_speak: bool = True
    gone: Departure | None = None
    new_nick: str = ""
    """They have gone to come again under this nick."""
    actor: str = ""
    """Nick of who has removed them."""
    reason: str = ""
    to: tuple[str, ...] = ()


class RoomChanged(_Record, frozen=True, kw_only=True):
    """The room has another name, or is of another kind."""

    id: StanzaId
    to: tuple[str, ...] = ()


class RoomJoined(_Record, frozen=True, kw_only=True):
    """A session has joined. What it is told, it is told as it is when that is written."""

    id: str
    """Of the request, as the client gave it."""
    nick: str
    """That it has asked for."""
    newest: int
    """Place in the archive of what was said last before it was in."""
    most: int
    """Messages of the past that it wants (XEP-0045 §7.2.13)."""
    since: float = 0.0
    most_chars: int | None = None
    to: tuple[str, ...] = ()
    """It alone."""


class RoomInvitation(_Record, frozen=True, kw_only=True):
    """The user is in a room now, and may join it with their clients (XEP-0249)."""

    id: StanzaId
    line_id: StanzaId
    """Of the line for clients that know no invitations."""
    name: str = ""


Delivery = (
    ChatMessage
    | OwnMessage
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
    | RoomSubject
    | RoomPresence
    | RoomChanged
    | RoomJoined
    | RoomInvitation
)

RoomDelivery = RoomMessage | RoomSubject | RoomPresence | RoomChanged | RoomJoined
"""What goes to the sessions in a room."""


# --- core → adapter ---------------------------------------------------------------------------


class SendText(_Record, frozen=True, kw_only=True):
    """Say ``body`` to the contact. The first message opens the conversation on the network."""

    contact: RemoteUserId
    body: str


class MarkRead(_Record, frozen=True, kw_only=True):
    """The user has read everything up to ``up_to``."""

    contact: RemoteUserId
    up_to: RemoteMessageId


class AcceptInvite(_Record, frozen=True, kw_only=True):
    """The user wants to talk with a contact who invited them."""

    contact: RemoteUserId


class DeclineInvite(_Record, frozen=True, kw_only=True):
    """The user does not."""

    contact: RemoteUserId


class SendRoomText(_Record, frozen=True, kw_only=True):
    """Say ``body`` in a room that the account is in."""

    room: RemoteRoomId
    body: str


Command = SendText | MarkRead | AcceptInvite | DeclineInvite | SendRoomText
