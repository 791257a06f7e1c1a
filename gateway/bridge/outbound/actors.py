# SPDX-License-Identifier: Apache-2.0
"""The actors of the outbound direction: one for each conversation that has undecided rows."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from itertools import islice

from gateway.bridge.accounts import Account
from gateway.ids import AccountId, ConversationId, RemoteRoomId, RemoteUserId
from gateway.store.journal import OutboundRow

CACHED = 200
"""Rows of one conversation kept in memory; the rest waits in the journal."""
_MOST_ASIDE = 20
"""Actors beside that of one conversation. More files wait for one of these, and nothing waits for
them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long a command may take, in seconds (REQ-224), and how many may wait."""

    send_s: float = 600.0
    """From the commit to the error."""
    warning_s: float = 30.0
    attempt_s: float = 120.0
    """One attempt; the next one has the same key."""
    rows: int = 10_000
    """Of one account that may wait."""


class Actor:
    """One conversation's commands, in order. Memory is a cache of the journal's head."""

    __slots__ = (
        "account",
        "aside",
        "attempt_at",
        "contact",
        "conversation",
        "ended",
        "gone",
        "inherits",
        "live_at",
        "messages",
        "more",
        "newest",
        "overdue",
        "pending",
        "quiet",
        "reminder_at",
        "task",
        "trunk",
        "wake",
        "warned",
    )

    def __init__(
        self, account: Account, conversation: ConversationId, trunk: Actor | None = None
    ) -> None:
        self.trunk = trunk
        """Whom it was put aside by."""
        self.aside: list[Actor] = []
        """Those that carry a file, and whatever is about that: this one does not wait for them."""
        self.messages: set[int] = set()
        """Put aside: what its rows have said or will say."""
        self.ended = asyncio.Event()
        """Put aside: nothing is left to do for it."""
        self.live_at = 0.0
        """Monotonic: when it last found the account connected after it had waited for that."""
        self.account = account
        self.conversation = conversation
        self.contact = RemoteUserId("")
        self.pending: deque[OutboundRow] = deque()
        self.newest = 0
        self.more = False
        self.inherits = False
        """The first row that it reads may have been attempted by whoever had it before."""
        self.task: asyncio.Task[None] | None = None
        self.wake = asyncio.Event()
        self.attempt_at: float | None = None
        """Monotonic start of the running attempt."""
        self.reminder_at: float | None = None
        """When the watchdog was last asked to wake it."""
        self.overdue = False
        """The watchdog has ended the attempt."""
        self.warned = False
        self.gone = False
        """Nothing more is wanted of it, even if it hangs in an attempt that cannot be ended:
        another actor has taken over, or the account is gone."""
        self.quiet = asyncio.Event()
        self.quiet.set()

    @property
    def where(self) -> dict[str, object]:
        """For the log."""
        return {"account": self.account.id, "conversation": self.conversation}

    @property
    def place(self) -> RemoteUserId | RemoteRoomId:
        """Where its first row is said."""
        command = self.pending[0].command if self.pending else None
        return getattr(command, "room", self.contact)

    def admit(self, row: OutboundRow) -> None:
        """Take a row into memory, behind those that are there."""
        self.contact = row.contact
        self.pending.append(row)
        self.newest = row.id
        if self.trunk is not None and row.message is not None:
            self.messages.add(row.message)

    def finish(self) -> None:
        """Its first row is decided. What is about that has nothing to wait for here any more, once
        no other row is."""
        self.pending.popleft()
        if self.trunk is not None:
            left = (each for row in self.pending for each in (row.message, row.target))
            self.messages.intersection_update(filter(None, left))

    def wait_longer(self, seconds: float) -> None:
        """So long its first row has had bytes flowing, or waited for that: the time of the others
        has not begun."""
        for row in islice(self.pending, 1, None):
            row.deadline += seconds

    def put_aside(self, row: OutboundRow) -> Actor:
        """An actor for this row, beside this one: of so many the one with the least to do."""
        if len(self.aside) < _MOST_ASIDE:
            self.aside.append(Actor(self.account, self.conversation, self))
            actor = self.aside[-1]
        else:
            actor = min(self.aside, key=lambda each: len(each.pending))
        actor.admit(row)
        return actor

    def waits_for(self, row: OutboundRow) -> Actor | None:
        """The one that has what a row is about, and so gets that too."""
        about = (each for each in self.aside if row.target in each.messages)
        return next(about, None) if row.target is not None else None

    def has_aside(self, row: OutboundRow) -> bool:
        """Whether somebody else has this row already."""
        return any(row.id == each.id for actor in self.aside for each in actor.pending)

    def forget_rows(self) -> None:
        """Its rows stay in the journal; whatever starts it again reads them first."""
        self.pending.clear()
        self.newest, self.more, self.inherits = 0, True, True


class Actors:
    """All actors of one network. No look-up is linear in the number of accounts."""

    def __init__(self) -> None:
        self._actors: dict[ConversationId, Actor] = {}
        self._of_account: dict[AccountId, dict[ConversationId, Actor]] = {}

    def of(self, account: Account, conversation: ConversationId) -> Actor:
        """The actor of a conversation, made if there is none."""
        actor = self._actors.get(conversation)
        if actor is None:
            actor = self._actors[conversation] = Actor(account, conversation)
            self._of_account.setdefault(account.id, {})[conversation] = actor
        return actor

    def find(self, conversation: ConversationId) -> Actor | None:
        """The actor of a conversation, if it has undecided rows."""
        return self._actors.get(conversation)

    def of_account(self, account: Account) -> tuple[Actor, ...]:
        """All actors of an account."""
        found = self._of_account.get(account.id, {}).values()
        return tuple(actor for each in found for actor in (each, *each.aside))

    def is_current(self, actor: Actor) -> bool:
        """Whether it is to go on: nobody has taken its place, and the account is there."""
        trunk = actor.trunk
        if trunk is None:
            return self._actors.get(actor.conversation) is actor
        return actor in trunk.aside and self._actors.get(actor.conversation) is trunk

    def replaced(self, actor: Actor) -> Actor:
        """A fresh actor in the place of one that hangs. It reads its rows from the journal; one
        that was put aside keeps them."""
        actor.gone = True
        actor.quiet.set()
        if actor.trunk is not None:
            fresh = Actor(actor.account, actor.conversation, actor.trunk)
            fresh.ended, fresh.messages = actor.ended, actor.messages
            fresh.pending, fresh.contact = actor.pending.copy(), actor.contact
            fresh.pending[0].inherited = True
            actor.trunk.aside[actor.trunk.aside.index(actor)] = fresh
            return fresh
        self.drop(actor)
        fresh = self.of(actor.account, actor.conversation)
        fresh.forget_rows()
        fresh.aside = actor.aside
        for each in fresh.aside:
            each.trunk = fresh
        return fresh

    def drop(self, actor: Actor) -> None:
        """Nothing is left to do for it."""
        if self._actors.get(actor.conversation) is actor:
            del self._actors[actor.conversation]
            own = self._of_account[actor.account.id]
            del own[actor.conversation]
            if not own:
                del self._of_account[actor.account.id]
