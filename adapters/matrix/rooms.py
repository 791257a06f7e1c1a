# SPDX-License-Identifier: Apache-2.0
"""The book of rooms: which belong to which contact, which are groups, and what is known of them.

It lives in the account's key-value store, one key per entry, and changes only together with a
commit: changes are written into a `Draft`, whose `Draft.changes` are committed before
`Book.apply` makes them true. No room is both a chat and a group.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NewType

import msgspec

from gateway.ids import RemoteUserId

RoomId = NewType("RoomId", str)

_ROOM = "room:"
_GROUP = "group:"
_GROUPS = "groups"
_AVATARS = "avatars"
_PASTS = "pasts"
_FACES = "faces"
_NAME = "name:"
_FACE = "face:"
_OPENING = "opening:"
_INVITED = "invited:"
_MAX_INVITED = 200
"""Invitations to groups that are remembered; strangers invite as many people as they like."""
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
    """Newest event that was handed over as a message, and not as an edit of one."""
    used: int = 0
    """When the newest message was sent, in milliseconds."""
    unlisted: bool = False
    """Made or accepted here, and not yet in ``m.direct``."""
    version: int = 0
    """As `Group.version`. An earlier version did not keep it."""
    guests: bool = False
    """Somebody besides the account and the contact has spoken through the contact."""

    @property
    def is_candidate(self) -> bool:
        """As far as is known, what we say there reaches the contact."""
        return self.mine in ("join", "") and self.theirs in ("join", "invite", "")


class Levels(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Of a group's ``m.room.power_levels`` what decides who may speak and who rules. Stored with
    the group: what an earlier version has not kept is taken for what is usual."""

    users: dict[str, int] = {}
    default: int = 0
    """Of everybody else."""
    speak: int = 0
    """Needed for ``m.room.message``."""
    speak_encrypted: int = 0
    """Needed for ``m.room.encrypted``."""
    kick: int = 50
    ban: int = 50
    redact: int = 50
    """Needed to take back what others have said."""
    invite: int = 0
    name: int = 50
    """Needed for ``m.room.name``, and so on."""
    topic: int = 50
    avatar: int = 50
    join_rules: int = 50
    power_levels: int = 50
    mention_all: int = 50
    """Needed to notify the whole room."""


