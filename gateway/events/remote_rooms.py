# SPDX-License-Identifier: Apache-2.0
"""What an adapter tells the core of rooms."""

from __future__ import annotations

import enum

from gateway.events.cards import ContactCard
from gateway.events.files import RemoteFile
from gateway.events.mentions import Mention
from gateway.events.previews import LinkPreview
from gateway.events.record import Record
from gateway.ids import RemoteMessageId, RemoteRoomId, RemoteUserId
from gateway.text import Span


class Affiliation(enum.StrEnum):
    """What somebody is in a room for long (XEP-0045 §5.2)."""

    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"
    NONE = "none"


class Member(Record, frozen=True, kw_only=True):
    """Somebody in a room."""

    user: RemoteUserId
    name: str = ""
    """As the room shows it. The empty name means that there is none."""
    affiliation: Affiliation = Affiliation.MEMBER
    may_speak: bool = True
    title: str = ""
    """What the network calls them beside their name, such as "bot"."""
    avatar: str = ""
    """Of their picture there; see `gateway.adapter.Session.avatar`. Empty if they have none."""


class RoomRight(enum.StrEnum):
    """What the account itself may do in a room, where an affiliation does not say it."""

    TOPIC = "topic"
    """Change the topic."""
    INVITE = "invite"
    """Ask others in."""
    MENTION_ALL = "mention-all"
    """Call everybody there at once."""


class Departure(enum.StrEnum):
    """How somebody came out of a room."""

    LEFT = "left"
    KICKED = "kicked"
    BANNED = "banned"
    DESTROYED = "destroyed"
    """The room is no more, for anybody."""


class RemoteRoom(Record, frozen=True, kw_only=True):
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
    shows_past: bool = False
    """Who comes into it later may read what is said now. Never so where that is encrypted."""
    may: tuple[RoomRight, ...] | None = None
    """What the account may do there. None where it is what its affiliation says: owners and admins
    may all of it, and others nothing."""
    slow_mode_s: int = 0
    """Seconds between two messages of one person who is neither an owner nor an admin."""
    avatar: str = ""
    """As in `Member`."""
    is_listed: bool = False
    """Anybody can find it: the network has published its address."""
    takes_private: bool = True
    """Who is there can be written to alone."""
    people: int | None = None
    """How many are there, where not all of them are told. That there are more or fewer need not be
    told at once."""


class RemoteMember(Record, frozen=True, kw_only=True):
    """Somebody has come into a room, or is something else there now."""

    room: RemoteRoomId
    member: Member


class RemoteMemberGone(Record, frozen=True, kw_only=True):
    """Somebody is no longer in a room. If that is the account itself, the room is over for it.

    Also that somebody was banned who was not there, and that a ban was lifted: then they have
    left."""

    room: RemoteRoomId
    user: RemoteUserId
    how: Departure = Departure.LEFT
    actor: RemoteUserId | None = None
    """Who has removed them."""
    reason: str = ""


class RemoteRoomMessage(Record, frozen=True, kw_only=True):
    """A text in a room. Whoever has left since is still its sender."""

    room: RemoteRoomId
    sender: RemoteUserId
    id: RemoteMessageId
    body: str
    sent_at: float
    key: str | None = None
    """As in `RemoteMessage`."""
    reply_to: RemoteMessageId | None = None
    """The message that it answers. The body does not quote it."""
    edits: RemoteMessageId | None = None
    """The message of the same sender of which this is the text from now on; the first one, however
    often it was edited. ``id`` is that of the edit."""
    mentions: tuple[Mention, ...] = ()
    """Who is named in the body, by whatever name; the room calls them by their nicks."""
    thread: RemoteMessageId | None = None
    """The message with which the thread began that this belongs to. An edit stays where the
    message is."""
    thread_after: RemoteMessageId | None = None
    """The message before it in the thread, if it answers none of them and the network says so."""
    spans: tuple[Span, ...] = ()
    """As in `RemoteMessage`."""
    files: tuple[RemoteFile, ...] = ()
    """As in `RemoteMessage`."""
    cards: tuple[ContactCard, ...] = ()
    """As in `RemoteMessage`."""
    previews: tuple[LinkPreview, ...] = ()
    """As in `RemoteMessage`."""
    is_ongoing: bool = False
    """As in `RemoteMessage`."""


