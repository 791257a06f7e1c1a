# SPDX-License-Identifier: Apache-2.0
"""The device of a friend who encrypts: with as little of Olm and Megolm as a chat takes."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import vodozemac

from tests.transfers.content import raw

_MEGOLM, _OLM = "m.megolm.v1.aes-sha2", "m.olm.v1.curve25519-aes-sha2"
_ID = "FRIEND"


class Device:
    """Of one friend, in one room."""

    def __init__(self, user_id: str, room: str) -> None:
        self._user_id, self._room = user_id, room
        self._account = vodozemac.Account()
        self._curve = self._account.curve25519_key.to_base64()
        self._ed = self._account.ed25519_key.to_base64()
        self._olm: vodozemac.Session | None = None
        """By which the other side gives its keys."""
        self._heard: dict[str, vodozemac.InboundGroupSession] = {}
        self._said = vodozemac.GroupSession()

    # --- what the homeserver tells of it --------------------------------------------------------

    def described(self) -> dict[str, Any]:
        """Spec, "POST /keys/query"."""
        keys = {f"curve25519:{_ID}": self._curve, f"ed25519:{_ID}": self._ed}
        device = {
            "user_id": self._user_id,
            "device_id": _ID,
            "algorithms": [_OLM, _MEGOLM],
            "keys": keys,
        }
        return {_ID: self._signed(device)}

    def one_time_key(self) -> dict[str, Any]:
        """Spec, "POST /keys/claim"."""
        self._account.generate_one_time_keys(1)
        ((name, key),) = self._account.one_time_keys.items()
        self._account.mark_keys_as_published()
        return {_ID: {f"signed_curve25519:{name}": self._signed({"key": key.to_base64()})}}

    def _signed(self, value: dict[str, Any]) -> dict[str, Any]:
        written = json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
        signature = self._account.sign(written).to_base64()
        return {**value, "signatures": {self._user_id: {f"ed25519:{_ID}": signature}}}

    # --- what others tell it --------------------------------------------------------------------

    def take(self, content: Mapping[str, Any]) -> None:
        """A message to this device: the key of what is said next."""
        part = content["ciphertext"][self._curve]
        message = vodozemac.AnyOlmMessage.from_parts(part["type"], raw(part["body"]))
        first = message.to_pre_key()
        if self._olm is not None and (first is None or self._olm.session_matches(first)):
            plain = self._olm.decrypt(message)
        else:
            assert first is not None
            sender = vodozemac.Curve25519PublicKey.from_base64(content["sender_key"])
            self._olm, plain = self._account.create_inbound_session(sender, first)
        key = json.loads(plain)["content"]
        session = vodozemac.InboundGroupSession(vodozemac.SessionKey(key["session_key"]))
        self._heard[key["session_id"]] = session

    def opened(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """What was said in the room."""
        message = vodozemac.MegolmMessage.from_base64(content["ciphertext"])
        session = self._heard[content["session_id"]]
        return dict(json.loads(session.decrypt(message).plaintext)["content"])

    # --- what it says ---------------------------------------------------------------------------

    def shared_with(self, device: Mapping[str, Any], one_time_key: str) -> dict[str, Any]:
        """The key of what it says, to another device."""
        name, keys = device["device_id"], device["keys"]
        curve = keys[f"curve25519:{name}"]
        session = self._olm = self._account.create_outbound_session(
            vodozemac.Curve25519PublicKey.from_base64(curve),
            vodozemac.Curve25519PublicKey.from_base64(one_time_key),
        )
        payload = {
            "type": "m.room_key",
            "content": {
                "algorithm": _MEGOLM,
                "room_id": self._room,
                "session_id": self._said.session_id,
                "session_key": self._said.session_key.to_base64(),
            },
            "sender": self._user_id,
            "keys": {"ed25519": self._ed},
            "recipient": device["user_id"],
            "recipient_keys": {"ed25519": keys[f"ed25519:{name}"]},
        }
        kind, body = session.encrypt(json.dumps(payload).encode()).to_parts()
        text = base64.b64encode(body).rstrip(b"=").decode()
        return {
            "type": "m.room.encrypted",
            "sender": self._user_id,
            "content": {
                "algorithm": _OLM,
                "sender_key": self._curve,
                "ciphertext": {curve: {"type": kind, "body": text}},
            },
        }

    def sealed(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """Something that is said."""
        payload = {"room_id": self._room, "type": "m.room.message", "content": content}
        return {
            "algorithm": _MEGOLM,
            "session_id": self._said.session_id,
            "ciphertext": self._said.encrypt(json.dumps(payload).encode()).to_base64(),
            "sender_key": self._curve,
            "device_id": _ID,
        }
