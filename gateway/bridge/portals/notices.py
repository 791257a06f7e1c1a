# SPDX-License-Identifier: Apache-2.0
"""What becomes of a linked group is told to who has linked it, by a line of the gateway.

The address of its room is known when the house has told of the group, which may be later than that
it is linked, and after a restart.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.bridge.accounts import Account
from gateway.bridge.accounts.languages import told_in
from gateway.bridge.ground import Ground
from gateway.bridge.inbound.delivery import Delivery
from gateway.bridge.portals.people import People
from gateway.bridge.ports import XmppPort
from gateway.bridge.rooms.network_rooms import NetworkRooms
from gateway.bridge.splitting import in_line
from gateway.errors import AdapterError, StoreUnavailable
from gateway.events import GatewayNotice
from gateway.ids import RemoteRoomId, stanza_id
from gateway.store import Transaction, conversations, journal, portals, rooms
from gateway.store.conversations import GATEWAY
from gateway.store.journal import InboundRow
from gateway.store.portals import Portal
from gateway.store.rooms import RoomRow
from gateway.text.wording import tr


class PortalNotices:
    """Of one network."""

    def __init__(
        self, ground: Ground, delivery: Delivery, people: People, network_rooms: NetworkRooms
    ) -> None:
        self._network = ground.network
        self._store = ground.store
        self._persist = ground.persist
        self._tasks = ground.tasks
        self._now = ground.clock.now
        self._accounts = ground.accounts
        self._delivery = delivery
        self._people = people
        self._rooms = network_rooms
        self._port: XmppPort
        self._untold: dict[RemoteRoomId, Portal] = {}
        """Those whose address is still to be told."""
        ground.portals.linked.append(self._linked)
        ground.portals.unlinked.append(self._unlinked)
        ground.portals.ends = self._ends

    def attach(self, port: XmppPort) -> None:
        """Connect to the XMPP side."""
        self._port = port

    def load(self) -> None:
        """What an earlier process has not told."""
        found = portals.untold(self._store.reader, self._network)
        self._untold = {portal.room: portal for portal in found}

    def look(self) -> None:
        """The house may have told of a group."""
        house = self._accounts.house
        for portal in tuple(self._untold.values()):
            room = None if house is None else self._rooms.known(house, portal.room)
            if room is not None:
                del self._untold[portal.room]
                self._tasks.spawn(self._tell(portal, room), "address of a linked group")

    def _linked(self, portal: Portal) -> None:
        self._untold[portal.room] = portal
        self.look()

    def _unlinked(self, portal: Portal) -> None:
        self._untold.pop(portal.room, None)

    async def _tell(self, portal: Portal, room: RoomRow) -> None:
        user = portal.linked_by
        try:
            account = self._accounts.of(user) or await self._people.account_for(user)
        except (AdapterError, StoreUnavailable):
            self._untold[portal.room] = portal  # with the next event of the house
            return
        text = tr(
            "The group “{name}” is linked. To join it here: {room_uri}",
            name=in_line(room.name) or tr("without a name"),
            room_uri=self._port.room_uri(room),
        )

        def unit(db: Transaction) -> list[InboundRow]:
            if not portals.tell(db, self._network, portal.room):
                return []
            return [self._row(db, account, portal, "linked", text)]

        self._persist.write(unit, self._delivery.offer)

    def _ends(self, db: Transaction, portal: Portal) -> Callable[[], None]:
        user, house = portal.linked_by, self._accounts.house
        account = self._accounts.of(user) or self._accounts.virtual(user)
        room = None if house is None else rooms.find(db, house.id, portal.room)
        if account is None:  # they have left, or were told of nothing
            return lambda: None
        text = tr(
            "The group “{name}” is not linked any more. Nobody is in it from here.",
            name=(room and in_line(room.name)) or tr("without a name"),
        )
        row = self._row(db, account, portal, "unlinked", text)
        return lambda: self._delivery.offer([row])

    def _row(
        self, db: Transaction, account: Account, portal: Portal, what: str, text: str
    ) -> InboundRow:
        now, language = self._now(), self._port.language_of(account.user)
        sid = stanza_id(self._network, account.user, "group", what, portal.room, str(now))
        return journal.add_inbound(
            db,
            account=account.id,
            conversation=conversations.chat(db, account.id, GATEWAY),
            user=account.user,
            contact=GATEWAY,
            stanza_id=sid,
            delivery=told_in(GatewayNotice(id=sid, text=text), language),
            now=now,
        )