class RemoteRoomReaction(Record, frozen=True, kw_only=True):
    """Somebody has reacted to a message, with one emoji more. To take it back is a
    `RemoteRoomRetraction` of its id."""

    room: RemoteRoomId
    sender: RemoteUserId
    id: RemoteMessageId
    """Of the reaction."""
    message: RemoteMessageId
    emoji: str
    sent_at: float
    key: str | None = None
    """That of the `gateway.events.ReactInRoom` by which it was made, if the network carried it."""


class RemoteRoomRetraction(Record, frozen=True, kw_only=True):
    """A message or a reaction is no longer there, by its sender or by a moderator."""

    room: RemoteRoomId
    id: RemoteMessageId
    """Of the retraction."""
    message: RemoteMessageId
    """What was taken back."""
    by: RemoteUserId
    sent_at: float
    reason: str = ""


class RemoteRoomRead(Record, frozen=True, kw_only=True):
    """Somebody, perhaps the account itself, has read a room up to a message."""

    room: RemoteRoomId
    reader: RemoteUserId
    up_to: RemoteMessageId


class RemoteRoomInvite(Record, frozen=True, kw_only=True):
    """The account is invited into a room, and is not in it."""

    room: RemoteRoomId
    id: RemoteMessageId
    """Of the invitation, so that a repeated one is not told twice."""
    inviter: RemoteUserId
    inviter_name: str = ""
    name: str = ""
    """Of the room."""
    reason: str = ""
    own_name: str = ""
    """What the account will be called there."""


class RemoteRoomInviteGone(Record, frozen=True, kw_only=True):
    """The invitation was withdrawn or answered elsewhere."""

    room: RemoteRoomId
    is_refusal: bool = False
    """There was none: the account had asked to be let in, and is not."""


class RemoteRoomKnock(Record, frozen=True, kw_only=True):
    """Somebody asks to be let into a room of the account: to invite them lets them in, to remove
    them does not. Or the account itself does, and is not in it."""

    room: RemoteRoomId
    id: RemoteMessageId
    """Of the request, so that a repeated one is not told twice."""
    user: RemoteUserId
    name: str = ""
    """Theirs; of the room, if it is the account that asks."""
    reason: str = ""


class RemoteRoomKnockGone(Record, frozen=True, kw_only=True):
    """Somebody asks no longer: they were answered, or do not want it any more. For the account
    itself see `RemoteRoomInviteGone`."""

    room: RemoteRoomId
    user: RemoteUserId


class RemoteRoomMoved(Record, frozen=True, kw_only=True):
    """The room is closed, and goes on as another one."""

    room: RemoteRoomId
    to: RemoteRoomId
    address: str = ""
    """What `gateway.events.JoinRoom` takes for it, if that is more than its id."""
    reason: str = ""


class RemoteRoomNotice(Record, frozen=True, kw_only=True):
    """Something that has happened in a room and that nobody has said, in words (REQ-577)."""

    room: RemoteRoomId
    id: RemoteMessageId
    """It is told once."""
    text: str
    is_important: bool = True
    """It changes what the room is, or what people can do there, or calls for them. Users may want
    to hear of nothing else."""
    thread: RemoteMessageId | None = None
    """The thread that it belongs to. Then it can be answered, as a message of the network."""
    about: RemoteMessageId | None = None
    """The message with which it has happened: it is shown as an answer to that."""


class RemoteRoomTopic(Record, frozen=True, kw_only=True):
    """Somebody has given a room a topic, in its past: a part of a `gateway.adapter.HistoryPage`.
    Which one it has now, and since when, is told by `RemoteRoom`."""

    room: RemoteRoomId
    by: RemoteUserId
    topic: str
    sent_at: float


class RemoteRoomGap(Record, frozen=True, kw_only=True):
    """What was said in a room before its next event could not be fetched."""

    room: RemoteRoomId
    id: RemoteMessageId
    """As in `RemoteGap`."""
    about: int | None = None


RemoteRoomEvent = (
    RemoteRoom
    | RemoteMember
    | RemoteMemberGone
    | RemoteRoomMessage
    | RemoteRoomReaction
    | RemoteRoomRetraction
    | RemoteRoomRead
    | RemoteRoomInvite
    | RemoteRoomInviteGone
    | RemoteRoomKnock
    | RemoteRoomKnockGone
    | RemoteRoomMoved
    | RemoteRoomNotice
    | RemoteRoomTopic
    | RemoteRoomGap
)
"""Those of a room come in its order: what it is, who is there, what is said."""
