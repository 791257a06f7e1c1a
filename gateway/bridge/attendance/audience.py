# SPDX-License-Identifier: Apache-2.0
"""Who of the users is there: what their servers tell, and what follows from it.

After a start nothing is known, and nobody is told anything; one probe for each user asks
(REQ-143). After the stream broke it is asked again, since who left meanwhile left unseen.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from gateway.adapter import Clock
from gateway.bridge.accounts import Account, Accounts
from gateway.bridge.addresses import Addresses
from gateway.bridge.attendance.devices import Device, Reach
from gateway.bridge.attendance.directed import Directed
from gateway.bridge.attendance.presence import Presences
from gateway.bridge.attendance.waves import Waves
from gateway.bridge.ports import XmppPort
from gateway.ids import AccountId, RemoteUserId, UserJid
from gateway.store import Store, contacts
from gateway.store.contacts import Subscription
from gateway.store.conversations import GATEWAY
from gateway.tasks import Tasks

_PROBE_EACH_S = 0.02
_ANSWERED_S = 30.0
"""By then a server has answered a probe."""


class Audience:
    """The users of one network, as those who see presence and have one."""

    def __init__(
        self,
        store: Store,
        accounts: Accounts,
        addresses: Addresses,
        clock: Clock,
        tasks: Tasks,
        presences: Presences,
        waves: Waves,
        *,
        changed: Callable[[Account], None],
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._clock = clock
        self._tasks = tasks
        self._presences = presences
        self._waves = waves
        self._changed = changed
        self._directed = Directed(
            store, accounts, addresses, clock, tasks, presences.show_directly
        )
        self._port: XmppPort
        self._to_probe: deque[Account] = deque()
        self._probing: asyncio.Task[None] | None = None
        self._asked_at: dict[AccountId, float] = {}
        """Whose server has still time to answer."""

    def attach(self, port: XmppPort) -> None:
        """Connect to the XMPP side."""
        self._port = port

    # --- what servers tell: floods, so nothing but memory is looked at (REQ-306) -----------------

    def seen(self, account: Account, resource: str, witness: str, device: Device) -> None:
        """A device is available; ``witness`` is the localpart of the puppet that was told."""
        devices = account.devices
        came = resource not in devices
        is_news = devices.seen(resource, witness, device)
        if witness:
            self._directed.seen(account, resource, witness)
        if not is_news:
            return
        if came and account.id not in self._asked_at:  # what we have asked about is no news
            self._presences.device_came(account)
        self._changed(account)

    def gone(self, account: Account, resource: str, witness: str) -> None:
        """A device is not available to ``witness``; or, as an answer to our probe, none is."""
        if resource:
            self._directed.gone(account, resource, witness)
            is_news = account.devices.gone(resource, witness)
        else:
            # Prosody acknowledges subscription requests in this way too: that says nothing.
            is_news = account.id in self._asked_at and account.devices.nobody()
        if is_news:
            self._shrunk(account)

    def unreachable(self, user: UserJid) -> None:
        """The user's server, or ours, says that there is no way to them (REQ-320)."""
        if self._accounts.of(user) is not None:
            self._waves.pause(user)

    @property
    def unreached(self) -> bool:
        """There is somebody to whom there is no way at the moment."""
        return bool(self._waves.paused)

    def heard(self, user: UserJid) -> None:
        """Any stanza of a user shows that there is a way."""
        if user in self._waves.paused:
            self._waves.resume(user)

    def forget_devices(self, account: Account) -> None:
        """The gateway is told no more who is there."""
        account.devices.forget()
        self._changed(account)

    def _shrunk(self, account: Account) -> None:
        if account.devices.reach is Reach.OFFLINE:
            self._presences.left(account)
        self._changed(account)

    # --- asking ----------------------------------------------------------------------------------

    def stream_up(self) -> None:
        """Ask for everybody, one after the other."""
        self._to_probe = deque(self._accounts)
        if self._probing is None:
            self._probing = self._tasks.spawn(self._probe_all(), "probes of users")

    def ask(self, account: Account, contact: RemoteUserId | None = None) -> None:
        """Something hangs on whether the user is there: ask, if that is not known.

        ``contact`` may see them from now on.
        """
        if (
            account.settings.follow_presence
            and account.devices.reach is Reach.UNKNOWN
            and account.id not in self._asked_at
            and self._port.is_up()
        ):
            self._probe(account, contact)

    def is_seen(self, account: Account) -> bool:
        """Whether the user's server tells us of their devices."""
        return self._who_may_see(account) is not None

    def stream_lost(self) -> None:
        """Who leaves now leaves unseen."""
        for account in self._accounts:
            account.devices.doubt()

    def forget(self, account: Account) -> None:
        """The account was removed."""
        self._asked_at.pop(account.id, None)

    async def _probe_all(self) -> None:
        try:
            while self._to_probe and self._port.is_up():
                account = self._to_probe.popleft()
                if self._accounts.apart(self._probe, account):
                    await self._clock.sleep(_PROBE_EACH_S)
        finally:
            self._probing = None

    def _probe(self, account: Account, contact: RemoteUserId | None = None) -> bool:
        if contact is None:
            contact = self._who_may_see(account)
        if contact is None:
            account.devices.settle()
            if account.devices.reach is Reach.OFFLINE:
                account.devices.forget()
            return False
        now = self._asked_at[account.id] = self._clock.monotonic()
        self._port.probe(account.user, contact)
        self._tasks.spawn(self._settle(account, now), "answer to a probe")
        return True

    def _who_may_see(self, account: Account) -> RemoteUserId | None:
        """Whose probe the user's server answers."""
        row = contacts.get(self._store.reader, account.id, GATEWAY)
        if row.from_user is Subscription.GRANTED:
            return GATEWAY
        return contacts.any_that_sees(self._store.reader, account.id)

    async def _settle(self, account: Account, asked_at: float) -> None:
        """Who was there before and is not named in the answer has left."""
        await self._clock.sleep(_ANSWERED_S)
        if self._asked_at.get(account.id) != asked_at:
            return  # asked again meanwhile
        del self._asked_at[account.id]
        if self._port.is_up() and account.devices.settle():
            self._shrunk(account)
