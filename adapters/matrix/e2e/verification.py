# SPDX-License-Identifier: Apache-2.0
"""Comparing emoji with another device of the user. No I/O.

Matrix spec, "Short Authentication String (SAS) verification": curve25519-hkdf-sha256, sha256 and
hkdf-hmac-sha256.v2, in messages to devices. Whoever asked, we begin as soon as both are ready;
if the other side does too, the specification says whose beginning counts.
"""

from __future__ import annotations

import asyncio
import base64
import enum
import hashlib
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Self

from vodozemac import Curve25519PublicKey, EstablishedSas, Sas

from adapters.matrix.e2e.emoji import EMOJI
from adapters.matrix.e2e.own import OwnDevice
from adapters.matrix.e2e.people import Device
from adapters.matrix.e2e.signed import canonical
from adapters.matrix.inbound import as_dict

METHOD = "m.sas.v1"
PREFIX = "m.key.verification."
_AGREEMENT = "curve25519-hkdf-sha256"
_HASH = "sha256"
_MAC = "hkdf-hmac-sha256.v2"


class Phase(enum.Enum):
    """How far it is."""

    ASKED = enum.auto()
    STARTED = enum.auto()
    COMPARING = enum.auto()
    """Both show emoji."""
    CONFIRMED = enum.auto()
    """Our user has said that they are the same."""
    DONE = enum.auto()
    CANCELLED = enum.auto()


class _Wrong(Exception):
    """The other side does what it must not. The text is the code of the cancellation."""


