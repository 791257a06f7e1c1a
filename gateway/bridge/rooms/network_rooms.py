# SPDX-License-Identifier: Apache-2.0
"""All that a network offers of its rooms: the parts of this package put together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from gateway.adapter import Adapter
from gateway.bridge.accounts import Account, Accounts
from gateway.bridge.addresses import Addresses
from gateway.bridge.delivery import Delivery
from gateway.bridge.intents import Intents
from gateway.bridge.persist import Persist
from gateway.bridge.ports import XmppPort
from gateway.bridge.rooms.avatars import Avatars
from gateway.bridge.rooms.coming import Coming
from gateway.bridge.rooms.ghosts import Ghosts
from gateway.bridge.rooms.history import History
from gateway.bridge.rooms.leading import Leading
from gateway.bridge.rooms.management import Management
from gateway.bridge.rooms.occupants import Cutoffs
from gateway.bridge.rooms.outcasts import Outcasts
from gateway.bridge.rooms.private import PrivateMessages
from gateway.bridge.rooms.rooms import Rooms
from gateway.bridge.rooms.servers import Servers
from gateway.bridge.rooms.sessions import Sessions
from gateway.bridge.rooms.telling import Crowds
from gateway.bridge.rooms.wishes import RoomWishes
from gateway.bridge.rows import Committed
from gateway.bridge.typing import Typing
from gateway.ids import AccountId, NetworkName, RemoteRoomId, RemoteUserId
from gateway.media.images import Images
from gateway.store import Store
from gateway.store.journal import OutboundRow
from gateway.store.rooms import RoomRow
from gateway.tasks import Tasks


class NetworkRooms(Rooms):
    """The rooms of one network, with all that users do in them, and what is done for them."""

    def __init__(
        self,
        network: NetworkName,
        adapter: Adapter,
        store: Store,
        accounts: Accounts,
        addresses: Addresses,
        tasks: Tasks,
        persist: Persist,
        images: Images,
        delivery: Delivery,
        intents: Intents,
        *,
        send: Callable[[Account, OutboundRow], None],
        online: Callable[[Account], Iterator[RemoteUserId]],
        cutoffs: Cutoffs,
        keeps_s: float,
    ) -> None:
        clock, deliver = adapter.context.clock, delivery.offer
        self._deliver = deliver
        self.avatars = Avatars(adapter, store, tasks, persist, images, self._tell)
        self._crowds = Crowds(network, store, clock, tasks, persist, deliver)
        self.sessions = Sessions(network, store, accounts, clock, tasks, persist, self._tell)
        self.servers = Servers(
            clock, tasks, put_out=self.sessions.put_out, tell_out=self.sessions.tell_out
        )
        self.ghosts = Ghosts(network, store, clock, persist, self.servers, self.sessions.put_out)
        super().__init__(
            network,
            store,
            addresses,
            clock,
            persist,
            self._tell,
            cutoffs,
            entered=lambda account, room: self.avatars.wake(account, [room]),
            online=online,
        )
        self.wishes = RoomWishes(
            adapter.capabilities, store, clock, intents, send=send, deliver=deliver
        )
        self.private_messages = PrivateMessages(network, store, clock, persist, delivery)
        self.management = Management(adapter)
        self.outcasts = Outcasts(self.management, clock)
        self.coming = Coming(
            network, store, addresses, clock, tasks, persist, self.management, self
        )
        self.history = History(adapter, store, tasks, keeps_s)
        self._accounts = accounts
        self._leading = Leading(network, store, clock, accounts)
        self._tasks = tasks
        self._typing: Typing[RemoteRoomId] = Typing(
            adapter, tasks, lambda session: session.set_room_typing
        )

    def attach(self, port: XmppPort) -> None:
        """Connect to the XMPP side."""
        super().attach(port)
        for part in (self._crowds, self.sessions, self.servers, self.ghosts):
            part.attach(port)

    def load(self, accounts: Collection[AccountId]) -> None:
        """What is stored of an earlier start."""
        self.coming.load(accounts)
        self._crowds.load()

    def stream_up(self) -> None:
        """What waited for the stream is told."""
        self._crowds.stream_up()

    def stream_lost(self) -> None:
        """What was written on it may not have arrived."""
        self._crowds.stream_lost()
        self.servers.stream_lost()
        self.ghosts.stream_lost()

    def start(self) -> None:
        """Begin to watch."""
        self._tasks.spawn(self._leading.watch(), "leading")
        self._tasks.spawn(self.avatars.watch(), "avatars")
        self._tasks.spawn(self.ghosts.watch(), "ghosts")

    def link_changed(self, account: Account) -> None:
        """The account has a session, or has none."""
        self._leading.link_changed(account)
        if self._accounts.is_live(account.id):
            self.avatars.went_live(account, self)

    async def freeze(self, account: Account) -> None:
        """See `Rooms.freeze`."""
        await super().freeze(account)
        self._leading.link_changed(account)

    def committed(self, account: Account, committed: Committed) -> None:
        """What a session of the account has told is stored."""
        for entering, room in committed.entered:
            self.coming.entered(entering, room)
        self.coming.follow(account, committed.followed)
        self.avatars.wake(account, committed.pictured)
        self.outcasts.changed(committed.outcasts)
        self._crowds.committed(committed.inbound)
        self._crowds.came(committed.untold)

    def _tell(self, committed: Committed) -> None:
        """What was decided here is stored."""
        self._deliver(committed.inbound)
        self._crowds.came(committed.untold)

    def typing(self, account: Account, room: RoomRow, active: bool) -> None:
        """The user began or stopped typing in a room (REQ-572)."""
        if not active or self.shows_typing(room):
            self._typing.set(account, room.remote_id, active)
