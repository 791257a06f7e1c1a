# SPDX-License-Identifier: Apache-2.0
"""Addresses of files, under which the gateway fetches them from the network (REQ-444).

An address names a row of the store, with a signature: whoever was not told it cannot guess it, nor
can whoever has the database alone make one. It is the same whenever it is made, so that a repeated
message is.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from urllib.parse import quote

from gateway.ids import FileId

FILES, THUMBNAILS = "files", "thumbnails"
_ID_BYTES = 6
_SIGNATURE_BYTES = 20
"""160 bits; REQ-444 asks for 128."""


class FileLinks:
    """Makes and reads the addresses."""

    def __init__(self, public_url: str, key: bytes, lasts_s: float) -> None:
        """``key``: for this alone, at most 64 bytes. ``lasts_s``: how long one works."""
        self._base = public_url
        self._key = key
        self.lasts_s = lasts_s

    def url(self, file: FileId, name: str, *, is_thumbnail: bool = False) -> str:
        """Of a file, or of its small picture, which whoever was told the one may see. ``name`` is
        for people, and for clients that look at its extension; it may be any."""
        number = file.to_bytes(_ID_BYTES, "big")
        token = base64.urlsafe_b64encode(number + self._signature(number)).decode().rstrip("=")
        what = THUMBNAILS if is_thumbnail else FILES
        return f"{self._base}/{what}/{token}/{quote(name, safe='')}"

    def file(self, token: str) -> FileId | None:
        """What a part of an address names; None if nobody was told that."""
        try:
            read = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except ValueError:
            return None
        number, signature = read[:_ID_BYTES], read[_ID_BYTES:]
        if not hmac.compare_digest(signature, self._signature(number)):
            return None
        return FileId(int.from_bytes(number, "big"))

    def _signature(self, number: bytes) -> bytes:
        return hashlib.blake2b(number, key=self._key, digest_size=_SIGNATURE_BYTES).digest()
