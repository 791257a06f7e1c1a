# SPDX-License-Identifier: Apache-2.0
"""All that a network offers of its rooms: the parts of this package put together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

from gateway.bridge.accounts import Account
from gateway.bridge.ground import Ground
from gateway.bridge.inbound.rows import Committed, Profiled
from gateway.bridge.ports import XmppPort
from gateway.bridge.rooms.avatars import Avatars
from gateway.bridge.rooms.coming import Coming
from gateway.bridge.rooms.ghosts import Ghosts
from gateway.bridge.rooms.history import History
from gateway.bridge.rooms.leading import Leading
from gateway.bridge.rooms.management import Management
from gateway.bridge.rooms.outcasts import Outcasts
from gateway.bridge.rooms.private import PrivateMessages
from gateway.bridge.rooms.rooms import Rooms
from gateway.bridge.rooms.servers import Servers
from gateway.bridge.rooms.sessions import Sessions
from gateway.bridge.rooms.telling import Crowds
from gateway.bridge.rooms.wishes import RoomWishes
from gateway.bridge.traffic import Traffic
from gateway.bridge.typing import Typing
from gateway.ids import AccountId, RemoteRoomId, RemoteUserId
from gateway.media.images import Images
from gateway.store.rooms import RoomRow


class NetworkRooms(Rooms):
    """The rooms of one network, with all that users do in them, and what is done for them."""

    def __init__(
        self,
        ground: Ground,
        traffic: Traffic,
        images: Images,
        *,
        profiled: Callable[[Sequence[Profiled]], None],
        online: Callable[[Account], Iterator[RemoteUserId]],
    ) -> None:
        """``profiled``: something else is known of contacts. ``online``: those of an account who
        are there."""
        super().__init__(
            ground,
            self._tell,
            entered=lambda account, room: self.avatars.wake(account, [room]),
            online=online,
        )
        self._tasks, self._accounts = ground.tasks, ground.accounts
        self.entered: list[Callable[[AccountId, RemoteRoomId], None]] = []
        """Called when an account has come into a room."""
        self._deliver, self._profiled = traffic.delivery.offer, profiled
        self.avatars = Avatars(ground, images, self._tell)
        self._crowds = Crowds(ground, self._deliver)
        self.sessions = Sessions(ground, self._tell)
        self.servers = Servers(
            ground.clock,
            ground.tasks,
            put_out=self.sessions.put_out,
            tell_out=self.sessions.tell_out,
        )
        self.ghosts = Ghosts(ground, self.servers, self.sessions.put_out)
        self.wishes = RoomWishes(ground, traffic)
        self.private_messages = PrivateMessages(ground, traffic.delivery)
        self.management = Management(ground.adapter)
        self.outcasts = Outcasts(self.management, ground.clock)
        self.coming = Coming(ground, self.management, self)
        self.history = History(ground)
        self._leading = Leading(ground)
        self._typing: Typing[RemoteRoomId] = Typing(
            ground.adapter, ground.tasks, lambda session: session.set_room_typing
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
            for tell in self.entered:
                tell(entering, room)
        self.coming.follow(account, committed.followed)
        self.avatars.wake(account, committed.pictured)
        self.outcasts.changed(committed.outcasts)
        self._crowds.committed(committed.inbound)
        self._crowds.came(committed.untold)
        self._freeze(committed)

    def _tell(self, committed: Committed) -> None:
        """What was decided here is stored."""
        self._deliver(committed.inbound)
        self._crowds.came(committed.untold)
        self._profiled(committed.profiled)
        self._freeze(committed)

    def _freeze(self, committed: Committed) -> None:
        for frozen in committed.frozen:
            self._port.frozen(*frozen)

    def typing(self, account: Account, room: RoomRow, active: bool) -> None:
        """The user began or stopped typing in a room (REQ-572)."""
        if not active or self.shows_typing(room):
            self._typing.set(account, room.remote_id, active)
