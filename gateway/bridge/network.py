# SPDX-License-Identifier: Apache-2.0
"""One configured network: its adapter, its accounts and both directions, put together.

This is what `gateway.xmpp` talks to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gateway.adapter import Adapter, Clock
from gateway.bridge.accounts import Account, Accounts
from gateway.bridge.actors import Limits
from gateway.bridge.addresses import Addresses
from gateway.bridge.admission import Admission
from gateway.bridge.attendance.attendance import Attendance
from gateway.bridge.backlog import Backlog, Marks
from gateway.bridge.contacts import Contacts
from gateway.bridge.cut import tell_cut
from gateway.bridge.delivery import Delivery
from gateway.bridge.intents import IncomingText, Intents
from gateway.bridge.link import LinkHooks
from gateway.bridge.links import Links
from gateway.bridge.logins import Logins
from gateway.bridge.notices import LinkNotices
from gateway.bridge.outbound import Outbound
from gateway.bridge.pending import Pending
from gateway.bridge.persist import Persist
from gateway.bridge.ports import XmppPort
from gateway.bridge.readiness import TROUBLE, Readiness
from gateway.bridge.registrations import Registrations
from gateway.bridge.rooms.network_rooms import NetworkRooms
from gateway.bridge.rooms.occupants import Cutoffs
from gateway.bridge.rows import Committed
from gateway.bridge.settings import Settings
from gateway.bridge.typing import Typing
from gateway.ids import AccountId, NetworkName, RemoteUserId, UserJid
from gateway.media.images import Images
from gateway.store import Store, backlog
from gateway.store.accounts import AccountStatus
from gateway.store.journal import OF_SHARED_ROOM
from gateway.store.secrets import SecretBox
from gateway.tasks import Tasks


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSettings:
    """What the configuration says of a network, as far as the bridge needs it."""

    name: NetworkName
    auto_accept: bool = False
    limits: Limits
    marks: Marks = field(default_factory=Marks)
    login_concurrency: int = 8
    cutoffs: Cutoffs = field(default_factory=Cutoffs)
    keeps_s: float = 400 * 86_400
    """How long what was said is kept."""


class Network:
    """One configured network. Create, `attach` the XMPP side, then `start`."""

    def __init__(
        self,
        settings: NetworkSettings,
        adapter: Adapter,
        store: Store,
        box: SecretBox,
        images: Images,
    ) -> None:
        self.name = name = settings.name
        self.adapter = adapter
        self._store = store
        self._port: XmppPort
        self._clock: Clock = adapter.context.clock
        self._tasks = Tasks(f"network {name}")
        self._persist = Persist(store, self._clock, self._tasks)
        self._readiness = Readiness(name, adapter)
        self.accounts = Accounts(name, store, box, self._clock, adapter.shares_rooms)
        self.addresses = Addresses(name, adapter, store)
        self._build_traffic(settings)
        self._build_rooms(settings, images)
        self._build_links(settings, box)
        self._build_presence()
        self._build_life(box)

    def _build_traffic(self, settings: NetworkSettings) -> None:
        """Both directions."""
        adapter, store, clock = self.adapter, self._store, self._clock
        self._backlog = Backlog(
            self.name,
            settings.marks,
            live_only=adapter.capabilities.live_only,
            has_room=self._has_room,
        )
        self.delivery = Delivery(
            self.name, store, clock, self._tasks, self._persist, self._backlog
        )
        self._outbound = Outbound(
            self.name, adapter, store, settings.limits, self._tasks, self.delivery.offer
        )
        self.intents = Intents(
            self.name,
            adapter.capabilities,
            store,
            self.addresses,
            clock,
            send=self._outbound.offer,
            is_full=self._outbound.is_full,
            readdress=self._outbound.readdress,
            deliver=self.delivery.offer,
        )
        self._pending = Pending(self.name, store, clock, self.accounts.by_id)
        self._typing: Typing[RemoteUserId] = Typing(
            adapter, self._tasks, lambda session: session.set_typing
        )

    def _build_rooms(self, settings: NetworkSettings, images: Images) -> None:
        self.rooms = NetworkRooms(
            self.name,
            self.adapter,
            self._store,
            self.accounts,
            self.addresses,
            self._tasks,
            self._persist,
            images,
            self.delivery,
            self.intents,
            send=self._outbound.offer,
            online=lambda account: self._presences.online(account),
            cutoffs=settings.cutoffs,
            keeps_s=settings.keeps_s,
        )

    def _build_links(self, settings: NetworkSettings, box: SecretBox) -> None:
        """The connections of accounts, which feed all that."""
        self._links = Links(
            self.name,
            self.adapter,
            self._store,
            box,
            self.addresses,
            self._backlog,
            self._readiness,
            auto_accept=settings.auto_accept,
            concurrency=settings.login_concurrency,
            cutoffs=settings.cutoffs,
            hooks=self._hooks,
            begun=lambda account: self._attendance.link_changed(account),
            is_live=self.accounts.is_live,
        )

    def _build_presence(self) -> None:
        """Who is there, who may see whom, and what users see of their links."""
        self._attendance = Attendance(
            self.name,
            self._store,
            self.accounts,
            self.addresses,
            self._clock,
            self._tasks,
            self._persist,
            is_offered=self.adapter.capabilities.presence,
            run=self._links.run,
            link_changed=self._link_changed,
        )
        self.audience = self._attendance.audience
        self._presences = self._attendance.presences
        self.contacts = Contacts(
            self.name,
            self._store,
            self.accounts,
            self.addresses,
            self._clock,
            self._tasks,
            self._persist,
            self._outbound.offer,
            self._presences,
            self._attendance.waves,
        )
        self._notices = LinkNotices(
            self.name, self._clock, self._persist, self.delivery, self.contacts, self._presences
        )

    def _build_life(self, box: SecretBox) -> None:
        """How accounts begin and end."""
        self.logins = Logins(
            self.name,
            self._store,
            self._clock,
            self._tasks,
            self.accounts,
            self._readiness,
            self._links,
            self.contacts,
            self._outbound,
            self.delivery,
            self._attendance,
            self.rooms,
            withdraw=lambda user: self.registrations.drop(user),
        )
        self.registrations = Registrations(
            self.name, self._store, box, self._clock, self._tasks, self._persist, self.logins
        )
        self.admission = Admission(
            self.name,
            self._tasks,
            self.accounts,
            self._links,
            self.logins,
            self._attendance.following,
            self._link_changed,
        )

    def attach(self, port: XmppPort) -> None:
        """Connect to the XMPP side."""
        self._port = port
        self.logins.attach(port)
        self.registrations.attach(port)
        self.delivery.attach(port)
        self.contacts.attach(port)
        self._notices.attach(port)
        self._attendance.attach(port)
        self.intents.attach(port)
        self.rooms.attach(port)

    # --- start and stop --------------------------------------------------------------------------

    async def settle(self) -> None:
        """What is stored may not be as the configuration wants it now. Before `load`."""
        await self.accounts.settle_realms()

    def load(self) -> None:
        """Read what is stored. Before the stream is up, so that the first stanza finds it."""
        by_id = {account.id: account for account in self.accounts.load()}
        self.delivery.load()
        for cut in backlog.accounts_with_cut(self._store.reader, self.name):
            if not self._backlog.is_cutting(cut):
                self._has_room(cut)
        for account in by_id.values():
            self._links.prepare(account)
            self._notices.resume(account)
        self._outbound.load(by_id.get)
        self.registrations.load()
        self.rooms.load(by_id.keys())
        self._attendance.load()

    async def start(self, permits: Callable[[UserJid], bool] = lambda _: True) -> None:
        """Begin to connect the accounts of those who may, most recently active first.

        That waits for the adapter to start, and nothing else does.
        """
        self.logins.permits = permits
        self._attendance.start()
        self._tasks.spawn(self._outbound.watch(), "watchdog")
        self._tasks.spawn(self._pending.watch(), "pending")
        self.rooms.start()
        self._tasks.spawn(
            self._readiness.run(self._connect, lambda: self.accounts.each(self._hinder)),
            "start",
        )

    def _hinder(self, account: Account) -> None:
        if account.status is AccountStatus.LINKED and account.link is not None:
            account.link.hinder(TROUBLE)

    def _connect(self) -> None:
        self.accounts.each(self.admission.connect)
        self.registrations.start()

    async def stop(self) -> None:
        """End all sessions and actors. What is not settled stays in the journals."""
        self.delivery.stop()
        await self._links.stop()
        self._attendance.stop()
        await self._tasks.cancel()
        await self._readiness.stop()

    def stream_up(self) -> None:
        """What waited for the stream goes out."""
        self.accounts.each(self._notices.show)
        self._attendance.stream_up()
        self.delivery.pump()
        self.rooms.stream_up()

    def stream_lost(self) -> None:
        """What was written on it may not have arrived."""
        self.delivery.lost()
        self._attendance.stream_lost()
        self.rooms.stream_lost()

    # --- what links tell -------------------------------------------------------------------------

    def _hooks(self, account: Account) -> LinkHooks:
        return LinkHooks(
            committed=lambda committed: self._committed(account, committed),
            changed=self._link_changed,
            expired=self._notices.expired,
            typing=self._types,
            room_typing=self.rooms.types,
            presence=self._presences.told,
            quiet=self._outbound.quiet,
            room=self._room,
        )

    def _types(self, account: Account, contact: RemoteUserId, active: bool) -> None:
        through = self.rooms.private_messages.way_of(account.id, contact)
        if through is not None:
            self._port.typing_privately(account.user, through, active)
            return
        # What is for the bare address does not reach a device that is online for nobody else.
        for resource in ("", *account.devices.only_shown_to(contact)):
            self._port.typing(account.user, contact, active, resource)

    def _link_changed(self, account: Account) -> None:
        link = account.link
        if link is None:
            return
        self._outbound.link_changed(account)
        self._notices.show(account)
        self._attendance.link_changed(account)
        self.rooms.link_changed(account)
        if link.session is not None:
            self.contacts.went_live(account)

    def _committed(self, account: Account, committed: Committed) -> None:
        for inbound in committed.inbound:
            self._presences.talked(account, inbound.contact)
        self.delivery.offer(committed.inbound)
        for row in committed.outbound:
            self._outbound.offer(account, row)
        if committed.held:
            self._pending.came()
        self.rooms.committed(account, committed)

    # --- what waits ------------------------------------------------------------------------------

    def is_full(self, account: Account) -> bool:
        """So much waits for the user that nothing more is fetched."""
        is_full = self._backlog.is_full
        return is_full(account.id) or (self._shares_rooms(account) and is_full(OF_SHARED_ROOM))

    def _shares_rooms(self, account: Account) -> bool:
        return self.adapter.shares_rooms(account.realm)

    async def _room(self, number: AccountId) -> None:
        """Wait until more may be fetched for an account. What waits for sessions in shared rooms
        waits for our own server, so for all of them."""
        await self._backlog.room(number)
        account = self.accounts.by_id(number)
        if account is not None and self._shares_rooms(account):
            await self._backlog.room(OF_SHARED_ROOM)

    def _has_room(self, account: AccountId) -> None:
        """What was cut while there was none is told before anything that comes now."""
        now = self._clock.now()
        self._persist.write(lambda db: tell_cut(db, self.name, account, now), self.delivery.offer)

    def counts(self, account: Account) -> tuple[int, int]:
        """How many rows wait, inbound and outbound."""
        return backlog.count_open(self._store.reader, account.id)

    # --- what users want -------------------------------------------------------------------------

    async def change_settings(self, account: Account, **changes: Any) -> Settings:
        """Change some settings, at once and for ever. Returns all of them.

        Raises `SettingRefused`, `StoreUnavailable`, or `LookupError` if the account is gone.
        """
        settings = await self.accounts.change_settings(account, changes)
        self._attendance.settings_changed(account)
        return settings

    def active(self, user: UserJid) -> None:
        """A device of the user wants something: it is there."""
        account = self.accounts.of(user)
        if account is not None:
            self._attendance.active(account)

    def can_see(self, account: Account) -> bool:
        """Whether the user's server tells the gateway when they are online."""
        return self.audience.is_seen(account)

    def send_text(self, account: Account, contact: RemoteUserId, text: IncomingText) -> None:
        """Commit a text; the receipt or the error follows."""
        self._typing.set(account, contact, active=False)
        self._presences.talked(account, contact)
        self._attendance.active(account)
        self.intents.send_text(account, contact, text)

    def typing(self, account: Account, contact: RemoteUserId, active: bool) -> None:
        """The user began or stopped typing."""
        self._typing.set(account, contact, active)
