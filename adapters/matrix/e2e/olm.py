# SPDX-License-Identifier: Apache-2.0
"""From device to device. Matrix spec, "m.olm.v1.curve25519-aes-sha2"."""

from __future__ import annotations

import base64
import binascii
import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vodozemac import AnyOlmMessage, Session

from adapters.matrix.e2e.own import PICKLE_KEY, OwnDevice
from adapters.matrix.e2e.people import Device
from adapters.matrix.e2e.signed import is_key, is_signed
from adapters.matrix.inbound import as_dict
from adapters.matrix.secrets import Secrets
from gateway.text.wording import tr

ALGORITHM = "m.olm.v1.curve25519-aes-sha2"
_KEPT = 8
"""Sessions with one device. It may use an older one for messages that were on their way."""
_REMEMBERED = 200
"""Devices whose sessions are kept in memory."""
_OFFERED = 500
"""Sessions that anybody may begin with us, and by which we have not sent anything yet."""


class CannotDecrypt(Exception):
    """Nothing that we have opens this message: its device and we do not understand each other."""


class NotForUs(Exception):
    """The message is malformed, forged or meant for somebody else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FromDevice:
    """A message from a device, decrypted."""

    sender: str
    sender_key: str
    """Curve25519 key of the device."""
    signing_key: str
    """Ed25519 key that the device claims."""
    type: str
    content: dict[str, Any]


class Olm:
    """The sessions of our device with others."""

    def __init__(self, secrets: Secrets, own: OwnDevice) -> None:
        self._secrets = secrets
        self._own = own
        self._sessions: OrderedDict[str, list[Session]] = OrderedDict()
        self._fresh: dict[str, dict[str, Session]] = {}
        """By which we send: only sessions that began in this process. By Curve25519 key, and by
        Ed25519 key: of the first nobody has to prove that it is theirs."""
        self._offered: OrderedDict[str, Session] = OrderedDict()
        """Those of them that others began, until we send."""
        self._silent: set[str] = set()
        """Sessions that we began, and by which nobody has answered."""

    def _of(self, their_key: str) -> list[Session]:
        sessions = self._sessions.get(their_key)
        if sessions is None:
            pickles = self._secrets.get(f"olm:{their_key}", list[str]) or []
            sessions = [Session.from_pickle(pickle, PICKLE_KEY) for pickle in pickles]
            self._sessions[their_key] = sessions
            self._forget_some(their_key)
        else:
            self._sessions.move_to_end(their_key)
        return sessions

    def _forget_some(self, but: str) -> None:
        """Not those by which we send: they would be read back without what was sent since."""
        for key in list(self._sessions)[: max(len(self._sessions) - _REMEMBERED, 0)]:
            if key not in self._fresh and key not in self._offered and key != but:
                self._silent -= {session.session_id for session in self._sessions.pop(key)}

    def _save(self, their_key: str) -> None:
        """The newest first."""
        pickles = [session.pickle(PICKLE_KEY) for session in self._of(their_key)]
        self._secrets.put(f"olm:{their_key}", pickles)

    def _add(self, their_key: str, session: Session) -> None:
        sessions = self._of(their_key)
        sessions.insert(0, session)
        if len(sessions) > _KEPT:  # before all others those by which nobody has ever answered
            silent = [old for old in sessions[1:] if old.session_id in self._silent]
            gone = silent[-1] if silent else sessions[-1]
            self._silent.discard(gone.session_id)
            sessions[:] = [each for each in sessions if each is not gone]

    # --- receiving ------------------------------------------------------------------------------

    def decrypt(self, event: Mapping[str, Any]) -> FromDevice:
        """An ``m.room.encrypted`` event that came to the device.

        Raises `CannotDecrypt`, and `NotForUs`.
        """
        content = as_dict(event.get("content"))
        sender, their_key = event.get("sender"), content.get("sender_key")
        ours = as_dict(as_dict(content.get("ciphertext")).get(self._own.curve25519))
        kind, body = ours.get("type"), ours.get("body")
        if (
            content.get("algorithm") != ALGORITHM
            or not isinstance(sender, str)
            or not is_key(their_key)
            or not isinstance(body, str)
            or kind not in (0, 1)
        ):
            raise NotForUs(tr("it is not a message of Olm to this device"))
        try:
            message = AnyOlmMessage.from_parts(kind, _unpadded(body))
        except (ValueError, binascii.Error) as error:
            raise NotForUs(tr("it is malformed")) from error
        return self._opened(sender, their_key, self._plain(their_key, message))

    def _plain(self, their_key: str, message: AnyOlmMessage) -> bytes:
        first = message.to_pre_key()
        for session in self._of(their_key):
            if first is not None and not session.session_matches(first):
                continue
            try:
                plain = session.decrypt(message)
            except ValueError as error:
                if first is not None:
                    raise CannotDecrypt(tr("it came before, or is damaged")) from error
                continue
            self._silent.discard(session.session_id)
            self._save(their_key)
            return plain
        if first is None:
            raise CannotDecrypt(tr("no session opens it"))
        try:
            session, plain = self._own.begun(their_key, first)
        except ValueError as error:
            raise CannotDecrypt(tr("it uses a key that we do not have")) from error
        self._add(their_key, session)
        self._fresh.pop(their_key, None)
        self._offered[their_key] = session
        self._offered.move_to_end(their_key)
        if len(self._offered) > _OFFERED:
            self._offered.popitem(last=False)
        self._save(their_key)
        return plain

    def _opened(self, sender: str, their_key: str, plain: bytes) -> FromDevice:
        try:
            payload = as_dict(json.loads(plain))
        except (ValueError, RecursionError) as error:
            raise NotForUs(tr("it has no JSON in it")) from error
        signing_key = as_dict(payload.get("keys")).get("ed25519")
        kind = payload.get("type")
        if (
            payload.get("sender") != sender
            or payload.get("recipient") != self._own.user_id
            or as_dict(payload.get("recipient_keys")).get("ed25519") != self._own.ed25519
            or not isinstance(signing_key, str)
            or not isinstance(kind, str)
        ):
            raise NotForUs(tr("it was made for somebody else, or by somebody else"))
        return FromDevice(
            sender=sender,
            sender_key=their_key,
            signing_key=signing_key,
            type=kind,
            content=as_dict(payload.get("content")),
        )

    # --- sending --------------------------------------------------------------------------------

    def can_send(self, device: Device) -> bool:
        """There is a session by which we may send; if not, a one-time key is needed."""
        return (
            device.ed25519 in self._fresh.get(device.curve25519, {})
            or device.curve25519 in self._offered
        )

    def forget(self, device: Device) -> None:
        """The other side has lost its end of the session: the next message begins another."""
        fresh = self._fresh.get(device.curve25519, {})
        fresh.pop(device.ed25519, None)
        if not fresh:
            self._fresh.pop(device.curve25519, None)
        self._offered.pop(device.curve25519, None)

    def begin(self, user_id: str, device: Device, key: Mapping[str, Any]) -> bool:
        """Begin a session by a one-time key that the homeserver gave; False if it is not good."""
        public = key.get("key")
        if not isinstance(public, str) or not is_signed(key, user_id, device.ed25519, device.id):
            return False
        try:
            session = self._own.begin(device.curve25519, public)
        except ValueError:
            return False
        self._add(device.curve25519, session)
        self._silent.add(session.session_id)
        self._offered.pop(device.curve25519, None)
        self._fresh.setdefault(device.curve25519, {})[device.ed25519] = session
        self._save(device.curve25519)
        return True

    def encrypt(
        self, user_id: str, device: Device, kind: str, content: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The content of an ``m.room.encrypted`` event to a device. To be committed before it is
        sent: the answer may come after a restart."""
        own = self._own
        payload = {
            "type": kind,
            "content": content,
            "sender": own.user_id,
            "sender_device": own.device_id,
            "keys": {"ed25519": own.ed25519},
            "sender_device_keys": own.keys,
            "recipient": user_id,
            "recipient_keys": {"ed25519": device.ed25519},
        }
        fresh = self._fresh.setdefault(device.curve25519, {})
        if (offered := self._offered.pop(device.curve25519, None)) is not None:
            fresh[device.ed25519] = offered
        session = fresh[device.ed25519]
        kind_of_message, body = session.encrypt(json.dumps(payload).encode()).to_parts()
        self._save(device.curve25519)
        text = base64.b64encode(body).rstrip(b"=").decode()
        return {
            "algorithm": ALGORITHM,
            "sender_key": own.curve25519,
            "ciphertext": {device.curve25519: {"type": kind_of_message, "body": text}},
        }


def _unpadded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
