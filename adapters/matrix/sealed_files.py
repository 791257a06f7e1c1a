# SPDX-License-Identifier: Apache-2.0
"""By what a file is found in a year, and how one that is encrypted is read. No I/O.

Matrix spec, client-server API, "Sending encrypted attachments" (``EncryptedFile``, v2): AES-CTR
with a key of its own, and the hash of what the homeserver has.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR

from adapters.matrix.inbound import as_dict
from gateway.errors import Unsupported
from gateway.text.wording import tr

URI = re.compile(r"mxc://(?!\.+/)([A-Za-z0-9.:\[\]-]{1,255})/(?!\.+$)([A-Za-z0-9_=.~-]{1,255})")
CHANGED = tr("The file is not the one that was sent: somebody has changed it.")
SMALL_WIDTH, SMALL_HEIGHT = 640, 480
"""In pixels: what a homeserver is asked for, and may have made beforehand."""
_SMALL = "?small"
BLOCK = 16
"""Bytes; reading begins at the beginning of one."""
_KEY, _IV, _HASH = 32, 16, 32
_PLAIN = str.maketrans("-_", "+/")


@dataclass(frozen=True, slots=True)
class Seal:
    """How a file is encrypted."""

    key: bytes = field(repr=False)
    iv: bytes = field(repr=False)
    sha256: bytes
    """Of what the homeserver has."""

    async def opened(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The whole file, of what the homeserver has.

        Raises `Unsupported` in place of the last chunk if it was changed on its way: so nobody
        takes it for whole.
        """
        reader, seen = self._reader(0), hashlib.sha256()
        held = b""
        async for chunk in chunks:
            if held:
                yield held
            seen.update(chunk)
            held = reader.update(chunk)
        if seen.digest() != self.sha256:
            raise Unsupported(CHANGED)
        if held:
            yield held

    async def part(
        self, chunks: AsyncIterator[bytes], begin: int, start: int
    ) -> AsyncIterator[bytes]:
        """The file from ``start`` on, of what the homeserver has from ``begin`` on, which is the
        beginning of a block. Whether that is what was sent is somebody else's to know."""
        reader, unwanted = self._reader(begin // BLOCK), start - begin
        async for chunk in chunks:
            wanted = reader.update(chunk)[unwanted:]
            unwanted = max(unwanted - len(chunk), 0)
            if wanted:
                yield wanted

    def _reader(self, block: int) -> CipherContext:
        counter = (int.from_bytes(self.iv) + block) % 2 ** (8 * BLOCK)
        return Cipher(AES256(self.key), CTR(counter.to_bytes(BLOCK))).decryptor()


def reference_in(content: Mapping[str, Any]) -> str:
    """By what the file is found that an event has as ``url`` or ``file``; empty if it has none."""
    file = content.get("file")
    if not isinstance(file, dict):
        return _uri(content.get("url"))
    uri, key = _uri(file.get("url")), as_dict(file.get("key"))
    parts = (
        _bytes(key.get("k"), _KEY),
        _bytes(file.get("iv"), _IV),
        _bytes(as_dict(file.get("hashes")).get("sha256"), _HASH),
    )
    if file.get("v") != "v2" or key.get("alg") != "A256CTR" or not uri or not all(parts):
        return ""
    return f"{uri}#{base64.urlsafe_b64encode(b''.join(parts)).decode()}"


def small_of(reference: str) -> str:
    """By what a small picture of that one is found that the homeserver makes; empty if it is
    encrypted."""
    return f"{reference}{_SMALL}" if _uri(reference) else ""


def is_small(reference: str) -> bool:
    """Whether it is one of these."""
    return reference.endswith(_SMALL)


def found(reference: str) -> tuple[str, str, Seal | None] | None:
    """Server and media id, and the seal if it has one; None if that finds nothing."""
    uri, sign, sealed = reference.removesuffix(_SMALL).partition("#")
    place = URI.fullmatch(uri)
    if place is None:
        return None
    server, media_id = place[1], place[2]
    if not sign:
        return server, media_id, None
    parts = _bytes(sealed, _KEY + _IV + _HASH)
    if not parts:
        return None
    seal = Seal(parts[:_KEY], parts[_KEY : _KEY + _IV], parts[_KEY + _IV :])
    return server, media_id, seal


def _uri(value: object) -> str:
    return value if isinstance(value, str) and URI.fullmatch(value) else ""


def _bytes(value: object, length: int) -> bytes:
    """So many bytes, in any spelling of base64; none if it is something else."""
    if not isinstance(value, str) or len(value) > 2 * length:
        return b""
    plain = value.translate(_PLAIN).rstrip("=")
    try:
        read = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except ValueError:
        return b""
    return read if len(read) == length else b""