class Group(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A joined room that is no chat, as it was last told. A stored record, as `Room`.

    Who is in it is not kept: the gateway knows that, and the homeserver is asked for changes that
    have no event of their own.
    """

    is_space: bool = False
    """Made to list other rooms: nothing of it is told."""
    is_hidden: bool = False
    """The account has just made it, and nobody else is there yet. Other apps begin a chat like
    that, and say only then that it is one: nothing is told before somebody comes."""
    name: str = ""
    alias: str = ""
    topic: str = ""
    topic_by: str = ""
    topic_at: float | None = None
    avatar: str = ""
    is_private: bool = True
    shows_past: bool | None = None
    """Who comes later may read what is said now. None if that was not asked for yet."""
    encrypted: bool | None = None
    """As `Room.encrypted`."""
    founder: str = ""
    """Rules it until there are levels."""
    creators: tuple[str, ...] = ()
    """Stand above all levels, since room version 12."""
    levels: Levels | None = None
    heroes: dict[str, str] = {}
    """Some people and their names, for a group that has no name."""
    people: int = 0
    """How many are there or invited, if that is known."""
    last: str = ""
    """As `Room.last`."""
    message: str = ""
    """As `Room.message`."""
    version: int = 0
    """Of the room, if it is a number and known."""
    is_meant: bool = False
    """Made as a group, and not to become a chat. Such a one has a name, which comes late."""
    moved_to: str = ""
    """The room in which it goes on."""
    is_stale: bool = False
    """The list of its members, or what they may do, has changed and could not be fetched yet."""


class Book:
    """What was committed."""

    def __init__(self, state: Mapping[str, str]) -> None:
        self._entries = {
            key: value for key, value in state.items() if not key.startswith((_ROOM, _GROUP))
        }
        self._rooms = {
            RoomId(key.removeprefix(_ROOM)): msgspec.json.decode(value, type=Room)
            for key, value in state.items()
            if key.startswith(_ROOM)
        }
        self._groups = {
            RoomId(key.removeprefix(_GROUP)): msgspec.json.decode(value, type=Group)
            for key, value in state.items()
            if key.startswith(_GROUP)
        }

    def room(self, room_id: RoomId) -> Room | None:
        """A direct room, or None for a group and for what we have never heard of."""
        return self._rooms.get(room_id)

    def group(self, room_id: RoomId) -> Group | None:
        """A group that the account is in, or None."""
        return self._groups.get(room_id)

    def groups(self) -> Mapping[RoomId, Group]:
        """All groups."""
        return self._groups

    @property
    def knows_groups(self) -> bool:
        """Whether all groups were told. An earlier version left them out."""
        return _GROUPS in self._entries

    @property
    def knows_avatars(self) -> bool:
        """Whether the pictures of all groups and members were told, likewise."""
        return _AVATARS in self._entries

    @property
    def knows_pasts(self) -> bool:
        """Whether it was told of all groups who may read their past, likewise."""
        return _PASTS in self._entries

    @property
    def knows_faces(self) -> bool:
        """Whether the pictures of the people of direct rooms were told, likewise."""
        return _FACES in self._entries

    @property
    def knows_state(self) -> bool:
        """Whether all was asked for that is kept of groups now."""
        return self.knows_groups and self.knows_avatars and self.knows_pasts and self.knows_faces

    def rooms(self) -> Mapping[RoomId, Room]:
        """All direct rooms."""
        return self._rooms

    def contacts(self) -> set[RemoteUserId]:
        """The people of the direct rooms."""
        return {room.contact for room in self._rooms.values()}

    def strangers(self) -> set[RemoteUserId]:
        """Contacts with whom the account is in no room yet, or no longer."""
        together = {
            room.contact
            for room in self._rooms.values()
            if room.mine in ("join", "") and room.theirs in ("join", "")
        }
        return self.contacts() - together

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

    def face(self, contact: RemoteUserId) -> str | None:
        """What the picture of a contact is called; None if nothing was told of one."""
        return self._entries.get(_FACE + contact)

    def is_opening(self, contact: RemoteUserId) -> bool:
        """A room for this contact was about to be made, and perhaps was."""
        return _OPENING + contact in self._entries

    def has_space_for_names(self) -> bool:
        """Whether names of third persons are still remembered."""
        return len(self._entries) < _MAX_NAMES

    def invitations(self) -> dict[RoomId, str]:
        """What waits of groups, by their room: an invitation, or that the account wants one."""
        return {
            RoomId(key.removeprefix(_INVITED)): value
            for key, value in self._entries.items()
            if key.startswith(_INVITED)
        }

    @property
    def entries(self) -> Mapping[str, str]:
        """All that is kept besides rooms and groups."""
        return self._entries

    def draft(self) -> Draft:
        """Begin to change."""
        return Draft(self)

    def apply(self, draft: Draft) -> None:
        """Make true what was committed."""
        self._rooms.update(draft.changed_rooms)
        for room_id, group in draft.changed_groups.items():
            if group is None:
                self._groups.pop(room_id, None)
            else:
                self._groups[room_id] = group
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
        self.changed_groups: dict[RoomId, Group | None] = {}
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

    def group(self, room_id: RoomId) -> Group | None:
        """As `Book.group`, with the changes."""
        if room_id in self.changed_groups:
            return self.changed_groups[room_id]
        return self._book.group(room_id)

    def groups(self) -> list[RoomId]:
        """All groups, with the changes."""
        both = {**self._book.groups(), **self.changed_groups}
        return [room_id for room_id, group in both.items() if group is not None]

    def put_group(self, room_id: RoomId, group: Group | None) -> None:
        """Enter or replace a group, or strike it out."""
        if group != self.group(room_id):
            self.changed_groups[room_id] = group

    def put_groups_known(self) -> None:
        """All groups were told. After an earlier version their members are listed again."""
        if not self._book.knows_groups:
            self.changed_entries[_GROUPS] = "1"
        if not self._book.knows_faces:
            self.changed_entries[_FACES] = "1"
        if not self._book.knows_pasts:
            self.changed_entries[_PASTS] = "1"
        if not self._book.knows_avatars:
            self.changed_entries[_AVATARS] = "1"
            for room_id in self._book.groups():
                group = self.group(room_id)
                if group is not None and not group.is_space and not group.is_hidden:
                    self.put_group(room_id, msgspec.structs.replace(group, is_stale=True))

    def name(self, user_id: str) -> str:
        """As `Book.name`, with the changes."""
        changed = self.changed_entries.get(_NAME + user_id)
        return self._book.name(user_id) if changed is None else changed

    def put_name(self, user_id: str, name: str, *, is_contact: bool) -> None:
        """Remember a name."""
        if is_contact or self._book.has_space_for_names():
            self.changed_entries[_NAME + user_id] = name

    def face(self, contact: RemoteUserId) -> str | None:
        """As `Book.face`, with the changes."""
        changed = self.changed_entries.get(_FACE + contact)
        return self._book.face(contact) if changed is None else changed

    def put_face(self, contact: RemoteUserId, avatar: str) -> None:
        """Remember what a picture is called."""
        self.changed_entries[_FACE + contact] = avatar

    def noted(self, prefix: str) -> dict[str, str]:
        """What others keep here under names that begin so."""
        both = {**self._book.entries, **self.changed_entries}
        return {name: each for name, each in both.items() if each and name.startswith(prefix)}

    def noted_as(self, key: str) -> str | None:
        """What is kept under this name."""
        return self.changed_entries.get(key, self._book.entries.get(key))

    def note(self, key: str, value: str | None) -> None:
        """Keep something, or keep it no longer."""
        self.changed_entries[key] = value

    def put_opening(self, contact: RemoteUserId, opening: bool) -> None:
        """Note before a room is made, and when that has come to an end."""
        if opening or self._book.is_opening(contact):
            self.changed_entries[_OPENING + contact] = "1" if opening else None

    def invitations(self) -> dict[RoomId, str]:
        """As `Book.invitations`, with the changes."""
        both = self._book.invitations()
        for key, value in self.changed_entries.items():
            if key.startswith(_INVITED):
                room_id = RoomId(key.removeprefix(_INVITED))
                both.pop(room_id, None)
                if value is not None:
                    both[room_id] = value
        return both

    def put_invitation(self, room_id: RoomId, invitation: str | None) -> bool:
        """An invitation to a group waits, or no longer. False if that changes nothing, or if too
        many wait."""
        waiting = self.invitations()
        if waiting.get(room_id) == invitation:
            return False
        if invitation is not None and room_id not in waiting and len(waiting) >= _MAX_INVITED:
            return False
        self.changed_entries[_INVITED + room_id] = invitation
        return True

    def changes(self) -> dict[str, str | None]:
        """For `AccountContext.commit`."""
        rooms = {
            _ROOM + room_id: msgspec.json.encode(room).decode()
            for room_id, room in self.changed_rooms.items()
        }
        groups = {
            _GROUP + room_id: None if group is None else msgspec.json.encode(group).decode()
            for room_id, group in self.changed_groups.items()
        }
        return {**self.changed_entries, **rooms, **groups}
