# SPDX-License-Identifier: Apache-2.0
"""One configured network: its adapter, its accounts and both directions, put together.

This is what `gateway.xmpp` talks to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import structlog

from gateway.adapter import Adapter, Clock, Contact
from gateway.bridge.accounts import Account, Accounts
from gateway.bridge.actors import Limits
from gateway.bridge.addresses import Addresses
from gateway.bridge.attendance.attendance import Attendance
from gateway.bridge.backlog import Backlog, Marks
from gateway.bridge.contacts import Contacts
from gateway.bridge.cut import tell_cut
from gateway.bridge.delivery import Delivery
from gateway.bridge.intents import IncomingText, Intents
from gateway.bridge.link import Link, LinkHooks, LinkState
from gateway.bridge.links import Links
from gateway.bridge.logins import Logins
from gateway.bridge.notices import LinkNotices
from gateway.bridge.outbound import Outbound
from gateway.bridge.pending import Pending
from gateway.bridge.persist import Persist
from gateway.bridge.ports import XmppPort
from gateway.bridge.readiness import TROUBLE, Readiness
from gateway.bridge.registrations import Registrations
from gateway.bridge.rooms.avatars import Avatars
from gateway.bridge.rooms.coming import Coming
from gateway.bridge.rooms.history import History
from gateway.bridge.rooms.leading import Leading
from gateway.bridge.rooms.management import Management
from gateway.bridge.rooms.occupants import Cutoffs
from gateway.bridge.rooms.private import PrivateMessages
from gateway.bridge.rooms.rooms import Rooms
from gateway.bridge.rooms.wishes import RoomWishes
from gateway.bridge.rows import Committed
from gateway.bridge.settings import Settings
from gateway.bridge.typing import Typing
from gateway.errors import Forbidden, Transient
from gateway.ids import AccountId, NetworkName, RemoteRoomId, RemoteUserId, UserJid
from gateway.media.images import Images
from gateway.store import Store, backlog, contacts
from gateway.store.accounts import AccountStatus
from gateway.store.rooms import RoomRow
from gateway.store.secrets import SecretBox
from gateway.tasks import Tasks, contained, within

log = structlog.get_logger("network")

_FIND_LIMIT_S = 5.0


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
        self._build_traffic(settings, box, images)
        self._build_presence()
        self._build_life(box)

    def _build_traffic(self, settings: NetworkSettings, box: SecretBox, images: Images) -> None:
        """Both directions, and the links that feed them."""
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
        self.room_wishes = RoomWishes(
            adapter.capabilities,
            store,
            clock,
            self.intents,
            send=self._outbound.offer,
            deliver=self.delivery.offer,
        )
        self.rooms = Rooms(
            self.name,
            store,
            self.addresses,
            clock,
            self._persist,
            self.delivery.offer,
            settings.cutoffs,
            entered=lambda account, room: self.avatars.wake(account, [room]),
        )
        self.avatars = Avatars(
            adapter, store, self._tasks, self._persist, images, self.delivery.offer
        )
        self.history = History(adapter, store, self._tasks, settings.keeps_s)
        self.room_management = Management(adapter)
        self.coming = Coming(
            self.name,
            store,
            self.addresses,
            clock,
            self._tasks,
            self._persist,
            self.room_management,
            self.rooms,
        )
        self.private_messages = PrivateMessages(
            self.name, store, clock, self._persist, self.delivery
        )
        self._pending = Pending(self.name, store, clock, self.accounts.by_id)
        self._typing: Typing[RemoteUserId] = Typing(
            clock, self._tasks, lambda session: session.set_typing
        )
        self._room_typing: Typing[RemoteRoomId] = Typing(
            clock, self._tasks, lambda session: session.set_room_typing
        )
        self._links = Links(
            self.name,
            adapter,
            store,
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
        self.coming.load(by_id.keys())
        self._attendance.load()

    async def start(self, permits: Callable[[UserJid], bool] = lambda _: True) -> None:
        """Begin to connect the accounts of those who may, most recently active first.

        That waits for the adapter to start, and nothing else does.
        """
        self.logins.permits = permits
        self._attendance.start()
        self._tasks.spawn(self._outbound.watch(), "watchdog")
        self._tasks.spawn(self._pending.watch(), "pending")
        leading = Leading(self.name, self._store, self._clock, self.accounts)
        self._tasks.spawn(leading.watch(), "leading")
        self._tasks.spawn(self.avatars.watch(), "avatars")
        self._tasks.spawn(
            self._readiness.run(
                lambda: self._connect(permits), lambda: self.accounts.each(self._hinder)
            ),
            "start",
        )

    def _hinder(self, account: Account) -> None:
        if account.status is AccountStatus.LINKED and account.link is not None:
            account.link.hinder(TROUBLE)

    def _connect(self, permits: Callable[[UserJid], bool]) -> None:
        self.accounts.each(lambda account: self._connect_one(account, permits))
        self.registrations.start()

    def _connect_one(self, account: Account, permits: Callable[[UserJid], bool]) -> None:
        if account.status is not AccountStatus.LINKED or account.link is None:
            return
        if not permits(account.user):
            self._shut_out(account, account.link)
        elif self._attendance.following.may_connect(account):
            self._links.run(account, account.link)
        else:
            self._attendance.following.rest(account)

    def admission_changed(self, user: UserJid) -> None:
        """An admin admits a user, or does so no longer (REQ-705)."""
        self._tasks.spawn(self._admission_changed(user), "admission")

    async def _admission_changed(self, user: UserJid) -> None:
        """Not before a login or log-out that is under way has ended: then it is clear what holds.

        What it may be then is asked: admins take back what they have mistyped.
        """
        async with self.logins.turn(user):
            account, permitted = self.accounts.of(user), self.logins.permits(user)
            if (
                account is None
                or account.link is None
                or account.status is not AccountStatus.LINKED
            ):
                return
            if account.link.phase is LinkState.STOPPED and permitted:
                self._links.prepare(account)
                self._connect_one(account, lambda _: True)
            elif not permitted:
                await self._disconnect(account, account.link)

    async def _disconnect(self, account: Account, link: Link) -> None:
        await link.stop()
        self._shut_out(account, link)
        self._link_changed(account)

    def _shut_out(self, account: Account, link: Link) -> None:
        log.warning("account_not_admitted", network=self.name, account=account.id)
        link.phase = LinkState.STOPPED
        link.trouble = "The admin of this gateway does not admit you"

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

    def stream_lost(self) -> None:
        """What was written on it may not have arrived."""
        self.delivery.lost()
        self._attendance.stream_lost()

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
            room=self._backlog.room,
        )

    def _types(self, account: Account, contact: RemoteUserId, active: bool) -> None:
        through = self.private_messages.way_of(account.id, contact)
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
        if link.session is not None:
            self.contacts.went_live(account)
            self.avatars.went_live(account, self.rooms)

    def _committed(self, account: Account, committed: Committed) -> None:
        for inbound in committed.inbound:
            self._presences.talked(account, inbound.contact)
        self.delivery.offer(committed.inbound)
        for row in committed.outbound:
            self._outbound.offer(account, row)
        if committed.held:
            self._pending.came()
        for entering, room in committed.entered:
            self.coming.entered(entering, room)
        self.coming.follow(account, committed.followed)
        self.avatars.wake(account, committed.pictured)

    # --- what waits ------------------------------------------------------------------------------

    def is_full(self, account: Account) -> bool:
        """So much waits for the user that nothing more is fetched."""
        return self._backlog.is_full(account.id)

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
        if self._may_type(account) or not active:
            self._typing.set(account, contact, active)

    def room_typing(self, account: Account, room: RoomRow, active: bool) -> None:
        """The user began or stopped typing in a room (REQ-572)."""
        if not active or (self._may_type(account) and self.rooms.shows_typing(room)):
            self._room_typing.set(account, room.remote_id, active)

    def _may_type(self, account: Account) -> bool:
        return self.adapter.capabilities.typing and account.settings.send_typing

    async def find(self, account: Account, contact: RemoteUserId) -> Contact:
        """Look a contact up, within 5 s (REQ-119). Raises `NotFound` or `Transient`."""
        row = contacts.get(self._store.reader, account.id, contact)
        if row is not contacts.UNKNOWN:
            return Contact(name=row.name)
        session = account.link.session if account.link is not None else None
        if session is None:
            raise Transient("The network cannot be asked now.")
        try:
            return await within(self._clock, _FIND_LIMIT_S, contained(session.find, contact))
        except TimeoutError:
            raise Transient("The network did not answer in time.") from None
        except Forbidden:  # people may hide their profile
            return Contact()
