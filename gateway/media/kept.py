# SPDX-License-Identifier: Apache-2.0
"""How one file of the cache lies on the disk: encrypted, and so that any change of it is noticed.

Salt (16 bytes), sealed head, sealed pieces. A piece has 64 KiB, the last one less. Each is sealed
by AES-256-GCM with a key of the file's own, made of the cache's key, the salt and the name; its
number is the nonce, and that of the head is 0. The head has the size, so that what was cut off is
missed as well, and is written last: what has none was never whole.

All of this is for threads: disks may be slow. Who waits for one may be cancelled, and then it
still has the descriptor, so each object has a lock.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import struct
from contextlib import suppress
from io import FileIO
from pathlib import Path
from threading import Lock

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

PIECE = 64 * 1024
UNFINISHED = ".part"
"""End of the name of what is not whole yet."""
_SALT, _NONCE, _TAG, _KEY = 16, 12, 16, 32
_HEAD = struct.Struct(">QB119s")
"""Size, length of the media type, media type."""
_BEGIN = _SALT + _HEAD.size + _TAG
"""Where the first piece is."""
_MOST_OF_TYPE = 119


class Damaged(Exception):
    """It is not what was written."""


class _Seal:
    def __init__(self, key: bytes, name: str, salt: bytes) -> None:
        own = hashlib.blake2b(name.encode() + salt, key=key, digest_size=_KEY).digest()
        self._cipher = AESGCM(own)
        self._name = name.encode()

    def seal(self, number: int, plain: bytes) -> bytes:
        nonce = number.to_bytes(_NONCE)
        return self._cipher.encrypt(nonce, plain, self._name + nonce)

    def open(self, number: int, sealed: bytes) -> bytes:
        nonce = number.to_bytes(_NONCE)
        try:
            return self._cipher.decrypt(nonce, sealed, self._name + nonce)
        except InvalidTag:
            raise Damaged(f"piece {number} was changed") from None


def size_on_disk(size: int) -> int:
    """Of a file of so many bytes."""
    return _BEGIN + size + -(-size // PIECE) * _TAG


def can_be_kept(media_type: str) -> bool:
    """Whether there is room for it in the head."""
    return len(media_type.encode()) <= _MOST_OF_TYPE


class Writer:
    """Writes one file. Each method raises `OSError`."""

    def __init__(self, path: Path, key: bytes) -> None:
        """Nothing is made yet."""
        self._path = path
        self._part = path.with_name(path.name + UNFINISHED)
        self._salt = secrets.token_bytes(_SALT)
        self._seal = _Seal(key, path.name, self._salt)
        self._lock = Lock()
        self._file: FileIO | None = None
        self._pieces = self._size = 0
        self._is_closed = False
        self.is_whole = False

    def add(self, data: bytes) -> None:
        """Whole pieces, or the last one."""
        with self._lock:
            file = self._opened()
            sealed = bytearray()
            for start in range(0, len(data), PIECE):
                self._pieces += 1
                sealed += self._seal.seal(self._pieces, data[start : start + PIECE])
            _write(file, sealed, size_on_disk(self._size))
            self._size += len(data)

    def finish(self, media_type: str) -> None:
        """It is whole, and has its name from now on."""
        with self._lock:
            file = self._opened()
            said = media_type.encode()
            head = self._seal.seal(0, _HEAD.pack(self._size, len(said), said))
            _write(file, self._salt + head, 0)
            file.close()
            self._part.replace(self._path)
            self.is_whole = True

    def close(self) -> None:
        """What is not whole is gone."""
        with self._lock:
            self._is_closed = True
            if self._file is not None and not self.is_whole:
                self._file.close()
                self._part.unlink(missing_ok=True)

    def _opened(self) -> FileIO:
        if self._is_closed:
            raise OSError("it is closed")
        if self._file is None:
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
            self._file = FileIO(os.open(self._part, flags, 0o600), "w")
        return self._file


class Reader:
    """Reads one file. Each method raises `OSError` and `Damaged`."""

    def __init__(self, path: Path, key: bytes) -> None:
        self._path = path
        self._key = key
        self._lock = Lock()
        self._file: FileIO | None = None
        self._is_closed = False
        self._seal: _Seal
        self.size = 0
        self.media_type = ""

    def open(self) -> None:
        """Read the head."""
        with self._lock:
            if self._is_closed:  # by who did not wait for this
                raise OSError("it is closed")
            self._file = FileIO(os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW), "r")
            descriptor = self._file.fileno()
            begin = os.pread(descriptor, _BEGIN, 0)
            self._seal = _Seal(self._key, self._path.name, begin[:_SALT])
            self.size, length, said = _HEAD.unpack(self._seal.open(0, begin[_SALT:]))
            self.media_type = said[:length].decode()
            if os.fstat(descriptor).st_size != size_on_disk(self.size):
                raise Damaged("it is shorter or longer than it was")
            with suppress(OSError):  # for who was asked for last, after a restart
                os.utime(descriptor)

    def read(self, piece: int, pieces: int) -> bytes:
        """So many pieces from that one on, which is 0 for the first; fewer at the end."""
        with self._lock:
            if self._file is None or self._is_closed:
                raise OSError("it is closed")
            sealed_piece = PIECE + _TAG
            at, length = _BEGIN + piece * sealed_piece, pieces * sealed_piece
            sealed = os.pread(self._file.fileno(), length, at)
            plain = bytearray()
            for start in range(0, len(sealed), sealed_piece):
                piece += 1
                plain += self._seal.open(piece, sealed[start : start + sealed_piece])
            if not plain:
                raise Damaged("it has become shorter")
            return bytes(plain)

    def close(self) -> None:
        """It is not read any more."""
        with self._lock:
            self._is_closed = True
            if self._file is not None:
                self._file.close()


def _write(file: FileIO, data: bytes | bytearray, at: int) -> None:
    left = memoryview(data)
    while left:
        done = os.pwrite(file.fileno(), left, at)
        left = left[done:]
        at += done
