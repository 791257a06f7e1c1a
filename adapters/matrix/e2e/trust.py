# SPDX-License-Identifier: Apache-2.0
"""Who trusts our device, and whom it trusts: what the user knows and decides about that."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from adapters.matrix.e2e.backup import Backup
from adapters.matrix.e2e.identity import sign_own_device
from adapters.matrix.e2e.keyserver import KeyServer
from adapters.matrix.e2e.olm import FromDevice
from adapters.matrix.e2e.own import OwnDevice
from adapters.matrix.e2e.people import Device, People
from adapters.matrix.e2e.secret_storage import SecretStorage, as_bytes
from adapters.matrix.e2e.verification import Verification
from adapters.matrix.http import Api
from adapters.matrix.secrets import Secrets
from gateway.adapter import AccountContext
from gateway.errors import Unsupported

_BACKUP = "m.megolm_backup.v1"
"""The name of the key of the backup among the user's secrets."""
_LOOKS_EVERY_S = 1.0


class Trust:
    """Of one account."""

    def __init__(
        self,
        account: AccountContext,
        api: Api,
        server: KeyServer,
        own: OwnDevice,
        people: People,
        backup: Backup,
        secrets: Secrets,
        *,
        ask: Callable[[Iterable[str]], Awaitable[None]],
        publish: Callable[[], Awaitable[None]],
        flush: Callable[[], Awaitable[None]],
        opened: Callable[[], Awaitable[int]],
        wake: Callable[[], None],
    ) -> None:
        self._account = account
        self._api = api
        self._server = server
        self._own = own
        self._people = people
        self._backup = backup
        self._secrets = secrets
        self._ask = ask
        """Asks the homeserver for the devices of people."""
        self._publish = publish
        """Sees to it that our own device is known there."""
        self._flush = flush
        self._opened = opened
        """Reads what waits, by the backup; returns how many messages that were."""
        self._wake = wake
        """There is something to be done beside the loop."""
        self._verification: Verification | None = None
        self._backup_from: Device | None = None
        """The device that was asked for the key of the backup."""
        self._backup_key: bytes | None = None

    # --- how things are -------------------------------------------------------------------------

    @property
    def device_id(self) -> str:
        """Of our own device."""
        return self._own.device_id

    @property
    def fingerprint(self) -> str:
        """Of our own device, as other clients show it."""
        key = self._own.ed25519
        return " ".join(key[start : start + 4] for start in range(0, len(key), 4))

    @property
    def is_signed(self) -> bool:
        """The user has signed our device."""
        return self._own.is_signed

    @property
    def has_backup(self) -> bool:
        """Keys are looked for in the user's backup."""
        return self._backup.is_open

    @property
    def signed_only(self) -> bool:
        """Only devices that their owners have signed are given keys."""
        return self._secrets.get("signed-only", bool) or False

    async def encrypt_to(self, *, signed_only: bool) -> None:
        """Change that."""
        self._secrets.put("signed-only", signed_only)
        await self._flush()

    # --- the recovery key -----------------------------------------------------------------------

    async def recover(self, typed: str) -> int:
        """Sign our device and open the backup with the user's recovery key or passphrase.

        Returns how many waiting messages could be read by that. Raises `BadLogin`, `Unsupported`,
        and what the homeserver makes of the requests.
        """
        await self._publish()
        storage = await SecretStorage.open(self._api, self._own.user_id, typed)
        self_signing = await storage.get("m.cross_signing.self_signing")
        if self_signing is not None:
            await self._ask((self._own.user_id,))
            master = await storage.get("m.cross_signing.master")
            await sign_own_device(self._api, self._own, self._people, self_signing, master)
            await self._ask((self._own.user_id,))
        return await self._open_backup(await storage.get(_BACKUP))

    async def _open_backup(self, key: bytes | None) -> int:
        is_open = key is not None and await self._backup.open(key)
        await self._flush()
        return await self._opened() if is_open else 0

    # --- comparing emoji ------------------------------------------------------------------------

    async def verify(self) -> Verification:
        """Ask the user's other devices to compare. Raises `Unsupported` if there are none."""
        await self._publish()
        await self._ask((self._own.user_id,))
        devices = self._people.of(self._own.user_id).devices
        if not devices:
            raise Unsupported("You have no other device that could be asked.")
        now_ms = int(self._account.clock.now() * 1000)
        self._verification = Verification(self._own, devices, now_ms)
        self._wake()
        return self._verification

    def say(self) -> None:
        """The user has said something to a verification."""
        self._wake()

    def verifies(self, sender: str, kind: str, content: Mapping[str, Any]) -> None:
        """A message about a verification has come."""
        verification = self._verification
        if (
            verification is not None
            and sender == self._own.user_id
            and content.get("transaction_id") == verification.id
        ):
            # The answer of /sync is taken apart when it is done with, and this is needed longer.
            verification.take(kind, copy.deepcopy(dict(content)))

    async def after(self, verification: Verification, limit_s: float) -> None:
        """What a device does that trusts us now: it signs us, and gives the key of the backup."""
        device = verification.device
        assert device is not None
        self._backup_from = device
        clock = self._account.clock
        until = clock.monotonic() + limit_s
        while not (self.is_signed and self.has_backup) and clock.monotonic() < until:
            await self._ask((self._own.user_id,))
            if self.is_signed:  # before that it gives nothing, and forgets that it was asked
                await self._ask_for_backup(device)
            await clock.sleep(_LOOKS_EVERY_S)

    async def _ask_for_backup(self, device: Device) -> None:
        """Spec, "m.secret.request"."""
        content = {
            "action": "request",
            "name": _BACKUP,
            "request_id": uuid.uuid4().hex,
            "requesting_device_id": self._own.device_id,
        }
        await self._server.send("m.secret.request", {(self._own.user_id, device.id): content})

    def secret(self, opened: FromDevice) -> None:
        """Spec, "m.secret.send": only from the device that the user has compared."""
        device = self._backup_from
        secret = opened.content.get("secret")
        if (
            device is None
            or opened.sender != self._own.user_id
            or (opened.sender_key, opened.signing_key) != (device.curve25519, device.ed25519)
            or not isinstance(secret, str)
        ):
            self._account.log.info("secret_ignored")
            return
        self._backup_key, self._backup_from = as_bytes(secret), None
        self._wake()

    async def due(self) -> None:
        """Do what waits. Raises what the homeserver makes of the requests; then it waits on."""
        verification = self._verification
        while verification is not None and verification.outbox:
            device_id, kind, content = verification.outbox[0]
            await self._server.send(kind, {(self._own.user_id, device_id): content})
            verification.outbox.pop(0)
        if self._backup_key is not None:
            key, self._backup_key = self._backup_key, None
            await self._open_backup(key)