class Verification:
    """Of our device with one other."""

    def __init__(self, own: OwnDevice, devices: Mapping[str, Device], transaction_id: str) -> None:
        self._own = own
        self._devices = devices
        """Those that may take part, by id."""
        self._them: Device | None = None
        self.id = transaction_id
        self.phase = Phase.ASKED
        self.changed = asyncio.Event()
        self._sas = Sas()
        self._public = self._sas.public_key.to_base64()
        self._start: dict[str, Any] = {}
        self._we_started = False
        self._commitment = ""
        self._shared: EstablishedSas | None = None
        self._emoji: tuple[str, ...] = ()
        self._their_mac: Mapping[str, Any] | None = None
        self.outbox: list[tuple[str, str, dict[str, Any]]] = []
        """Device, kind and content of what is to be sent."""

    @classmethod
    def asked_by_us(cls, own: OwnDevice, devices: Mapping[str, Device], now_ms: int) -> Self:
        """Ask these devices; the first that answers is the one."""
        made = cls(own, devices, uuid.uuid4().hex)
        request = {"from_device": own.device_id, "methods": [METHOD], "timestamp": now_ms}
        for device_id in devices:
            made._say("request", request, device_id)
        return made

    @classmethod
    def asked_by_them(cls, own: OwnDevice, device: Device, transaction_id: str) -> Self:
        """Say yes to a device that has asked."""
        made = cls(own, {device.id: device}, transaction_id)
        made._them = device
        made._say("ready", {"from_device": own.device_id, "methods": [METHOD]})
        made._begin()
        return made

    @property
    def emoji(self) -> tuple[str, ...]:
        """What the user has to compare, as soon as it is known."""
        return self._emoji

    @property
    def device(self) -> Device | None:
        """The device that answered."""
        return self._them

    def _say(self, kind: str, content: Mapping[str, Any], device_id: str = "") -> None:
        to = device_id or (self._them.id if self._them is not None else "")
        self.outbox.append((to, PREFIX + kind, {**content, "transaction_id": self.id}))

    def _go(self, phase: Phase) -> None:
        self.phase = phase
        self.changed.set()

    # --- what the user says ---------------------------------------------------------------------

    def confirm(self) -> None:
        """They are the same."""
        if self.phase is not Phase.COMPARING:
            return
        self._go(Phase.CONFIRMED)
        key_id = f"ed25519:{self._own.device_id}"
        keys = {key_id: self._mac_of(self._own.ed25519, key_id, ours=True)}
        self._say("mac", {"mac": keys, "keys": self._mac_of(key_id, "KEY_IDS", ours=True)})
        self._guarded(self._finish)

    def cancel(self, code: str = "m.user") -> None:
        """It ends here."""
        if self.phase in (Phase.DONE, Phase.CANCELLED):
            return
        for device_id in [self._them.id] if self._them is not None else self._devices:
            self._say("cancel", {"code": code, "reason": code}, device_id)
        self._go(Phase.CANCELLED)

    def give_up(self) -> None:
        """The other side cannot be told anything."""
        if self.phase is not Phase.DONE:
            self._go(Phase.CANCELLED)

    # --- what the other side says ---------------------------------------------------------------

    def take(self, kind: str, content: Mapping[str, Any]) -> None:
        """A message of this verification from a device of the user."""
        if self.phase not in (Phase.DONE, Phase.CANCELLED):
            self._guarded(self._take, kind.removeprefix(PREFIX), content)

    def _guarded(self, step: Callable[..., None], *args: Any) -> None:
        try:
            step(*args)
        except _Wrong as error:
            self.cancel(str(error))
        except ValueError:
            self.cancel("m.invalid_message")

    def _take(self, kind: str, content: Mapping[str, Any]) -> None:
        match kind:
            case "ready":
                self._ready(content)
            case "start":
                self._started(content)
            case "accept":
                self._accepted(content)
            case "key":
                self._key(content)
            case "mac":
                self._their_mac = content
                self._finish()
            case "cancel":
                self._go(Phase.CANCELLED)

    def _ready(self, content: Mapping[str, Any]) -> None:
        device = self._devices.get(str(content.get("from_device")))
        methods = content.get("methods")
        if self._them is not None or device is None:
            return
        if not isinstance(methods, list) or METHOD not in methods:
            raise _Wrong("m.unknown_method")
        self._them = device
        for device_id in self._devices:
            if device_id != device.id:
                accepted = {"code": "m.accepted", "reason": "Another device has answered."}
                self._say("cancel", accepted, device_id)
        self._begin()

    def _begin(self) -> None:
        self._start = {
            "from_device": self._own.device_id,
            "method": METHOD,
            "key_agreement_protocols": [_AGREEMENT],
            "hashes": [_HASH],
            "message_authentication_codes": [_MAC],
            "short_authentication_string": ["decimal", "emoji"],
            "transaction_id": self.id,
        }
        self._we_started = True
        self._say("start", self._start)
        self._go(Phase.STARTED)

    def _started(self, content: Mapping[str, Any]) -> None:
        """They begin. If both have, the smaller id counts."""
        them = self._them
        if (
            them is None
            or content.get("from_device") != them.id
            or self.phase is not Phase.STARTED
            or self._commitment
            or not self._we_started
        ):
            raise _Wrong("m.unexpected_message")
        if self._own.device_id < them.id:
            return
        for name, ours in (
            ("key_agreement_protocols", _AGREEMENT),
            ("hashes", _HASH),
            ("message_authentication_codes", _MAC),
            ("short_authentication_string", "emoji"),
        ):
            offered = content.get(name)
            if not isinstance(offered, list) or ours not in offered:
                raise _Wrong("m.unknown_method")
        self._start, self._we_started = dict(content), False
        accept = {
            "method": METHOD,
            "key_agreement_protocol": _AGREEMENT,
            "hash": _HASH,
            "message_authentication_code": _MAC,
            "short_authentication_string": ["emoji"],
            "commitment": self._committed_to(self._public),
        }
        self._say("accept", accept)
        self._go(Phase.STARTED)

    def _committed_to(self, public: str) -> str:
        digest = hashlib.sha256(public.encode() + canonical(self._start)).digest()
        return base64.b64encode(digest).rstrip(b"=").decode()

    def _accepted(self, content: Mapping[str, Any]) -> None:
        commitment = content.get("commitment")
        if not self._we_started or self._commitment or not isinstance(commitment, str):
            raise _Wrong("m.unexpected_message")
        strings = content.get("short_authentication_string")
        if (
            content.get("key_agreement_protocol") != _AGREEMENT
            or content.get("hash") != _HASH
            or content.get("message_authentication_code") != _MAC
            or not isinstance(strings, list)
            or "emoji" not in strings
        ):
            raise _Wrong("m.unknown_method")
        self._commitment = commitment
        self._say("key", {"key": self._public})

    def _key(self, content: Mapping[str, Any]) -> None:
        theirs, them = content.get("key"), self._them
        if self.phase is not Phase.STARTED or them is None or not isinstance(theirs, str):
            raise _Wrong("m.unexpected_message")
        if self._we_started:
            if not self._commitment or self._committed_to(theirs) != self._commitment:
                raise _Wrong("m.mismatched_commitment")
        else:
            self._say("key", {"key": self._public})
        self._shared = self._sas.diffie_hellman(Curve25519PublicKey.from_base64(theirs))
        own = (self._own.user_id, self._own.device_id, self._public)
        other = (self._own.user_id, them.id, theirs)
        first, second = (own, other) if self._we_started else (other, own)
        info = "|".join(("MATRIX_KEY_VERIFICATION_SAS", *first, *second, self.id))
        self._emoji = tuple(EMOJI[index] for index in self._shared.bytes(info).emoji_indices)
        self._go(Phase.COMPARING)

    # --- the end --------------------------------------------------------------------------------

    def _info(self, key_id: str, *, ours: bool) -> str:
        assert self._them is not None
        own, them = (self._own.user_id, self._own.device_id), (self._own.user_id, self._them.id)
        sender, receiver = (own, them) if ours else (them, own)
        return "".join(("MATRIX_KEY_VERIFICATION_MAC", *sender, *receiver, self.id, key_id))

    def _mac_of(self, text: str, key_id: str, *, ours: bool) -> str:
        assert self._shared is not None
        return self._shared.calculate_mac(text, self._info(key_id, ours=ours))

    def _finish(self) -> None:
        """When both have said that the emoji are the same."""
        if self.phase is not Phase.CONFIRMED or self._their_mac is None:
            return
        if not self._they_are_who_they_claim(self._their_mac):
            raise _Wrong("m.key_mismatch")
        self._say("done", {})
        self._go(Phase.DONE)

    def _they_are_who_they_claim(self, content: Mapping[str, Any]) -> bool:
        them, macs = self._them, as_dict(content.get("mac"))
        key_id = f"ed25519:{them.id}" if them is not None else ""
        keys = ",".join(sorted(macs))
        return (
            them is not None
            and content.get("keys") == self._mac_of(keys, "KEY_IDS", ours=False)
            and macs.get(key_id) == self._mac_of(them.ed25519, key_id, ours=False)
        )
