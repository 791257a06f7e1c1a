# SPDX-License-Identifier: Apache-2.0
"""What the core tells the sessions in a room, and a user of rooms."""

from __future__ import annotations

from gateway.events.enclosed import Enclosed
from gateway.events.files import SharedFile
from gateway.events.mentions import RoomMention
from gateway.events.previews import LinkPreview
from gateway.events.record import Record
from gateway.events.remote_rooms import Affiliation, Departure
from gateway.ids import RemoteRoomId, RemoteUserId, StanzaId
from gateway.text import Span


class Reply(Record, frozen=True, kw_only=True):
    """What a message in a room answers (XEP-0461)."""

    message: StanzaId
    """By the room's own id."""
    nick: str
    """Of who has said it; empty if the room has."""
    quote: str = ""
    """What it says, for clients that know no replies. Never in the archive: it may be taken
    back."""
    is_caption: bool = False
    """Of a file, which stands right above it: nobody quotes that (REQ-443)."""


class Moderation(Record, frozen=True, kw_only=True):
    """Who has taken a message back: who has said it, or a moderator (XEP-0425)."""

    nick: str
    occupant: str
    reason: str = ""


class Tombstone(Record, frozen=True, kw_only=True):
    """What the archive has in place of a message that was taken back (XEP-0424 §4)."""

    retraction: StanzaId
    """The ``@id`` of the message that says so."""
    at: float
    moderation: Moderation


class RoomMessage(Record, frozen=True, kw_only=True):
    """What an occupant says, also about what was said, for the sessions that were in the room when
    it was committed."""

    id: StanzaId
    archive_id: StanzaId
    """The room's own id of it (XEP-0359), by which its archive finds it."""
    nick: str
    """Empty if the room itself says it."""
    occupant: str
    """XEP-0421."""
    body: str
    """Empty if it is no text."""
    sent_at: float
    subject: str | None = None
    """The topic of the room from now on, if that is what they say; empty if there is none."""
    to: tuple[str, ...] = ()
    """Full JIDs."""
    origin_id: str = ""
    """By which the user's own client knows it again (XEP-0359 §3.1)."""
    replaces: StanzaId | None = None
    """The message of the same occupant that was given in its place (XEP-0308), by its ``@id``."""
    reply: Reply | None = None
    reacts_to: StanzaId | None = None
    """By the room's own id,"""
    reactions: tuple[str, ...] = ()
    """with these and no others (XEP-0444)."""
    retracts: StanzaId | None = None
    """By the room's own id (XEP-0424);"""
    moderation: Moderation | None = None
    """if the room itself says so."""
    tombstone: Tombstone | None = None
    """Only in the archive: this was taken back."""
    mentions: tuple[RoomMention, ...] = ()
    """Places are those in the body."""
    thread: str = ""
    """To which it belongs (XEP-0201); empty if to none."""
    enclosed: tuple[Enclosed, ...] = ()
    spans: tuple[Span, ...] = ()
    """As in `ChatMessage`."""
    as_written: bool = False
    """The body is as a client of XMPP has written it, styles and all."""
    file: SharedFile | None = None
    """As in `ChatMessage`."""
    previews: tuple[LinkPreview, ...] = ()
    """As in `ChatMessage`."""


class RoomDisplayed(Record, frozen=True, kw_only=True):
    """An occupant has read a room up to a message. Not archived."""

    id: StanzaId
    nick: str
    occupant: str
    message: StanzaId
    """By the room's own id."""
    to: tuple[str, ...] = ()
    is_elsewhere: bool = False
    """It is the user, with another app of the network. Not only those in the room want to know."""


class RoomPresence(Record, frozen=True, kw_only=True):
    """An occupant has come, has changed, or has gone."""

    nick: str
    occupant: str
    member: RemoteUserId
    affiliation: Affiliation = Affiliation.NONE
    may_speak: bool = True
    title: str = ""
    gone: Departure | None = None
    is_hidden: bool = False
    """They have gone from the room, and are still in the group."""
    new_nick: str = ""
    """They have gone to come again under this nick."""
    actor: str = ""
    """Nick of who has removed them."""
    reason: str = ""
    picture: str | None = None
    """Hash of theirs, empty if they have none; None if it is not known."""
    to: tuple[str, ...] = ()


class RoomPresences(Record, frozen=True, kw_only=True):
    """What many occupants have done, for the same sessions."""

    presences: tuple[RoomPresence, ...]
    to: tuple[str, ...] = ()


class RoomChanged(Record, frozen=True, kw_only=True):
    """The room has another name or picture, or is of another kind."""

    id: StanzaId
    is_private: bool | None = None
    """As in `gateway.events.RemoteRoom`, where it is so from now on."""
    picture: str | None = None
    """Hash of its picture, empty if it has none from now on; None if that is as it was."""
    to: tuple[str, ...] = ()


class RoomJoined(Record, frozen=True, kw_only=True):
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


class RoomMoved(Record, frozen=True, kw_only=True):
    """The room is no more."""

    nick: str
    """Of the user's occupant."""
    new: RemoteRoomId | None = None
    """As which it goes on."""
    reason: str = ""
    to: tuple[str, ...] = ()


class RoomInvitation(Record, frozen=True, kw_only=True):
    """The user is in a room now, and may join it with their clients (XEP-0249)."""

    id: StanzaId
    line_id: StanzaId
    """Of the line for clients that know no invitations."""
    name: str = ""
    waiting: RemoteRoomId | None = None
    """The room, if the user is not in it yet: to join it accepts the invitation."""
    inviter: RemoteUserId | None = None
    inviter_name: str = ""
    reason: str = ""
    is_answer: bool = False
    """The user has asked to be let in."""


class RoomKnock(Record, frozen=True, kw_only=True):
    """Somebody asks to be let into a room of the user, who may let them in."""

    id: StanzaId
    room: RemoteRoomId
    room_name: str
    user: RemoteUserId
    name: str = ""
    reason: str = ""


RoomNews = RoomInvitation | RoomKnock
"""What the gateway tells one user of a room, who need not be in it."""

RoomDelivery = (
    RoomMessage
    | RoomDisplayed
    | RoomPresence
    | RoomPresences
    | RoomChanged
    | RoomJoined
    | RoomMoved
)
"""What goes to the sessions in a room."""


def is_for_one(delivery: object) -> bool:
    """Of what is told of a room: whether it concerns one user alone, who need not be in it, and
    not the sessions that are."""
    is_own_mark = isinstance(delivery, RoomDisplayed) and delivery.is_elsewhere
    return isinstance(delivery, RoomInvitation) or is_own_mark
