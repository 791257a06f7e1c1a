# SPDX-License-Identifier: Apache-2.0
"""New groups among the user's bookmarks (XEP-0402), where our server lets us put them there in the
user's name (XEP-0356; REQ-590, REQ-1009). Their clients join them then by themselves.

What is there already is the user's own choice, and stays as it is. It makes no client join that is
not about to start, so of such a group they are told as where there are no bookmarks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from gateway.events import RoomInvitation
from gateway.ids import RowId, UserJid
from gateway.store.journal import InboundRow
from gateway.xmpp.as_user import Refused
from gateway.xmpp.codec.xml import attribute, text
from gateway.xmpp.jid import split

if TYPE_CHECKING:
    from gateway.xmpp.component import Component

log = structlog.get_logger("bookmarks")

_NODE = "urn:xmpp:bookmarks:1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bookmark:
    """One to set."""

    user: UserJid
    room: str
    name: str
    nick: str

    def __str__(self) -> str:
        """XEP-0402 §3.3."""
        named = f" name='{attribute(self.name)}'" if self.name else ""
        return (
            f"<conference xmlns='{_NODE}'{named} autojoin='true'>"
            f"<nick>{text(self.nick)}</nick></conference>"
        )


class Bookmarks:
    """Of the users of one component."""

    def __init__(self, component: Component, otherwise: Callable[[InboundRow], None]) -> None:
        self._component = component
        self._otherwise = otherwise
        """What is done with a row whose room cannot be put there."""
        self._waiting: dict[RowId, object] = {}
        """The attempts that count. Rows are written again after the stream has broken."""

    def takes(self, row: InboundRow) -> bool:
        """Whether what a row tells of a new group is told by a bookmark."""
        component = self._component
        if not isinstance(row.delivery, RoomInvitation) or row.delivery.waiting is not None:
            return False
        self._waiting.pop(row.id, None)
        if not component.nodes.are_ours(row.user):
            return False
        account = component.network.accounts.of(row.user)
        address = component.puppet(row.contact)
        room = component.network.rooms.find(account, split(address).local) if account else None
        me = component.network.rooms.me(account, room) if account and room else None
        if room is None or me is None:
            return False
        bookmark = Bookmark(user=row.user, room=address, name=room.name, nick=me.nick)
        attempt = self._waiting[row.id] = object()
        component.tasks.spawn(self._tell(row, attempt, bookmark), "bookmark")
        return True

    async def _tell(self, row: InboundRow, attempt: object, bookmark: Bookmark) -> None:
        is_told = await self._set(bookmark, is_again=row.resent)
        if self._waiting.get(row.id) is not attempt:
            return  # it was written again since
        del self._waiting[row.id]
        if is_told:
            self._component.network.delivery.taken_over([row])
        else:
            self._otherwise(row)

    async def _set(self, bookmark: Bookmark, *, is_again: bool) -> bool:
        """Whether it is new there. If this was tried before, it may be from then."""
        nodes, user, room = self._component.nodes, bookmark.user, bookmark.room
        try:
            if await nodes.item(user, _NODE, room) is not None:
                return is_again
            await nodes.publish(user, _NODE, room, str(bookmark))
        except Refused as refused:
            domain = split(user).domain
            log.warning("bookmark_not_set", domain=domain, condition=refused.condition)
            return False
        return True
