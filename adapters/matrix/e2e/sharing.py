# SPDX-License-Identifier: Apache-2.0
"""Keys of rooms that we made: who has them, and encryption with them.

Matrix spec, "m.megolm.v1.aes-sha2", "m.room.encryption", "Sharing keys between devices". They live
in memory only. After a restart, or with a database that was restored, others begin: so no index of
a key is ever used for two messages.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from vodozemac import GroupSession

from adapters.matrix.e2e.keyserver import KeyServer
from adapters.matrix.e2e.megolm import ALGORITHM, RoomKeys
from adapters.matrix.e2e.olm import Olm
from adapters.matrix.e2e.own import OwnDevice
from adapters.matrix.e2e.people import Device, People
from adapters.matrix.http import MIB, Api
from adapters.matrix.ids import is_user_id
from adapters.matrix.inbound import as_dict, as_dicts
from adapters.matrix.opening import is_encryption
from adapters.matrix.rooms import RoomId
from gateway.adapter import AccountContext
from gateway.errors import Transient, Unsupported
from gateway.text.wording import tr

_DAYS_S = 86_400.0
_MAX_AGE_S = 7 * _DAYS_S
_MIN_AGE_S = 3_600.0
_MAX_MESSAGES = 100
_AGAIN_S = 600.0
"""After which a device that had no one-time key is tried again."""
_ATTEMPTS = 5
"""Of finding out who is there, while people come and go."""
_MEMBERS_LIMIT = 32 * MIB
_AT_ONCE = 20
"""Messages that are encrypted without a pause: 4 ms."""

NOBODY_READS = tr(
    "Nobody in this conversation has a device that could read it, so nothing "
    "was sent. If you have limited to whom the gateway encrypts, "
    "“encryption” changes that.",
)
Recipient = tuple[str, str]
"""User and device."""


@dataclass(slots=True)
class _Outbound:
    """A key of ours, and who has it."""

    session: GroupSession
    made_at: float
    max_age_s: float
    max_messages: int
    has: dict[Recipient, str] = field(default_factory=dict)
    """With the Curve25519 key of the device."""
    given: dict[Recipient, str] = field(default_factory=dict)
    """As it was when they were given it first: from there on they may read."""
    may_have: dict[Recipient, str] = field(default_factory=dict)
    """As well as those to whom it was sent, and the homeserver did not confirm that."""
    failed: dict[Recipient, float] = field(default_factory=dict)
    """Who could not be given it, and when that was."""
    members: frozenset[str] | None = None
    """None if the homeserver has to be asked."""


class Sharing:
    """Of one account."""

    def __init__(
        self,
        account: AccountContext,
        api: Api,
        server: KeyServer,
        own: OwnDevice,
        people: People,
        olm: Olm,
        keys: RoomKeys,
        *,
        flush: Callable[[], Awaitable[None]],
        ask: Callable[[Iterable[str]], Awaitable[None]],
        signed_only: Callable[[], bool],
    ) -> None:
        self._account = account
        self._api = api
        self._server = server
        self._own = own
        self._people = people
        self._olm = olm
        self._keys = keys
        self._flush = flush
        """Makes durable what the store of secrets has."""
        self._ask = ask
        """Asks the homeserver for the devices of people."""
        self._signed_only = signed_only
        """Devices that their owners have not signed get no keys."""
        self._rooms: dict[RoomId, _Outbound] = {}
        self._lock = asyncio.Lock()
        self._preparing: RoomId | None = None
        self._is_late = False
        """Who is there has changed while it was asked."""

    def membership_changed(self, room_id: RoomId) -> None:
        """Somebody came or left: before the next message it is asked who is there."""
        if room_id == self._preparing:
            self._is_late = True
        if (outbound := self._rooms.get(room_id)) is not None:
            outbound.members = None

    def all_changed(self) -> None:
        """Anybody may have come or left anywhere."""
        for room_id in {*self._rooms, *([self._preparing] if self._preparing else [])}:
            self.membership_changed(room_id)

    def began_anew(self, user_id: str, curve25519: str) -> None:
        """A device could not understand what we sent to it, so it may lack the keys that it was
        given: it gets them again. Spec, "Recovering from undecryptable messages"."""
        for outbound in self._rooms.values():
            for who, key in list(outbound.has.items()):
                if who[0] == user_id and key == curve25519:
                    del outbound.has[who]

    async def encrypt(
        self, room_id: RoomId, kind: str, content: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The content of an ``m.room.encrypted`` event that all who are in the room can read.

        Raises `Unsupported` for a room that is encrypted in another way, and what the homeserver
        makes of the requests.
        """
        async with self._lock:
            outbound = await self._shared(room_id)
            payload = {"room_id": room_id, "type": kind, "content": content}
            text = outbound.session.encrypt(_compact(payload)).to_base64()
        encrypted: dict[str, Any] = {
            "algorithm": ALGORITHM,
            "ciphertext": text,
            "session_id": outbound.session.session_id,
            "sender_key": self._own.curve25519,
            "device_id": self._own.device_id,
        }
        if "m.relates_to" in content:
            encrypted["m.relates_to"] = content["m.relates_to"]
        return encrypted

    # --- who has the key ------------------------------------------------------------------------

    async def _shared(self, room_id: RoomId) -> _Outbound:
        """A key that all who are in the room have, and nobody else."""
        self._preparing = room_id
        try:
            for _ in range(_ATTEMPTS):
                self._is_late = False
                outbound = await self._given(room_id)
                if not self._is_late:
                    return outbound
                outbound.members = None
        finally:
            self._preparing = None
        raise Transient(tr("People come and go in the room just now."))

    async def _given(self, room_id: RoomId) -> _Outbound:
        outbound = self._rooms.get(room_id)
        if outbound is None or self._is_used_up(outbound):
            outbound = await self._made(room_id)
        if outbound.members is None:
            outbound.members = await self._members(room_id)
        members = outbound.members
        if outdated := self._people.outdated(members):
            await self._ask(outdated)
        wanted = self._recipients(members)
        own = self._own.user_id
        unknown = [user_id for user_id in members if not self._people.of(user_id).was_asked]
        if unknown and not any(user_id != own for user_id, _ in wanted):
            raise unreachable(unknown)
        others = [user_id for user_id in members if user_id != own]
        if others and not any(user_id != own for user_id, _ in wanted):
            raise Unsupported(NOBODY_READS)
        gone = any(wanted.get(who) is None for who in outbound.may_have)
        other = any(
            wanted[who].curve25519 != key
            for who, key in outbound.may_have.items()
            if who in wanted
        )
        if gone or other:
            outbound = await self._made(room_id)
            outbound.members = members
        now = self._account.clock.monotonic()
        missing = {
            who: device
            for who, device in wanted.items()
            if who not in outbound.has and now - outbound.failed.get(who, -_AGAIN_S) >= _AGAIN_S
        }
        if missing:
            await self._give(room_id, outbound, missing)
        if others and not any(user_id != own for user_id, _ in outbound.has):
            outbound.failed.clear()  # the next attempt asks for one-time keys again
            raise Transient(tr("No device in this conversation could be given the key."))
        return outbound

    def _is_used_up(self, outbound: _Outbound) -> bool:
        age_s = self._account.clock.monotonic() - outbound.made_at
        return (
            age_s >= outbound.max_age_s or outbound.session.message_index >= outbound.max_messages
        )

    async def _made(self, room_id: RoomId) -> _Outbound:
        encryption = await self._api.get("rooms", room_id, "state", "m.room.encryption")
        is_encryption(encryption)
        if encryption.get("algorithm") != ALGORITHM:
            raise Unsupported(
                tr("This conversation is encrypted in a way that the gateway cannot.")
            )
        period_ms = encryption.get("rotation_period_ms")
        messages = encryption.get("rotation_period_msgs")
        age_s = period_ms // 1000 if isinstance(period_ms, int) else _MAX_AGE_S
        most = messages if isinstance(messages, int) else _MAX_MESSAGES
        outbound = _Outbound(
            session=GroupSession(),
            made_at=self._account.clock.monotonic(),
            max_age_s=min(max(age_s, _MIN_AGE_S), _MAX_AGE_S),
            max_messages=min(max(most, 1), _MAX_MESSAGES),
        )
        # What we say comes back by /sync, where it is to be known as ours.
        own = self._own
        content = self._room_key(room_id, outbound)
        self._keys.add_shared(content, own.user_id, own.curve25519, own.ed25519)
        await self._flush()
        self._rooms[room_id] = outbound
        return outbound

    def _room_key(self, room_id: RoomId, outbound: _Outbound) -> dict[str, Any]:
        """Spec, "m.room_key": from here on, and nothing that was said before."""
        return {
            "algorithm": ALGORITHM,
            "room_id": room_id,
            "session_id": outbound.session.session_id,
            "session_key": outbound.session.session_key.to_base64(),
        }

    async def _members(self, room_id: RoomId) -> frozenset[str]:
        """Those who are there, and those who are invited."""
        query = {"not_membership": "leave"}
        path = ("rooms", room_id, "members")
        answer = await self._api.get(*path, query=query, limit=_MEMBERS_LIMIT)
        found = set()
        for event in as_dicts(answer.get("chunk")):
            user_id = event.get("state_key")
            membership = as_dict(event.get("content")).get("membership")
            if is_user_id(user_id) and membership in ("join", "invite"):
                found.add(str(user_id))
        if self._own.user_id not in found:  # nobody is in a room of theirs without themselves
            raise Transient(tr("The homeserver does not tell who is in the room."))
        return frozenset(found)

    def _recipients(self, members: Iterable[str]) -> dict[Recipient, Device]:
        signed_only = self._signed_only()
        return {
            (user_id, device.id): device
            for user_id in members
            for device in self._people.of(user_id).devices.values()
            if device.curve25519 != self._own.curve25519
            and (device.is_cross_signed or not signed_only)
        }

    async def _give(
        self, room_id: RoomId, outbound: _Outbound, missing: Mapping[Recipient, Device]
    ) -> None:
        """Give the key to devices. Those that cannot be reached do not hold up the others."""
        await self.begin(missing)
        now_content = self._room_key(room_id, outbound)
        messages: dict[Recipient, dict[str, Any]] = {}
        left_out = {}
        for number, (who, device) in enumerate(missing.items(), start=1):
            if self._olm.can_send(device):
                since = outbound.given.setdefault(who, now_content["session_key"])
                content = {**now_content, "session_key": since}
                messages[who] = self._olm.encrypt(who[0], device, "m.room_key", content)
            else:
                left_out[who] = {
                    "algorithm": ALGORITHM,
                    "code": "m.no_olm",
                    "reason": "There was no one-time key.",
                    "sender_key": self._own.curve25519,
                }
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
        await self._flush()
        outbound.may_have |= {who: missing[who].curve25519 for who in messages}
        await self._server.send("m.room.encrypted", messages)
        now = self._account.clock.monotonic()
        outbound.has |= {who: missing[who].curve25519 for who in messages}
        outbound.failed |= dict.fromkeys(left_out, now)
        if left_out:
            self._account.log.info("devices_without_keys", devices=len(left_out))
            await self._server.send("m.room_key.withheld", left_out)

    async def begin(self, devices: Mapping[Recipient, Device]) -> None:
        """Begin a session with each of them with which there is none."""
        unknown = [who for who, device in devices.items() if not self._olm.can_send(device)]
        if not unknown:
            return
        claimed = await self._server.claim(unknown)
        for number, (who, key) in enumerate(claimed.items(), start=1):
            self._olm.begin(who[0], devices[who], key)
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)


def _compact(payload: Mapping[str, Any]) -> bytes:
    """As short as it can be: an event has its limit, and base64 makes a third more of it."""
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()


def unreachable(user_ids: Iterable[str]) -> Transient:
    """Of people of whom we know no device, and whose server does not answer."""
    return Transient(
        tr("The server of {names} does not answer.", names=", ".join(sorted(user_ids)))
    )
