# SPDX-License-Identifier: Apache-2.0
"""Who of the users is there: what their servers tell, and what follows from it.

After a start nothing is known, and nobody is told anything; one probe for each user asks
(REQ-143). After the stream broke it is asked again, since who left meanwhile left unseen.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from gateway.bridge.accounts import Account
from gateway.bridge.attendance.devices import Device, Reach
from gateway.bridge.attendance.directed import Directed
from gateway.bridge.attendance.presence import Presences
from gateway.bridge.attendance.waves import Waves
from gateway.bridge.ground import Ground
from gateway.bridge.ports import XmppPort
from gateway.ids import AccountId, RemoteUserId, UserJid
from gateway.store import contacts
from gateway.store.contacts import Subscription
from gateway.store.conversations import GATEWAY

_PROBE_EACH_S = 0.02
_ANSWERED_S = 30.0
"""By then a server has answered a probe."""
_PROMPT_S = 5.0
"""Who comes later than that, and was not there before, was not there when we asked."""


class Audience:
    """The users of one network, as those who see presence and have one."""

    def __init__(
        self,
        ground: Ground,
        presences: Presences,
        waves: Waves,
        *,
        changed: Callable[[Account], None],
    ) -> None:
        self._store = ground.store
        self._accounts = ground.accounts
        self._clock = ground.clock
        self._tasks = ground.tasks
        self._presences = presences
        self._waves = waves
        self._changed = changed
        self._directed = Directed(ground, presences.show_directly)
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
        before = devices.get(resource)
        is_news = devices.seen(resource, witness, device)
        if witness:
            self._directed.seen(account, resource, witness)
        if not is_news:
            return
        if not self._is_answer(account, before):
            if before is None:
                self._presences.device_came(account)
            if before is None or before.caps != device.caps:
                self._port.device_came(account.user, resource)
        self._changed(account)

    def _is_answer(self, account: Account, before: Device | None) -> bool:
        """What we have asked about is no news: the device knows all that it was told."""
        asked_at = self._asked_at.get(account.id)
        return asked_at is not None and (
            before is not None or self._clock.monotonic() < asked_at + _PROMPT_S
        )

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

    def granted(self, domain: str) -> None:
        """A server tells unasked from now on who of its users is there (XEP-0356 §7). Prosody does
        so at once for all who are, which is as little news as the answer to a probe. ejabberd
        tells of changes alone, and of no lost connection: whom nobody names may be there."""
        for account in self._accounts:
            if account.user.rpartition("@")[2] == domain and account.id not in self._asked_at:
                self._expect(account)

    def is_seen(self, account: Account) -> bool:
        """Whether the user's server answers when it is asked for their devices."""
        return self._who_may_see(account) is not None

    def is_told(self, account: Account) -> bool:
        """Whether the user's server tells us of their devices, asked or not."""
        return self.is_seen(account) or self._port.tells_presence(account.user)

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
        self._port.probe(account.user, contact)
        self._expect(account)
        return True

    def _expect(self, account: Account) -> None:
        """Their server says now who is there."""
        now = self._asked_at[account.id] = self._clock.monotonic()
        self._tasks.spawn(self._settle(account, now), "answer to a probe")

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
