# SPDX-License-Identifier: Apache-2.0
"""Presence, of contacts and of the account. Matrix spec, client-server API, "Presence".

Homeservers may have no presence at all, or none of other servers' people. Then nothing is ever
told, and the gateway shows such contacts as available. Only where a server is known to tell its
people's presence does silence at a first synchronisation mean that somebody is offline. Such a
server is asked about who becomes a contact later: it tells nothing of them before they change.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator, Set

from adapters.matrix.filters import Mode
from adapters.matrix.http import Api
from adapters.matrix.ids import is_user_id
from adapters.matrix.inbound import Event, as_dict, as_dicts
from gateway.adapter import AccountContext
from gateway.errors import AdapterError
from gateway.events import UNAVAILABLE, Availability, Presence
from gateway.ids import RemoteUserId

_MOST = 10_000
"""Servers of which it is remembered that they tell presence."""
_MOST_ASKED = 50
"""New contacts whose presence is asked for at a time; others wait until they change."""
_REFRESH_S = 240.0
"""Synapse takes people for idle after five minutes without a sign of them."""
_FROM_MATRIX = {
    "online": Availability.AVAILABLE,
    "unavailable": Availability.AWAY,
    "offline": Availability.UNAVAILABLE,
    "busy": Availability.DND,
    "org.matrix.msc3026.busy": Availability.DND,
}
_TO_MATRIX = {
    Availability.AVAILABLE: "online",
    Availability.AWAY: "unavailable",
    Availability.XA: "unavailable",
    Availability.DND: "unavailable",
    Availability.UNAVAILABLE: "offline",
}


def presences(answer: Event, now: float) -> Iterator[tuple[RemoteUserId, Presence]]:
    """What an answer of /sync says."""
    for event in as_dicts(as_dict(answer.get("presence")).get("events")):
        sender, presence = event.get("sender"), _presence(as_dict(event.get("content")), now)
        if event.get("type") == "m.presence" and presence is not None and is_user_id(sender):
            yield RemoteUserId(str(sender)), presence


def _presence(content: Event, now: float) -> Presence | None:
    availability = _FROM_MATRIX.get(str(content.get("presence")))
    if availability is None:
        return None
    status, ago = content.get("status_msg"), content.get("last_active_ago")
    idle_since = None
    if availability is Availability.AWAY and isinstance(ago, int) and 0 <= ago < now * 1000:
        idle_since = now - ago / 1000
    return Presence(
        availability=availability,
        status=status if isinstance(status, str) else "",
        idle_since=idle_since,
    )


class Contacts:
    """The presence of the people of direct rooms."""

    def __init__(self, account: AccountContext, api: Callable[[], Api]) -> None:
        self._account = account
        self._api = api
        self._unasked: asyncio.Queue[RemoteUserId] = asyncio.Queue()
        self._asked: RemoteUserId | None = None
        """About whom the homeserver is being asked, unless it has told meanwhile."""
        self._known: set[RemoteUserId] = set()
        """Of whom the gateway knows whatever there is to know: contacts only, however many."""
        self._hidden: set[RemoteUserId] = set()
        """Whose presence the homeserver shows to nobody of us: who is only invited, say."""
        self._tell: set[str] = set()
        """Servers that tell presence."""

    def begin(self, contacts: Iterable[RemoteUserId]) -> None:
        """A session continues: what these were last is known already."""
        self._known.update(contacts)

    def take(
        self,
        answer: Event,
        mode: Mode,
        contacts: set[RemoteUserId],
        strangers: Set[RemoteUserId] = frozenset(),
    ) -> None:
        """Tell what an answer says. Of ``strangers`` homeservers tell nothing, also if asked."""
        if mode is not Mode.NEXT:
            self._known.clear()
        own = self._account.remote_id
        for user_id, presence in presences(answer, self._account.clock.now()):
            if len(self._tell) < _MOST:
                self._tell.add(_server_of(user_id))
            if user_id in contacts and user_id != own:
                self._known.add(user_id)
                if user_id == self._asked:
                    self._asked = None
                self._account.presence(user_id, presence)
        for user_id in contacts - self._known - {own}:
            if _server_of(user_id) in self._tell:
                self._notice(user_id, mode, is_stranger=user_id in strangers)

    def _notice(self, user_id: RemoteUserId, mode: Mode, *, is_stranger: bool) -> None:
        """Of a contact nothing is known, although their server tells such things."""
        if is_stranger:
            if user_id not in self._hidden:
                self._hidden.add(user_id)
                self._account.presence(user_id, UNAVAILABLE)
            return
        self._hidden.discard(user_id)
        self._known.add(user_id)
        if mode is Mode.NEXT and self._unasked.qsize() < _MOST_ASKED:
            self._unasked.put_nowait(user_id)
        else:
            self._account.presence(user_id, UNAVAILABLE)

    async def ask(self) -> None:
        """Until cancelled: how new contacts are. Spec, "GET /presence/{userId}/status"."""
        while True:
            user_id = self._asked = await self._unasked.get()
            presence = UNAVAILABLE
            with contextlib.suppress(AdapterError):
                content = await self._api().get("presence", user_id, "status")
                presence = _presence(content, self._account.clock.now()) or UNAVAILABLE
            if self._asked is not None:
                self._account.presence(user_id, presence)


def _server_of(user_id: str) -> str:
    return user_id.partition(":")[2]


class Own:
    """The account's own presence: said with each /sync, and at once when it changes."""

    def __init__(self, account: AccountContext, api: Callable[[], Api]) -> None:
        self._account = account
        self._api = api
        self._presence = UNAVAILABLE

    @property
    def of_sync(self) -> str:
        """For ``set_presence`` of /sync: to be connected does not mean to be online."""
        return _TO_MATRIX[self._presence.availability]

    async def set(self, presence: Presence) -> None:
        """Spec, "PUT /presence/{userId}/status". Raises what the homeserver refuses."""
        self._presence = presence
        await self._put()

    async def keep(self) -> None:
        """Nobody sees what people do on XMPP; who is there does not fall asleep here."""
        while True:
            await self._account.clock.sleep(_REFRESH_S)
            if self.of_sync == "online":
                with contextlib.suppress(AdapterError):
                    await self._put()

    async def _put(self) -> None:
        body: dict[str, str] = {"presence": self.of_sync}
        if self._presence.status:
            body["status_msg"] = self._presence.status
        await self._api().put("presence", self._account.remote_id, "status", body=body)
