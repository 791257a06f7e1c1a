# SPDX-License-Identifier: Apache-2.0
"""Keys of rooms that the user's other clients have backed up at the homeserver.

Matrix spec, "Server-side key backups" (m.megolm_backup.v1.curve25519-aes-sha2).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec
from vodozemac import Curve25519SecretKey, Message, PkDecryption

from adapters.matrix.e2e.megolm import ALGORITHM, Missing
from adapters.matrix.http import Api
from adapters.matrix.inbound import as_dict
from adapters.matrix.secrets import Secrets
from gateway.errors import NotFound

_RECORD = "backup"
_ALGORITHM = "m.megolm_backup.v1.curve25519-aes-sha2"


class _Backup(msgspec.Struct, frozen=True, kw_only=True):
    """A stored record: it only ever gains optional fields."""

    key: bytes
    version: str


class Backup:
    """Of one account, once its key is known."""

    def __init__(self, api: Api, secrets: Secrets) -> None:
        self._api = api
        self._secrets = secrets

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
