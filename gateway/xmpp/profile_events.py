# SPDX-License-Identifier: Apache-2.0
"""What devices are told of names and pictures: puppets, and the gateway itself, publish them as
accounts do (XEP-0163, REQ-340 to REQ-344).

That is state: what is written is what is true then, and nothing is kept. Only devices are told
that ask for it by what they can do, and only of those whom the user sees. A device that comes
online is told of all of them, few at a time and after their presence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from gateway.bridge.accounts import Account
from gateway.bridge.attendance.devices import Device
from gateway.bridge.attendance.waves import Item
from gateway.ids import AccountId, RemoteUserId, UserJid, stanza_id
from gateway.store.conversations import GATEWAY
from gateway.xmpp import avatars
from gateway.xmpp.client_caps import ClientCaps, Features
from gateway.xmpp.codec.xml import Stanza

if TYPE_CHECKING:
    from gateway.xmpp.component import Component

_FIRST_S = 2.0
"""A device that comes and goes in that time is told nothing."""
_EACH_S = 1.0
_AT_ONCE = 20
"""Contacts of whom one device is told in that time."""
_NEWS, _ALL = 1e15, 2e15
"""After all presence, which has the ranks of chats: what is new, and what a device that came is
told anyway."""


class ProfileEvents:
    """Of one component."""

    def __init__(self, component: Component, caps: ClientCaps) -> None:
        self._component = component
        self._network = component.network
        self._profiles = component.network.contacts.profiles
        self._clock = component.network.adapter.context.clock
        self._caps = caps
        self._telling: dict[tuple[AccountId, str], asyncio.Task[None]] = {}
        """Devices that are told of all."""

    def device_came(self, user: UserJid, resource: str) -> None:
        """A device is there, or it can do something else than before."""
        account = self._network.accounts.of(user)
        if account is not None:
            self._learn(account, resource, partial(self._greet, account, resource))

    def profiled(self, user: UserJid, contact: RemoteUserId, *, name: bool, picture: bool) -> None:
        """See `gateway.bridge.ports.XmppPort.profiled`."""
        nodes = [avatars.METADATA] if picture else []
        nodes += [avatars.NICK] if name else []
        account = self._network.accounts.of(user)
        if account is None or not nodes:
            return
        for resource, _ in list(account.devices):
            tell = partial(self._add, account, contact, resource, nodes, _NEWS, is_news=True)
            self._learn(account, resource, tell)

    def _learn(self, account: Account, resource: str, then: Callable[[Features], None]) -> None:
        device = account.devices.get(resource)
        if device is not None and device.caps is not None:
            self._caps.learn(f"{account.user}/{resource}", device.caps, then)

    # --- a device that came ---------------------------------------------------------------------

    def _greet(self, account: Account, resource: str, wanted: Features) -> None:
        key = (account.id, resource)
        before = self._telling.pop(key, None)
        if before is not None:
            before.cancel()
        if wanted:
            work = self._tell_all(account, resource, wanted)
            task = self._telling[key] = self._component.tasks.spawn(work, "profiles")
            task.add_done_callback(partial(self._told_all, key))

    def _told_all(self, key: tuple[AccountId, str], task: asyncio.Task[None]) -> None:
        if self._telling.get(key) is task:
            del self._telling[key]

    async def _tell_all(self, account: Account, resource: str, wanted: Features) -> None:
        device = account.devices.get(resource)
        await self._clock.sleep(_FIRST_S)
        if device is None or not self._is_there(account, resource, device):
            return
        nodes = [avatars.METADATA, avatars.NICK]
        seen = self._profiles.seen_by(account)
        everybody = iter([GATEWAY, *(contact for contact in seen if contact != GATEWAY)])
        while some := list(islice(everybody, _AT_ONCE)):
            for contact in some:
                self._add(account, contact, resource, nodes, _ALL, wanted, is_news=False)
            await self._clock.sleep(_EACH_S)
            if not self._is_there(account, resource, device):
                return

    @staticmethod
    def _is_there(account: Account, resource: str, device: Device) -> bool:
        """As the client that it was."""
        now = account.devices.get(resource)
        return now is not None and now.caps == device.caps

    # --- events ---------------------------------------------------------------------------------

    def _add(
        self,
        account: Account,
        contact: RemoteUserId,
        resource: str,
        nodes: list[str],
        rank: float,
        wanted: Features,
        *,
        is_news: bool,
    ) -> None:
        for node in nodes:
            if f"{node}+notify" in wanted:
                write = partial(self._write, account, contact, resource, node, is_news)
                item = Item(("profile", contact, resource, node, is_news), write)
                self._profiles.waves.add(account.user, item, rank)

    def _write(
        self,
        account: Account,
        contact: RemoteUserId,
        resource: str,
        node: str,
        is_news: bool,
        _: bool,
    ) -> int:
        """Returns how many stanzas."""
        if resource not in account.devices or contact in account.blocked:
            return 0
        if not self._profiles.is_seen(account, contact):
            return 0
        puppet, to = self._component.puppet(contact), f"{account.user}/{resource}"
        written = 0
        for event in self._events(account, contact, node, is_news):
            sid = stanza_id(self._network.name, account.user, contact, node, resource, event)
            stanza = Stanza("message", puppet, to, "headline", sid, event)
            self._component.stream.send(stanza, fleeting=True)
            written += 1
        return written

    def _events(
        self, account: Account, contact: RemoteUserId, node: str, is_news: bool
    ) -> Iterator[str]:
        profile = self._component.profiles.of(account, contact)
        if node == avatars.NICK:
            if profile.name:
                yield avatars.event(avatars.name_item(profile.name))
        elif profile.picture is not None:
            yield avatars.event(avatars.metadata(profile.picture))
        elif is_news and profile.has_none:
            # XEP-0084 §3.5; Conversations takes no notice of that, but of what follows.
            yield avatars.event(avatars.no_metadata())
            yield avatars.event(f"<purge node='{avatars.METADATA}'/>")
