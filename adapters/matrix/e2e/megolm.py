# SPDX-License-Identifier: Apache-2.0
"""Keys of rooms that others gave us, and what they open.

Matrix spec, "m.megolm.v1.aes-sha2", "m.room_key", "m.forwarded_room_key".
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from vodozemac import ExportedSessionKey, InboundGroupSession, MegolmMessage, SessionKey

from adapters.matrix.e2e.own import PICKLE_KEY
from adapters.matrix.e2e.signed import is_key
from adapters.matrix.gaps import is_room_id
from adapters.matrix.inbound import as_dict
from adapters.matrix.rooms import RoomId
from adapters.matrix.secrets import Secrets
from gateway.text.wording import tr

ALGORITHM = "m.megolm.v1.aes-sha2"
_REMEMBERED = 200
"""Keys that are kept in memory."""
_INDICES = 64
"""In one record of what was decrypted."""
_INDICES_REMEMBERED = 100
_MAX_OTHERS = 8


class _Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A stored record: it only ever gains optional fields."""

    pickle: str
    owner: str = ""
    """Who speaks with this key: it came from a device of theirs. Empty if somebody else passed it
    on, of whom we are sure that they did not make it up: one of our own devices."""
    sender_key: str = ""
    signing_key: str = ""
    others: tuple[str, ...] = ()
    """Who else gave it as theirs. Whoever can read may pass it on, and may be faster than the one
    who speaks with it: so it is not theirs alone because they were first."""


@dataclass(frozen=True, slots=True)
class _Key:
    session: InboundGroupSession
    record: _Record


@dataclass(frozen=True, slots=True)
class Missing:
    """What would make an event readable, for `gateway.events.RemoteUndecryptable.needs`."""

    room_id: RoomId
    session_id: str

    def __str__(self) -> str:
        return f"{self.room_id} {self.session_id}"


class NoKey(Exception):
    """The key has not come, or begins after this message."""

    def __init__(self, missing: Missing) -> None:
        super().__init__(tr("the key is missing"))
        self.missing = missing


class Refused(Exception):
    """No key would help: the event is damaged, forged, or one that came before."""


class Repeated(Refused):
    """Somebody shows a message again as another one."""


