# SPDX-License-Identifier: Apache-2.0
"""A photo, a voice message and a document, as people share them, and where one looks for them."""

from __future__ import annotations

import base64
import hashlib
import io
import math
import random
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR
from PIL import Image, ImageDraw

_VOICE = Path(__file__).with_name("voice.ogg")
"""Two seconds, in Opus."""
_BLOCK = 64


@dataclass(frozen=True)
class Shared:
    """A file, and what apps of Matrix say of it."""

    name: str
    media_type: str
    msgtype: str
    data: bytes = field(repr=False)
    info: Mapping[str, int] = field(default_factory=dict)
    is_voice: bool = False

    def content(self, caption: str = "") -> dict[str, Any]:
        """Of an event, without the place of the file. Spec, "Media captions"; MSC3245."""
        said = {"msgtype": self.msgtype, "body": caption or self.name, "info": dict(self.info)}
        if caption:
            said["filename"] = self.name
        if self.is_voice:
            said["org.matrix.msc3245.voice"] = {}
        return said

    def check(self, content: Mapping[str, Any], data: bytes) -> None:
        """Whether it is that which has come to Matrix."""
        assert (content["msgtype"], content["body"]) == (self.msgtype, self.name)
        assert content["info"]["mimetype"] == self.media_type
        assert content["info"]["size"] == len(self.data)
        for name in {"w", "h"} & set(self.info):
            assert content["info"][name] == self.info[name]
        assert ("org.matrix.msc3245.voice" in content) == self.is_voice
        assert data == self.data

    @property
    def traces(self) -> list[bytes]:
        """What would be found where it lies in clear: its name, and some of its bytes."""
        middle = len(self.data) // 2
        return [self.name.encode(), self.data[middle : middle + _BLOCK]]


def three(called: str) -> list[Shared]:
    """Of each kind one. ``called`` is in their names and in their bytes."""
    dice = random.Random(called)
    return [
        Shared(f"{called}-hills.jpg", "image/jpeg", "m.image", _photo(dice), {"w": 640, "h": 360}),
        Shared(
            f"{called}-words.ogg", "audio/ogg", "m.audio", _voice(dice), {"duration": 2000}, True
        ),
        Shared(
            f"{called}-way.pdf",
            "application/pdf",
            "m.file",
            b"%PDF-1.7\n" + dice.randbytes(200_000),
        ),
    ]


def _photo(dice: random.Random) -> bytes:
    """The sun over some hills, nowhere twice the same."""
    drawn = Image.new("RGB", (640, 360))
    draw = ImageDraw.Draw(drawn)
    for y in range(360):
        draw.line((0, y, 640, y), (255 - y // 6, 170 + y // 8, 110 + y // 3))
    left = dice.randrange(60, 500)
    draw.ellipse((left, 60, left + 80, 140), (255, 240, 190))
    for height, colour in ((190, (96, 128, 112)), (250, (60, 96, 72)), (310, (36, 64, 44))):
        shift = dice.random() * 6
        hill = [(x, height + 40 * math.sin(x / 90 + shift)) for x in range(641)]
        draw.polygon([*hill, (640, 360), (0, 360)], colour)
    # Flat colours are the same bytes in each picture; what nobody sees is taken out on the way.
    grain = Image.frombytes("RGB", drawn.size, dice.randbytes(3 * 640 * 360))
    made = io.BytesIO()
    Image.blend(drawn, grain, 0.15).save(made, "JPEG", quality=90)
    return made.getvalue()


def _voice(dice: random.Random) -> bytes:
    """Recorded, as it says, by a program with a long name (RFC 7845 §5.2, RFC 3533 §6)."""
    recorded = _VOICE.read_bytes()
    begin = recorded.index(b"OggS", 1)
    end = recorded.index(b"OggS", begin + 1)
    vendor = dice.randbytes(3_000).hex().encode()
    tags = b"OpusTags" + struct.pack("<I", len(vendor)) + vendor + struct.pack("<I", 0)
    pieces = bytes([255] * (len(tags) // 255) + [len(tags) % 255])
    head = recorded[begin : begin + 22]
    told = bytes([len(pieces)]) + pieces + tags
    checksum = struct.pack("<I", _checksum(head + bytes(4) + told))
    return recorded[:begin] + head + checksum + told + recorded[end:]


def _checksum(page: bytes) -> int:
    """RFC 3533 §6: a CRC that begins with 0, and is not turned round."""
    told = 0
    for byte in page:
        told ^= byte << 24
        for _ in range(8):
            told = (told << 1) ^ (0x104C11DB7 if told & 0x80000000 else 0)
    return told


def _raw(text: str) -> bytes:
    return base64.b64decode(text.translate(str.maketrans("-_", "+/")) + "=" * (-len(text) % 4))


def opened(file: Mapping[str, Any], sealed: bytes) -> bytes:
    """Matrix spec, client-server API, "Sending encrypted attachments"."""
    assert _raw(file["hashes"]["sha256"]) == hashlib.sha256(sealed).digest()
    cipher = Cipher(AES256(_raw(file["key"]["k"])), CTR(_raw(file["iv"])))
    return cipher.decryptor().update(sealed)


def found_in(directory: Path, traces: Iterable[bytes]) -> set[bytes]:
    """Those of them that any file below a directory has: databases, media and logs."""
    left, found = set(traces), set()
    for path in directory.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            found |= {trace for trace in left if trace in data}
            left -= found
    return found
