# SPDX-License-Identifier: Apache-2.0
"""Encrypting a file while it flows. No I/O.

Matrix spec, client-server API, "Sending encrypted attachments": AES-CTR with a key of the file's
own, whose counter begins at zero, and the hash of what the homeserver gets.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import AsyncIterator
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR

_KEY_BYTES = 32
_RANDOM_BYTES, _COUNTER_BYTES = 8, 8


class Sealing:
    """For one file, once: nothing else is ever encrypted with its key."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(_KEY_BYTES)
        self._iv = secrets.token_bytes(_RANDOM_BYTES) + bytes(_COUNTER_BYTES)
        self._hash = hashlib.sha256()

    async def sealed(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """What the homeserver gets: as many bytes as there are of the file."""
        writer = Cipher(AES256(self._key), CTR(self._iv)).encryptor()
        async for chunk in chunks:
            written = writer.update(chunk)
            self._hash.update(written)
            yield written

    def described(self, uri: str) -> dict[str, Any]:
        """The ``EncryptedFile``, by which those in the room read it, once all of it was sealed."""
        key = base64.urlsafe_b64encode(self._key).decode().rstrip("=")
        return {
            "v": "v2",
            "url": uri,
            "key": {
                "kty": "oct",
                "key_ops": ["encrypt", "decrypt"],
                "alg": "A256CTR",
                "k": key,
                "ext": True,
            },
            "iv": _plain(self._iv),
            "hashes": {"sha256": _plain(self._hash.digest())},
        }


def _plain(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=")
