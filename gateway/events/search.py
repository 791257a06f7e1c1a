# SPDX-License-Identifier: Apache-2.0
"""Looking for rooms of the network that anybody may find. Nothing of it is kept."""

from __future__ import annotations

from gateway.events.record import Record
from gateway.ids import RemoteRoomId


class SearchRooms(Record, frozen=True, kw_only=True):
    """Which rooms are wanted."""

    words: str = ""
    """All there are, if it is empty."""
    server: str = ""
    """Whose list is looked through, where the network has several; empty: the account's own."""
    page: str = ""
    """`FoundRooms.next` of the one before."""
    most: int = 50


class FoundRoom(Record, frozen=True, kw_only=True):
    """A room that anybody may find."""

    room: RemoteRoomId
    name: str = ""
    topic: str = ""
    members: int = 0
    address: str = ""
    """What `gateway.events.JoinRoom` takes for it; empty if one has to be invited."""
    is_open: bool = True
    """Anybody may come in."""


class FoundRooms(Record, frozen=True, kw_only=True):
    """A page of them."""

    rooms: tuple[FoundRoom, ...] = ()
    next: str = ""
    """Of the page after this one; empty if there is none."""
