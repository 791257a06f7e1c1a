# SPDX-License-Identifier: Apache-2.0
"""The user's backup of keys at the homeserver: those of other clients are read, ours are added.

Matrix spec, "Server-side key backups" (m.megolm_backup.v1.curve25519-aes-sha2).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from vodozemac import Curve25519SecretKey, Message, PkDecryption, PkEncryption

from adapters.matrix.e2e.megolm import ALGORITHM, Missing
from adapters.matrix.errors import code_of
from adapters.matrix.http import Api
from adapters.matrix.inbound import as_dict
from adapters.matrix.rooms import RoomId
from adapters.matrix.secrets import Secrets
from gateway.adapter import Logger
from gateway.errors import AdapterError, NotFound

_RECORD = "backup"
_UNSAVED = "unsaved"
_MOST_UNSAVED = 500
"""Keys that are remembered until there is a backup."""
_AT_ONCE = 50
_GONE = ("M_WRONG_ROOM_KEYS_VERSION", "M_NOT_FOUND")
"""There is no such backup any more."""
_ALGORITHM = "m.megolm_backup.v1.curve25519-aes-sha2"


class _Backup(msgspec.Struct, frozen=True, kw_only=True):
    """A stored record: it only ever gains optional fields."""

    key: bytes
    version: str


class Backup:
    """Of one account, once its key is known."""

    def __init__(self, api: Api, secrets: Secrets, log: Logger) -> None:
        self._log = log
        self._api = api
        self._secrets = secrets
        self._since: set[str] = set()
        """Keys that were noted while others are saved: what is there of them may be older."""

    @property
    def is_open(self) -> bool:
        """The key is known."""
        return self._secrets.get(_RECORD, _Backup) is not None

    async def open(self, key: bytes) -> bool:
        """Take the key of the backup. False if there is no backup that it opens."""
        version = await self._version(key)
        if version is None:
            return False
        self._secrets.put(_RECORD, _Backup(key=key, version=version))
        return True

    async def _version(self, key: bytes) -> str | None:
        try:
            about = await self._api.get("room_keys", "version")
        except NotFound:
            return None
        public = as_dict(about.get("auth_data")).get("public_key")
        version = about.get("version")
        try:
            ours = Curve25519SecretKey.from_bytes(key).public_key().to_base64()
        except ValueError:
            return None
        if about.get("algorithm") != _ALGORITHM or public != ours or not isinstance(version, str):
            return None
        return version

    # --- adding ---------------------------------------------------------------------------------

    def note(self, missing: Missing) -> None:
        """A key has come, or was made, that the backup does not have."""
        self._since.add(str(missing))
        unsaved = [name for name in self._unsaved() if name != str(missing)]
        self._secrets.put(_UNSAVED, [*unsaved, str(missing)][-_MOST_UNSAVED:])

    def _unsaved(self) -> list[str]:
        return self._secrets.get(_UNSAVED, list[str]) or []

    async def save(self, exported: Callable[[Missing], dict[str, Any] | None]) -> None:
        """Add what it does not have. Raises what the homeserver makes of the request.

        ``exported`` gives a key as `adapters.matrix.e2e.megolm.RoomKeys.exported` does.
        """
        while (backup := self._secrets.get(_RECORD, _Backup)) is not None and self._unsaved():
            names = self._unsaved()[:_AT_ONCE]
            self._since.clear()
            rooms: dict[str, dict[str, Any]] = {}
            for name in names:
                room_id, _, session_id = name.rpartition(" ")
                key = exported(Missing(RoomId(room_id), session_id))
                if key is not None:
                    sessions = rooms.setdefault(room_id, {"sessions": {}})["sessions"]
                    sessions[session_id] = _sealed(backup.key, key)
            try:
                await self._api.put(
                    *("room_keys", "keys"),
                    query={"version": backup.version},
                    body={"rooms": rooms},
                )
            except AdapterError as error:
                if code_of(error) not in _GONE:
                    raise
                self._log.info("keys_not_backed_up", reason=code_of(error))
                # The user has made another one; this one is no use to anybody any more.
                self._secrets.put(_RECORD, None)
                return
            if self._secrets.get(_RECORD, _Backup) != backup:
                continue  # the user has opened another one meanwhile
            saved = set(names) - self._since
            left = [name for name in self._unsaved() if name not in saved]
            self._secrets.put(_UNSAVED, left or None)

    # --- reading --------------------------------------------------------------------------------

    async def fetch(self, missing: Missing) -> dict[str, Any] | None:
        """A key as `adapters.matrix.e2e.megolm.RoomKeys.add_exported` takes it, if it is there."""
        backup = self._secrets.get(_RECORD, _Backup)
        if backup is None:
            return None
        path = ("room_keys", "keys", missing.room_id, missing.session_id)
        try:
            answer = await self._api.get(*path, query={"version": backup.version})
        except NotFound:
            return None
        data = _opened(backup.key, as_dict(answer.get("session_data")))
        if data is None:
            return None
        return {
            **data,
            "algorithm": data.get("algorithm", ALGORITHM),
            "room_id": missing.room_id,
            "session_id": missing.session_id,
        }


def _sealed(key: bytes, exported: Mapping[str, Any]) -> dict[str, Any]:
    """Spec, "KeyBackupData"."""
    about = {name: exported[name] for name in ("first_message_index", "is_verified")}
    data = {name: value for name, value in exported.items() if name not in about}
    public = Curve25519SecretKey.from_bytes(key).public_key()
    message = PkEncryption.from_key(public).encrypt(json.dumps(data).encode())
    sealed = {
        "ciphertext": _unpadded_base64(message.ciphertext),
        "mac": _unpadded_base64(message.mac),
        "ephemeral": _unpadded_base64(message.ephemeral_key),
    }
    return {**about, "forwarded_count": 0, "session_data": sealed}


def _unpadded_base64(value: bytes) -> str:
    return base64.b64encode(value).rstrip(b"=").decode()


def _opened(key: bytes, sealed: Mapping[str, Any]) -> dict[str, Any] | None:
    parts = [sealed.get(name) for name in ("ciphertext", "mac", "ephemeral")]
    if not all(isinstance(part, str) for part in parts):
        return None
    try:
        message = Message.from_base64(*map(str, parts))
        plain = PkDecryption.from_key(Curve25519SecretKey.from_bytes(key)).decrypt(message)
        return as_dict(json.loads(plain))
    except ValueError:
        return None
