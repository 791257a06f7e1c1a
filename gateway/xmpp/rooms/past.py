# SPDX-License-Identifier: Apache-2.0
"""Pages of an archive for which the network has to be asked (REQ-584): they reach back to before
all that is kept, or lie across a gap in the middle of it (REQ-583)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.bridge.accounts import Account
from gateway.store.archive import Archived, Wanted
from gateway.store.gaps import Gap
from gateway.store.rooms import RoomRow
from gateway.text.wording import tr
from gateway.xmpp.asked import Request
from gateway.xmpp.codec import errors
from gateway.xmpp.codec.errors import Refused
from gateway.xmpp.jid import split
from gateway.xmpp.rooms.archive import Query

if TYPE_CHECKING:
    from gateway.xmpp.component import Component

_LIMIT_S = 10.0
"""After which the page has what is there."""
_AT_ONCE = 2
"""Pages that one device may wait for (REQ-586)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What is there of what is asked for."""

    found: list[Archived]
    is_complete: bool
    """Nothing is left in its direction."""
    wanted: Wanted | None = None
    """The part of the archive; None if it is asked for by ids."""

    def lies_across(self, gap: Gap, since: float, until: float) -> bool:
        """Whether something of a gap, which was said between these times, belongs to it."""
        wanted, floor = self.wanted, gap.floor
        if wanted is None or floor is None:
            return False
        if wanted.after is not None and wanted.after > floor:
            return False
        if wanted.before is not None and wanted.before <= floor:
            return False
        if wanted.start is not None and wanted.start >= until:
            return False
        if wanted.end is not None and wanted.end < since:
            return False
        if self.is_complete or not self.found:
            return self.is_complete
        return self.found[0].id <= floor if wanted.newest else self.found[-1].id > floor

    def up_to(self, gap: Gap) -> Page:
        """As far as the gap, which is not filled. What begins there goes on beyond it."""
        assert self.wanted is not None
        assert gap.floor is not None
        is_newest, floor = self.wanted.newest, gap.floor
        found = [said for said in self.found if (said.id > floor) is is_newest]
        return Page(found=found, is_complete=False, wanted=self.wanted) if found else self


class PastPages:
    """Of all rooms of one component."""

    def __init__(self, component: Component) -> None:
        self._component = component
        self._waiting: Counter[str] = Counter()
        """Pages, by the device that waits for them."""

    def may_be_asked(self, request: Request) -> bool:
        """Whether the network may have more of this room."""
        found = self._component.rooms.find(split(request.sender), request.to)
        return found is not None and bool(self._component.network.rooms.history.missing(*found))

    @contextmanager
    def asked_by(self, device: str) -> Iterator[None]:
        """It waits meanwhile. Raises `Refused` if it waits for as many as it may."""
        if self._waiting[device] >= _AT_ONCE:
            said = tr(
                "You wait for {at_once} pages of archives. Please try again later.",
                at_once=_AT_ONCE,
            )
            raise Refused(errors.RESOURCE_CONSTRAINT, said)
        self._waiting[device] += 1
        try:
            yield
        finally:
            self._waiting[device] -= 1
            if not self._waiting[device]:
                del self._waiting[device]

    async def fetch(
        self, account: Account, room: RoomRow, query: Query, page: Callable[[], Page]
    ) -> None:
        """Fetch what the page lacks, for 10 s at the most."""
        network = self._component.network
        clock = network.adapter.context.clock
        until = clock.monotonic() + _LIMIT_S
        while (gap := self._lacked(account, room, query, page())) is not None:
            left_s = until - clock.monotonic()
            if left_s <= 0 or not await network.rooms.history.more(account, room, gap, left_s):
                return

    def _lacked(self, account: Account, room: RoomRow, query: Query, page: Page) -> Gap | None:
        """The gap in which something of the page is missing."""
        gap = self.within(account, room, page)
        is_short = page.is_complete and len(page.found) < query.most
        if gap is not None or not is_short:
            return gap
        return self.beginning(account, room, query)

    def within(self, account: Account, room: RoomRow, page: Page) -> Gap | None:
        """The first gap in its direction in the middle of a page."""
        history = self._component.network.rooms.history
        found = [
            gap
            for gap in history.missing(account, room)
            if page.lies_across(gap, *history.times(room, gap))
        ]
        if not found or page.wanted is None:
            return None
        return found[0] if page.wanted.newest else found[-1]

    def beginning(self, account: Account, room: RoomRow, query: Query) -> Gap | None:
        """What is before all that is there, if what is asked for goes further back. Who begins
        with the oldest gets the oldest that is there."""
        gap = None if query.page_after else self._before_all(account, room, query)
        if gap is None or query.backwards:
            return gap
        is_empty = not self._component.network.rooms.archive.read(account, room, Wanted(most=1))
        return gap if is_empty else None

    def has_more(self, account: Account, room: RoomRow, query: Query, wanted: Wanted) -> bool:
        """Whether something is missing on any page of what is asked for."""
        whole = Page(found=[], is_complete=True, wanted=wanted)
        return (
            self.within(account, room, whole) is not None
            or self._before_all(account, room, query) is not None
        )

    def _before_all(self, account: Account, room: RoomRow, query: Query) -> Gap | None:
        """The gap before all that is there, if one of the pages goes back so far."""
        if query.ids or query.after:
            return None
        network = self._component.network
        missing = network.rooms.history.missing(account, room)
        if not missing or missing[-1].floor is not None:
            return None
        first = network.rooms.archive.read(account, room, Wanted(most=1))
        is_older = not first or query.start is None or query.start < first[0].message.sent_at
        return missing[-1] if is_older else None
