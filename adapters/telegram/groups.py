# SPDX-License-Identifier: Apache-2.0
"""The groups that a bot is in, as the gateway was told of them. No I/O.

Telegram gives no list of a group's members: those are known who administer it, who have come
since the bot is there, and who have said something. A group that becomes a supergroup gets another
number (Bot API, "Message", ``migrate_to_chat_id``); it stays the room that it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec
from msgspec import structs

from adapters.telegram.lacking import lacking
from adapters.telegram.pictures import Faces
from adapters.telegram.rights import room_rights
from gateway.events import (
    Affiliation,
    Departure,
    Member,
    RemoteEvent,
    RemoteMember,
    RemoteMemberGone,
    RemoteRoom,
    RemoteRoomMoved,
)
from gateway.ids import RemoteRoomId, RemoteUserId
from gateway.text import clean

_KEY = "group "
_MOVED = "moved "
"""Of the state: by the number of a supergroup, the room that it was before."""
_MOST_PEOPLE = 5_000
"""Of one group, who need not be told again."""
_MOST_BANNED = 1_000
"""Of one group, the last of whom the bot has heard."""
_RULERS = (Affiliation.OWNER, Affiliation.ADMIN)


class Shape(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a group is."""

    name: str = ""
    about: str = ""
    username: str = ""
    """By which anybody finds it."""
    rights: tuple[str, ...] = ()
    """Those of the bot as an administrator; see `adapters.telegram.rights`."""
    picture: str = ""
    """See `adapters.telegram.pictures`."""
    shows_past: bool = False
    """Who comes later sees what was said before."""
    people: int | None = None
    """How many are there."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What Telegram tells who asks."""

    shape: Shape
    rulers: tuple[Member, ...]
    """The bot too, if it is an administrator."""
    own_name: str
    hears_all: bool
    """The bot is told of all that is said there."""


class _Stored(msgspec.Struct):
    shape: Shape
    kept: list[Member]
    banned: dict[RemoteUserId, int] = {}


@dataclass(slots=True)
class _Group:
    shape: Shape
    people: dict[RemoteUserId, Member] = field(default_factory=dict)
    """Who was told, and as what."""
    banned: dict[RemoteUserId, int] = field(default_factory=dict)
    """Those of whom the bot has heard, and until when; 0: for ever. Bots are given no list."""


