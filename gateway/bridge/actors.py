# SPDX-License-Identifier: Apache-2.0
"""The actors of the outbound direction: one for each conversation that has undecided rows."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from gateway.bridge.accounts import Account
from gateway.ids import AccountId, ConversationId, RemoteUserId
from gateway.store.journal import OutboundRow

CACHED = 200
"""Rows of one conversation kept in memory; the rest waits in the journal."""


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
        "attempt_at",
        "contact",
        "conversation",
        "gone",
        "inherits",
        "more",
        "newest",
        "overdue",
        "pending",
        "quiet",
        "reminder_at",
        "task",
        "wake",
        "warned",
    )

    def __init__(self, account: Account, conversation: ConversationId) -> None:
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

    def admit(self, row: OutboundRow) -> None:
        """Take a row into memory, behind those that are there."""
        self.contact = row.contact
        self.pending.append(row)
        self.newest = row.id

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
        return tuple(self._of_account.get(account.id, {}).values())

    def replaced(self, actor: Actor) -> Actor:
        """A fresh actor in the place of one that hangs. It reads its rows from the journal."""
        actor.gone = True
        actor.quiet.set()
        self.drop(actor)
        fresh = self.of(actor.account, actor.conversation)
        fresh.forget_rows()
        return fresh

    def drop(self, actor: Actor) -> None:
        """Nothing is left to do for it."""
        if self._actors.get(actor.conversation) is actor:
            del self._actors[actor.conversation]
            own = self._of_account[actor.account.id]
            del own[actor.conversation]
            if not own:
                del self._of_account[actor.account.id]