class RoomKeys:
    """The keys that open what is said in rooms."""

    def __init__(self, secrets: Secrets, is_new: Callable[[Missing], None]) -> None:
        self._secrets = secrets
        self._is_new = is_new
        """Is told of keys that came from their owner."""
        self._keys: OrderedDict[str, _Key] = OrderedDict()
        self._indices: OrderedDict[str, dict[int, bytes]] = OrderedDict()

    # --- keys -----------------------------------------------------------------------------------

    def _find(self, missing: Missing) -> _Key | None:
        name = f"key:{missing}"
        key = self._keys.get(name)
        if key is not None:
            self._keys.move_to_end(name)
            return key
        record = self._secrets.get(name, _Record)
        if record is None:
            return None
        session = InboundGroupSession.from_pickle(record.pickle, PICKLE_KEY)
        return self._remember(name, _Key(session, record))

    def _remember(self, name: str, key: _Key) -> _Key:
        self._keys[name] = key
        if len(self._keys) > _REMEMBERED:
            self._keys.popitem(last=False)
        return key

    def has(self, missing: Missing) -> bool:
        """The key is there."""
        return self._find(missing) is not None

    def add_shared(
        self, content: Mapping[str, Any], owner: str, sender_key: str, signing_key: str
    ) -> Missing | None:
        """A key that the device of its owner sent. Returns whose events are readable now."""
        try:
            session = InboundGroupSession(SessionKey(str(content.get("session_key"))))
        except ValueError:
            return None
        return self._add(content, session, owner, sender_key, signing_key)

    def add_exported(self, content: Mapping[str, Any]) -> Missing | None:
        """A key that a device of our own user passed on, or the backup.

        Spec, "m.forwarded_room_key", "BackedUpSessionData".
        """
        sender_key = content.get("sender_key")
        claimed = as_dict(content.get("sender_claimed_keys")).get("ed25519")
        try:
            exported = ExportedSessionKey(str(content.get("session_key")))
            session = InboundGroupSession.import_session(exported)
        except ValueError:
            return None
        return self._add(content, session, "", str(sender_key or ""), str(claimed or ""))

    def _add(
        self,
        content: Mapping[str, Any],
        session: InboundGroupSession,
        owner: str,
        sender_key: str,
        signing_key: str,
    ) -> Missing | None:
        room_id, session_id = content.get("room_id"), content.get("session_id")
        if (
            content.get("algorithm", ALGORITHM) != ALGORITHM
            or not is_room_id(room_id)
            or session_id != session.session_id
        ):
            return None
        missing = Missing(RoomId(room_id), session.session_id)
        known = self._find(missing)
        others: tuple[str, ...] = ()
        if known is not None:
            before, others = known.record, known.record.others
            is_better = session.first_known_index < known.session.first_known_index
            is_other = bool(before.owner and owner) and owner not in (before.owner, *others)
            if is_other and len(others) < _MAX_OTHERS:
                others = (*others, owner)
            elif not is_better:
                return None
            if not is_better:  # of two the one that opens more
                session = known.session
            if before.owner and owner != before.owner:  # nobody takes the place of the owner
                owner = before.owner
                sender_key, signing_key = before.sender_key, before.signing_key
        record = _Record(
            pickle=session.pickle(PICKLE_KEY),
            owner=owner,
            sender_key=sender_key,
            signing_key=signing_key,
            others=others,
        )
        self._secrets.put(f"key:{missing}", record)
        self._remember(f"key:{missing}", _Key(session, record))
        if owner:
            self._is_new(missing)
        return missing

    def exported(self, missing: Missing) -> dict[str, Any] | None:
        """A key as a backup has it. Spec, "KeyBackupData", "BackedUpSessionData"."""
        key = self._find(missing)
        if key is None:
            return None
        first = key.session.first_known_index
        exported = key.session.export_at(first)
        return (
            None
            if exported is None
            else {
                "algorithm": ALGORITHM,
                "forwarding_curve25519_key_chain": [],
                "sender_claimed_keys": {"ed25519": key.record.signing_key},
                "sender_key": key.record.sender_key,
                "session_key": exported.to_base64(),
                "first_message_index": first,
                "is_verified": False,
            }
        )

    # --- decryption -----------------------------------------------------------------------------

    def decrypt(self, room_id: RoomId, event: Mapping[str, Any]) -> dict[str, Any]:
        """The event in clear: other ``type`` and ``content``. Raises `NoKey`, and `Refused`."""
        content = as_dict(event.get("content"))
        session_id, text = content.get("session_id"), content.get("ciphertext")
        if content.get("algorithm") != ALGORITHM:
            raise Refused(tr("it is encrypted in a way that is not known"))
        if not is_key(session_id) or not isinstance(text, str):
            raise Refused(tr("it is malformed"))
        missing = Missing(room_id, session_id)
        key = self._find(missing)
        if key is None:
            raise NoKey(missing)
        owner, sender = key.record.owner, event.get("sender")
        if owner and sender != owner and sender not in key.record.others:
            raise Refused(tr("its key belongs to somebody else"))
        try:
            message = MegolmMessage.from_base64(text)
        except ValueError as error:
            raise Refused(tr("it is malformed")) from error
        if message.message_index() < key.session.first_known_index:
            raise NoKey(missing)
        try:
            opened = key.session.decrypt(message)
        except ValueError as error:
            raise Refused(tr("it is damaged")) from error
        clear = self._checked(room_id, bytes(opened.plaintext))
        # Who passes on a key that is not theirs uses up no index of the one whose it is.
        whose = f" {sender}" if owner and sender != owner else ""
        self._once(missing, opened.message_index, event, whose)
        # Spec, "Forming relationships between events": what the payload says of it is ignored.
        words = clear["content"]
        words.pop("m.relates_to", None)
        if "m.relates_to" in content:
            words["m.relates_to"] = content["m.relates_to"]
        return {**event, "type": clear["type"], "content": words}

    def _checked(self, room_id: RoomId, plain: bytes) -> dict[str, Any]:
        try:
            clear = as_dict(json.loads(plain))
        except (ValueError, RecursionError) as error:
            raise Refused(tr("it has no JSON in it")) from error
        kind, content = clear.get("type"), clear.get("content")
        if clear.get("room_id") != room_id:
            raise Refused(tr("it was said in another room"))
        if not isinstance(kind, str) or not isinstance(content, dict):
            raise Refused(tr("it has no event in it"))
        if kind == "m.room.encrypted":
            raise Refused(tr("it is encrypted twice"))
        return clear

    def _once(self, missing: Missing, index: int, event: Mapping[str, Any], whose: str) -> None:
        """Spec, "Message replay attacks": one index is one event, for ever. Raises `Refused`."""
        event_id = str(event.get("event_id"))
        name = f"seen:{missing.session_id} {index // _INDICES}{whose}"
        seen = self._indices.get(name)
        if seen is None:
            seen = self._secrets.get(name, dict[int, bytes]) or {}
            self._indices[name] = seen
            if len(self._indices) > _INDICES_REMEMBERED:
                self._indices.popitem(last=False)
        digest = hashlib.sha256(event_id.encode("utf-8", "surrogatepass")).digest()[:8]
        before = seen.setdefault(index, digest)
        if before != digest:
            raise Repeated(tr("it is a repetition of another message"))
        self._secrets.put(name, seen)
