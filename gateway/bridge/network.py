# SPDX-License-Identifier: Apache-2.0
"""One configured network: its adapter, its accounts and both directions, put together.

This is what `gateway.xmpp` talks to.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from gateway.adapter import Adapter, Clock, Contact, Linked, LoginFlow, Relogin
from gateway.bridge.accounts import Account, Accounts
from gateway.bridge.actors import Limits
from gateway.bridge.addresses import Addresses
from gateway.bridge.attendance import Attendance
from gateway.bridge.backlog import Backlog, Marks
from gateway.bridge.contacts import Contacts
from gateway.bridge.cut import tell_cut
from gateway.bridge.delivery import Delivery
from gateway.bridge.inbound import Committed, Intake
from gateway.bridge.intents import IncomingText, Intents
from gateway.bridge.link import Link, LinkHooks, LinkState
from gateway.bridge.outbound import Outbound
from gateway.bridge.pacing import StartGate
from gateway.bridge.persist import Persist
from gateway.bridge.ports import XmppPort
from gateway.bridge.readiness import TROUBLE, Readiness
from gateway.bridge.registrations import Registrations
from gateway.bridge.settings import Settings
from gateway.bridge.typing import Typing
from gateway.errors import AdapterError, Forbidden, Transient
from gateway.events import GatewayNotice
from gateway.ids import AccountId, NetworkName, RemoteUserId, UserJid, stanza_id
from gateway.store import Store, Transaction, accounts, backlog, contacts, conversations, journal
from gateway.store.accounts import AccountStatus
from gateway.store.conversations import GATEWAY
from gateway.store.journal import InboundRow
from gateway.store.secrets import SecretBox
from gateway.tasks import Tasks, contained, within

log = structlog.get_logger("network")

_PHASES = {
    AccountStatus.LINKED: LinkState.LIVE,
    AccountStatus.EXPIRED: LinkState.EXPIRED,
    AccountStatus.LOGGED_OUT: LinkState.STOPPED,
}

_FIND_LIMIT_S = 5.0
_LOG_OUT_LIMIT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSettings:
    """What the configuration says of a network, as far as the bridge needs it."""

    name: NetworkName
    auto_accept: bool = False
    limits: Limits
    marks: Marks = field(default_factory=Marks)
    login_concurrency: int = 8


class Network:
    """One configured network. Create, `attach` the XMPP side, then `start`."""

    def __init__(
        self, settings: NetworkSettings, adapter: Adapter, store: Store, box: SecretBox
    ) -> None:
        self.name = settings.name
        self.adapter = adapter
        self._settings = settings
        self._store = store
        self._clock: Clock = adapter.context.clock
        self._tasks = Tasks(f"network {settings.name}")
        self._links = Tasks(f"links {settings.name}")
        self._erasing: dict[AccountId, asyncio.Task[tuple[str, Callable[[], None]]]] = {}
        self._gate = StartGate(self._clock, self._links, settings.login_concurrency)
        self._persist = Persist(store, self._clock, self._tasks)
        self._readiness = Readiness(settings.name, adapter)
        self.accounts = Accounts(settings.name, store, box, self._clock)
        self.addresses = Addresses(settings.name, adapter, store)
        self._backlog = Backlog(
            settings.name,
            settings.marks,
            live_only=adapter.capabilities.live_only,
            has_room=self._has_room,
        )
        self.delivery = Delivery(
            settings.name, store, self._clock, self._tasks, self._persist, self._backlog
        )
        self._outbound = Outbound(
            settings.name, adapter, store, settings.limits, self._tasks, self.delivery.offer
        )
        self._attendance = Attendance(
            settings.name,
            store,
            self.accounts,
            self._clock,
            self._tasks,
            self._persist,
            is_offered=adapter.capabilities.presence,
            run=self._run,
            link_changed=self._link_changed,
        )
        self.audience = self._attendance.audience
        self._presences = self._attendance.presences
        self.contacts = Contacts(
            settings.name,
            store,
            self.addresses,
            self._clock,
            self._tasks,
            self._persist,
            self._outbound.offer,
            self._presences,
            self._attendance.waves,
        )
        self.intents = Intents(
            settings.name,
            adapter.capabilities,
            store,
            self.addresses,
            self._clock,
            send=self._outbound.offer,
            is_full=self._outbound.is_full,
            readdress=self._outbound.readdress,
            deliver=self.delivery.offer,
        )
        self._typing = Typing(self._clock, self._tasks)
        self._port: XmppPort

        self.registrations = Registrations(
            settings.name, store, box, self._clock, self._tasks, self._persist, self
        )

    def attach(self, port: XmppPort) -> None:
        """Connect to the XMPP side."""
        self._port = port
        self.registrations.attach(port)
        self.delivery.attach(port)
        self.contacts.attach(port)
        self._attendance.attach(port)
        self.intents.attach(port)

    def load(self) -> None:
        """Read what is stored. Before the stream is up, so that the first stanza finds it."""
        by_id = {account.id: account for account in self.accounts.load()}
        self.delivery.load()
        for cut in backlog.accounts_with_cut(self._store.reader, self.name):
            if not self._backlog.is_cutting(cut):
                self._has_room(cut)
        for account in by_id.values():
            link = self._prepare(account)
            # What the user last saw; a restart is not to be seen at all (REQ-143).
            link.shown = link.phase = _PHASES[account.status]
            if account.status is AccountStatus.EXPIRED and account.secret is None:
                self._tell_expired(account, "The gateway can no longer read your login.")
        self._outbound.load(by_id.get)
        self.registrations.load()
        self._attendance.load()

    async def start(self, permits: Callable[[UserJid], bool] = lambda _: True) -> None:
        """Begin to connect the accounts of those who may, most recently active first.

        That waits for the adapter to start, and nothing else does.
        """
        self._attendance.start()
        self._tasks.spawn(self._outbound.watch(), "watchdog")
        self._tasks.spawn(
            self._readiness.run(lambda: self._connect(permits), self._hinder), "start"
        )

    def _hinder(self) -> None:
        for account in self.accounts:
            if account.status is AccountStatus.LINKED and account.link is not None:
                account.link.hinder(TROUBLE)

    def _connect(self, permits: Callable[[UserJid], bool]) -> None:
        for account in self.accounts:
            if account.status is AccountStatus.LINKED and account.link is not None:
                if not permits(account.user):
                    log.warning("account_not_admitted", network=self.name, account=account.id)
                    account.link.phase = LinkState.STOPPED
                    account.link.trouble = "The admin of this gateway does not admit you"
                elif self._attendance.following.may_connect(account):
                    self._run(account, account.link)
                else:
                    self._attendance.following.rest(account)
        self.registrations.start()

    async def stop(self) -> None:
        """End all sessions and actors. What is not settled stays in the journals."""
        self.delivery.stop()
        await self._links.cancel()
        self._attendance.stop()
        await self._tasks.cancel()
        await self._readiness.stop()

    def stream_up(self) -> None:
        """What waited for the stream goes out."""
        for account in self.accounts:
            if account.link is not None:
                self._show(account, account.link)
        self._attendance.stream_up()
        self.delivery.pump()

    def stream_lost(self) -> None:
        """What was written on it may not have arrived."""
        self.delivery.lost()
        self._attendance.stream_lost()

    # --- accounts --------------------------------------------------------------------------------

    def login(self, user: UserJid) -> LoginFlow:
        """The questions that link an account, or those that revive the one the user has.

        Raises `Transient` while the adapter has not started.
        """
        account = self.accounts.of(user)
        if account is None:
            return self._readiness.login()
        again = Relogin(realm=account.realm, remote_id=account.remote_id)
        return self._readiness.login(again)

    def account_of(self, user: UserJid) -> Account | None:
        """The user's account."""
        return self.accounts.of(user)

    async def link(self, user: UserJid, linked: Linked) -> Account:
        """Store a login and connect. One that still works is revoked when the new one is stored.

        Raises what `Accounts.link` raises; the new login is then revoked again.
        """
        before = self.accounts.of(user)
        replaced = None
        if before is not None and before.status is AccountStatus.LINKED and before.secret:
            replaced = replace(linked, secret=before.secret)
        try:
            account = await self.accounts.link(user, linked)
        except Exception:
            await self.discard(user, linked)
            raise
        if account.link is not None:
            await account.link.stop()
        await self.contacts.invite_gateway(account)
        self._run(account, self._prepare(account))
        self._outbound.link_changed(account)
        if before is not None:
            self._presences.show_all(account)
        if replaced is not None and replaced.secret != linked.secret:
            self._tasks.spawn(self.discard(user, replaced), "login that was replaced")
        return account

    async def discard(self, user: UserJid, linked: Linked) -> None:
        """Do not leave a session on the network that nobody here knows."""
        unknown = Account(
            id=AccountId(0),
            user=user,
            realm=linked.realm,
            remote_id=linked.remote_id,
            status=AccountStatus.LINKED,
            secret=linked.secret,
            cursor=None,
            state={},
        )
        problem = await self._end_remotely(self._prepare(unknown))
        if problem:
            log.warning("login_not_revoked", network=self.name, reason=problem)

    async def log_out(self, account: Account) -> str:
        """End the remote session, keep contacts and history. Returns a warning, or nothing."""
        warning = await self._revoke(account)
        try:
            await self.accounts.set_status(account, AccountStatus.LOGGED_OUT)
        finally:
            self._outbound.link_changed(account)  # what waits is refused now
        self._attendance.following.forget(account)
        self._presences.show_all(account)
        return warning

    async def unregister(self, account: Account) -> str:
        """End the remote session and delete all that is stored. Returns a warning, or nothing."""
        warning, say_goodbye = await self.erase(account)
        say_goodbye()
        return warning

    async def erase(self, account: Account) -> tuple[str, Callable[[], None]]:
        """`unregister`, but for the last words to the user's contact list.

        Returns a warning, or nothing, and how to say them. Whoever comes second while it is under
        way has nothing left to say.
        """
        under_way = self._erasing.get(account.id)
        if under_way is not None:
            await asyncio.wait([under_way])
            return "", lambda: None
        task = self._tasks.spawn(self._erase(account), "unregister")
        self._erasing[account.id] = task
        task.add_done_callback(lambda _: self._erasing.pop(account.id, None))
        return await asyncio.shield(task)

    async def _erase(self, account: Account) -> tuple[str, Callable[[], None]]:
        await self.registrations.withdraw(account.user)
        warning = await self._revoke(account)
        account.status = AccountStatus.LOGGED_OUT
        account.leaving = True  # from here on what comes is refused at once
        try:
            await self._store.drain()
            await self._outbound.forget(account)
            known = self.contacts.known(account)
            await self.accounts.remove(account)
        finally:
            account.leaving = False
        self.delivery.forget(account.id)
        self._attendance.forget(account)
        await self._store.checkpoint()
        return warning, lambda: self.contacts.say_goodbye(account, known)

    def settings_of(self, account: Account) -> Settings:
        """What the user has set; what may be set is in `gateway.bridge.settings.FIELDS`."""
        return account.settings

    async def change_settings(self, account: Account, **changes: Any) -> Settings:
        """Change some settings, at once and for ever. Returns all of them.

        Raises `SettingRefused`, `StoreUnavailable`, or `LookupError` if the account is gone.
        """
        settings = await self.accounts.change_settings(account, changes)
        self._attendance.settings_changed(account)
        return settings

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

    async def _revoke(self, account: Account) -> str:
        link = account.link
        if link is None:
            return ""
        await link.stop()
        if account.secret is None:
            return ""
        problem = await self._end_remotely(link)
        return f"The network could not be told of it: {problem}" if problem else ""

    async def _end_remotely(self, link: Link) -> str:
        """Revoke the credentials. Returns what went wrong, or nothing."""
        try:
            ending = contained(self._log_out, link)
            await within(self._clock, _LOG_OUT_LIMIT_S, ending)
        except AdapterError as error:
            return error.text
        except TimeoutError:
            return "It did not answer in time."
        except Exception:  # whatever happens there, the account here must not be stuck
            log.exception("log_out_failed", network=self.name)
            return "Internal error of the gateway."
        return ""

    async def _log_out(self, link: Link) -> None:
        await self.adapter.session(link.aside()).log_out()

    def _prepare(self, account: Account) -> Link:
        intake = Intake(
            network=self.name,
            instance=self._store.instance,
            account=account.id,
            user=account.user,
            addresses=self.addresses,
            auto_accept=self._settings.auto_accept,
            is_cutting=self._backlog.is_cutting,
        )
        hooks = LinkHooks(
            committed=lambda committed: self._committed(account, committed),
            changed=self._link_changed,
            expired=self._expired,
            typing=lambda account, contact, active: self._port.typing(
                account.user, contact, active
            ),
            presence=self._presences.told,
            quiet=self._outbound.quiet,
            room=self._backlog.room,
        )
        account.link = link = Link(
            account, self.adapter, intake, self._store, hooks, self._gate, self._links
        )
        return link

    def _run(self, account: Account, link: Link) -> None:
        if not self._readiness.is_ready:
            link.hinder(TROUBLE)
            return
        link.phase = LinkState.CONNECTING
        link.task = self._links.spawn(link.run(), f"account {account.id}")
        self._attendance.link_changed(account)

    def _link_changed(self, account: Account) -> None:
        link = account.link
        if link is None:
            return
        self._outbound.link_changed(account)
        self._show(account, link)
        self._attendance.link_changed(account)
        if link.session is not None:
            self.contacts.went_live(account)

    def _show(self, account: Account, link: Link) -> None:
        """Tell the user of a state of the link that lasts, once the stream can carry it."""
        if (
            link.phase is link.shown
            or link.phase in (LinkState.CONNECTING, LinkState.STOPPED, LinkState.WAITING)
            or link.on_probation
            or not self._port.is_up()
        ):
            return
        link.shown = link.phase
        if link.phase is LinkState.EXPIRED:
            self._presences.show_all(account)
        else:
            self.contacts.show_gateway(account)

    def _expired(self, account: Account, reason: str) -> None:
        """The user has to act, and is told once (REQ-222)."""
        account.status = AccountStatus.EXPIRED
        self._persist.write(lambda db: accounts.set_status(db, account.id, AccountStatus.EXPIRED))
        self._tell_expired(account, reason)

    def _tell_expired(self, account: Account, reason: str) -> None:
        now = self._clock.now()
        text = f"{reason} Send “login” to log in again."
        # Once for these credentials: a restart is no reason to say it again.
        credentials = hashlib.sha256(account.secret or b"").hexdigest()
        sid = stanza_id(self.name, account.user, "expired", account.id, credentials)

        def unit(db: Transaction) -> list[InboundRow]:
            conversation = conversations.chat(db, account.id, GATEWAY)
            if not conversations.tell_once(db, conversation, sid):
                return []
            return [
                journal.add_inbound(
                    db,
                    account=account.id,
                    conversation=conversation,
                    user=account.user,
                    contact=GATEWAY,
                    stanza_id=sid,
                    delivery=GatewayNotice(id=sid, text=text),
                    now=now,
                )
            ]

        self._persist.write(unit, self.delivery.offer)

    def _committed(self, account: Account, committed: Committed) -> None:
        for inbound in committed.inbound:
            self._presences.talked(account, inbound.contact)
        self.delivery.offer(committed.inbound)
        for row in committed.outbound:
            self._outbound.offer(account, row)

    # --- what users send -------------------------------------------------------------------------

    def send_text(self, account: Account, contact: RemoteUserId, text: IncomingText) -> None:
        """Commit a text; the receipt or the error follows."""
        self._typing.set(account, contact, active=False)
        self._presences.talked(account, contact)
        self._attendance.following.wake(account)
        self.intents.send_text(account, contact, text)

    def typing(self, account: Account, contact: RemoteUserId, active: bool) -> None:
        """The user began or stopped typing."""
        if self.adapter.capabilities.typing and (account.settings.send_typing or not active):
            self._typing.set(account, contact, active)

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
