# SPDX-License-Identifier: Apache-2.0
"""Who is named in a text, both ways. No I/O.

Bot API, "MessageEntity": a ``text_mention`` says who is meant; a ``mention`` is a user name in the
text, and whose that is has to be learned. Among the styles of a text both are links to people,
which Telegram has too (Bot API, "Formatting options").
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from telegram import Message, MessageEntity

from adapters.telegram import ids
from gateway.events import Mention
from gateway.ids import RemoteUserId
from gateway.text import Span, Style, tree

_MOST: Final = 5_000
"""User names of one account that are known: those that were heard of last."""
_MOST_MENTIONS = 50
_LINK: Final = re.compile(r"tg://user\?id=([1-9]\d{0,15})", re.ASCII)


class Usernames:
    """Whose they are, as far as one bot has heard of them. They are not kept: people are named in
    a text by a name all the same."""

    def __init__(self) -> None:
        self._people: dict[str, RemoteUserId] = {}

    def learn(self, user: int, username: str | None) -> None:
        """Somebody is called so. Of a name that others have taken the last one counts."""
        if username:
            name = username.lower()
            self._people.pop(name, None)
            self._people[name] = RemoteUserId(str(user))
            if len(self._people) > _MOST:
                del self._people[next(iter(self._people))]

    def learn_of(self, message: Message) -> None:
        """Those of a message: who has said it, or what it answers, and who has come."""
        answered = message.reply_to_message
        others = (message.from_user, None if answered is None else answered.from_user)
        for user in (*others, *message.new_chat_members):
            if user is not None:
                self.learn(user.id, user.username)

    def named(self, entity: MessageEntity, words: str) -> RemoteUserId | None:
        """Whom an entity of these words names; None if nobody, or somebody unknown."""
        if entity.type == MessageEntity.TEXT_MENTION and entity.user is not None:
            return RemoteUserId(str(entity.user.id))
        if entity.type == MessageEntity.MENTION:
            return self._people.get(words.removeprefix("@").lower())
        return None


def link_to(user: RemoteUserId) -> str:
    """What stands for somebody."""
    return f"tg://user?id={user}"


def linked(address: str) -> RemoteUserId | None:
    """The inverse; None if it leads to nobody."""
    found = _LINK.fullmatch(address)
    return None if found is None else RemoteUserId(found[1])


def mentions_in(spans: Iterable[Span], *, notify: bool) -> tuple[Mention, ...]:
    """Who is named in a text."""
    found = (
        Mention(user=user, begin=span.begin, end=span.end, notify=notify)
        for span in spans
        if (user := _person(span)) is not None
    )
    return tuple(found)[:_MOST_MENTIONS]


def without_people(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The styles alone."""
    return tuple(span for span in spans if _person(span) is None)


def with_people(text: str, spans: Sequence[Span], mentions: Iterable[Mention]) -> tuple[Span, ...]:
    """The styles of a text, and whom it names. Nobody can be told whose name is not in it, and
    there is no way to call everybody."""
    return tree([*_links(mentions), *spans], len(text))


def _links(mentions: Iterable[Mention]) -> Iterator[Span]:
    for each in mentions:
        if each.user is not None and ids.is_person(each.user):
            yield Span(Style.LINK, each.begin, each.end, link_to(each.user))


def _person(span: Span) -> RemoteUserId | None:
    return linked(span.value) if span.style is Style.LINK else None
