# SPDX-License-Identifier: Apache-2.0
"""What a user wants of the network, as it is kept until the network has it."""

from __future__ import annotations

from gateway.events.enclosed import Enclosed
from gateway.events.files import SentFile
from gateway.events.mentions import Mention
from gateway.events.previews import LinkPreview
from gateway.events.record import Record
from gateway.events.through import Through
from gateway.ids import RemoteMessageId, RemoteRoomId, RemoteUserId
from gateway.text import Span


class SendText(Record, frozen=True, kw_only=True):
    """Say ``body`` to the contact. The first message opens the conversation on the network."""

    contact: RemoteUserId
    body: str
    through: Through | None = None
    """For the core: whom the user has addressed."""
    reply_to: RemoteMessageId | None = None
    cites: str = ""
    """The part of what it answers that the user has quoted, as it stands there; empty if that is
    not a part, or not known. Not all of its characters may be as the network has them."""
    thread: RemoteMessageId | None = None
    """The message with which the thread began that this belongs to,"""
    thread_after: RemoteMessageId | None = None
    """and the last one that is known there, for apps that know no threads."""
    edits: RemoteMessageId | None = None
    """A message of the account that ``body`` takes the place of; the first one, however often it
    was edited."""
    spans: tuple[Span, ...] = ()
    """How parts of the body are meant. What the network does not have is left out by the adapter;
    the text stays as it is."""
    continues: RemoteMessageId | None = None
    """A message of the account of which this is the next part, since all of it was too long for
    one: this one belongs where that is."""
    file: SentFile | None = None
    """Show it; the body says something about it, or is empty."""
    files: tuple[SentFile, ...] = ()
    """Further ones of the same message. For the core: each is a command of its own for the
    network."""
    attention: bool = False
    """As in `RemoteMessage`."""
    mentions: tuple[Mention, ...] = ()
    """As in `SendRoomText`."""
    previews: tuple[LinkPreview, ...] = ()
    """Of links in the body, as the user's client has made them."""
    is_further: bool = False
    """A further part of a text that was too long for one message: how it begins says nothing of
    how it is meant."""


class React(Record, frozen=True, kw_only=True):
    """The account's reactions to a message of a chat are these from now on, and no others.

    What they are until then is in `gateway.adapter.AccountContext.chat_reactions`.
    """

    contact: RemoteUserId
    message: RemoteMessageId
    emoji: tuple[str, ...]
    through: Through | None = None
    """As in `SendText`."""


class Retract(Record, frozen=True, kw_only=True):
    """Take a message of the account back."""

    contact: RemoteUserId
    message: RemoteMessageId
    through: Through | None = None


class MarkRead(Record, frozen=True, kw_only=True):
    """The user has read everything up to ``up_to``."""

    contact: RemoteUserId
    up_to: RemoteMessageId


class AcceptInvite(Record, frozen=True, kw_only=True):
    """The user wants to talk with a contact who invited them."""

    contact: RemoteUserId


class DeclineInvite(Record, frozen=True, kw_only=True):
    """The user does not."""

    contact: RemoteUserId


class Author(Record, frozen=True, kw_only=True):
    """An XMPP user without an account, for whom an account of the house speaks in a room."""

    user: RemoteUserId
    """As `gateway.events.Member` calls them there."""
    name: str
    """Their nick."""


class SendRoomText(Record, frozen=True, kw_only=True):
    """Say ``body`` in a room that the account is in."""

    room: RemoteRoomId
    body: str
    reply_to: RemoteMessageId | None = None
    cites: str = ""
    """As in `SendText`."""
    quote: str = ""
    """What the user's client has put above the body, for clients that know no replies. The user's
    own clients are shown it again; it is not for the network."""
    edits: RemoteMessageId | None = None
    """A message of the account that ``body`` takes the place of; the first one, however often it
    was edited."""
    mentions: tuple[Mention, ...] = ()
    """Who is named in the body; places do not overlap, and are in their order."""
    thread: RemoteMessageId | None = None
    """The message with which the thread began that this belongs to,"""
    thread_after: RemoteMessageId | None = None
    """and the last one that is known there, for apps that know no threads."""
    own_thread: str = ""
    """As the user's client calls what it belongs to, where the network has no such thread."""
    enclosed: tuple[Enclosed, ...] = ()
    """For the clients of other users in the room, and not for the network."""
    spans: tuple[Span, ...] = ()
    """As in `SendText`."""
    file: SentFile | None = None
    """As in `SendText`."""
    files: tuple[SentFile, ...] = ()
    """As in `SendText`."""
    is_further: bool = False
    """As in `SendText`."""
    previews: tuple[LinkPreview, ...] = ()
    """As in `SendText`."""
    shown: str = ""
    """With a file: the body as the user's client has written it. Other users are shown that, and
    it is not for the network."""
    author: Author | None = None
    """Who says it, where that is not the account itself."""


class ReactInRoom(Record, frozen=True, kw_only=True):
    """The account's reactions to a message are these from now on, and no others.

    What they are until then is in `gateway.adapter.AccountContext.reactions`.
    """

    room: RemoteRoomId
    message: RemoteMessageId
    emoji: tuple[str, ...]
    author: Author | None = None
    """Whose reactions they are, where these are not the account's own. What others have for whom
    the account speaks is in `gateway.adapter.AccountContext.authors_reactions`."""


class RetractInRoom(Record, frozen=True, kw_only=True):
    """Take a message back: one of the account, or as a moderator one of somebody else."""

    room: RemoteRoomId
    message: RemoteMessageId
    reason: str = ""


class MarkRoomRead(Record, frozen=True, kw_only=True):
    """The user has read a room up to a message."""

    room: RemoteRoomId
    up_to: RemoteMessageId


RoomCommand = SendRoomText | ReactInRoom | RetractInRoom | MarkRoomRead

ChatCommand = SendText | React | Retract

Command = ChatCommand | MarkRead | AcceptInvite | DeclineInvite | RoomCommand
