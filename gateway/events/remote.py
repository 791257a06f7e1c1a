# SPDX-License-Identifier: Apache-2.0
"""What an adapter tells the core of chats and contacts."""

from __future__ import annotations

import enum

from gateway.events.cards import ContactCard
from gateway.events.files import RemoteFile
from gateway.events.mentions import Mention
from gateway.events.previews import LinkPreview
from gateway.events.record import Record
from gateway.ids import RemoteMessageId, RemoteRoomId, RemoteUserId
from gateway.text import Span


class RemoteMessage(Record, frozen=True, kw_only=True):
    """A text in the chat with ``contact``."""

    contact: RemoteUserId
    id: RemoteMessageId
    body: str
    sent_at: float
    own: bool = False
    """Sent by the account itself, from any of its clients."""
    key: str | None = None
    """The key given to ``Session.send``, if the network carried it: marks our own echo."""
    reply_to: RemoteMessageId | None = None
    """The message that it answers. The body does not quote it."""
    edits: RemoteMessageId | None = None
    """The message of the same sender of which this is the text from now on; the first one, however
    often it was edited. ``id`` is that of the edit."""
    thread: RemoteMessageId | None = None
    """The message with which the thread began that this belongs to. An edit stays where the
    message is."""
    thread_after: RemoteMessageId | None = None
    """The message before it in the thread, if it answers none of them and the network says so."""
    spans: tuple[Span, ...] = ()
    """How parts of the body are meant."""
    files: tuple[RemoteFile, ...] = ()
    """What is shown above the body, which says something about them, or is empty."""
    cards: tuple[ContactCard, ...] = ()
    """People whom it tells of."""
    mentions: tuple[Mention, ...] = ()
    """Who is named in the body."""
    previews: tuple[LinkPreview, ...] = ()
    """Of links in the body, if the network has them. The core leaves out what is of no link
    there, and what is too long."""
    is_ongoing: bool = False
    """It is an edit by which the network says how something stands that goes on, such as where
    somebody is who moves, or how many have voted. It is told once in a minute at most, and while
    nothing newer was said by the same one (REQ-453, REQ-455)."""
    attention: bool = False
    """It asks for attention more urgently than a text does, as by a nudge (XEP-0224); the body may
    be empty."""


class RemoteReaction(Record, frozen=True, kw_only=True):
    """The contact or, if ``own``, the account itself has reacted to a message of their chat, with
    one emoji more. To take it back is a `RemoteRetraction` of its id."""

    contact: RemoteUserId
    id: RemoteMessageId
    """Of the reaction."""
    message: RemoteMessageId
    emoji: str
    sent_at: float
    own: bool = False
    key: str | None = None
    """That of the `gateway.events.React` by which it was made, if the network carried it."""


class RemoteRetraction(Record, frozen=True, kw_only=True):
    """A message or a reaction of a chat is no longer there: who has made it has taken it back."""

    contact: RemoteUserId
    id: RemoteMessageId
    """Of the retraction."""
    message: RemoteMessageId
    """What was taken back."""
    sent_at: float
    own: bool = False
    """The account itself has, from any of its clients."""


class CallStage(enum.StrEnum):
    """What becomes of a call."""

    RINGS = "rings"
    ANSWERED = "answered"
    DECLINED = "declined"
    OVER = "over"
    """Somebody has hung up, perhaps before anybody has answered."""


class RemoteCall(Record, frozen=True, kw_only=True):
    """In the chat with ``contact`` somebody calls, or there is something new of a call (REQ-473).
    How it has ended follows from what was told of it."""

    contact: RemoteUserId
    id: RemoteMessageId
    """Of this event."""
    call: str
    """What all events of one call have in common. A new one may have the name of one before."""
    stage: CallStage
    sent_at: float
    own: bool = False
    """The account itself has done it, from any of its clients."""
    is_video: bool = False
    link: str = ""
    """To an app that can answer it."""
    join: str = ""
    """An https address where anybody can join it, if the network has such (XEP-0482 §2.1)."""


class RemoteRead(Record, frozen=True, kw_only=True):
    """Everything up to ``up_to`` was read by the contact or, if ``own``, by the account itself."""

    contact: RemoteUserId
    up_to: RemoteMessageId
    own: bool = False


class RemoteIgnored(Record, frozen=True, kw_only=True):
    """Whom the account wants to hear nothing of: these, and nobody else. What they say is not told
    by its session; in rooms that it shares with other accounts, others tell it."""

    users: tuple[RemoteUserId, ...]


class RemoteUndecryptable(Record, frozen=True, kw_only=True):
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


class RemoteUnreadable(Record, frozen=True, kw_only=True):
    """An event that the adapter failed to convert: a defect of it, and one event's trouble only.

    The user gets a line in the conversation, once, and the admin a dead letter.
    """

    contact: RemoteUserId | None
    """None if it cannot even be read where it belongs: then the gateway itself tells of it."""
    id: RemoteMessageId
    content: str
    """The event as the network gave it, as far as it can be written down."""
    reason: str
    """For the admin: what went wrong."""
    room: RemoteRoomId | None = None
    """The room in which ``contact`` has made it."""


class RemoteNotice(Record, frozen=True, kw_only=True):
    """Something that the user should know of a conversation."""

    contact: RemoteUserId | None
    """None if the gateway itself is to say it."""
    id: RemoteMessageId
    """It is told once."""
    text: str
    """One or two plain sentences."""


class RemoteInvite(Record, frozen=True, kw_only=True):
    """A person asks to talk with the account."""

    contact: RemoteUserId
    id: RemoteMessageId
    """Of the invitation, so that a repeated one is not told twice."""


class RemoteInviteGone(Record, frozen=True, kw_only=True):
    """The invitation was withdrawn or answered elsewhere."""

    contact: RemoteUserId


class RemoteContactGone(Record, frozen=True, kw_only=True):
    """The account's list of contacts on the network has this person no longer (REQ-309).

    Who removed whom does not matter. They may still write, and be written to.
    """

    contact: RemoteUserId
    id: RemoteMessageId
    """Of the removal."""


class RemoteProfile(Record, frozen=True, kw_only=True):
    """What a contact shows of themselves."""

    contact: RemoteUserId
    name: str
    """The empty name means that there is none."""
    avatar: str | None = None
    """Of their picture, as in `gateway.events.Member`; None if the network does not say."""


class RemoteGap(Record, frozen=True, kw_only=True):
    """Messages before the next event of this chat could not be fetched."""

    contact: RemoteUserId
    id: RemoteMessageId
    """Of the first event after the gap, so that a repeated gap is not told twice."""
    about: int | None = None
    """Roughly how many, if the network tells."""
