# SPDX-License-Identifier: Apache-2.0
"""What users do with groups while they wait for the answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
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
    SetVoice,
)
from gateway.ids import RemoteRoomId

Action = Callable[[Any], Awaitable[RemoteRoomId | None]]

COMING: tuple[type[RoomAction], ...] = (JoinRoom, FindRoom, CreateRoom, LeaveRoom, InviteToRoom)


def coming(of: Coming) -> dict[type[RoomAction], Action]:
    """What each of them does."""
    does: tuple[Action, ...] = (of.join, of.find, of.create, of.leave, of.invite)
    return dict(zip(COMING, does, strict=True))


RULING: tuple[type[RoomAction], ...] = (
    RemoveFromRoom,
    LiftBan,
    SetAffiliation,
    SetVoice,
    DescribeRoom,
    ModerateMessage,
    DestroyRoom,
)


def ruling(of: Ruling, ending: Destroying) -> dict[type[RoomAction], Action]:
    """The same."""
    does: tuple[Action, ...] = (
        of.remove,
        of.lift_ban,
        of.affiliate,
        of.voice,
        of.describe,
        of.moderate,
        ending.destroy,
    )
    return dict(zip(RULING, does, strict=True))
