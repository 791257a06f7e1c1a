# SPDX-License-Identifier: Apache-2.0
"""The secrets that a user keeps at the homeserver, opened with their recovery key or passphrase.

Matrix spec, "Secret storage" (m.secret_storage.v1.aes-hmac-sha2) and appendices, "Cryptographic
key representation".
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
from collections.abc import Mapping
from functools import reduce
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from adapters.matrix.http import Api
from adapters.matrix.inbound import as_dict
from gateway.errors import BadLogin, NotFound, Unsupported
from gateway.text.wording import tr

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_PREFIX = b"\x8b\x01"
_KEY_BYTES = 32
_MAX_ITERATIONS = 5_000_000
_ALGORITHM = "m.secret_storage.v1.aes-hmac-sha2"


def decoded_recovery_key(typed: str) -> bytes | None:
    """The key that a recovery key stands for, or None if it is none (blanks do not matter)."""
    number = 0
    text = "".join(typed.split())
    if not text or any(char not in _ALPHABET for char in text):
        return None
    for char in text:
        number = number * 58 + _ALPHABET.index(char)
    try:
        raw = number.to_bytes(len(_PREFIX) + _KEY_BYTES + 1, "big")
    except OverflowError:
        return None
    if not raw.startswith(_PREFIX) or reduce(int.__xor__, raw) != 0:
        return None
    return raw[len(_PREFIX) : -1]


class SecretStorage:
    """What a user has stored, with the key that opens it."""

    def __init__(self, api: Api, user_id: str, key_id: str, key: bytes) -> None:
        self._api = api
        self._user_id = user_id
        self._key_id = key_id
        self._key = key

    @classmethod
    async def open(cls, api: Api, user_id: str, typed: str) -> SecretStorage:
        """Raises `BadLogin` if what was typed is not the key, and `Unsupported` if there is no
        storage that we can open."""
        nothing = Unsupported(
            tr(
                "Your account has no recovery key. Set one up in another Matrix app first.",
            )
        )
        try:
            default = await _account_data(api, user_id, "m.secret_storage.default_key")
            key_id = default.get("key")
            if not isinstance(key_id, str):
                raise nothing
            about = await _account_data(api, user_id, f"m.secret_storage.key.{key_id}")
        except NotFound:
            raise nothing from None
        if about.get("algorithm") != _ALGORITHM:
            raise nothing
        key = decoded_recovery_key(typed)
        if key is None or not _fits(key, about):
            key = await _from_passphrase(typed, as_dict(about.get("passphrase")))
        if key is None or not _fits(key, about):
            raise BadLogin(
                tr("This is not the recovery key of your account."), field="recovery_key"
            )
        return cls(api, user_id, key_id, key)

    async def get(self, name: str) -> bytes | None:
        """A secret that is a key, or None if it is not there."""
        try:
            stored = await _account_data(self._api, self._user_id, name)
        except NotFound:
            return None
        sealed = as_dict(as_dict(stored.get("encrypted")).get(self._key_id))
        cipher, mac = as_bytes(sealed.get("ciphertext")), as_bytes(sealed.get("mac"))
        iv = as_bytes(sealed.get("iv"))
        if cipher is None or mac is None or iv is None or len(iv) != 16:
            return None
        aes, authentic = _derived(self._key, name)
        if not hmac.compare_digest(hmac.digest(authentic, cipher, "sha256"), mac):
            return None
        return as_bytes(_ctr(aes, iv, cipher).decode("ascii", "replace"))


async def _account_data(api: Api, user_id: str, kind: str) -> dict[str, Any]:
    return await api.get("user", user_id, "account_data", kind)


def as_bytes(text: object) -> bytes | None:
    """Base64 with or without padding."""
    if not isinstance(text, str):
        return None
    try:
        return base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4))
    except (binascii.Error, ValueError):
        return None


def _derived(key: bytes, name: str) -> tuple[bytes, bytes]:
    both = HKDF(hashes.SHA256(), 64, salt=bytes(32), info=name.encode()).derive(key)
    return both[:32], both[32:]


def _ctr(key: bytes, iv: bytes, data: bytes) -> bytes:
    worker = Cipher(algorithms.AES(key), modes.CTR(iv)).encryptor()
    return worker.update(data) + worker.finalize()


def _fits(key: bytes, about: Mapping[str, Any]) -> bool:
    """Whether the key is the one that the user's clients have described."""
    iv, mac = as_bytes(about.get("iv")), as_bytes(about.get("mac"))
    if iv is None or mac is None or len(iv) != 16 or len(key) != _KEY_BYTES:
        return False
    aes, authentic = _derived(key, "")
    return hmac.compare_digest(hmac.digest(authentic, _ctr(aes, iv, bytes(32)), "sha256"), mac)


async def _from_passphrase(typed: str, how: Mapping[str, Any]) -> bytes | None:
    """Spec, "Deriving keys from passphrases". Beside the loop: it takes a second on purpose."""
    salt, rounds = how.get("salt"), how.get("iterations")
    if (
        how.get("algorithm") != "m.pbkdf2"
        or not isinstance(salt, str)
        or not isinstance(rounds, int)
        or not 0 < rounds <= _MAX_ITERATIONS
        or how.get("bits", 256) != 256
    ):
        return None
    derive = PBKDF2HMAC(hashes.SHA512(), _KEY_BYTES, salt=salt.encode(), iterations=rounds).derive
    return await asyncio.to_thread(derive, typed.encode())
