# SPDX-License-Identifier: Apache-2.0
"""Both directions of one network put together, and what waits in them."""

from __future__ import annotations

from gateway.bridge.accounts import Account
from gateway.bridge.chats.later import LaterEdits
from gateway.bridge.files.downloads import Downloads
from gateway.bridge.files.uploads import Uploads
from gateway.bridge.ground import Ground
from gateway.bridge.inbound.backlog import Backlog
from gateway.bridge.inbound.cut import tell_cut
from gateway.bridge.inbound.delivery import Delivery
from gateway.bridge.inbound.pending import Pending
from gateway.bridge.inbound.rows import Committed
from gateway.bridge.outbound.intents import Intents
from gateway.bridge.outbound.outbound import Outbound
from gateway.bridge.ports import XmppPort
from gateway.bridge.rooms import awaiting
from gateway.ids import AccountId
from gateway.store import backlog
from gateway.store.journal import OF_SHARED_ROOM


class Traffic:
    """The ways of one network: `delivery` to its users, `intents` and `outbound` from them."""

    def __init__(self, ground: Ground) -> None:
        adapter = ground.adapter
        self._ground = ground
        self.backlog = Backlog(
            ground.network,
            ground.settings.marks,
            live_only=adapter.capabilities.live_only,
            has_room=self._has_room,
        )
        self.downloads = Downloads(ground)
        uploads = Uploads(
            ground,
            self.downloads,
            look=lambda row: self.delivery.look(row),
            decided=lambda row, told, moved: self.delivery.decided(row, told, moved),
        )
        self.delivery = Delivery(
            ground.network,
            ground.store,
            ground.clock,
            ground.tasks,
            ground.persist,
            self.backlog,
            uploads,
        )
        self.outbound = Outbound(ground, self.delivery.offer)
        self.intents = Intents(ground, self.outbound, self.delivery.offer)
        self._pending = Pending(ground)
        self._later_edits = LaterEdits(ground)

    def attach(self, port: XmppPort) -> None:
        """Connect to the XMPP side."""
        self.delivery.attach(port)
        self.intents.attach(port)

    def load(self) -> None:
        """Take up what an earlier process left. Accounts are loaded before."""
        network = self._ground.network
        self._ground.persist.write(lambda db: awaiting.show_forgotten(db, network))
        self.delivery.load()
        for cut in backlog.accounts_with_cut(self._ground.store.reader, self._ground.network):
            if not self.backlog.is_cutting(cut):
                self._has_room(cut)
        self.outbound.load(self._ground.accounts.by_id)

    def start(self) -> None:
        """Begin to watch."""
        tasks = self._ground.tasks
        tasks.spawn(self.outbound.watch(), "watchdog")
        tasks.spawn(self._pending.watch(), "pending")
        tasks.spawn(self._later_edits.watch(), "later edits")

    def committed(self, account: Account, committed: Committed) -> None:
        """What a session of the account has told is stored."""
        self.delivery.offer(committed.inbound)
        for row in committed.outbound:
            self.outbound.offer(account, row)
        if committed.held:
            self._pending.came()
        if committed.edits_wait:
            self._later_edits.came()

    # --- what waits ------------------------------------------------------------------------------

    def is_full(self, account: Account) -> bool:
        """So much waits for the user that nothing more is fetched."""
        is_full = self.backlog.is_full
        return is_full(account.id) or (self._shares_rooms(account) and is_full(OF_SHARED_ROOM))

    async def room(self, number: AccountId) -> None:
        """Wait until more may be fetched for an account. What waits for sessions in shared rooms
        waits for our own server, so for all of them."""
        await self.backlog.room(number)
        account = self._ground.accounts.by_id(number)
        if account is not None and self._shares_rooms(account):
            await self.backlog.room(OF_SHARED_ROOM)

    def counts(self, account: Account) -> tuple[int, int]:
        """How many rows wait, inbound and outbound."""
        return backlog.count_open(self._ground.store.reader, account.id)

    def _shares_rooms(self, account: Account) -> bool:
        return self._ground.adapter.shares_rooms(account.realm)

    def _has_room(self, account: AccountId) -> None:
        """What was cut while there was none is told before anything that comes now."""
        ground, now = self._ground, self._ground.clock.now()
        owner = ground.accounts.by_id(account)
        language = ground.settings.language if owner is None else owner.language
        ground.persist.write(
            lambda db: tell_cut(db, ground.network, account, language, now), self.delivery.offer
        )
