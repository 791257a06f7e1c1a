# SPDX-License-Identifier: Apache-2.0
"""One-time pages for logins (REQ-204): the face of the console for browsers, without HTTP.

The address of a page is a secret between the gateway and one user. Whoever answers first on it
has it for good: it is of no use in another browser from then on. Before that a look changes
nothing: what ends without an answer begins again with the next look.
"""

from __future__ import annotations

import contextlib
import hmac
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING

from gateway.adapter import Clock
from gateway.ids import UserJid
from gateway.locale import spoken
from gateway.tasks import within
from gateway.text.wording import joined
from gateway.xmpp.console.chat import FAILED
from gateway.xmpp.console.commands import COMMANDS
from gateway.xmpp.console.desk import PageOffer, desk_of
from gateway.xmpp.console.model import Note
from gateway.xmpp.console.rights import refusal
from gateway.xmpp.console.stages import Outcome, Stage, StagedDialogue, run
from gateway.xmpp.limits import TOO_MANY_GUESTS

if TYPE_CHECKING:
    from gateway.xmpp.component import Component

_LINK_S = 600.0
"""For which an address is good until somebody answers there, and an end is shown."""
_GIVEN_AGAIN_S = 300.0
"""An address that is good for so long is given to its user once more."""
_LAST_S = 30.0
"""One that is good for so long is not ended by a client that asks by itself."""
_HOLD_S = 5.0
"""For which a browser is kept waiting for the network."""
_TOKEN_BYTES = 32
_MOST = 10_000
_MOST_OF_STRANGERS = 1_000
_COMMAND = COMMANDS["login"]


class Page:
    """A login of one user, on a page of its own."""

    def __init__(self, pages: Pages, component: Component, user: UserJid) -> None:
        self.user = user
        self.network = component.network.adapter.display_name
        self.token = secrets.token_urlsafe(_TOKEN_BYTES)
        self.outcome = Outcome.RUNNING
        self.until = pages.clock.monotonic() + _LINK_S
        self.is_of_stranger = component.standing(user).is_strange
        self._pages = pages
        self._component = component
        self._visitor = ""
        """The browser that has it."""
        self._talk: StagedDialogue | None = None
        self._is_guest = False

    @property
    def is_claimed(self) -> bool:
        """Somebody has answered."""
        return bool(self._visitor)

    @property
    def stage(self) -> Stage | None:
        """What is asked now."""
        return None if self._talk is None else self._talk.stage

    @property
    def language(self) -> str:
        """In which its user is spoken to."""
        return self._component.language_of(self.user)

    @property
    def notes(self) -> list[tuple[Note, str]]:
        """What was said at the end."""
        return spoken(self._notes, self.language)

    @property
    def _notes(self) -> list[tuple[Note, str]]:
        if self.outcome is Outcome.FAILED:
            return [(Note.ERROR, FAILED)]
        return [] if self._talk is None else self._talk.notes

    def is_for(self, visitor: str) -> bool:
        """Whether a browser may see it."""
        return not self._visitor or hmac.compare_digest(self._visitor, visitor)

    def refusal(self) -> str:
        """Why its user may not log in now, or nothing. Rights may be lost meanwhile (REQ-219)."""
        refused = refusal(self._component, _COMMAND, self.user)
        return "" if refused is None else refused.text

    async def look(self) -> str:
        """Wait for something to show, within limits. Returns why there will be nothing."""
        if self._talk is None or (self.outcome is not Outcome.RUNNING and not self.is_claimed):
            refused = self._begin()
            if refused:
                return refused
        talk = self._talk
        assert talk is not None
        with contextlib.suppress(TimeoutError):
            await within(self._pages.clock, _HOLD_S, talk.paused.wait())
        return ""

    def answer(self, visitor: str, stage: int, action: str, submitted: Mapping[str, str]) -> None:
        """Go on, or ``back``, or ``cancel``. What is no longer asked is answered already."""
        talk = self._talk
        if talk is None or not self.is_for(visitor):
            return
        if action == "cancel" and talk.cancel():
            self._visitor = visitor
            return
        asked = talk.stage
        if asked is None or asked.number != stage or (action == "back" and not asked.back):
            return
        self._visitor = visitor
        talk.submit(None if action == "back" else submitted)

    def end(self) -> None:
        """It is of no use any more; what was begun on the network is cleared away."""
        if self._talk is not None:
            self._talk.cancel()

    def _begin(self) -> str:
        component = self._component
        self._is_guest = component.standing(self.user).is_strange
        if self._is_guest and not component.guests.come(self.user):
            return TOO_MANY_GUESTS
        self.outcome = Outcome.RUNNING
        self._talk = StagedDialogue(self.user, desk_of(component))
        component.tasks.spawn(run(_COMMAND, self._talk, self._ended), "login on a page")
        return ""

    def _ended(self, outcome: Outcome) -> None:
        assert self._talk is not None
        self.outcome = outcome
        self._talk.end()
        if self._is_guest:
            self._component.guests.leave(self.user)
        if not self.is_claimed:
            return
        self.until = self._pages.clock.monotonic() + _LINK_S
        said = [said for _, said in self._notes]
        if outcome in (Outcome.COMPLETED, Outcome.FAILED) and said:
            self._component.console.say(self.user, joined(said, "\n"))


class Pages:
    """The pages of all components."""

    def __init__(self, clock: Clock, public_url: str) -> None:
        self.clock = clock
        self._url = public_url
        self._pages: dict[str, Page] = {}
        """By token."""
        self._of: dict[tuple[str, UserJid], Page] = {}
        """By domain and user: each has one at most."""

    def offer(
        self, component: Component, user: UserJid, *, is_asked: bool = True
    ) -> PageOffer | None:
        """A page for this user; None if there are too many. A new one ends that of before, which
        somebody may be about to fill in: unless it was the user who has asked, that is spared."""
        enough = _GIVEN_AGAIN_S if is_asked else _LAST_S
        key = component.domain, user
        page = self._of.get(key)
        now = self.clock.monotonic()
        if page is None or page.is_claimed or page.until - now < enough:
            self._forget(key)
            page = Page(self, component, user)
            if not self._has_room(page.is_of_stranger):
                return None
            self._of[key] = self._pages[page.token] = page
            component.tasks.spawn(self._expire(key, page), "end of a page")
        return PageOffer(f"{self._url}/login/{page.token}", int(page.until - now) // 60)

    def find(self, token: str) -> Page | None:
        """The page of this address, if it is good."""
        return self._pages.get(token)

    def talks_with(self, component: Component, user: UserJid) -> bool:
        """Whether somebody is logging in on a page."""
        page = self._of.get((component.domain, user))
        return page is not None and page.outcome is Outcome.RUNNING and page.is_claimed

    def _has_room(self, is_of_stranger: bool) -> bool:
        if not is_of_stranger:
            return len(self._pages) < _MOST
        return sum(page.is_of_stranger for page in self._pages.values()) < _MOST_OF_STRANGERS

    async def _expire(self, key: tuple[str, UserJid], page: Page) -> None:
        while True:
            now = self.clock.monotonic()
            in_use = page.is_claimed and page.outcome is Outcome.RUNNING
            if now >= page.until and not in_use:
                break
            # While it is in use, its dialogue has limits of its own.
            await self.clock.sleep(max(page.until - now, _LINK_S / 10))
        if self._of.get(key) is page:
            self._forget(key)

    def _forget(self, key: tuple[str, UserJid]) -> None:
        page = self._of.pop(key, None)
        if page is not None:
            del self._pages[page.token]
            page.end()
