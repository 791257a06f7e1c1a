# SPDX-License-Identifier: Apache-2.0
"""Secrets at rest: AES-256-GCM with a key that lies outside the database.

The key file is made only while the database holds no secret; it is there as a whole or not at
all. Later a missing, malformed or different key is never replaced: the accounts concerned have to
log in again, and the right key, put back, opens everything.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
from pathlib import Path

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.errors import SecretUnreadable, StoreUnavailable
from gateway.text.wording import tr

log = structlog.get_logger("secrets")

_KEY_BYTES = 32
_ID_BYTES = 4
_NONCE_BYTES = 12


class SecretBox:
    """Seals and opens secrets. ``context`` binds a secret to the place where it belongs."""

    def __init__(self, key: bytes | None) -> None:
        self._key = key
        self._cipher = AESGCM(key) if key is not None else None
        self._key_id = hashlib.sha256(key).digest()[:_ID_BYTES] if key is not None else b""

    @classmethod
    def load(cls, path: Path, *, has_secrets: bool) -> SecretBox:
        """Read the key file; make it if the database holds no secret yet and there is no good one.

        Otherwise a missing or malformed key does not raise: the box then opens nothing, and seals
        nothing. Raises `StoreUnavailable` if the file cannot be read or made.
        """
        try:
            key = _read(path)
        except OSError as error:
            raise StoreUnavailable(
                f"The key file {path} cannot be read: {error.strerror}. "
                "It must be a file that the user of the gateway may read."
            ) from error
        if key is not None and len(key) == _KEY_BYTES:
            return cls(key)
        if not has_secrets:
            try:
                return cls(_make(path, replace=key is not None))
            except OSError as error:
                raise StoreUnavailable(
                    f"The key file {path} cannot be made: {error.strerror}. Its directory must "
                    "exist, and the user of the gateway must be allowed to write to it."
                ) from error
        advice = "restore it from your backup; until then nobody can log in"
        if key is None:
            log.error("key_file_missing", path=str(path), advice=advice)
        else:
            log.error(
                "key_file_malformed", path=str(path), expected_bytes=_KEY_BYTES, advice=advice
            )
        return cls(None)

    def derived(self, purpose: str) -> bytes:
        """A key for something else, the same as long as the key is. Without one it is another one
        at each start."""
        key = secrets.token_bytes(_KEY_BYTES) if self._key is None else self._key
        return hashlib.blake2b(purpose.encode(), key=key, digest_size=_KEY_BYTES).digest()

    def seal(self, plain: bytes, context: str) -> bytes:
        """Encrypt. Raises `SecretUnreadable` when there is no usable key."""
        if self._cipher is None:
            raise SecretUnreadable(
                tr("The gateway's key file is missing; the admin must restore it.")
            )
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return self._key_id + nonce + self._cipher.encrypt(nonce, plain, context.encode())

    def open(self, sealed: bytes, context: str) -> bytes:
        """Decrypt. Raises `SecretUnreadable` if the key is missing or another one."""
        if self._cipher is None or sealed[:_ID_BYTES] != self._key_id:
            raise SecretUnreadable("sealed with a key that is not at hand")
        nonce = sealed[_ID_BYTES : _ID_BYTES + _NONCE_BYTES]
        try:
            return self._cipher.decrypt(
                nonce, sealed[_ID_BYTES + _NONCE_BYTES :], context.encode()
            )
        except InvalidTag:
            raise SecretUnreadable("damaged, or moved from another place") from None


def _read(path: Path) -> bytes | None:
    """What the key file holds, as far as it matters. None if there is no such file."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            key = file.read(_KEY_BYTES + 1)
    except FileNotFoundError:
        return None
    if mode & 0o077:
        log.warning(
            "key_file_exposed",
            path=str(path),
            mode=f"{mode:04o}",
            advice=f"run: chmod 600 {path}",
        )
    return key


def _make(path: Path, *, replace: bool) -> bytes:
    """Make the key file. Whenever the process is killed, it is there as a whole or not at all."""
    key = secrets.token_bytes(_KEY_BYTES)
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            # Kept, since it may be anything: a path in a configuration is soon mistyped.
            old = path.replace(path.with_name(f"{path.name}.malformed"))
            log.warning("key_file_replaced", path=str(path), old=str(old))
        os.link(new, path)  # unlike a rename, this never overwrites
    finally:
        new.unlink()
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    return key
