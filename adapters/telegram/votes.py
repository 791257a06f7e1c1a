# SPDX-License-Identifier: Apache-2.0
"""What people without an account react with, by the gateway's own bot.

Bot API, setMessageReaction: a bot has one reaction to a message. It is what most of them have;
what somebody adds that is not shown so is told in a line.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from adapters.telegram import ids
from adapters.telegram.emoji import ALLOWED, bare
from adapters.telegram.speaking import shown_name
from gateway.adapter import AccountContext
from gateway.events import Author, ReactInRoom
from gateway.ids import RemoteMessageId, RemoteUserId
from gateway.text import Span, Style
from gateway.text.wording import tr

_MOST = 1_000
"""Messages of which it is known what this session has done about them."""
_NAME = "\ue000"
"""Stands for a name in a sentence of any language until its place is known."""


@dataclass(frozen=True, slots=True)
class Vote:
    """What is to be done for a command."""

    shown: tuple[str, ...]
    """What the bot may react with, the best first, as Telegram writes it; empty: with nothing any
    more."""
    added: tuple[str, ...]
    """What the author had not reacted with before."""

    def told(self, shown: str | None) -> tuple[str, ...]:
        """What has to be said of it, if that is what the bot reacts with."""
        return tuple(emoji for emoji in self.added if bare(emoji) != shown)


@dataclass(slots=True)
class _Message:
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    shown: str | None = None
    made: dict[RemoteUserId, tuple[str, ...]] = field(default_factory=dict)
    """What people react with whose commands were carried out; they may not be stored yet."""


class Votes:
    """Of all for whom the bot speaks. Their commands do not wait for one another."""

    def __init__(self, account: AccountContext) -> None:
        self._account = account
        self._messages: dict[RemoteMessageId, _Message] = {}

    def turn(self, message: RemoteMessageId) -> asyncio.Lock:
        """Held from when votes are counted until what follows is done."""
        return self._about(message).turn

    def _about(self, message: RemoteMessageId) -> _Message:
        found = self._messages.pop(message) if message in self._messages else _Message()
        self._messages[message] = found
        if len(self._messages) > _MOST:
            del self._messages[next(iter(self._messages))]
        return found

    def counted(self, command: ReactInRoom, author: Author) -> Vote:
        """How many have what, with this command. Where several have the same number, what is there
        stays."""
        known = self._about(command.message)
        stored = self._account.authors_reactions(command.room, command.message)
        others = {**stored, **known.made}
        before = others.pop(author.user, ())
        has = Counter(
            emoji
            for made in (*others.values(), command.emoji)
            for emoji in dict.fromkeys(map(bare, made))
        )
        best = sorted(has, key=lambda emoji: (-has[emoji], emoji != known.shown))
        return Vote(
            shown=tuple(emoji for emoji in best if emoji in ALLOWED),
            added=tuple(emoji for emoji in command.emoji if emoji not in before),
        )

    def shows(self, message: RemoteMessageId, emoji: str | None) -> None:
        """The bot reacts with this now."""
        self._about(message).shown = emoji

    def made(self, command: ReactInRoom, author: Author, key: str) -> dict[str, RemoteMessageId]:
        """A command was carried out. What its author reacts with from now on, with ids that nobody
        else's have: each command has a key of its own."""
        self._about(command.message).made[author.user] = command.emoji
        return {emoji: ids.about(command.message, f"{key} {emoji}") for emoji in command.emoji}

    def line(self, author: Author, emoji: Sequence[str]) -> tuple[str, tuple[Span, ...]]:
        """What is said of what is not shown."""
        made = " ".join(emoji)
        said = self._account.worded(tr("{name} reacted with {emoji}", name=_NAME, emoji=made))
        name, place = shown_name(author), said.index(_NAME)
        whole = said.replace(_NAME, name, 1)
        return whole, (Span(Style.BOLD, place, place + len(name)),)
