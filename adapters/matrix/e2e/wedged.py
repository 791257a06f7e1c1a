# SPDX-License-Identifier: Apache-2.0
"""Devices that we cannot understand any more, and that are to begin with us anew.

Matrix spec, "Recovering from undecryptable messages".
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Any

from adapters.matrix.e2e.keyserver import KeyServer
from adapters.matrix.e2e.olm import Olm
from adapters.matrix.e2e.people import Device, People
from adapters.matrix.e2e.signed import is_key
from adapters.matrix.ids import is_user_id
from adapters.matrix.inbound import as_dict
from gateway.adapter import AccountContext
from gateway.errors import AdapterError

_MOST = 200
_AT_ONCE = 20
"""Messages that are encrypted without a pause: 4 ms."""
_EVERY_S = 3_600.0
"""Not more than one new session an hour with each."""


class Wedged:
    """Of one account."""

    def __init__(
        self,
        account: AccountContext,
        server: KeyServer,
        people: People,
        olm: Olm,
        *,
        ask: Callable[[Iterable[str]], Awaitable[None]],
        begin: Callable[[Mapping[tuple[str, str], Device]], Awaitable[None]],
        flush: Callable[[], Awaitable[None]],
    ) -> None:
        self._account = account
        self._server = server
        self._people = people
        self._olm = olm
        self._ask = ask
        self._begin = begin
        """Begins sessions with devices, by user and device."""
        self._flush = flush
        self._noted: set[tuple[str, str]] = set()
        """User and Curve25519 key."""
        self._mended: dict[tuple[str, str], float] = {}

    def note(self, event: Mapping[str, Any]) -> None:
        """A message to our device could not be decrypted."""
        sender, key = event.get("sender"), as_dict(event.get("content")).get("sender_key")
        if is_user_id(sender) and is_key(key) and len(self._noted) < _MOST:
            self._noted.add((sender, key))

    async def mend(self) -> None:
        """Begin anew with those that were noted, in one exchange for all of them. Raises what the
        homeserver makes of the requests."""
        noted, self._noted = self._noted, set()
        now = self._account.clock.monotonic()
        if len(self._mended) > _MOST:
            late = now - _EVERY_S
            self._mended = {who: at for who, at in self._mended.items() if at > late}
        due = [who for who in noted if now - self._mended.get(who, -_EVERY_S) >= _EVERY_S]
        if not due:
            return
        try:
            await self._mend(due)
        except AdapterError:
            self._noted.update(due)
            raise
        self._mended |= dict.fromkeys(due, now)

    async def _mend(self, due: Collection[tuple[str, str]]) -> None:
        unknown = {user for user, key in due if not self._people.device_by_key(user, key)}
        await self._ask(unknown | set(self._people.outdated(user for user, _ in due)))
        devices: dict[tuple[str, str], Device] = {}
        for user_id, key in due:
            device = self._people.device_by_key(user_id, key)
            if device is not None:
                self._olm.forget(device)
                devices[user_id, device.id] = device
        await self._begin(devices)
        messages = {}
        for number, (who, device) in enumerate(devices.items(), start=1):
            if self._olm.can_send(device):
                messages[who] = self._olm.encrypt(who[0], device, "m.dummy", {})
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
        await self._flush()
        await self._server.send("m.room.encrypted", messages)
