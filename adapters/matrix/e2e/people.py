# SPDX-License-Identifier: Apache-2.0
"""The devices of people, and by whom they are signed.

Matrix spec, "POST /keys/query", "Tracking the device list for a user", "Cross-signing". What is
stored of a person stays right until the homeserver says that it changed.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from heapq import nsmallest
from typing import Any, TypeGuard

import msgspec
from msgspec.structs import replace

from adapters.matrix.e2e.own import ALGORITHMS, OwnDevice
from adapters.matrix.e2e.signed import is_key, is_signed
from adapters.matrix.ids import is_user_id
from adapters.matrix.inbound import as_dict
from adapters.matrix.secrets import Secrets

MAX_DEVICES = 500
"""Of one person. Nobody has so many; whoever says so does not make others work for it."""
_AT_ONCE = 50
"""Devices whose signatures are checked without a pause: some milliseconds."""
_MAX_ID = 255
_REMEMBERED = 200


class Device(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A device of somebody, whose own signature was good. A stored record."""

    id: str
    curve25519: str
    ed25519: str
    is_cross_signed: bool = False
    """Its owner has signed it."""


class Person(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody's devices and identity. A stored record."""

    devices: dict[str, Device] = {}
    master: str = ""
    """Their master key; with it they sign what is theirs. Empty if they have none."""
    self_signing: str = ""
    is_outdated: bool = True
    """Something has changed, or we have never asked."""
    epoch: int = 0
    """Of `People.all_changed`, when we asked."""
    was_asked: bool = False
    """False until the homeserver has told of them."""
    is_untold: bool = False
    """Their identity is another one than before, and nobody has been told of that."""


UNKNOWN = Person()


class People:
    """Those whom our device has to do with."""

    def __init__(self, secrets: Secrets, own: OwnDevice) -> None:
        self._secrets = secrets
        self._own = own
        self._people: OrderedDict[str, Person] = OrderedDict()
        self._epoch = secrets.get("people-epoch", int) or 0
        self._asking: dict[object, set[str]] = {}
        """For each question to the homeserver, who has changed since it was asked."""

    def of(self, user_id: str) -> Person:
        """What is known of somebody."""
        person = self._people.get(user_id)
        if person is None:
            person = self._secrets.get(f"person:{user_id}", Person) or UNKNOWN
            self._people[user_id] = person
            if len(self._people) > _REMEMBERED:
                self._people.popitem(last=False)
        else:
            self._people.move_to_end(user_id)
        return person

    def put(self, user_id: str, person: Person) -> None:
        """Change what is known."""
        if person != self.of(user_id):
            self._people[user_id] = person
            self._secrets.put(f"person:{user_id}", person)

    def changed(self, user_ids: Iterable[object]) -> None:
        """Spec, "device_lists": what we know of them is no longer right."""
        for user_id in user_ids:
            if not is_user_id(user_id):
                continue
            for since in self._asking.values():
                since.add(user_id)
            if (person := self.of(user_id)).was_asked:
                self.put(user_id, replace(person, is_outdated=True))

    @contextmanager
    def asking(self) -> Iterator[Collection[str]]:
        """Collects who changes meanwhile: an answer about them may be older than that."""
        question = object()
        self._asking[question] = since = set[str]()
        try:
            yield since
        finally:
            del self._asking[question]

    def all_changed(self) -> None:
        """What we know of anybody may no longer be right."""
        self._epoch += 1
        self._secrets.put("people-epoch", self._epoch)

    def outdated(self, user_ids: Iterable[str]) -> list[str]:
        """Those whom the homeserver has to be asked about."""
        found = ((user_id, self.of(user_id)) for user_id in user_ids)
        return [
            user_id
            for user_id, person in found
            if person.is_outdated or person.epoch != self._epoch
        ]

    def device_by_key(self, user_id: str, curve25519: str) -> Device | None:
        """Somebody's device with this key."""
        devices = self.of(user_id).devices.values()
        return next((device for device in devices if device.curve25519 == curve25519), None)

    # --- the homeserver's answer ----------------------------------------------------------------

    async def answered(
        self, asked: Iterable[str], answer: Mapping[str, Any], since: Collection[str] = ()
    ) -> list[str]:
        """Take an answer of ``/keys/query``. Returns whose identity is another one, which
        has to be told.

        ``since`` is what `asking` gave: who has changed meanwhile has to be asked about again.
        """
        listed = as_dict(answer.get("device_keys"))
        others = []
        for user_id in asked:
            if user_id not in listed:
                continue  # their server did not answer: what we know stays, and is asked again
            before = self.of(user_id)
            master, self_signing = self._identity(user_id, answer)
            is_untold = before.is_untold or bool(before.master and master != before.master)
            if is_untold:
                others.append(user_id)
            devices = await self._devices(user_id, as_dict(listed[user_id]), before, self_signing)
            self.put(
                user_id,
                replace(
                    before,
                    devices=devices,
                    master=master,
                    self_signing=self_signing,
                    is_outdated=user_id in since,
                    epoch=self._epoch,
                    was_asked=True,
                    is_untold=is_untold,
                ),
            )
        return others

    def told(self, user_id: str, master: str) -> None:
        """That they have this identity now was told, and is durable."""
        person = self.of(user_id)
        if person.master == master:
            self.put(user_id, replace(person, is_untold=False))

    def has_signed_us(self, answer: Mapping[str, Any]) -> bool:
        """Whether an answer of ``/keys/query`` shows our device as signed by its user."""
        own = self._own
        self_signing = self.of(own.user_id).self_signing
        listed = as_dict(as_dict(answer.get("device_keys")).get(own.user_id))
        keys = as_dict(listed.get(own.device_id))
        return (
            bool(self_signing)
            and keys.get("keys") == own.keys["keys"]
            and is_signed(keys, own.user_id, self_signing)
        )

    def _identity(self, user_id: str, answer: Mapping[str, Any]) -> tuple[str, str]:
        """Master and self-signing key, if there are good ones."""
        master = _key_of(as_dict(as_dict(answer.get("master_keys")).get(user_id)), user_id)
        signing = as_dict(as_dict(answer.get("self_signing_keys")).get(user_id))
        self_signing = _key_of(signing, user_id)
        if not master or not self_signing or not is_signed(signing, user_id, master):
            return master, ""
        return master, self_signing

    async def _devices(
        self, user_id: str, listed: Mapping[str, Any], before: Person, self_signing: str
    ) -> dict[str, Device]:
        devices: dict[str, Device] = {}
        likely = _likely(listed, before, user_id, self_signing)
        for number, (device_id, keys) in enumerate(likely, start=1):
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
            if not is_device_id(device_id):
                continue
            if user_id == self._own.user_id and device_id == self._own.device_id:
                continue
            device = _device(user_id, device_id, as_dict(keys), self_signing)
            known = before.devices.get(device_id)
            # A device has its keys for ever: with others it is somebody who wants to be it.
            if known is not None and device is not None and known.ed25519 != device.ed25519:
                device = known
            if device is not None:
                devices[device_id] = device
        return devices


def _likely(
    listed: Mapping[str, Any], before: Person, user_id: str, self_signing: str
) -> Iterable[tuple[str, Any]]:
    """At most so many devices: before all others those that are known, then those that seem to be
    signed. Checking signatures takes time."""
    if len(listed) <= MAX_DEVICES:
        return listed.items()

    def unlikeliness(item: tuple[str, Any]) -> int:
        device_id, keys = item
        if device_id in before.devices:
            return 0
        signatures = as_dict(as_dict(as_dict(keys).get("signatures")).get(user_id))
        return 1 if f"ed25519:{self_signing}" in signatures else 2

    return nsmallest(MAX_DEVICES, listed.items(), key=unlikeliness)


def is_device_id(text: object) -> TypeGuard[str]:
    """Whether this may be the name of a device."""
    return isinstance(text, str) and 0 < len(text) <= _MAX_ID and text.isprintable()


def _key_of(keys: Mapping[str, Any], user_id: str) -> str:
    """The one key of a cross-signing object."""
    if keys.get("user_id") != user_id:
        return ""
    found = [key for key in as_dict(keys.get("keys")).values() if is_key(key)]
    return found[0] if len(found) == 1 else ""


def _device(
    user_id: str, device_id: str, keys: Mapping[str, Any], self_signing: str
) -> Device | None:
    """A device that can do what we can do, and says so itself."""
    named = as_dict(keys.get("keys"))
    curve25519, ed25519 = named.get(f"curve25519:{device_id}"), named.get(f"ed25519:{device_id}")
    algorithms = keys.get("algorithms")
    if (
        keys.get("user_id") != user_id
        or keys.get("device_id") != device_id
        or not is_key(curve25519)
        or not is_key(ed25519)
        or not isinstance(algorithms, list)
        or any(algorithm not in algorithms for algorithm in ALGORITHMS)
        or not is_signed(keys, user_id, ed25519, device_id)
    ):
        return None
    signed = bool(self_signing) and is_signed(keys, user_id, self_signing)
    return Device(id=device_id, curve25519=curve25519, ed25519=ed25519, is_cross_signed=signed)
