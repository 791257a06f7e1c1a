# SPDX-License-Identifier: Apache-2.0
"""What an adapter tells the core of chats and contacts."""

from __future__ import annotations

from gateway.events.record import Record
from gateway.ids import RemoteMessageId, RemoteRoomId, RemoteUserId


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

    contact: RemoteUserId
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
    """The name under which a contact is known. The empty name means that there is none."""

    contact: RemoteUserId
    name: str


class RemoteGap(Record, frozen=True, kw_only=True):
    """Messages before the next event of this chat could not be fetched."""

    contact: RemoteUserId
    id: RemoteMessageId
    """Of the first event after the gap, so that a repeated gap is not told twice."""
    about: int | None = None
    """Roughly how many, if the network tells."""
