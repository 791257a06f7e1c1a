# SPDX-License-Identifier: Apache-2.0
"""What a large file consists of. It is made again wherever it is needed, and lies nowhere."""

from __future__ import annotations

import base64
import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR

PIECE = 256 * 1024
_NUMBER = 8


@dataclass(frozen=True)
class Content:
    """No two of its pieces are the same, so none can be missing or in another place unseen."""

    seed: int
    size: int

    @property
    def name(self) -> str:
        """Of the file."""
        return f"large-{self.seed}-{self.size}.bin"

    @classmethod
    def named(cls, name: str) -> Content:
        """The one that is called so."""
        seed, size = name.removeprefix("large-").removesuffix(".bin").split("-")
        return cls(int(seed), int(size))

    def pieces(self) -> Iterator[bytes]:
        """All of it."""
        base = random.Random(self.seed).randbytes(PIECE)[_NUMBER:]
        for number, start in enumerate(range(0, self.size, PIECE)):
            piece = number.to_bytes(_NUMBER) + base
            yield piece[: self.size - start] if self.size - start < PIECE else piece

    def sealed(self, key: bytes, iv: bytes) -> Iterator[bytes]:
        """What a homeserver has of it. Matrix spec, "Sending encrypted attachments"."""
        writer = Cipher(AES256(key), CTR(iv)).encryptor()
        return map(writer.update, self.pieces())

    @cached_property
    def sha256(self) -> str:
        """In the clear, in hexadecimal."""
        return digest(self.pieces()).hex()

    @property
    def key(self) -> bytes:
        """By which a friend has sealed it."""
        return hashlib.sha256(self.name.encode()).digest()

    @property
    def iv(self) -> bytes:
        """The same."""
        return self.key[:8] + bytes(8)

    def sealed_at(self, uri: str) -> dict[str, Any]:
        """The ``EncryptedFile`` of a friend who has sealed it."""
        sha256 = digest(self.sealed(self.key, self.iv))
        jwk = {"kty": "oct", "key_ops": ["encrypt", "decrypt"], "alg": "A256CTR", "ext": True}
        return {
            "v": "v2",
            "url": uri,
            "key": {**jwk, "k": _unpadded(base64.urlsafe_b64encode(self.key))},
            "iv": _unpadded(base64.b64encode(self.iv)),
            "hashes": {"sha256": _unpadded(base64.b64encode(sha256))},
        }


def digest(pieces: Iterator[bytes]) -> bytes:
    """The SHA-256 of all of them."""
    hashed = hashlib.sha256()
    for piece in pieces:
        hashed.update(piece)
    return hashed.digest()


def raw(text: str) -> bytes:
    """What is meant by some base64, in any spelling."""
    return base64.b64decode(text.translate(str.maketrans("-_", "+/")) + "=" * (-len(text) % 4))


def _unpadded(coded: bytes) -> str:
    return coded.decode().rstrip("=")