class Groups:
    """Of one bot."""

    def __init__(
        self,
        own: RemoteUserId,
        state: Mapping[str, str],
        faces: Faces,
        *,
        is_house: bool = False,
    ) -> None:
        """``own``: the bot. ``faces``: of the people there. ``is_house``: the bot is that of the
        gateway."""
        self._own = own
        self._faces = faces
        self._is_house = is_house
        self._groups: dict[RemoteRoomId, _Group] = {}
        self._moved: dict[str, RemoteRoomId] = {}
        self._facts: dict[RemoteRoomId, Facts] = {}
        self._changes: dict[str, str | None] = {}
        for key, value in state.items():
            if key.startswith(_KEY):
                stored = msgspec.json.decode(value, type=_Stored)
                people = {member.user: member for member in stored.kept}
                room = RemoteRoomId(key.removeprefix(_KEY))
                self._groups[room] = _Group(stored.shape, people, stored.banned)
            elif key.startswith(_MOVED):
                self._moved[key.removeprefix(_MOVED)] = RemoteRoomId(value)

    def changes(self) -> dict[str, str | None]:
        """Of the state, since this was asked last."""
        changes, self._changes = self._changes, {}
        return changes

    def room_of(self, chat: int) -> RemoteRoomId:
        """What the gateway calls a group of this number."""
        return self._moved.get(str(chat), RemoteRoomId(str(chat)))

    def known(self, chat: str) -> RemoteRoomId | None:
        """The room of this number, if it was told of."""
        room = self._moved.get(chat, RemoteRoomId(chat))
        return room if room in self._groups else None

    def chat_of(self, room: RemoteRoomId) -> str:
        """The number that a room has now."""
        return next((chat for chat, of in self._moved.items() if of == room), room)

    def learn(self, room: RemoteRoomId, facts: Facts) -> None:
        """What is told of it when something happens there."""
        self._facts[room] = facts

    def is_learned(self, room: RemoteRoomId) -> bool:
        """Something was learned that is not told yet."""
        return room in self._facts

    def forget(self, room: RemoteRoomId) -> bool:
        """Be as if it was never told. Returns whether it was."""
        self._facts.pop(room, None)
        if self._groups.pop(room, None) is None:
            return False
        self._changes[_KEY + room] = None
        return True

    # --- what is told ---------------------------------------------------------------------------

    def opened(self, room: RemoteRoomId, name: str) -> Iterator[RemoteEvent]:
        """What a group is, as far as it is news; comes before all that happens there. ``name``: as
        it is now."""
        facts, group = self._facts.pop(room, None), self._groups.get(room)
        if group is not None:
            yield from self._anew(room, group, name, facts)
            return
        own = Member(user=self._own, name="" if facts is None else facts.own_name)
        people = {own.user: own}
        if facts is not None:
            people |= {ruler.user: self._faced(ruler) for ruler in facts.rulers}
        shape = Shape(name) if facts is None else facts.shape
        self._groups[room] = _Group(shape, people)
        self._keep(room)
        yield _room(room, shape, members=tuple(people.values()), is_new=True)
        if facts is not None and not shape.rights:
            yield from lacking(room, hears_all=facts.hears_all, is_house=self._is_house)

    def _anew(
        self, room: RemoteRoomId, group: _Group, name: str, facts: Facts | None
    ) -> Iterator[RemoteEvent]:
        shape = structs.replace(group.shape, name=name) if facts is None else facts.shape
        yield from self._reshaped(room, shape)
        if facts is not None:
            ruling = {ruler.user for ruler in facts.rulers}
            for member in list(group.people.values()):
                if member.affiliation in _RULERS and member.user not in ruling:
                    yield from self.member(
                        room, structs.replace(member, affiliation=Affiliation.MEMBER, title="")
                    )
            for ruler in facts.rulers:
                yield from self.member(room, ruler)

    def looked(self, room: RemoteRoomId) -> Iterator[RemoteEvent]:
        """What was learned of it, though nothing has happened there."""
        facts, group = self._facts.pop(room, None), self._groups.get(room)
        if group is not None and facts is not None:
            yield from self._anew(room, group, facts.shape.name, facts)

    def described(
        self, room: RemoteRoomId, *, name: str | None = None, about: str | None = None
    ) -> Iterator[RemoteEvent]:
        """The bot has called it so, or said this about it. What is None has not changed."""
        group = self._groups.get(room)
        if group is None:
            return
        shape = group.shape
        name = shape.name if name is None else " ".join(clean(name).split())
        about = shape.about if about is None else clean(about)
        yield from self._reshaped(room, structs.replace(shape, name=name, about=about))

    def allowed(self, room: RemoteRoomId, rights: tuple[str, ...]) -> Iterator[RemoteEvent]:
        """The bot has these rights as an administrator."""
        shape = structs.replace(self._groups[room].shape, rights=rights)
        yield from self._reshaped(room, shape)

    def speaks(self, room: RemoteRoomId, *, may_speak: bool) -> Iterator[RemoteEvent]:
        """Whether the bot may say something there."""
        own = self._groups[room].people.get(self._own) or Member(user=self._own)
        yield from self.member(room, structs.replace(own, may_speak=may_speak))

    def _reshaped(self, room: RemoteRoomId, shape: Shape) -> Iterator[RemoteEvent]:
        group = self._groups[room]
        if shape != group.shape:
            group.shape = shape
            self._keep(room)
            yield _room(room, shape)

    def member(self, room: RemoteRoomId, member: Member) -> Iterator[RemoteEvent]:
        """Somebody is there, as this, and with the picture that they have."""
        member = self._faced(member)
        people = self._groups[room].people
        before = people.get(member.user)
        if before == member:
            return
        people[member.user] = member
        if len(people) > _MOST_PEOPLE:
            self._groups[room].people = dict(self._kept(people.values()))
        if any(self._kept(filter(None, (before, member)))):
            self._keep(room)
        yield RemoteMember(room=room, member=member)

    def _faced(self, member: Member) -> Member:
        return structs.replace(member, avatar=self._faces.of(member.user))

    def pictured(self, user: RemoteUserId) -> Iterator[RemoteEvent]:
        """Somebody has another picture, wherever they are."""
        for room, group in self._groups.items():
            if user in group.people:
                yield from self.member(room, group.people[user])

    def speaker(self, room: RemoteRoomId, user: RemoteUserId, name: str) -> Iterator[RemoteEvent]:
        """Somebody is there, since they do something; as what is not said."""
        known = self._groups[room].people.get(user) or Member(user=user)
        yield from self.member(room, structs.replace(known, name=name))

    def gone(
        self, room: RemoteRoomId, user: RemoteUserId, how: Departure, actor: RemoteUserId
    ) -> Iterator[RemoteEvent]:
        """Somebody is not there any more."""
        group = self._groups.get(room)
        if group is None:
            return
        by = None if actor == user else actor
        yield RemoteMemberGone(room=room, user=user, how=how, actor=by)
        was_kept = any(self._kept(filter(None, (group.people.pop(user, None),))))
        if user == self._own:
            del self._groups[room]
            self._changes[_KEY + room] = None
        elif was_kept:
            self._keep(room)

    def left(self, room: RemoteRoomId) -> Iterator[RemoteEvent]:
        """The bot has gone."""
        yield from self.gone(room, self._own, Departure.LEFT, self._own)

    # --- who may do what ------------------------------------------------------------------------

    def rights(self, room: RemoteRoomId) -> tuple[str, ...]:
        """Those of the bot as an administrator."""
        group = self._groups.get(room)
        return () if group is None else group.shape.rights

    def is_ruler(self, room: RemoteRoomId, user: RemoteUserId) -> bool:
        """Whether somebody administers it, as far as that is known."""
        group = self._groups.get(room)
        member = None if group is None else group.people.get(user)
        return member is not None and member.affiliation in _RULERS

    def ruled(
        self, room: RemoteRoomId, user: RemoteUserId, *, is_admin: bool
    ) -> Iterator[RemoteEvent]:
        """The bot has made somebody an administrator, or no more."""
        group = self._groups.get(room)
        member = None if group is None else group.people.get(user)
        if member is not None:
            affiliation = Affiliation.ADMIN if is_admin else Affiliation.MEMBER
            now = structs.replace(member, affiliation=affiliation, title="")
            yield from self.member(room, now)

    def banned(self, room: RemoteRoomId, now: float) -> list[RemoteUserId]:
        """Of whom it is known that they may not come in."""
        group = self._groups.get(room)
        if group is None:
            return []
        return [user for user, until in group.banned.items() if not until or until > now]

    def ban(self, room: RemoteRoomId, user: RemoteUserId, until: int = 0) -> None:
        """Somebody may not come in, until then or for ever."""
        group = self._groups.get(room)
        if group is None or group.banned.get(user) == until:
            return
        group.banned[user] = until
        if len(group.banned) > _MOST_BANNED:
            del group.banned[next(iter(group.banned))]
        self._keep(room)

    def lift_ban(self, room: RemoteRoomId, user: RemoteUserId) -> bool:
        """Somebody may come in; False if it was not known that they may not."""
        group = self._groups.get(room)
        if group is None or group.banned.pop(user, None) is None:
            return False
        self._keep(room)
        return True

    # --- numbers --------------------------------------------------------------------------------

    def migrated(self, old: int, new: int) -> Iterator[RemoteEvent]:
        """It has another number."""
        if self.moved(self.room_of(old), new) or RemoteRoomId(str(new)) not in self._groups:
            return
        room = self.room_of(old)
        if self._groups.pop(room, None) is not None:  # what it became was told as another room
            self._changes[_KEY + room] = None
            yield RemoteRoomMoved(room=room, to=RemoteRoomId(str(new)))

    def moved(self, room: RemoteRoomId, new: int) -> bool:
        """A room has this number from now on; False if that one has it already, or another."""
        if str(new) in self._moved or RemoteRoomId(str(new)) in self._groups:
            return False
        self._moved[str(new)] = room
        self._changes[_MOVED + str(new)] = room
        return True

    # --- what is kept ---------------------------------------------------------------------------

    def _kept(self, people: Iterable[Member]) -> Iterator[tuple[RemoteUserId, Member]]:
        """Those who are remembered over restarts: of others it does no harm to be told again."""
        for member in people:
            if member.user == self._own or member.affiliation in _RULERS:
                yield member.user, member

    def _keep(self, room: RemoteRoomId) -> None:
        group = self._groups[room]
        kept = [member for _, member in self._kept(group.people.values())]
        stored = _Stored(group.shape, kept, group.banned)
        self._changes[_KEY + room] = msgspec.json.encode(stored).decode()


def _room(
    room: RemoteRoomId,
    shape: Shape,
    *,
    members: tuple[Member, ...] | None = None,
    is_new: bool = False,
) -> RemoteRoom:
    return RemoteRoom(
        room=room,
        name=shape.name,
        topic=shape.about,
        is_private=not shape.username,
        is_listed=bool(shape.username),
        shows_past=shape.shows_past or bool(shape.username),
        members=members,
        is_new=is_new,
        may=room_rights(shape.rights),
        avatar=shape.picture,
        people=shape.people,
    )
