# SPDX-License-Identifier: Apache-2.0
"""An account's store of secrets: what its adapter keeps there is sealed for its place."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.ids import AccountId
from gateway.store import Store, sealed
from gateway.store.secrets import SecretBox


class Sealed:
    """Of one account."""

    def __init__(self, store: Store, box: SecretBox, account: AccountId) -> None:
        self._store = store
        self._box = box
        self._account = account

    def get(self, key: str) -> bytes | None:
        """A value as committed. Raises `SecretUnreadable`."""
        value = sealed.get(self._store.reader, self._account, key)
        return None if value is None else self._box.open(value, self._place(key))

    def seal(self, changes: Mapping[str, bytes | None]) -> dict[str, bytes | None]:
        """Values as they are stored. Raises `SecretUnreadable` when there is no usable key."""
        return {
            key: None if value is None else self._box.seal(value, self._place(key))
            for key, value in changes.items()
        }

    def _place(self, key: str) -> str:
        return f"account {self._account} {key}"
