"""The gateway's side of the contract in memory: what a session gets, and what it hands over."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import aiohttp

from adapters.matrix import MatrixAdapter, MatrixSettings
from gateway.adapter import Clock, Linked, Logger, Session
from gateway.errors import StoreUnavailable
from gateway.events import Presence, RemoteEvent, RemoteMessage, RemoteUndecryptable
from gateway.ids import NetworkName, RemoteUserId
from gateway.tasks import SystemClock
from tests.peers.inbox import Inbox

Event = TypeVar("Event")


class MemoryLog:
    """Keeps what was logged."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def note(self, event: str, **fields: Any) -> None:
        """Any level."""
        self.lines.append((event, fields))

    debug = info = warning = error = note


class MemoryNetwork:
    """A `gateway.adapter.NetworkContext`."""

    def __init__(self, http: aiohttp.ClientSession, **settings: Any) -> None:
        self.name = NetworkName("matrix")
        self.settings = MatrixSettings(**{"allow_private_homeservers": True, **settings})
        self.log: Logger = MemoryLog()
        self.clock: Clock = SystemClock()
        self.http = http


class MemoryAccount:
    """A `gateway.adapter.AccountContext` that outlives its sessions."""

    def __init__(self, linked: Linked, http: aiohttp.ClientSession) -> None:
        self.lines = MemoryLog()
        self.log: Logger = self.lines
        self.clock: Clock = SystemClock()
        self.http = http
        self.remote_id = linked.remote_id
        self.instance = "instance-of-the-tests"
        self.secret = linked.secret
        self.cursor: str | None = None
        self.secrets: dict[str, bytes] = {}
        """Of the account's store of secrets."""
        self.held: dict[str, RemoteUndecryptable] = {}
        """Events that are kept until they can be read, by id."""
        self.stored: dict[str, str] = {}
        self.commits = 0
        self.is_broken = False
        """Whether commits fail."""
        self.live = asyncio.Event()
        self.inbox: Inbox[object] = Inbox("the account")

    def state(self) -> Mapping[str, str]:
        """A copy, so that nobody changes it behind a commit's back."""
        return dict(self.stored)

    def sealed(self, key: str) -> bytes | None:
        """As last committed."""
        key.encode()  # as a database does
        return self.secrets.get(key)

    def waiting(self, needs: str | None = None) -> Sequence[RemoteUndecryptable]:
        """What was handed over as unreadable, and not as readable since."""
        return [event for event in self.held.values() if needs in (None, event.needs)]

    async def ready(self) -> None:
        """More may be fetched."""

    async def commit(
        self,
        events: Sequence[RemoteEvent],
        *,
        cursor: str | None = None,
        state: Mapping[str, str | None] | None = None,
        sealed: Mapping[str, bytes | None] | None = None,
    ) -> None:
        """All or nothing; passes through the loop as a real one does."""
        await asyncio.sleep(0)
        if self.is_broken:
            raise StoreUnavailable("disk full")
        self.commits += 1
        self.cursor = self.cursor if cursor is None else cursor
        for key, value in (state or {}).items():
            if value is None:
                self.stored.pop(key, None)
            else:
                self.stored[key] = value
        for key, secret in (sealed or {}).items():
            if secret is None:
                self.secrets.pop(key, None)
            else:
                self.secrets[key] = secret
        for event in events:
            if isinstance(event, RemoteUndecryptable):
                self.held[event.id] = event
            elif isinstance(event, RemoteMessage):
                self.held.pop(event.id, None)
        for event in events:
            self.inbox.add(event)

    def connected(self) -> None:
        """The session is live."""
        self.live.set()

    def typing(self, contact: RemoteUserId, active: bool) -> None:
        """Put with the events, as a tuple."""
        self.inbox.add(("typing", contact, active))

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
