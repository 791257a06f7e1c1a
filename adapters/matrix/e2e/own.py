# SPDX-License-Identifier: Apache-2.0
"""Our own device: its identity and the keys by which others begin to talk with it.

Matrix spec, "Device keys", "One-time and fallback keys", "POST /keys/upload".
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, cast

import msgspec
from vodozemac import Account, PreKeyMessage, Session
from vodozemac import Curve25519PublicKey as PublicKey

from adapters.matrix.e2e.signed import sign
from adapters.matrix.secrets import Secrets

ALGORITHMS = ("m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2")
PICKLE_KEY = bytes(32)
"""vodozemac encrypts what it writes down; the store seals it again, with a key that is secret."""
_RECORD = "own"
_SIGNED_KEYS = "signed_curve25519"


class _Own(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A stored record: it only ever gains optional fields."""

    device_id: str
    pickle: str
    is_published: bool = False
    is_signed: bool = False


class OwnDevice:
    """The gateway's device of one account."""

    def __init__(self, secrets: Secrets, user_id: str, device_id: str) -> None:
        self._secrets = secrets
        self.user_id = user_id
        self.device_id = device_id
        self._count: int | None = None
        self._has_fallback: bool | None = None
        stored = secrets.get(_RECORD, _Own)
        if stored is not None and stored.device_id == device_id:
            self._account = Account.from_pickle(stored.pickle, PICKLE_KEY)
            self.is_published = stored.is_published
            self.is_signed = stored.is_signed
        else:  # the first login, or another one: a device has one identity for ever
            self._account = Account()
            self.is_published = False
            self.is_signed = False
            self._save()
        self.curve25519 = self._account.curve25519_key.to_base64()
        self.ed25519 = self._account.ed25519_key.to_base64()

    def _save(self) -> None:
        """With thousands of one-time keys that were taken and not used, it takes 5 ms."""
        self._secrets.put_later(_RECORD, self._written)

    def _written(self) -> _Own:
        return _Own(
            device_id=self.device_id,
            pickle=self._account.pickle(PICKLE_KEY),
            is_published=self.is_published,
            is_signed=self.is_signed,
        )

    def signed(self, is_signed: bool) -> None:
        """Whether the user, as the identity is now, has signed this device."""
        if self.is_signed != is_signed:
            self.is_signed = is_signed
            self._save()

    def sign(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """The object with this device's signature."""
        return sign(self._account, value, self.user_id, f"ed25519:{self.device_id}")

    @cached_property
    def keys(self) -> dict[str, Any]:
        """What others are told of this device."""
        return self.sign(
            {
                "algorithms": list(ALGORITHMS),
                "device_id": self.device_id,
                "user_id": self.user_id,
                "keys": {
                    f"curve25519:{self.device_id}": self.curve25519,
                    f"ed25519:{self.device_id}": self.ed25519,
                },
            }
        )

    # --- what the homeserver has ----------------------------------------------------------------

    def counted(self, counts: Mapping[str, Any], unused: object) -> None:
        """How many of our one-time keys the homeserver has left, and which fallback keys."""
        count = counts.get(_SIGNED_KEYS, 0)
        self._count = count if isinstance(count, int) and count >= 0 else 0
        if isinstance(unused, list):
            self._has_fallback = _SIGNED_KEYS in unused

    def needs_upload(self) -> bool:
        """The homeserver should have more keys of ours."""
        if not self.is_published or self._has_fallback is False:
            return True
        return self._count is not None and self._count <= self._enough // 2

    @property
    def _enough(self) -> int:
        return self._account.max_number_of_one_time_keys

    def upload(self) -> dict[str, Any]:
        """The body of an upload. To be committed before it is sent.

        What was not confirmed is sent again as it was: the homeserver takes a key twice, but no
        other one by its name.
        """
        account, body = self._account, dict[str, Any]()
        if not self.is_published:
            body["device_keys"] = self.keys
        if not account.one_time_keys:
            account.generate_one_time_keys(max(self._enough - (self._count or 0), 0))
        if not self.is_published or self._has_fallback is False:
            if not self._fallback():
                cast("Any", account).generate_fallback_key()
            body["fallback_keys"] = self._signed(self._fallback(), {"fallback": True})
        body["one_time_keys"] = self._signed(account.one_time_keys, {})
        self._save()
        return body

    def _fallback(self) -> Mapping[str, PublicKey]:
        return cast("Mapping[str, PublicKey]", cast("Any", self._account).fallback_key)

    def _signed(
        self, keys: Mapping[str, PublicKey], more: Mapping[str, Any]
    ) -> dict[str, dict[str, Any]]:
        return {
            f"{_SIGNED_KEYS}:{key_id}": self.sign({"key": key.to_base64(), **more})
            for key_id, key in keys.items()
        }

    def uploaded(self, answer: Mapping[str, Any]) -> None:
        """The homeserver has taken an upload."""
        counts = answer.get("one_time_key_counts")
        if isinstance(counts, dict):
            self.counted(counts, None)
        self._has_fallback = True
        self.is_published = True
        self._account.mark_keys_as_published()
        self._save()

    def refused(self) -> None:
        """The homeserver has other keys by these names: the store is older than the homeserver.

        They are not used; the next upload has new names.
        """
        self._account.mark_keys_as_published()
        self._save()

    # --- Olm ------------------------------------------------------------------------------------

    def begin(self, their_key: str, one_time_key: str) -> Session:
        """A session with somebody whose one-time key we have. Raises ValueError."""
        return self._account.create_outbound_session(
            PublicKey.from_base64(their_key), PublicKey.from_base64(one_time_key)
        )

    def begun(self, their_key: str, message: PreKeyMessage) -> tuple[Session, bytes]:
        """A session that somebody has begun, and the first words in it. Raises ValueError."""
        session, plain = self._account.create_inbound_session(
            PublicKey.from_base64(their_key), message
        )
        self._save()
        return session, plain
