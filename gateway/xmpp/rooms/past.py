# SPDX-License-Identifier: Apache-2.0
"""Pages of an archive that reach back to where the network has to be asked (REQ-584)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gateway.bridge.accounts import Account
from gateway.store.archive import Wanted
from gateway.store.rooms import RoomRow
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


class PastPages:
    """Of all rooms of one component."""

    def __init__(self, component: Component) -> None:
        self._component = component
        self._waiting: Counter[str] = Counter()
        """Pages, by the device that waits for them."""

    def may_be_asked(self, request: Request) -> bool:
        """Whether the network may have more of this room."""
        found = self._component.rooms.find(split(request.sender), request.to)
        return found is not None and self._component.network.rooms.history.may_have_more(found[1])

    @contextmanager
    def asked_by(self, device: str) -> Iterator[None]:
        """It waits meanwhile. Raises `Refused` if it waits for as many as it may."""
        if self._waiting[device] >= _AT_ONCE:
            said = f"You wait for {_AT_ONCE} pages of archives. Please try again later."
            raise Refused(errors.RESOURCE_CONSTRAINT, said)
        self._waiting[device] += 1
        try:
            yield
        finally:
            self._waiting[device] -= 1
            if not self._waiting[device]:
                del self._waiting[device]

    async def fetch(
        self, account: Account, room: RoomRow, query: Query, is_short: Callable[[], bool]
    ) -> None:
        """Fetch page after page while the one that is asked for is short, for 10 s at the most."""
        network = self._component.network
        clock = network.adapter.context.clock
        until = clock.monotonic() + _LIMIT_S
        while is_short() and self.is_missing(account, room, query):
            left_s = until - clock.monotonic()
            if left_s <= 0 or not await network.rooms.history.more(account, room, left_s):
                return

    def is_missing(self, account: Account, room: RoomRow, query: Query) -> bool:
        """Whether what is asked for goes further back than what is there. Who begins with the
        oldest gets the oldest that is there."""
        network = self._component.network
        if query.ids or query.after or query.page_after:
            return False
        if not network.rooms.history.may_have_more(room):
            return False
        first = network.rooms.read_archive(account, room, Wanted(most=1))
        if not first:
            return True
        is_older = query.start is None or query.start < first[0].message.sent_at
        return query.backwards and is_older
