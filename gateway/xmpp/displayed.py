# SPDX-License-Identifier: Apache-2.0
"""What the user has read of rooms in another app of the network, for their XMPP clients
(XEP-0490; REQ-571, REQ-1010). It reaches those that are offline as well, where our server lets us
put it there in the user's name (XEP-0356); where not, the sessions in the room are told as ever.

A mark never moves back: what is there is looked at first. Of many marks of a room the last counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

import structlog

from gateway.events import RoomDisplayed
from gateway.ids import StanzaId, UserJid
from gateway.store.journal import InboundRow
from gateway.xmpp.as_user import Refused
from gateway.xmpp.codec.xml import attribute
from gateway.xmpp.jid import split

if TYPE_CHECKING:
    from gateway.xmpp.component import Component

log = structlog.get_logger("displayed")

_NODE = "urn:xmpp:mds:displayed:0"
_STANZA_ID = "{urn:xmpp:sid:0}stanza-id"
_PAUSE_S = 3.0
"""People read on: so long the next mark is waited for."""


class DisplayedMarks:
    """Of the users of one component."""

    def __init__(self, component: Component) -> None:
        self._component = component
        self._clock = component.network.adapter.context.clock
        self._wanted: dict[UserJid, dict[str, StanzaId]] = {}
        """By the address of the room: the last message that was read. Users who are in it have a
        task that sets them, one after the other."""

    def note(self, row: InboundRow) -> None:
        """A row is written that may tell of one."""
        mark = row.delivery
        if not isinstance(mark, RoomDisplayed) or not mark.is_elsewhere:
            return
        if not self._component.nodes.are_ours(row.user):
            return
        is_new = row.user not in self._wanted
        self._wanted.setdefault(row.user, {})[self._component.puppet(row.contact)] = mark.message
        if is_new:
            self._component.tasks.spawn(self._set_all(row.user), "marks")

    async def _set_all(self, user: UserJid) -> None:
        wanted = self._wanted[user]
        try:
            while wanted:
                await self._clock.sleep(_PAUSE_S)
                for room in list(wanted):
                    await self._try(user, room, wanted.pop(room))
        finally:
            del self._wanted[user]

    async def _try(self, user: UserJid, room: str, message: StanzaId) -> None:
        try:
            await self._set(user, room, message)
        except Refused as refused:
            domain = split(user).domain
            log.warning("read_mark_not_set", domain=domain, condition=refused.condition)

    async def _set(self, user: UserJid, room: str, message: StanzaId) -> None:
        nodes = self._component.nodes
        if not nodes.are_ours(user):
            return
        there = await nodes.item(user, _NODE, room)
        if there is not None and not self._is_after(user, room, message, there):
            return
        payload = (
            f"<displayed xmlns='{_NODE}'><stanza-id xmlns='urn:xmpp:sid:0'"
            f" by='{attribute(room)}' id='{attribute(message)}'/></displayed>"
        )
        await nodes.publish(user, _NODE, room, payload)

    def _is_after(self, user: UserJid, room: str, message: StanzaId, there: Element) -> bool:
        """What is not in the archive counts for nothing (XEP-0490 §5.1)."""
        account = self._component.account_of(user)
        rooms = self._component.network.rooms
        found = rooms.find(account, split(room).local) if account is not None else None
        before = there.find(f"{{{_NODE}}}displayed/{_STANZA_ID}")
        if found is None:
            return False
        return before is None or rooms.archive.is_after(
            found, message, StanzaId(before.get("id", ""))
        )
