# SPDX-License-Identifier: Apache-2.0
"""What users do with groups while they wait for the answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from adapters.matrix.ruling import Ruling
from gateway.events import (
    DescribeRoom,
    InviteToRoom,
    LiftBan,
    ModerateMessage,
    RemoveFromRoom,
    RoomAction,
    SetAffiliation,
    SetVoice,
)
from gateway.ids import RemoteRoomId

Action = Callable[[Any], Awaitable[RemoteRoomId | None]]

RULING: tuple[type[RoomAction], ...] = (
    RemoveFromRoom,
    LiftBan,
    InviteToRoom,
    SetAffiliation,
    SetVoice,
    DescribeRoom,
    ModerateMessage,
)


def ruling(of: Ruling) -> dict[type[RoomAction], Action]:
    """What each of them does."""
    does: tuple[Action, ...] = (
        of.remove,
        of.lift_ban,
        of.invite,
        of.affiliate,
        of.voice,
        of.describe,
        of.moderate,
    )
    return dict(zip(RULING, does, strict=True))
