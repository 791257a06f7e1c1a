# SPDX-License-Identifier: Apache-2.0
"""Asking who is in a group. Matrix spec, client-server API, "GET /rooms/{roomId}/members".

A homeserver that does not tell it, or not in time, holds up nobody: the group is told with those
who are known, and asked for again with a later answer of /sync.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from adapters.matrix.http import KIB, MIB, Api
from adapters.matrix.inbound import Event, as_dicts
from adapters.matrix.rooms import RoomId
from gateway.adapter import AccountContext
from gateway.errors import AdapterError, AuthExpired, Transient
from gateway.text.wording import tr

_LIMIT = 32 * MIB
"""Of one list, and of those for one answer of /sync: they are in memory until it is committed."""
_TIMEOUT_S = 30
_ENOUGH_S = 60.0
"""Of asking, for one answer of /sync: more was said meanwhile."""
_AT_ONCE = 10
"""Lists of groups that are known, for one answer of /sync: what was said meanwhile waits for them,
and all of them may be asked for at the same time."""
_PACE = 50 * KIB
"""Bytes in a second: a long list is not asked for again at once, for whoever rules a group may
change it all the time."""
_LATER_S = 600.0
"""The same after a failure."""
_PAUSE_S = 60.0
"""In which no list is asked for after a failure that may be one of the homeserver: others would
take as long to fail."""


class Members:
    """Of one account."""

    def __init__(self, account: AccountContext, api: Callable[[], Api]) -> None:
        self._account = account
        self._api = api
        self._not_before: dict[RoomId, float] = {}
        """Monotonic."""
        self._pause_until = 0.0
        self.has_more = False
        """Some were put off that could be asked for now."""

    async def of(
        self, rooms: Iterable[RoomId], at: str, is_new: Callable[[RoomId], bool]
    ) -> tuple[dict[RoomId, Sequence[Event]], int]:
        """The member events of these groups at a point of /sync, as far as there is time, and
        their size. Raises `AuthExpired`."""
        clock, found, size = self._account.clock, dict[RoomId, Sequence[Event]](), 0
        begin, asked, self.has_more = clock.monotonic(), 0, False
        for room_id in rooms:
            now = clock.monotonic()
            if size >= _LIMIT or now - begin >= _ENOUGH_S or now < self._pause_until:
                break
            if not is_new(room_id):
                if now < self._not_before.get(room_id, now):
                    continue
                if asked >= _AT_ONCE:
                    self.has_more = True
                    continue
                asked += 1
            try:
                answer = await self._api().get_answer(
                    "rooms",
                    room_id,
                    "members",
                    query={"membership": "join", "at": at},
                    timeout_s=_TIMEOUT_S,
                    limit=_LIMIT,
                )
                listed = as_dicts(answer.content.get("chunk"))
                self._must_have_us(listed)
            except AuthExpired:
                raise
            except AdapterError as error:
                self._account.log.warning("members_not_told", reason=error.text)
                self._not_before[room_id] = now + _LATER_S
                if isinstance(error, Transient):
                    self._pause_until = clock.monotonic() + _PAUSE_S
                continue
            self._not_before[room_id] = now + answer.size / _PACE
            found[room_id] = listed
            size += answer.size
        return found, size

    def _must_have_us(self, listed: Sequence[Event]) -> None:
        """Proxies answer anything, but the account is in the group. Raises `Transient`."""
        if not any(event.get("state_key") == self._account.remote_id for event in listed):
            raise Transient(tr("The homeserver does not tell who is in the room."))
