# SPDX-License-Identifier: Apache-2.0
"""Keys and sessions in the account's sealed store.

What changes is collected here, and becomes durable with the next commit of the session
(`adapters.matrix.ledger.Ledger`); until then it counts in memory. Whatever must be durable before
it is used is committed first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec

from gateway.adapter import AccountContext

T = TypeVar("T")


class Secrets:
    """Reads through to what is committed."""

    def __init__(self, account: AccountContext) -> None:
        self._account = account
        self._changes: dict[str, bytes | None] = {}
        self._later: dict[str, Callable[[], object]] = {}

    def get(self, key: str, kind: type[T]) -> T | None:
        """A value, or None. What cannot be read any more counts as not there."""
        self._write_down(key)
        value = self._changes[key] if key in self._changes else self._account.sealed(key)
        if value is None:
            return None
        try:
            return msgspec.msgpack.decode(value, type=kind)
        except msgspec.MsgspecError:
            self._account.log.warning("key_record_unreadable", record=key.partition(":")[0])
            return None

    def put(self, key: str, value: object) -> None:
        """Set a value, or delete it with None."""
        self._later.pop(key, None)
        self._changes[key] = None if value is None else msgspec.msgpack.encode(value)

    def put_later(self, key: str, made: Callable[[], object]) -> None:
        """Set a value that takes time to make: that is done once, when it is needed."""
        self._later[key] = made

    def _write_down(self, key: str) -> None:
        if (made := self._later.pop(key, None)) is not None:
            self.put(key, made())

    def changes(self) -> Mapping[str, bytes | None]:
        """What is not committed yet."""
        for key in list(self._later):
            self._write_down(key)
        return dict(self._changes)

    def committed(self, changes: Mapping[str, bytes | None]) -> None:
        """Those are; what has changed since then is not."""
        for key, value in changes.items():
            if key in self._changes and self._changes[key] is value:
                del self._changes[key]
