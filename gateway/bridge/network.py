# SPDX-License-Identifier: Apache-2.0
"""One configured network: its adapter, its accounts and both directions, put together.

This is what `gateway.xmpp` talks to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gateway.adapter import Adapter, Poll
from gateway.bridge.accounts import Account, Accounts
from gateway.bridge.accounts.admission import Admission
from gateway.bridge.accounts.languages import Languages
from gateway.bridge.accounts.logins import Logins
from gateway.bridge.accounts.own_profiles import OwnProfiles
from gateway.bridge.accounts.registrations import Registrations
from gateway.bridge.accounts.settings import Settings
from gateway.bridge.accounts.suspension import Suspension
from gateway.bridge.addresses import Addresses
from gateway.bridge.attendance.attendance import Attendance
from gateway.bridge.chats.wishes import ChatWishes
from gateway.bridge.contacts.network_contacts import NetworkContacts
from gateway.bridge.ground import Ground
from gateway.bridge.inbound.rows import Committed
from gateway.bridge.links.link import LinkHooks
from gateway.bridge.links.links import Links
from gateway.bridge.links.notices import LinkNotices
from gateway.bridge.links.readiness import TROUBLE, Readiness
from gateway.bridge.muting import Muting
from gateway.bridge.network_settings import NetworkSettings
from gateway.bridge.outbound.wanted import Incoming, IncomingText
from gateway.bridge.persist import Persist
from gateway.bridge.portals.absentees import Absentees
from gateway.bridge.portals.house import House
from gateway.bridge.portals.notices import PortalNotices
from gateway.bridge.portals.people import People
from gateway.bridge.portals.portals import Portals
from gateway.bridge.portals.ruling import Ruling
from gateway.bridge.ports import XmppPort
from gateway.bridge.rooms.network_rooms import NetworkRooms
from gateway.bridge.traffic import Traffic
from gateway.bridge.typing import Typing
from gateway.bridge.waiting import answered, live
from gateway.events import RemoteMessage
from gateway.ids import RemoteUserId, UserJid
from gateway.media.images import Images
from gateway.media.uploads import Uploads
from gateway.store import Store
from gateway.store.accounts import AccountStatus
from gateway.store.kinds import AccountKind
from gateway.store.mutes import Conversation
from gateway.store.secrets import SecretBox
from gateway.tasks import Tasks, contained


class Network:
    """One configured network. Create, `attach` the XMPP side, then `start`."""

    def __init__(
        self,
        settings: NetworkSettings,
        adapter: Adapter,
        store: Store,
        box: SecretBox,
        images: Images,
        uploads: Uploads,
    ) -> None:
        self.name = settings.name
        self.adapter = adapter
        self._port: XmppPort
        self._tasks = Tasks(f"network {self.name}")
        self.ground = ground = self._prepared(settings, store, box, uploads)
        self._build_ways(ground)
        self._readiness = Readiness(self.name, adapter)
        self._links = Links(
            ground,
            box,
            self.traffic.backlog,
            self._readiness,
            hooks=self._hooks,
            begun=lambda account: self._attendance.link_changed(account),
        )
        self.house = House(ground, self.traffic, self._links)
        self._attendance = Attendance(ground, run=self._links.run, link_changed=self._link_changed)
        self.audience = self._attendance.audience
        self._presences = self._attendance.presences
        self.rooms = NetworkRooms(
            ground,
            self.traffic,
            images,
            profiled=lambda profiled: self.contacts.profiles.changed(profiled),
            online=self._presences.online,
        )
        self.contacts = NetworkContacts(ground, self.traffic, self._attendance, self.rooms.avatars)
        self._notices = LinkNotices(
            ground, self.delivery, self.contacts.subscriptions, self._presences
        )
        self.own_profiles = OwnProfiles(ground, images)
        self.house.changed = self.rooms.link_changed
        self.people = People(ground, self._links, self.rooms)
        self.absentees = Absentees(ground, self.traffic)
        self._portal_notices = PortalNotices(ground, self.delivery, self.people, self.rooms)
        self._ruling = Ruling(ground, self.rooms)
        self.rooms.management.of_virtual = self._ruling.do
        self.muting = Muting(ground)
        self._build_life(ground, box)

    def _prepared(
        self, settings: NetworkSettings, store: Store, box: SecretBox, uploads: Uploads
    ) -> Ground:
        adapter, clock = self.adapter, self.adapter.context.clock
        persist = Persist(store, clock, self._tasks)
        self.portals = Portals(self.name, store, clock, settings.language)
        self.languages = Languages(settings.language, clock, self._tasks, persist)
        self.accounts = Accounts(
            self.name, store, box, clock, adapter.shares_rooms, self.languages.of_stranger
        )
        self.languages.attach(self.accounts.of)
        self.addresses = Addresses(self.name, settings.domain, adapter, store)
        return Ground(
            settings=settings,
            adapter=adapter,
            store=store,
            accounts=self.accounts,
            addresses=self.addresses,
            tasks=self._tasks,
            persist=persist,
            uploads=uploads,
            portals=self.portals,
        )

    def _build_ways(self, ground: Ground) -> None:
        """What is said, in both directions."""
        self.traffic = Traffic(ground)
        self.delivery, self._outbound = self.traffic.delivery, self.traffic.outbound
        self.downloads = self.traffic.downloads
        self.chats = ChatWishes(ground, self.traffic)
        self._typing: Typing[RemoteUserId] = Typing(
            ground.adapter, self._tasks, lambda session: session.set_typing
        )

    def _build_life(self, ground: Ground, box: SecretBox) -> None:
        """How accounts begin and end."""
        self.logins = Logins(
            ground,
            self.traffic,
            self._readiness,
            self._links,
            self.contacts.subscriptions,
            self._attendance,
            self.rooms,
            withdraw=lambda user: self.registrations.drop(user),
        )
        self.suspension = Suspension(ground, self.delivery, self._attendance.following)
        self.registrations = Registrations(ground, box, self.logins)
        self.admission = Admission(
            ground,
            self._links,
            self.logins,
            self._attendance.following,
            self._link_changed,
            self.people.shut_out,
        )

    def attach(self, port: XmppPort) -> None:
        """Connect to the XMPP side."""
        self._port = port
        self.traffic.attach(port)
        self.logins.attach(port)
        self.registrations.attach(port)
        self.contacts.attach(port)
        self.own_profiles.attach(port)
        self._notices.attach(port)
        self._portal_notices.attach(port)
        self._attendance.attach(port)
        self.rooms.attach(port)

    # --- start and stop --------------------------------------------------------------------------

    async def settle(self) -> None:
        """What is stored may not be as the configuration wants it now. Before `load`."""
        await self.house.settle()
        await self.accounts.settle_realms()

    def load(self) -> None:
        """Read what is stored. Before the stream is up, so that the first stanza finds it."""
        accounts = self.accounts.load()
        self.suspension.load()
        self.traffic.load()
        for account in accounts:
            self._links.prepare(account)
            self._notices.resume(account)
        self.house.load()
        self._portal_notices.load()
        self.registrations.load()
        self.rooms.load([account.id for account in accounts])
        self._attendance.load()

    async def start(self, permits: Callable[[UserJid], bool] = lambda _: True) -> None:
        """Begin to connect the accounts of those who may, most recently active first.

        That waits for the adapter to start, and nothing else does.
        """
        self.logins.permits = permits
        self._attendance.start()
        self.traffic.start()
        self.contacts.start()
        self.rooms.start()
        self.suspension.start()
        self._portal_notices.look()
        self._tasks.spawn(self.muting.watch(), "ends of mutes")
        self._tasks.spawn(
            self._readiness.run(self._connect, lambda: self.accounts.each(self._hinder)),
            "start",
        )

    def _hinder(self, account: Account) -> None:
        if account.status is AccountStatus.LINKED and account.link is not None:
            account.link.hinder(TROUBLE)

    def _connect(self) -> None:
        self.house.connect()
        self._settle_people()
        self.accounts.each(self.admission.connect)
        self.registrations.start()

    def _settle_people(self) -> None:
        """When accounts begin to connect and the stream is up, in whatever order."""
        if self._port.is_up():
            self._tasks.spawn(self.people.settle(self.logins.permits), "who may be in groups")

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
        self.contacts.stream_up()
        self.rooms.stream_up()
        self._settle_people()

    def stream_lost(self) -> None:
        """What was written on it may not have arrived."""
        self.delivery.lost()
        self._attendance.stream_lost()
        self.rooms.stream_lost()

    # --- what links tell -------------------------------------------------------------------------

    def _hooks(self, account: Account) -> LinkHooks:
        is_own = account.kind is AccountKind.OWN

        def nobody(*_: object) -> None:
            """The house has no contacts, and those for whom it speaks have none."""

        return LinkHooks(
            committed=lambda committed: self._committed(account, committed),
            changed=self._link_changed if is_own else self.house.link_changed,
            expired=self._notices.expired if is_own else self.house.expired,
            typing=self._types if is_own else nobody,
            room_typing=self.rooms.types,
            presence=self._presences.told if is_own else nobody,
            quiet=self._outbound.quiet,
            open=self._outbound.transfers.open,
            portals=self.portals,
            put_out=lambda *about: self._ruling.put_out(*about),
            house=self.house.link,
            room=self.traffic.room,
        )

    def _types(self, account: Account, contact: RemoteUserId, active: bool) -> None:
        if contact in account.blocked:
            return
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
            self.contacts.subscriptions.went_live(account)
            self.own_profiles.look(account)

    def _committed(self, account: Account, committed: Committed) -> None:
        if committed.portals:
            self.portals.committed()
        if account.kind is not AccountKind.OWN:  # it has no contacts
            self.traffic.committed(account, committed)
            self.rooms.committed(account, committed)
            self._portal_notices.look()
            return
        self.contacts.talked(account, committed.inbound)
        self.traffic.committed(account, committed)
        self.rooms.committed(account, committed)
        self.contacts.committed(account, committed)

    # --- what users want -------------------------------------------------------------------------

    async def change_settings(self, account: Account, **changes: Any) -> Settings:
        """Change some settings, at once and for ever. Returns all of them.

        Raises `SettingRefused`, `StoreUnavailable`, or `LookupError` if the account is gone.
        """
        settings = await self.accounts.change_settings(account, changes)
        if "add_contacts" in changes:
            self.contacts.roster.look(account)
        self._attendance.settings_changed(account)
        self.own_profiles.look(account)
        return settings

    def active(self, user: UserJid) -> None:
        """A device of the user wants something: it is there."""
        account = self.accounts.of(user)
        if account is not None:
            self._attendance.active(account)

    def can_see(self, account: Account) -> bool:
        """Whether the user's server tells the gateway when they are online."""
        return self.audience.is_told(account)

    def wants(self, account: Account, contact: RemoteUserId, wanted: Incoming) -> None:
        """Commit what a user wants in a chat; the receipt or the error follows."""
        if isinstance(wanted, IncomingText):
            self._typing.set(account, contact, active=False)
        self._presences.talked(account, contact)
        self._attendance.active(account)
        self.chats.take(account, contact, wanted)

    async def last_said(
        self, account: Account, contact: RemoteUserId, most: int
    ) -> Sequence[RemoteMessage]:
        """What was said last in a chat, the oldest first. Raises any `AdapterError`."""
        work = contained(live(account).last_said, contact, most)
        return await answered(self.ground.clock, account, "last said", work)

    async def poll(self, account: Account, where: Conversation) -> Poll | None:
        """The newest one that goes on there, if one is known. Raises any `AdapterError`."""
        work = contained(live(account).poll, where.contact, where.room)
        return await answered(self.ground.clock, account, "poll", work)

    async def vote(self, account: Account, poll: Poll, answers: Sequence[int]) -> None:
        """Choose the answers at these places. Raises any `AdapterError`."""
        work = contained(live(account).vote, poll, answers)
        await answered(self.ground.clock, account, "vote", work)

    def typing(self, account: Account, contact: RemoteUserId, active: bool) -> None:
        """The user began or stopped typing."""
        self._typing.set(account, contact, active)
