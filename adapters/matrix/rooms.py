# SPDX-License-Identifier: Apache-2.0
"""The book of direct rooms: which rooms belong to which contact, and what is known of them.

It lives in the account's key-value store, one key per entry, and changes only together with a
commit: changes are written into a `Draft`, whose `Draft.changes` are committed before
`Book.apply` makes them true. Groups are not in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NewType

import msgspec

from gateway.ids import RemoteUserId

RoomId = NewType("RoomId", str)

_ROOM = "room:"
_NAME = "name:"
_OPENING = "opening:"
_MAX_NAMES = 2_000
"""Names of third persons are not remembered beyond this; contacts' always are."""


class Room(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A direct room. A stored record: it only ever gains optional fields."""

    contact: RemoteUserId
    mine: str = ""
    """Membership of the account: join, invite, leave; empty if unknown."""
    theirs: str = ""
    """Membership of the contact, likewise."""
    encrypted: bool | None = None
    """None if unknown. Once true, always true: encryption cannot be switched off."""
    invite: str = ""
    """Id of the invitation that waits for the user's answer."""
    invites: int = 0
    """How many there have been: invitations have no id of their own."""
    last: str = ""
    """Newest event that was handed over or skipped: where a gap begins."""
    message: str = ""
    """Newest event that was handed over as a message."""
    used: int = 0
    """When the newest message was sent, in milliseconds."""
    unlisted: bool = False
    """Made or accepted here, and not yet in ``m.direct``."""

    @property
    def is_candidate(self) -> bool:
        """As far as is known, what we say there reaches the contact."""
        return self.mine in ("join", "") and self.theirs in ("join", "invite", "")


class Book:
    """What was committed."""

    def __init__(self, state: Mapping[str, str]) -> None:
        self._entries = {key: value for key, value in state.items() if not key.startswith(_ROOM)}
        self._rooms = {
            RoomId(key.removeprefix(_ROOM)): msgspec.json.decode(value, type=Room)
            for key, value in state.items()
            if key.startswith(_ROOM)
        }

    def room(self, room_id: RoomId) -> Room | None:
        """A direct room, or None for a group and for what we have never heard of."""
        return self._rooms.get(room_id)

    def rooms(self) -> Mapping[RoomId, Room]:
        """All direct rooms."""
        return self._rooms

    def contacts(self) -> set[RemoteUserId]:
        """The people of the direct rooms."""
        return {room.contact for room in self._rooms.values()}

    def rooms_of(self, contact: RemoteUserId) -> list[tuple[RoomId, Room]]:
        """The rooms of a contact, the most recently used first."""
        found = [entry for entry in self._rooms.items() if entry[1].contact == contact]
        return sorted(found, key=lambda entry: (-entry[1].used, entry[0]))

    def candidates(self, contact: RemoteUserId) -> list[RoomId]:
        """The rooms by which the contact may be reached, the most recently used first."""
        return [room_id for room_id, room in self.rooms_of(contact) if room.is_candidate]

    def invited_to(self, contact: RemoteUserId) -> list[RoomId]:
        """The rooms to which the account is invited by this contact and has not come."""
        return [room_id for room_id, room in self.rooms_of(contact) if room.mine == "invite"]

    def name(self, user_id: str) -> str:
        """The name of a person, empty if there is none."""
        return self._entries.get(_NAME + user_id, "")

    def is_opening(self, contact: RemoteUserId) -> bool:
        """A room for this contact was about to be made, and perhaps was."""
        return _OPENING + contact in self._entries

    def has_space_for_names(self) -> bool:
        """Whether names of third persons are still remembered."""
        return len(self._entries) < _MAX_NAMES

    def draft(self) -> Draft:
        """Begin to change."""
        return Draft(self)

    def apply(self, draft: Draft) -> None:
        """Make true what was committed."""
        self._rooms.update(draft.changed_rooms)
        for key, value in draft.changed_entries.items():
            if value is None:
                self._entries.pop(key, None)
            else:
                self._entries[key] = value


class Draft:
    """Changes that are not committed yet, over the book below."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self.changed_rooms: dict[RoomId, Room] = {}
        self.changed_entries: dict[str, str | None] = {}

    def room(self, room_id: RoomId) -> Room | None:
        """As `Book.room`, with the changes."""
        return self.changed_rooms.get(room_id) or self._book.room(room_id)

    def rooms(self) -> Iterator[tuple[RoomId, Room]]:
        """All rooms, with the changes."""
        yield from {**self._book.rooms(), **self.changed_rooms}.items()

    def put(self, room_id: RoomId, room: Room) -> None:
        """Enter or replace a room."""
        if room != self.room(room_id):
            self.changed_rooms[room_id] = room

    def name(self, user_id: str) -> str:
        """As `Book.name`, with the changes."""
        changed = self.changed_entries.get(_NAME + user_id)
        return self._book.name(user_id) if changed is None else changed

    def put_name(self, user_id: str, name: str, *, is_contact: bool) -> None:
        """Remember a name."""
        if is_contact or self._book.has_space_for_names():
            self.changed_entries[_NAME + user_id] = name

    def put_opening(self, contact: RemoteUserId, opening: bool) -> None:
        """Note before a room is made, and when that has come to an end."""
        if opening or self._book.is_opening(contact):
            self.changed_entries[_OPENING + contact] = "1" if opening else None

    def changes(self) -> dict[str, str | None]:
        """For `AccountContext.commit`."""
        rooms = {
            _ROOM + room_id: msgspec.json.encode(room).decode()
            for room_id, room in self.changed_rooms.items()
        }
        return {**self.changed_entries, **rooms}
