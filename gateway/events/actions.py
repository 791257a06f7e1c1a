# SPDX-License-Identifier: Apache-2.0
"""What a user does with rooms at once, or not at all: somebody waits for the answer.

None of these is kept. See `gateway.adapter.Session.manage`.
"""

from __future__ import annotations

from gateway.events.record import Record
from gateway.events.remote_rooms import Affiliation
from gateway.ids import RemoteMessageId, RemoteRoomId, RemoteUserId


class JoinRoom(Record, frozen=True, kw_only=True):
    """Come into a room: an invitation that waits, or one that anybody may join."""

    address: str
    """A `RemoteRoomId`, or what people call the room on the network."""
    asks: bool = True
    """Where nobody comes in who is not let in, ask for that, and raise `gateway.errors.Knocked`.
    The answer is an invitation, or a `RemoteRoomInviteGone`."""


class FindRoom(Record, frozen=True, kw_only=True):
    """Which room it is that people call so, without coming into it."""

    address: str


class CreateRoom(Record, frozen=True, kw_only=True):
    """Make a room."""

    name: str
    topic: str = ""
    is_private: bool = True
    invited: tuple[RemoteUserId, ...] = ()


class LeaveRoom(Record, frozen=True, kw_only=True):
    """Go out of a room for good, or decline an invitation to it."""

    room: RemoteRoomId
    reason: str = ""


class InviteToRoom(Record, frozen=True, kw_only=True):
    """Ask somebody in."""

    room: RemoteRoomId
    user: RemoteUserId
    reason: str = ""


class RemoveFromRoom(Record, frozen=True, kw_only=True):
    """Put somebody out, and if they are banned, for good. Who has asked to be let in is not."""

    room: RemoteRoomId
    user: RemoteUserId
    is_ban: bool = False
    reason: str = ""


class LiftBan(Record, frozen=True, kw_only=True):
    """Somebody may come again."""

    room: RemoteRoomId
    user: RemoteUserId


class SetAffiliation(Record, frozen=True, kw_only=True):
    """What somebody in the room is from now on."""

    room: RemoteRoomId
    user: RemoteUserId
    affiliation: Affiliation


class SetVoice(Record, frozen=True, kw_only=True):
    """Whether somebody may speak."""

    room: RemoteRoomId
    user: RemoteUserId
    may_speak: bool


class DescribeRoom(Record, frozen=True, kw_only=True):
    """Change what the room is. None leaves it as it is."""

    room: RemoteRoomId
    name: str | None = None
    topic: str | None = None
    is_private: bool | None = None


class DestroyRoom(Record, frozen=True, kw_only=True):
    """End the room for everybody: all are put out, and nobody can come in any more."""

    room: RemoteRoomId
    reason: str = ""


class SetRoomAvatar(Record, frozen=True, kw_only=True):
    """Give a room this picture, or take away the one that it has."""

    room: RemoteRoomId
    data: bytes = b""
    """A small PNG or JPEG; empty to take it away."""
    media_type: str = ""
    """``image/png`` or ``image/jpeg``."""


class ModerateMessage(Record, frozen=True, kw_only=True):
    """Take somebody's message back, as a moderator."""

    room: RemoteRoomId
    message: RemoteMessageId
    reason: str = ""


RoomAction = (
    JoinRoom
    | FindRoom
    | CreateRoom
    | LeaveRoom
    | InviteToRoom
    | RemoveFromRoom
    | LiftBan
    | SetAffiliation
    | SetVoice
    | DescribeRoom
    | DestroyRoom
    | SetRoomAvatar
    | ModerateMessage
)
