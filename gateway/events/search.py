# SPDX-License-Identifier: Apache-2.0
"""Looking for rooms and people of the network. Nothing of it is kept."""

from __future__ import annotations

from gateway.events.record import Record
from gateway.ids import RemoteRoomId, RemoteUserId


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


class SearchPeople(Record, frozen=True, kw_only=True):
    """Which people are wanted."""

    words: str
    """Of their names or ids."""
    most: int = 50


class FoundPerson(Record, frozen=True, kw_only=True):
    """Somebody whom the account may find."""

    user: RemoteUserId
    name: str = ""
