"""The gateway's side of the contract in memory: what a session gets, and what it hands over."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import aiohttp

from adapters.matrix import MatrixAdapter, MatrixSettings
from gateway.adapter import Clock, Linked, Logger, Session
from gateway.events import Presence, RemoteEvent, RemoteMessage
from gateway.ids import NetworkName, RemoteRoomId, RemoteUserId
from gateway.tasks import SystemClock
from tests.memory_account import AccountInMemory, Log
from tests.peers.inbox import Inbox

Event = TypeVar("Event")


class MemoryNetwork:
    """A `gateway.adapter.NetworkContext`."""

    def __init__(self, http: aiohttp.ClientSession, **settings: Any) -> None:
        self.name = NetworkName("matrix")
        self.settings = MatrixSettings(**{"allow_private_homeservers": True, **settings})
        self.log: Logger = Log()
        self.clock: Clock = SystemClock()
        self.http = http


class MemoryAccount(AccountInMemory):
    """One with an inbox."""

    def __init__(self, linked: Linked, http: aiohttp.ClientSession) -> None:
        super().__init__(linked, http)
        self.live = asyncio.Event()
        self.inbox: Inbox[object] = Inbox("the account")

    def took(self, event: RemoteEvent) -> None:
        """All of them, in order."""
        self.inbox.add(event)

    def connected(self) -> None:
        """The session is live."""
        self.live.set()

    def typing(self, contact: RemoteUserId, active: bool) -> None:
        """Put with the events, as a tuple."""
        self.inbox.add(("typing", contact, active))

    def room_typing(self, room: RemoteRoomId, user: RemoteUserId, active: bool) -> None:
        """Put with the events, as a tuple."""
        self.inbox.add(("room-typing", room, user, active))

    def presence(self, contact: RemoteUserId, presence: Presence) -> None:
        """Put with the events, as a tuple."""
        self.inbox.add(("presence", contact, presence))

    def messages(self, contact: str = "") -> list[RemoteMessage]:
        """The messages that were handed over, of one contact or of all."""
        return [
            event
            for event in self.inbox.items
            if isinstance(event, RemoteMessage) and contact in ("", event.contact)
        ]

    async def wait(
        self, kind: type[Event], wanted: Callable[[Event], bool] = lambda _: True, since: int = 0
    ) -> Event:
        """The first event of a kind that is wanted."""
        event = await self.inbox.wait_for(
            lambda item: isinstance(item, kind) and wanted(item), since=since
        )
        assert isinstance(event, kind)
        return event

    async def wait_text(self, body: str, since: int = 0) -> RemoteMessage:
        """The message with this text."""
        return await self.wait(RemoteMessage, lambda message: message.body == body, since)


class Running:
    """A session that runs inside of an ``async with`` block."""

    def __init__(self, adapter: MatrixAdapter, account: MemoryAccount) -> None:
        self.account = account
        self.session: Session = adapter.session(account)
        self.task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Session:
        self.account.live.clear()
        self.task = asyncio.create_task(self.session.run())
        live = asyncio.create_task(self.account.live.wait())
        await asyncio.wait({self.task, live}, return_when=asyncio.FIRST_COMPLETED)
        live.cancel()
        if self.task.done():
            await self.task
        return self.session

    async def __aexit__(self, *_: object) -> None:
        assert self.task is not None
        self.task.cancel()
        await asyncio.wait({self.task})
        if not self.task.cancelled() and (error := self.task.exception()) is not None:
            raise error
