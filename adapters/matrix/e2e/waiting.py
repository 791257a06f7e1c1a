# SPDX-License-Identifier: Apache-2.0
"""What came for a device, and the events that wait for it to become readable."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from adapters.matrix.e2e.megolm import Missing, NoKey, Refused, RoomKeys
from adapters.matrix.e2e.requests import Requests
from adapters.matrix.e2e.signed import is_key
from adapters.matrix.inbound import as_dict
from adapters.matrix.rooms import RoomId
from gateway.adapter import AccountContext
from gateway.events import RemoteNotice, RemoteUndecryptable

AT_ONCE = 20
"""Events that are decrypted without a pause: a few milliseconds."""
_MAX_EXPLAINED = 200


@dataclass(slots=True)
class Received:
    """What came for the device."""

    keys: list[Missing] = field(default_factory=list)
    """Keys of rooms that came."""
    released: list[tuple[RemoteUndecryptable, Mapping[str, Any]]] = field(default_factory=list)
    """Events that are readable now: as they waited, and in clear."""
    withheld: set[Missing] = field(default_factory=set)
    """Keys that somebody has said that they do not give."""
    explained: list[RemoteUndecryptable] = field(default_factory=list)
    """Events of which it is known now why they are not."""
    notices: list[RemoteNotice] = field(default_factory=list)
    """What the user is to be told."""


def missing_of(needs: Iterable[str]) -> list[Missing]:
    """The keys that events need, each once. A room's id may have blanks in it."""
    found = [each.rpartition(" ") for each in dict.fromkeys(needs) if each]
    return [Missing(RoomId(room_id), session_id) for room_id, _, session_id in found]


class Waiting:
    """The events of one account that cannot be read yet."""

    def __init__(
        self,
        account: AccountContext,
        keys: RoomKeys,
        requests: Requests,
        wake: Callable[[], None],
    ) -> None:
        self._account = account
        self._keys = keys
        self._requests = requests
        self._wake = wake
        """There is something to ask for."""

    def apart(self, trouble: str, work: Callable[..., None], *args: Any) -> None:
        """Do it for one of many events. What goes wrong is that one's trouble, and would come
        again for ever; a panic of the library is no `Exception`."""
        try:
            work(*args)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            self._account.log.error(trouble, reason=type(error).__name__)

    async def release(self, missing: Missing, received: Received) -> None:
        """The waiting events that a key opens, if it is there."""
        if not self._keys.has(missing):
            return
        waiting = self._account.waiting(str(missing))
        for number, event in enumerate(waiting, start=1):
            self.apart("waiting_not_opened", self._release_one, missing, event, received)
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)

    def _release_one(
        self, missing: Missing, event: RemoteUndecryptable, received: Received
    ) -> None:
        with suppress(NoKey, Refused, ValueError):
            clear = self._keys.decrypt(missing.room_id, as_dict(json.loads(event.content)))
            received.released.append((event, clear))

    def explain(self, received: Received) -> None:
        """Why what waits cannot be read: once for each key, and only what is new."""
        for missing in received.withheld:
            if self._keys.has(missing):
                continue
            why = self._requests.why(missing)
            for event in self._account.waiting(str(missing)):
                if event.reason != why and len(received.explained) < _MAX_EXPLAINED:
                    received.explained.append(replace(event, reason=why))

    async def overlooked(self, needs: Iterable[str]) -> Received:
        """The waiting events among these whose key is there: it came beside the loop while they
        were on their way to the store, or before a crash. To be committed."""
        received = Received()
        for missing in missing_of(needs):
            await self.release(missing, received)
        return received

    async def resume(self) -> Received:
        """After a start: open what can be opened, and ask for the keys of the rest, for what was
        to be asked was in memory only. To be committed."""
        waiting = [event for event in self._account.waiting() if event.needs]
        received = await self.overlooked(event.needs for event in waiting)
        opened = {event.id for event, _ in received.released}
        for number, event in enumerate(waiting, start=1):
            if event.id not in opened:
                self.apart("waiting_not_noted", self._note, event)
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
        return received

    def _note(self, event: RemoteUndecryptable) -> None:
        for missing in missing_of((event.needs,)):
            if is_key(missing.session_id):
                self._requests.note(missing, as_dict(json.loads(event.content)))
                self._wake()

    def named(self, rooms_of: Callable[[str], Sequence[RoomId]]) -> list[RemoteUndecryptable]:
        """Events that an earlier version kept, with the keys that they need."""
        found = []
        for event in self._account.waiting(""):
            try:
                content = as_dict(json.loads(event.content).get("content"))
            except (ValueError, AttributeError):
                continue
            session_id, rooms = content.get("session_id"), rooms_of(event.contact)
            if is_key(session_id) and rooms:
                found.append(replace(event, needs=str(Missing(rooms[0], session_id))))
        return found
