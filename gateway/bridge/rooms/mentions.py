# SPDX-License-Identifier: Apache-2.0
"""Who is named in what people say in rooms (REQ-439, REQ-574): by nick, since clients look for
that in the text, and by reference.

Runs inside the writer's transaction, as `gateway.bridge.rooms.intake`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from msgspec import structs

from gateway.bridge import previews
from gateway.bridge.rooms.occupant_ids import occupant_id
from gateway.bridge.splitting import split_text
from gateway.events import (
    LinkPreview,
    Mention,
    RemoteRoomMessage,
    Reply,
    RoomMention,
    SharedFile,
)
from gateway.ids import RemoteUserId
from gateway.store import members
from gateway.store.members import MemberRow
from gateway.store.rooms import RoomRow
from gateway.store.writer import Connection
from gateway.text import Span, clean, find_word, moved, tree, within

MOST = 50
"""In one message; there is no need for more."""


class Part(NamedTuple):
    """Of a text."""

    words: str
    mentions: tuple[RoomMention, ...] = ()
    """Who is named in it."""
    spans: tuple[Span, ...] = ()
    """Which parts of it have which style."""
    file: SharedFile | None = None
    """It is what this part says."""
    previews: tuple[LinkPreview, ...] = ()
    """Of links in it."""


def parts(
    db: Connection,
    room: RoomRow,
    users: Collection[RemoteUserId],
    event: RemoteRoomMessage,
    reply: Reply | None,
) -> list[Part]:
    """What somebody says, as the room is told it. ``users``: the members who have clients of
    XMPP."""
    body = clean(event.body)
    said = Part(body, (), tree(event.spans, len(body)))
    if event.mentions:
        said = _by_nicks(db, room, users, event, said, "" if reply is None else reply.nick)
    told, start = [], 0
    for words in split_text(said.words):
        end = start + len(words)
        named, styled = of_part(said.mentions, start, end), within(said.spans, start, end)
        of_links = previews.shown(event.previews, words, styled)
        told.append(Part(words, tuple(named), styled, previews=of_links))
        start = end
    return told


def noted(
    db: Connection, room: RoomRow, body: str, mentions: Iterable[Mention]
) -> tuple[RoomMention, ...]:
    """Whom a user has named. Their text stays as it is."""
    people = _people(db, room, mentions)
    return tuple(
        _seen(room, mention, people)
        for mention in mentions
        if mention.user in people and mention.end <= len(body)
    )


def placed(mentions: Iterable[Mention], length: int) -> list[Mention]:
    """Those that name a part of a text of so many characters, in order, without what overlaps."""
    kept, end = [], 0
    for mention in sorted(mentions, key=lambda mention: (mention.begin, mention.end)):
        if end <= mention.begin < mention.end <= length:
            kept.append(mention)
            end = mention.end
    return kept


_People = dict[RemoteUserId | None, MemberRow | None]
"""Those who are mentioned, as far as they are there. None is everybody."""


def _people(db: Connection, room: RoomRow, mentions: Iterable[Mention]) -> _People:
    users = {mention.user for mention in mentions}
    found = {user: members.find(db, room.id, user) for user in users if user is not None}
    people: _People = {user: member for user, member in found.items() if member is not None}
    return people | {None: None} if None in users else people


def _seen(room: RoomRow, mention: Mention, people: _People) -> RoomMention:
    member = people[mention.user]
    return RoomMention(
        nick="" if member is None else member.nick,
        occupant="" if member is None else occupant_id(room.secret, member.user),
        begin=mention.begin,
        end=mention.end,
        notify=mention.notify,
    )


def _by_nicks(
    db: Connection,
    room: RoomRow,
    users: Collection[RemoteUserId],
    event: RemoteRoomMessage,
    said: Part,
    answered: str,
) -> Part:
    """The text with everybody called as in the room."""
    mentions = event.mentions[:MOST]
    people = _people(db, room, mentions)
    known = [mention for mention in mentions if mention.user in people]
    before = placed(_looked_for(said.words, known, people), len(said.words))
    body, named = _renamed(said.words, before, people)
    spans = _moved_with(said.spans, before, named)
    others = {mention.user: mention for mention in known}
    for mention in named:
        others.pop(mention.user, None)
    for user in [user for user in others if user in users]:
        called = people[user]
        if called is None or called.nick == answered or body.startswith("/me "):
            continue
        # The user's own clients look for the nick in the text. In a reply to them they have it.
        by = len(called.nick) + 2
        first = structs.replace(others.pop(user), begin=0, end=len(called.nick))
        body, named = f"{called.nick}: {body}", [first, *(_moved(each, by) for each in named)]
        spans = moved(spans, by)
    nowhere = [structs.replace(mention, begin=0, end=0) for mention in others.values()]
    seen = tuple(_seen(room, mention, people) for mention in [*named, *nowhere])
    return Part(body, seen, spans)


def _looked_for(body: str, mentions: Iterable[Mention], people: _People) -> Iterator[Mention]:
    """With their places. Apps that say only who is named, have called them by some name."""
    for mention in mentions:
        member = people[mention.user]
        if mention.begin == mention.end and member is not None:
            names = (name for name in (member.nick, member.name) if find_word(body, name) >= 0)
            if name := next(names, ""):
                begin = find_word(body, name)
                mention = structs.replace(mention, begin=begin, end=begin + len(name))
        yield mention


def _renamed(body: str, named: list[Mention], people: _People) -> tuple[str, list[Mention]]:
    written, end, length, renamed = [], 0, 0, []
    for mention in named:
        member, between = people[mention.user], body[end : mention.begin]
        called = body[mention.begin : mention.end] if member is None else member.nick
        written += [between, called]
        begin = length + len(between)
        end, length = mention.end, begin + len(called)
        renamed.append(structs.replace(mention, begin=begin, end=length))
    return "".join([*written, body[end:]]), renamed


def _moved_with(
    spans: Sequence[Span], before: Sequence[Mention], after: Sequence[Mention]
) -> tuple[Span, ...]:
    """The same in a text in which people are called otherwise."""

    def place(old: int, *, is_end: bool) -> int:
        by = 0
        for was, now in zip(before, after, strict=True):
            if was.begin < old < was.end:
                return now.end if is_end else now.begin
            if was.end <= old:
                by = now.end - was.end
        return old + by

    if not before:
        return tuple(spans)
    return tuple(
        structs.replace(
            span, begin=place(span.begin, is_end=False), end=place(span.end, is_end=True)
        )
        for span in spans
    )


def in_whole(mentions: tuple[Mention, ...], part: str, whole: str) -> tuple[Mention, ...]:
    """Those of a part of a text, in the whole of it."""
    by = whole.find(part)
    are_nowhere = (each.begin == each.end for each in mentions)
    return mentions if by <= 0 or all(are_nowhere) else tuple(_moved(m, by) for m in mentions)


M = TypeVar("M", Mention, RoomMention)


def _moved(mention: M, by: int) -> M:
    return structs.replace(mention, begin=mention.begin + by, end=mention.end + by)


def of_part(mentions: Iterable[M], start: int, end: int) -> Iterator[M]:
    """Those of one part of the text. Who is named nowhere is so in the first one."""
    for mention in mentions:
        if mention.begin == mention.end:
            if not start:
                yield mention
        elif start <= mention.begin and mention.end <= end:
            yield _moved(mention, -start)
