# SPDX-License-Identifier: Apache-2.0
"""The life of an account: linked, logged out, unregistered, here and on the network."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from weakref import WeakValueDictionary

import structlog

from gateway.adapter import Linked, LoginFlow, LoginStep, Relogin
from gateway.bridge.accounts import Account
from gateway.bridge.attendance.attendance import Attendance
from gateway.bridge.contacts.subscriptions import Subscriptions
from gateway.bridge.ground import Ground
from gateway.bridge.links.links import Links
from gateway.bridge.links.readiness import Readiness
from gateway.bridge.ports import XmppPort
from gateway.bridge.rooms.rooms import Rooms
from gateway.bridge.traffic import Traffic
from gateway.errors import AccountGone, Forbidden, Transient
from gateway.ids import AccountId, UserJid
from gateway.store import Transaction
from gateway.store.accounts import AccountStatus
from gateway.tasks import contained, within
from gateway.text.wording import tr

log = structlog.get_logger("network")

_ATTEMPTS = 64
"""At the same time, and as many of strangers: each may hold a connection for as long as a network
hangs."""
_ATTEMPTS_OF_USER = 4
"""Those who do not wait for the end of one must not hold up everybody else."""

_LEFT = tr("You have logged out since this login was begun. Send “login” to begin again.")
NOT_ADMITTED = tr("The admin of this gateway does not admit you.")


class Stay:
    """The time until a user leaves: a login that was begun in one does not end in the next."""


class Logins:
    """Begins and ends accounts of one network, with all that hangs on them."""

    def __init__(
        self,
        ground: Ground,
        traffic: Traffic,
        readiness: Readiness,
        links: Links,
        subscriptions: Subscriptions,
        attendance: Attendance,
        rooms: Rooms,
        *,
        withdraw: Callable[[UserJid], Awaitable[object]],
    ) -> None:
        """``withdraw`` drops a login of the user that is still to be carried out.

        It is called by whoever has the user's `turn`.
        """
        self._network = ground.network
        self._store = ground.store
        self._tasks = ground.tasks
        self._accounts = ground.accounts
        self._readiness = readiness
        self._links = links
        self._subscriptions = subscriptions
        self._outbound = traffic.outbound
        self._delivery = traffic.delivery
        self._attendance = attendance
        self._rooms = rooms
        self._portals = ground.portals
        self._withdraw = withdraw
        self.permits: Callable[[UserJid], bool] = lambda _: True
        """Whether a user may have an account now."""
        self._clock = ground.clock
        self._port: XmppPort
        self._attempts = asyncio.Semaphore(_ATTEMPTS)
        self._attempts_of_strangers = asyncio.Semaphore(_ATTEMPTS)
        self._attempts_of: Counter[UserJid] = Counter()
        self._turns: WeakValueDictionary[UserJid, asyncio.Lock] = WeakValueDictionary()
        self._stays: WeakValueDictionary[UserJid, Stay] = WeakValueDictionary()
        """Of users who are logging in; ended by `log_out` and `unregister`."""
        self._erasing: dict[AccountId, asyncio.Task[tuple[str, Callable[[], None]]]] = {}

    def attach(self, port: XmppPort) -> None:
        """Connect to the XMPP side."""
        self._port = port

    def account_of(self, user: UserJid) -> Account | None:
        """The user's account."""
        return self._accounts.of(user)

    def turn(self, user: UserJid) -> asyncio.Lock:
        """Whatever begins or ends an account of this user holds it.

        All of that waits for the network, and would else find half of what another one does.
        """
        turn = self._turns.get(user)
        if turn is None:
            self._turns[user] = turn = asyncio.Lock()
        return turn

    def _check(self, account: Account) -> None:
        """Raises `AccountGone` if it is not the user's account any more."""
        if self._accounts.by_id(account.id) is not account:
            raise AccountGone(tr("This account is not linked here any more. Nothing was changed."))

    # --- it begins -------------------------------------------------------------------------------

    def login(self, user: UserJid) -> LoginFlow:
        """The questions that link an account, or those that revive the one the user has.

        Raises `Transient` while the adapter has not started.
        """
        account = self._accounts.of(user)
        if account is None:
            return self._readiness.login()
        again = Relogin(realm=account.realm, remote_id=account.remote_id)
        return self._readiness.login(again)

    def stay(self, user: UserJid) -> Stay:
        """To be held while the user answers, and given to `link`."""
        stay = self._stays.get(user)
        if stay is None:
            self._stays[user] = stay = Stay()
        return stay

    async def submit(
        self, user: UserJid, flow: LoginFlow, answers: Mapping[str, str], limit_s: float
    ) -> LoginStep | Linked:
        """One attempt, as soon as not too many others are under way.

        Raises `Transient` if those are the user's own, `TimeoutError`, and what `LoginFlow.submit`
        raises.
        """
        if self._attempts_of[user] >= _ATTEMPTS_OF_USER:
            raise Transient(tr("Attempts of yours to log in are still under way. Please wait."))
        self._attempts_of[user] += 1
        try:
            is_strange = self._port.is_strange(user)
            async with self._attempts_of_strangers if is_strange else self._attempts:
                return await within(self._clock, limit_s, contained(flow.submit, answers))
        finally:
            self._attempts_of[user] -= 1
            if not self._attempts_of[user]:
                del self._attempts_of[user]

    async def link(
        self,
        user: UserJid,
        linked: Linked,
        check: Callable[[], None] = lambda: None,
        also: Callable[[Transaction], object] = lambda _: None,
        *,
        stay: Stay | None = None,
    ) -> Account:
        """Store a login and connect. One that still works is revoked when the new one is stored.

        With ``stay`` it raises `AccountGone` if the user has left since the login was begun.
        ``check`` raises if the login is no longer wanted when its turn has come. ``also`` is
        written together with it. Raises what they and `Accounts.link` raise; the new login is then
        revoked again.
        """
        try:
            async with self.turn(user):
                if stay is not None and self._stays.get(user) is not stay:
                    raise AccountGone(_LEFT)
                check()
                if not self.permits(user):  # no longer: the network may have taken its time
                    raise Forbidden(NOT_ADMITTED)
                return await self._begin(user, linked, also)
        except Exception:
            await self.discard(user, linked)
            raise

    async def _begin(
        self, user: UserJid, linked: Linked, also: Callable[[Transaction], object]
    ) -> Account:
        before = self._accounts.of(user)
        replaced = None
        if before is not None and before.status is AccountStatus.LINKED and before.secret:
            replaced = replace(linked, secret=before.secret, ours=True)
        account = await self._accounts.link(user, linked, also)
        if account.link is not None:
            await account.link.stop()
        await self._subscriptions.invite_gateway(account)
        self._links.run(account, self._links.prepare(account))
        self._attendance.active(account)
        self._outbound.link_changed(account)
        if before is not None:
            self._attendance.presences.show_all(account)
        if replaced is not None and replaced.secret != linked.secret:
            self._tasks.spawn(self.discard(user, replaced), "login that was replaced")
        return account

    # --- it ends ---------------------------------------------------------------------------------

    async def discard(self, user: UserJid, linked: Linked) -> None:
        """Do not leave a session on the network that nobody here knows."""
        if not linked.ours or any(linked.secret == account.secret for account in self._accounts):
            return
        unknown = Account(
            id=AccountId(0),
            user=user,
            realm=linked.realm,
            remote_id=linked.remote_id,
            status=AccountStatus.LINKED,
            secret=linked.secret,
            sealed=None,
            cursor=None,
            state={},
        )
        problem = await self._links.revoke(self._links.prepare(unknown))
        if problem:
            log.warning("login_not_revoked", network=self._network, reason=problem)

    async def log_out(self, account: Account) -> str:
        """End the remote session, keep contacts and history. Returns a warning, or nothing.

        Raises `AccountGone` and `StoreUnavailable`.
        """
        async with self.turn(account.user):
            self._check(account)
            await self._withdraw(account.user)  # a new password that is still to be tried
            self._stays.pop(account.user, None)
            warning = await self._revoke(account)
            try:
                await self._accounts.set_status(account, AccountStatus.LOGGED_OUT)
            finally:
                self._outbound.link_changed(account)  # what waits is refused now
            await self._rooms.freeze(account)
            self._attendance.following.forget(account)
            self._attendance.presences.show_all(account)
            return warning

    async def unregister(self, account: Account) -> str:
        """End the remote session and delete all that is stored of its user, who may also be in
        linked groups without it. Returns a warning, or nothing."""
        warning, say_goodbye = await self.erase(account)
        say_goodbye()
        return warning

    async def erase(self, account: Account) -> tuple[str, Callable[[], None]]:
        """`unregister`, but for the last words to the user's contact list.

        Returns a warning, or nothing, and how to say them. Whoever comes second while it is under
        way has nothing left to say. Raises `AccountGone` and `StoreUnavailable`.
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
        async with self.turn(account.user):
            self._check(account)
            ended = await self._end(account)
            virtual = self._accounts.virtual(account.user)
            if virtual is not None:
                await self._end(virtual)
            return ended

    async def _end(self, account: Account) -> tuple[str, Callable[[], None]]:
        await self._withdraw(account.user)
        self._stays.pop(account.user, None)
        account.leaving = True  # from here on what comes is refused at once
        try:
            warning = await self._revoke(account)
            # If the disk takes that and not the rest, the user may log in or go on with leaving.
            await self._accounts.set_status(account, AccountStatus.LOGGED_OUT)
            await self._store.drain()
            await self._outbound.forget(account)
            await self._rooms.freeze(account)
            known = self._subscriptions.known(account)
            swept, (unmasked, forgotten) = await self._accounts.remove(
                account,
                lambda db: (
                    self._rooms.unmask(db, account),
                    self._portals.forget(db, account.user),
                ),
            )
        finally:
            account.leaving = False
        self._delivery.forget(account.id, *swept)
        self._rooms.decided(unmasked)
        forgotten()
        self._attendance.forget(account)
        await self._store.checkpoint()
        return warning, lambda: self._subscriptions.say_goodbye(account, known)

    async def _revoke(self, account: Account) -> str:
        link = account.link
        if link is None:
            return ""
        await link.stop()
        if account.secret is None:
            return ""
        problem = await self._links.revoke(link)
        return (
            tr("The network could not be told of it: {problem}", problem=problem)
            if problem
            else ""
        )
