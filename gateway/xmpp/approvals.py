# SPDX-License-Identifier: Apache-2.0
"""Users whom an admin has to admit first (REQ-211): who has asked, who was told, what was decided.

Anybody on any server may ask, so what that costs the admins is bounded: a line each for a few of
one domain and some of all, and nothing more until those are decided.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

from gateway.adapter import Clock
from gateway.errors import StanzaRefused
from gateway.ids import UserJid
from gateway.store import Store, approvals
from gateway.store.approvals import Approval
from gateway.text.wording import tr
from gateway.xmpp import jid
from gateway.xmpp.access import NOT_ADMITTED

_OPEN_OF_DOMAIN = 5
_OPEN = 50

ASKED = tr(
    "An admin of this gateway has to admit you first. They have been asked; "
    "you will hear from me.",
)
TOO_MANY = tr(
    "An admin of this gateway has to admit you first, and too many others wait for that.",
)
REFUSED = tr("The admins of this gateway have not admitted you.")
ADMITTED = tr("An admin has admitted you. Send “login” to link an account.")


def can_be_named(user: UserJid) -> bool:
    """Whether an admin can type this address. About others nobody could decide, ever.

    Servers write in their own name too, and pass addresses on that a strict library refuses.
    """
    local, domain, _, _ = jid.split(user)
    try:
        return bool(local) and "," not in user and jid.make(local, domain) == user
    except StanzaRefused:
        return False


class Approvals:
    """The wishes and decisions of one gateway, for all of its networks."""

    def __init__(self, store: Store, clock: Clock, may_ask: Callable[[UserJid], bool]) -> None:
        self.may_ask = may_ask
        """Whether an admin may admit this user."""
        self._store = store
        self._clock = clock
        self._states = {
            user: state
            for user, state in approvals.all_approvals(store.reader).items()
            if can_be_named(user)
        }
        self._watchers: list[Callable[[UserJid], None]] = []

    def is_admitted(self, user: UserJid) -> bool:
        """Whether an admin has admitted them, and has not taken that back."""
        return self._states.get(user) is Approval.ADMITTED

    def watch(self, decided: Callable[[UserJid], None]) -> None:
        """Tell of decisions; whoever wants to know looks what they are."""
        self._watchers.append(decided)

    def waiting(self) -> list[UserJid]:
        """Who has asked and has no answer yet, those who wait longest first."""
        return [user for user, state in self._states.items() if state is Approval.ASKED]

    def admitted(self) -> list[UserJid]:
        """Whom admins have admitted."""
        return sorted(user for user in self._states if self.is_admitted(user))

    def ask(self, user: UserJid, then: Callable[[], None]) -> str:
        """A user who may ask turns to the gateway. Returns what to say to them.

        ``then`` is called if the admins are to be told: when it is stored, and once.
        """
        if not can_be_named(user):
            return NOT_ADMITTED
        state = self._states.get(user)
        if state is Approval.REFUSED:
            return REFUSED
        if state is not Approval.ASKED:
            waiting = self.waiting()
            domains = Counter(other.rpartition("@")[2] for other in waiting)
            if len(waiting) >= _OPEN or domains[user.rpartition("@")[2]] >= _OPEN_OF_DOMAIN:
                return TOO_MANY
            self._ask(user, then)
        return ASKED

    async def decide(self, user: UserJid, *, admitted: bool) -> None:
        """An admin admits somebody, also unasked, or does not, or does so no longer.

        Raises `StoreUnavailable`; then it is as before.
        """
        state = Approval.ADMITTED if admitted else Approval.REFUSED
        await self._write(user, state, lambda: self._states.update({user: state}))
        for decided in self._watchers:
            decided(user)

    def _ask(self, user: UserJid, then: Callable[[], None]) -> None:
        self._states[user] = Approval.ASKED
        written = self._write(user, Approval.ASKED, then)

        def forget_if_lost(_: object) -> None:
            if written.exception() is not None:
                self._states.pop(user, None)

        written.add_done_callback(forget_if_lost)

    def _write(
        self, user: UserJid, state: Approval, then: Callable[[], None]
    ) -> asyncio.Future[None]:
        now = self._clock.now()
        return self._store.write(lambda db: approvals.put(db, user, state, now), lambda _: then())
