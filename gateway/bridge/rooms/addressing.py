# SPDX-License-Identifier: Apache-2.0
"""Whom a user names in a room (REQ-439): by a reference of their client, or by a nick where people
address others, which is ``nick:`` or ``nick,`` at the beginning and ``@nick`` anywhere.

A nick somewhere else is a word like others: "will" and "may" are names too, and nobody shall be
called by mistake.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from msgspec import structs

from gateway.bridge.rooms import mentions
from gateway.bridge.rooms.nicks import fold
from gateway.bridge.rooms.occupant_ids import occupant_id
from gateway.events import Affiliation, Mention, RemoteRoomMessage, RoomMention, RoomRight
from gateway.ids import RemoteUserId, is_virtual
from gateway.store import members
from gateway.store.rooms import RoomRow
from gateway.store.writer import Connection

_LONGEST = 80
"""Characters of what may be a nick. None is longer than 60, but folding makes it shorter."""
_MOST_SIGNS = 20
_MOST_OCCUPANTS = 1_000
_BEFORE_SIGN = frozenset("([{<\"'*_~,;:¡¿“«„-")
_AFTER_NICK = frozenset(":,")
_EVERYBODY = frozenset({"room", "all"})
_CLOSING = ".,;:!?)]}>\"'*_~"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """What a client says of whom a text names, by one of these."""

    begin: int = 0
    end: int = 0
    """In the whole body; equal if no part of it does."""
    nick: str = ""
    user: RemoteUserId | None = None
    occupant: str = ""
    """XEP-0421."""
    is_everybody: bool = False
    notify: bool = True


def within(pointers: Iterable[Pointer], whole: str, body: str) -> Iterator[Pointer]:
    """Of a text of which what stands above it was cut off: places in what is left."""
    cut = len(whole) - len(body) if whole.endswith(body) else len(whole)
    for pointer in pointers:
        if pointer.begin == pointer.end:
            yield pointer
        else:
            yield replace(pointer, begin=pointer.begin - cut, end=pointer.end - cut)


def once(
    room: RoomRow, wanted: Iterable[Mention], before: Iterable[RoomMention]
) -> tuple[Mention, ...]:
    """Whom an earlier text of the same message has named, is not told again."""
    told = {mention.occupant for mention in before}
    return tuple(
        structs.replace(each, notify=False)
        if (occupant_id(room.secret, each.user) if each.user is not None else "") in told
        else each
        for each in wanted
    )


def naming_virtual(db: Connection, room: RoomRow, event: RemoteRoomMessage) -> RemoteRoomMessage:
    """With those whom somebody of the network names for whom the house speaks: there is no other
    way to name them there than by their nicks."""
    known = {mention.user for mention in event.mentions}
    by_words = Addressing(db, room, event.sender).mentioned(event.body, ())
    named = [
        mention
        for mention in by_words
        if mention.user is not None and is_virtual(mention.user) and mention.user not in known
    ]
    if not named:
        return event
    return structs.replace(event, mentions=(*event.mentions, *named))


@dataclass(frozen=True, slots=True)
class Addressing:
    """In one room, for one account."""

    db: Connection
    room: RoomRow
    own: RemoteUserId

    def mentioned(self, body: str, pointers: Iterable[Pointer]) -> tuple[Mention, ...]:
        """All who are. What the client says comes first, then what the words say."""
        pointed = [found for pointer in pointers for found in self._pointed(body, pointer)]
        named = mentions.placed(pointed, len(body))
        taken = [(mention.begin, mention.end) for mention in named]
        by_words = [
            mention
            for mention in self._by_words(body)
            if all(mention.end <= begin or end <= mention.begin for begin, end in taken)
        ]
        named = mentions.placed([*named, *by_words], len(body))
        seen = {mention.user for mention in named}
        nowhere = {each.user: each for each in pointed if each.begin == each.end}
        rest = (mention for user, mention in nowhere.items() if user not in seen)
        return tuple([*named, *rest][: mentions.MOST])

    # --- by reference ---------------------------------------------------------------------------

    def _pointed(self, body: str, pointer: Pointer) -> Iterator[Mention]:
        """Nothing, if that is nobody."""
        begin, end = pointer.begin, pointer.end
        if pointer.is_everybody:
            if self._may_call_all():
                yield Mention(user=None, begin=begin, end=end, notify=pointer.notify)
            return
        user = self._person(pointer, body[begin:end])
        if user is not None:
            yield Mention(user=user, begin=begin, end=end, notify=pointer.notify)

    def _person(self, pointer: Pointer, called: str) -> RemoteUserId | None:
        if pointer.user is not None:
            member = members.find(self.db, self.room.id, pointer.user)
            return None if member is None else member.user
        if pointer.nick:
            return self._called(pointer.nick)
        return self._occupant(pointer.occupant, called) if pointer.occupant else None

    def _occupant(self, id: str, called: str) -> RemoteUserId | None:
        """Most are called by their nick; else it is somebody whom clients have seen."""
        likely = self._called(called.removeprefix("@"))
        if likely is not None and occupant_id(self.room.secret, likely) == id:
            return likely
        for member in members.shown(self.db, self.room.id, _MOST_OCCUPANTS):
            if occupant_id(self.room.secret, member.user) == id:
                return member.user
        return None

    # --- by words -------------------------------------------------------------------------------

    def _by_words(self, body: str) -> Iterator[Mention]:
        start = _after_quote(body)
        yield from self._addressed(body, start)
        sign, signs = body.find("@", start), 0
        while sign >= 0 and signs < _MOST_SIGNS:
            signs += 1
            found = None if _is_inside(body, sign) else self._at(body, sign)
            if found is not None:
                yield found
            sign = body.find("@", sign + 1 if found is None else found.end)

    def _addressed(self, body: str, start: int) -> Iterator[Mention]:
        """``nick: `` at the beginning, or several of them."""
        while True:
            for end in _ends(body, start):
                rest = body[end : end + 2]
                is_address = rest[:1] in _AFTER_NICK and not rest[1:].strip()
                user = self._called(body[start:end]) if is_address else None
                if user is not None:
                    yield Mention(user=user, begin=start, end=end)
                    break
            else:
                return
            if rest[:1] == ":":
                return
            start = end + len(rest)

    def _at(self, body: str, sign: int) -> Mention | None:
        """The longest nick after the sign, or an id of the network that begins with it."""
        start = sign + 1
        for end in _ends(body, start):
            user = self._called(body[start:end])
            if user is not None:
                return Mention(user=user, begin=start, end=end)
            if body[start:end].lower() in _EVERYBODY and self._may_call_all():
                return Mention(user=None, begin=sign, end=end)
        word = body[sign : sign + 256].split(maxsplit=1)[0].rstrip(_CLOSING)
        member = members.find(self.db, self.room.id, RemoteUserId(word))
        if member is None:
            return None
        return Mention(user=member.user, begin=sign, end=sign + len(word))

    def _called(self, nick: str) -> RemoteUserId | None:
        member = members.by_nick(self.db, self.room.id, fold(nick)) if nick else None
        return None if member is None else member.user

    def _may_call_all(self) -> bool:
        if self.room.may is not None:
            return RoomRight.MENTION_ALL in self.room.may
        me = members.find(self.db, self.room.id, self.own)
        return me is not None and me.affiliation in (Affiliation.OWNER, Affiliation.ADMIN)


def _ends(body: str, start: int) -> Iterator[int]:
    """Where a nick that begins here may end: with a word, the longest first, on the same line."""
    stop = min(len(body), start + _LONGEST)
    line = body.find("\n", start, stop)
    stop = stop if line < 0 else line
    for end in range(stop, start, -1):
        is_cut = end < len(body) and body[end - 1].isalnum() and body[end].isalnum()
        if not is_cut and not body[end - 1].isspace():
            yield end


def _is_inside(body: str, sign: int) -> bool:
    """Of an address, or of a line that somebody else has said."""
    before = body[sign - 1 : sign] if sign else ""
    is_open = not before or before.isspace() or before in _BEFORE_SIGN
    return not is_open or body.startswith(">", body.rfind("\n", 0, sign) + 1)


def _after_quote(body: str) -> int:
    """Where the user's own words begin."""
    start = 0
    while body.startswith(">", start):
        end = body.find("\n", start)
        if end < 0:
            return len(body)
        start = end + 1
    return start
