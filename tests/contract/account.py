# SPDX-License-Identifier: Apache-2.0
"""The gateway's side of the contract, in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import aiohttp

from gateway.adapter import Adapter, Clock, Linked, Logger, Session
from gateway.errors import StoreUnavailable
from gateway.events import Presence, RemoteEvent, RemoteMessage
from gateway.ids import NetworkName, RemoteRoomId, RemoteUserId
from gateway.tasks import SystemClock
from tests.memory_account import AccountInMemory, Log

Event = TypeVar("Event")
_LIMIT_S = 15.0


class Context:
    """A `gateway.adapter.NetworkContext`."""

    def __init__(self, http: aiohttp.ClientSession, settings: Any) -> None:
        self.name = NetworkName("net")
        self.settings = settings
        self.log: Logger = Log()
        self.clock: Clock = SystemClock()
        self.http = http


class Account(AccountInMemory):
    """One that is waited for."""

    def __init__(self, linked: Linked, http: aiohttp.ClientSession) -> None:
        super().__init__(linked, http)
        self.is_live = False
        self.refused = 0
        """Commits that have failed."""
        self.has_room = asyncio.Event()
        """Nothing more is fetched until it is set."""
        self.has_room.set()
        self.waits = False
        self._asks = False
        self.events: list[RemoteEvent] = []
        self.typists: list[tuple[str, bool]] = []
        self.presences: dict[str, Presence] = {}
        self._changed = asyncio.Event()

    async def ready(self) -> None:
        """As long as a test wants it."""
        self._asks = True
        await self._room()

    def forgets_room(self) -> None:
        """What is stored next waits for it again, whoever has asked for it."""
        self._asks = self.waits = False

    async def _room(self) -> None:
        self.waits = not self.has_room.is_set()
        self._tell()
        await self.has_room.wait()

    async def commit(
        self,
        events: Sequence[RemoteEvent],
        *,
        cursor: str | None = None,
        state: Mapping[str, str | None] | None = None,
        sealed: Mapping[str, bytes | None] | None = None,
    ) -> None:
        """Counts those that are refused."""
        if events and not self._asks:
            await self._room()
        try:
            await super().commit(events, cursor=cursor, state=state, sealed=sealed)
        except StoreUnavailable:
            self.refused += 1
            raise
        finally:
            self._tell()

    def took(self, event: RemoteEvent) -> None:
        """All of them, in order."""
        self.events.append(event)

    def connected(self) -> None:
        """The session is live."""
        self.is_live = True
        self._tell()

    def typing(self, contact: RemoteUserId, active: bool) -> None:
        """Latest wins; here all of it is kept."""
        self.typists.append((contact, active))
        self._tell()

    def room_typing(self, room: RemoteRoomId, user: RemoteUserId, active: bool) -> None:
        """As in a chat."""
        self.typing(user, active)

    def presence(self, contact: RemoteUserId, presence: Presence) -> None:
        """Latest wins."""
        self.presences[contact] = presence
        self._tell()

    # --- for tests ----------------------------------------------------------------------------

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until something is true of this account."""
        try:
            async with asyncio.timeout(_LIMIT_S):
                while not condition():
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"in vain; events {self.events}, {self.typists}") from None

    def texts(self) -> list[str]:
        """Bodies of the messages that were committed, in order."""
        return [event.body for event in self.of(RemoteMessage)]

    def of(self, kind: type[Event]) -> list[Event]:
        """Committed events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]

    async def first(
        self, kind: type[Event], wanted: Callable[[Event], bool] = lambda _: True
    ) -> Event:
        """The first event of a kind that is wanted."""

        def found() -> list[Event]:
            return [event for event in self.of(kind) if wanted(event)]

        await self.until(found)
        return found()[0]

    async def text(self, body: str) -> RemoteMessage:
        """The message with this text."""
        return await self.first(RemoteMessage, lambda message: message.body == body)


class Running:
    """A session that runs inside of an ``async with`` block, live from its beginning."""

    def __init__(self, adapter: Adapter, account: Account) -> None:
        self._account = account
        self.session: Session = adapter.session(account)
        self.task: asyncio.Task[None] | None = None

    async def start(self) -> asyncio.Task[None]:
        """Run until it is live or has ended."""
        self._account.is_live = False
        self.task = asyncio.create_task(self.session.run())
        live = asyncio.create_task(self._account.until(lambda: self._account.is_live))
        await asyncio.wait({self.task, live}, return_when=asyncio.FIRST_COMPLETED)
        live.cancel()
        await asyncio.wait({live})
        return self.task

    async def __aenter__(self) -> Session:
        task = await self.start()
        if task.done():
            await task
        return self.session

    async def __aexit__(self, *_: object) -> None:
        assert self.task is not None
        self.task.cancel()
        await asyncio.wait({self.task})
        if not self.task.cancelled() and (error := self.task.exception()) is not None:
            raise error
