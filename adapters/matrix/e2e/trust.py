# SPDX-License-Identifier: Apache-2.0
"""Who trusts our device, and whom it trusts: what the user knows and decides about that."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from adapters.matrix.e2e.backup import Backup
from adapters.matrix.e2e.identity import sign_own_device
from adapters.matrix.e2e.keyserver import KeyServer
from adapters.matrix.e2e.olm import FromDevice
from adapters.matrix.e2e.own import OwnDevice
from adapters.matrix.e2e.people import Device, People, is_device_id
from adapters.matrix.e2e.secret_storage import SecretStorage, as_bytes
from adapters.matrix.e2e.verification import METHOD, PREFIX, Verification
from adapters.matrix.http import Api
from adapters.matrix.secrets import Secrets
from gateway.adapter import AccountContext
from gateway.errors import AdapterError, AuthExpired, Transient, Unsupported
from gateway.events import RemoteNotice
from gateway.ids import RemoteMessageId
from gateway.text.wording import tr

_BACKUP = "m.megolm_backup.v1"
"""The name of the key of the backup among the user's secrets."""
_LOOKS_EVERY_S = 1.0
_REQUEST_S = 600.0
_FUTURE_S = 300.0
"""Spec, "m.key.verification.request": what is older, or further ahead, is ignored."""

ASKED = tr(
    "Your device {device} asks to verify the gateway by comparing emoji. If "
    "that is you, send “encryption” and choose to compare.",
)


@dataclass(frozen=True, slots=True)
class _Request:
    """One of the user's devices asks to be compared with."""

    device_id: str
    transaction_id: str
    came_at: float
    """Monotonic."""


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
        self._request: _Request | None = None
        """The last one that the user has not said yes to."""
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

    @property
    def asking_device(self) -> str:
        """The device that asks to be compared with; empty if none does."""
        request = self._request
        if request is None or self._account.clock.monotonic() - request.came_at > _REQUEST_S:
            return ""
        return request.device_id

    async def verify(self) -> Verification:
        """Say yes to the device that asks, or ask the user's other devices. Raises `Unsupported`
        if there are none."""
        await self._publish()
        await self._ask((self._own.user_id,))
        devices = self._people.of(self._own.user_id).devices
        if not devices:
            raise Unsupported(tr("You have no other device that could be asked."))
        device = devices.get(self.asking_device)
        if self._request is not None and device is not None:
            made = Verification.asked_by_them(self._own, device, self._request.transaction_id)
        else:
            now_ms = int(self._account.clock.now() * 1000)
            made = Verification.asked_by_us(self._own, devices, now_ms)
        if (before := self._verification) is not None:
            before.cancel()  # or the other app goes on asking for it
            made.outbox[:0] = before.outbox
        self._request, self._verification = None, made
        self._wake()
        return made

    def say(self) -> None:
        """The user has said something to a verification."""
        self._wake()

    def verifies(self, sender: str, kind: str, content: Mapping[str, Any]) -> RemoteNotice | None:
        """A message about a verification has come. Returns what the user is to be told."""
        transaction_id, verification = content.get("transaction_id"), self._verification
        if sender != self._own.user_id:
            return None
        if verification is not None and transaction_id == verification.id:
            # The answer of /sync is taken apart when it is done with, and this is needed longer.
            verification.take(kind, copy.deepcopy(dict(content)))
        elif kind == f"{PREFIX}request":
            return self._asked(content)
        elif self._request is not None and transaction_id == self._request.transaction_id:
            self._request = None  # it was cancelled, or another device has said yes
        return None

    def _asked(self, content: Mapping[str, Any]) -> RemoteNotice | None:
        """Spec, "m.key.verification.request"."""
        device_id, transaction_id = content.get("from_device"), content.get("transaction_id")
        methods, sent_ms = content.get("methods"), content.get("timestamp")
        if (
            not is_device_id(device_id)
            or not isinstance(transaction_id, str)
            or not isinstance(methods, list)
            or METHOD not in methods
            or not isinstance(sent_ms, int)
            or not -_FUTURE_S < self._account.clock.now() - sent_ms / 1000 < _REQUEST_S
        ):
            return None
        self._request = _Request(device_id, transaction_id, self._account.clock.monotonic())
        return RemoteNotice(
            contact=None,
            id=RemoteMessageId(f"verification {transaction_id}"),
            text=ASKED.format(device=device_id),
        )

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
            try:
                await self._server.send(kind, {(self._own.user_id, device_id): content})
            except (Transient, AuthExpired):
                raise
            except AdapterError:  # refused: it would be again, and others wait behind it
                verification.outbox.clear()
                verification.give_up()
                break
            verification.outbox.pop(0)
        if self._backup_key is not None:
            key = self._backup_key
            try:
                await self._open_backup(key)
            except (Transient, AuthExpired):
                raise  # it is kept, for it is not given again
            except AdapterError:
                self._account.log.info("backup_not_opened")
            if self._backup_key is key:
                self._backup_key = None
