# SPDX-License-Identifier: Apache-2.0
"""Which devices of a user are there, as far as their server tells us.

The server sends each change of a device to the gateway and to every puppet that may see the user,
so a roster of 5,000 contacts means 5,000 stanzas at once (REQ-306): what is done here for one of
them is a comparison and nothing else.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass, field

from gateway.events import BEST_REACHED, Presence
from gateway.ids import RemoteUserId

_MAX_DEVICES = 32
"""Of one user; the oldest is forgotten."""
_MAX_WITNESSES = 20_000
"""Puppets that have seen one device; more than that are no roster but a flood."""
_MAX_SHOWN = 100
"""Contacts that one device has shown itself to; the oldest is forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """XEP-0115 §4: what a client can do is asked by this, once for all clients of its kind."""

    node: str
    ver: str
    hash: str
    """How ``ver`` was made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """What a device says of itself."""

    presence: Presence = field(default_factory=Presence)
    priority: int = 0
    caps: Caps | None = None
    """What the client can do; None if it does not say."""


class Reach(enum.Enum):
    """Whether the user can see presence."""

    UNKNOWN = enum.auto()
    """Nothing was heard since the start: they may be there."""
    ONLINE = enum.auto()
    OFFLINE = enum.auto()


class Devices:
    """The available devices of one user.

    A device that leaves tells everybody whom it had told that it was there. It tells a single
    puppet the same when that puppet may no longer see the user. So for users who let the gateway
    itself see them only what the gateway is told counts; for others, what all puppets are told.
    """

    __slots__ = ("_devices", "_directed", "_doubtful", "_elsewhere", "audience", "reach")

    def __init__(self) -> None:
        self.reach = Reach.UNKNOWN
        self._devices: dict[str, Device] = {}
        self._elsewhere: dict[str, set[str]] = {}
        """Devices that the gateway itself has not seen → localparts of puppets that have."""
        self._doubtful: set[str] = set()
        self._directed: dict[str, dict[str, RemoteUserId]] = {}
        """Devices → localparts of puppets without a subscription that they have shown themselves
        to (REQ-319)."""
        self.audience: set[str] = set()
        """Localparts of puppets that are known to see the user by a subscription."""

    def __iter__(self) -> Iterator[tuple[str, Device]]:
        return iter(self._devices.items())

    def get(self, resource: str) -> Device | None:
        """A device that is there."""
        return self._devices.get(resource)

    def __contains__(self, resource: str) -> bool:
        return resource in self._devices

    def seen(self, resource: str, witness: str, device: Device) -> bool:
        """A device is there; ``witness`` is the localpart that was told, '' for the gateway.

        Returns whether anything is new.
        """
        if self._doubtful:
            self._doubtful.discard(resource)
        before = self._devices.get(resource)
        if before is None:
            if len(self._devices) >= _MAX_DEVICES:
                self._remove(next(iter(self._devices)))
            if witness:
                self._elsewhere[resource] = {witness}
        elif not witness:
            self._elsewhere.pop(resource, None)
        elif (witnesses := self._elsewhere.get(resource)) is not None and len(
            witnesses
        ) < _MAX_WITNESSES:
            witnesses.add(witness)
        if before == device:
            return False
        self._devices[resource] = device
        self.reach = Reach.ONLINE
        return True

    def gone(self, resource: str, witness: str) -> bool:
        """A device is not there for ``witness``.

        Returns whether that was the last thing that held the device.
        """
        witnesses = self._elsewhere.get(resource)
        if witness:
            self._directed.get(resource, {}).pop(witness, None)
            if witnesses is None:
                return False
            witnesses.discard(witness)
            if witnesses:
                return False
        if resource not in self._devices:
            return False
        self._remove(resource)
        if not self._devices:
            self.reach = Reach.OFFLINE
        return True

    def nobody(self) -> bool:
        """The server says that no device is there, after it was asked. Returns whether it counts.

        It does not if a device was named since then.
        """
        if self.reach is Reach.OFFLINE or self._devices.keys() - self._doubtful:
            return False
        self.forget()
        self.reach = Reach.OFFLINE
        return True

    def show(self, resource: str, puppet: str, contact: RemoteUserId) -> bool:
        """A device has shown itself to a contact. Returns whether that is new."""
        shown = self._directed.setdefault(resource, {})
        if puppet in shown:
            return False
        if len(shown) >= _MAX_SHOWN:
            del shown[next(iter(shown))]
        shown[puppet] = contact
        return True

    def is_shown(self, resource: str, puppet: str) -> bool:
        """Whether this device has shown itself to this puppet."""
        return puppet in self._directed.get(resource, ())

    def shown_to(self, contact: RemoteUserId) -> list[str]:
        """The devices that have shown themselves to a contact."""
        return [
            resource for resource, shown in self._directed.items() if contact in shown.values()
        ]

    def only_shown_to(self, contact: RemoteUserId) -> list[str]:
        """Those of them that nobody else has seen, so that the server does not count them."""
        return [
            resource
            for resource in self.shown_to(contact)
            if self._elsewhere.get(resource, {""}) <= self._directed[resource].keys()
        ]

    def all_shown_to(self) -> set[RemoteUserId]:
        """The contacts that any device has shown itself to."""
        return {contact for contact, _ in self.directed()}

    def directed(self) -> list[tuple[RemoteUserId, str]]:
        """Who was shown which device."""
        return [
            (contact, resource)
            for resource, shown in self._directed.items()
            for contact in shown.values()
        ]

    def subscribed_to(self, contact: RemoteUserId) -> None:
        """All devices see the contact now, whomever they show themselves to."""
        for shown in self._directed.values():
            for puppet in [puppet for puppet, of in shown.items() if of == contact]:
                del shown[puppet]

    def _remove(self, resource: str) -> None:
        self._directed.pop(resource, None)
        del self._devices[resource]
        self._elsewhere.pop(resource, None)
        self._doubtful.discard(resource)

    def forget(self) -> None:
        """Nothing is known any more."""
        self._devices.clear()
        self._elsewhere.clear()
        self._doubtful.clear()
        self._directed.clear()
        self.reach = Reach.UNKNOWN

    def doubt(self) -> None:
        """Word of what left may have been lost: who does not come again is gone."""
        self._doubtful = set(self._devices)

    def settle(self) -> bool:
        """Drop what did not come again. Returns whether anything was dropped."""
        dropped = list(self._doubtful)
        for resource in dropped:
            self._remove(resource)
        if dropped and not self._devices:
            self.reach = Reach.OFFLINE
        return bool(dropped)

    def best(self) -> Presence | None:
        """The presence of the device that is best reached; None if there is no device."""
        if not self._devices:
            return None
        best = min(
            self._devices.values(),
            key=lambda d: (BEST_REACHED.index(d.presence.availability), -d.priority),
        )
        return best.presence
