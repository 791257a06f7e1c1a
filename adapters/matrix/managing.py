# SPDX-License-Identifier: Apache-2.0
"""What users do with groups while they wait for the answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from adapters.matrix.coming import Coming
from adapters.matrix.destroying import Destroying
from adapters.matrix.ruling import Ruling
from gateway.events import (
    CreateRoom,
    DescribeRoom,
    DestroyRoom,
    FindRoom,
    InviteToRoom,
    JoinRoom,
    LeaveRoom,
    LiftBan,
    ModerateMessage,
    RemoveFromRoom,
    RoomAction,
    SetAffiliation,
    SetRoomAvatar,
    SetVoice,
)
from gateway.ids import RemoteRoomId

Action = Callable[[Any], Awaitable[RemoteRoomId | None]]
Actions = Mapping[type[RoomAction], Callable[[Any, Any], Awaitable[RemoteRoomId | None]]]

COMING: Actions = {
    JoinRoom: Coming.join,
    FindRoom: Coming.find,
    CreateRoom: Coming.create,
    LeaveRoom: Coming.leave,
    InviteToRoom: Coming.invite,
}
RULING: Actions = {
    RemoveFromRoom: Ruling.remove,
    LiftBan: Ruling.lift_ban,
    SetAffiliation: Ruling.affiliate,
    SetVoice: Ruling.voice,
    DescribeRoom: Ruling.describe,
    SetRoomAvatar: Ruling.picture,
    ModerateMessage: Ruling.moderate,
}
ENDING: Actions = {DestroyRoom: Destroying.destroy}
ALL = frozenset((*COMING, *RULING, *ENDING))


def done_by(of: Coming | Ruling | Destroying, actions: Actions) -> dict[type[RoomAction], Action]:
    """The actions of one account."""
    return {kind: partial(does, of) for kind, does in actions.items()}
