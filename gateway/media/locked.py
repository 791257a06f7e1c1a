# SPDX-License-Identifier: Apache-2.0
"""Files that a client has encrypted before it put them somewhere (XEP-0454): the link has the key,
and nobody but who was given the link can read them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM

from gateway.errors import Unsupported
from gateway.text.wording import tr

_SCHEME = "aesgcm://"
TAG_BYTES = 16
_KEY_DIGITS = 64
_SECRET = re.compile(r"[0-9a-fA-F]{88}|[0-9a-fA-F]{96}")
"""An initialisation vector of 12 bytes, or as older clients have it 16, and a key of 32."""


@dataclass(frozen=True, slots=True)
class Locked:
    """Where one of them is, and what opens it."""

    url: str
    iv: bytes = field(repr=False)
    key: bytes = field(repr=False)

    @classmethod
    def parse(cls, url: str) -> Self | None:
        """None if it is a link like any other. Raises `Unsupported` if it lacks the key."""
        if not url.startswith(_SCHEME):
            return None
        place, _, secret = url.removeprefix(_SCHEME).partition("#")
        if _SECRET.fullmatch(secret) is None:
            raise Unsupported(
                tr("This file is encrypted, and the link to it does not have the key.")
            )
        iv, key = secret[:-_KEY_DIGITS], secret[-_KEY_DIGITS:]
        return cls(f"https://{place}", bytes.fromhex(iv), bytes.fromhex(key))

    async def opened(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """In the clear. At its end the file proves that it is whole and the one that was meant:
        else this raises `Unsupported` there."""
        opener = Cipher(AES(self.key), GCM(self.iv)).decryptor()
        kept = b""
        async for chunk in chunks:
            kept += chunk
            clear = opener.update(kept[:-TAG_BYTES])
            kept = kept[-TAG_BYTES:]
            if clear:
                yield clear
        try:
            opener.finalize_with_tag(kept)
        except (InvalidTag, ValueError):
            raise Unsupported(
                tr("This encrypted file is broken, or the link to it has another key.")
            ) from None
