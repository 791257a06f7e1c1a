# SPDX-License-Identifier: Apache-2.0
"""What an answer of /sync means, in parts that are committed one by one. No I/O."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field

from adapters.matrix.rooms import Book, Draft, RoomId
from gateway.adapter import Logger
from gateway.events import RemoteEvent, RemoteRoom
from gateway.ids import RemoteMessageId, RemoteUserId

MAX_EVENTS = 500
"""In one part: all accounts share one writer, and nobody shall wait long for another's commit."""
_STEPS = MAX_EVENTS // 2
"""A step (a room, an event of a timeline) makes two events at the most."""

Cuts = Generator["Outcome", None, None]


@dataclass(slots=True)
class Tally:
    """What of an answer is not told."""

    ignored: int = 0
    """Invitations to spaces, of nobody, or more than are remembered."""
    unknown: int = 0
    """Rooms of which the answer does not have the state, and which were never told."""

    def add(self, other: Tally) -> None:
        """Count together."""
        self.ignored += other.ignored
        self.unknown += other.unknown

    def log(self, log: Logger) -> None:
        """For the admin."""
        if self.ignored:
            log.info("invitations_ignored", rooms=self.ignored)
        if self.unknown:
            log.info("groups_without_state", rooms=self.unknown)


@dataclass(slots=True)
class Outcome:
    """What an answer, or one part of it, means."""

    draft: Draft
    events: list[RemoteEvent] = field(default_factory=list)
    typing: list[tuple[RoomId, RemoteUserId, bool]] = field(default_factory=list)
    typists: dict[RoomId, frozenset[RemoteUserId]] = field(default_factory=dict)
    """Who types in groups."""
    rooms: dict[RemoteMessageId, RoomId] = field(default_factory=dict)
    """Where each message is."""
    tally: Tally = field(default_factory=Tally)
    is_last: bool = False
    """Only now the whole answer is known: the cursor belongs to this part."""


class Parts:
    """The part that is being made, and when it is full."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._begin()

    def _begin(self) -> None:
        self.draft = self._book.draft()
        self.outcome = Outcome(self.draft)
        self._steps = 0

    def say(self, event: RemoteEvent) -> None:
        """Hand an event over with this part. A list of members weighs as much as they do."""
        self.outcome.events.append(event)
        if isinstance(event, RemoteRoom) and event.members is not None:
            self._steps += len(event.members) // 2

    def stepped(self) -> bool:
        """After each step: whether the part is full, and `cut` is to be called."""
        self._steps += 1
        return self._steps >= _STEPS

    def cut(self) -> Cuts:
        """End this part, and begin another."""
        yield self.outcome
        self._begin()
