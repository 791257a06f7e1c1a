"""A chat window of a Matrix client: what the room's timeline says, in its order."""

import asyncio
from types import TracebackType
from typing import Self

from tests.demo.lines import Line, mark_read
from tests.peers.matrix_client import MatrixClient, MatrixEvent


class MatrixApp:
    """One room as one user sees it. Works inside its `async with` block."""

    def __init__(self, client: MatrixClient, room_id: str, contact: str) -> None:
        """Show ``room_id``, where ``contact`` (a user id) is the other one."""
        self.client = client
        self.room_id = room_id
        self.contact = contact
        self.lines: list[Line] = []
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._receive())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def mine(self) -> list[Line]:
        """What this user said."""
        return [line for line in self.lines if line.mine]

    @property
    def theirs(self) -> list[Line]:
        """What the contact said."""
        return [line for line in self.lines if not line.mine]

    async def say(self, text: str) -> None:
        """Send a message; it is shown when the homeserver has it."""
        await self.client.send_text(self.room_id, text)

    async def read_all(self) -> None:
        """Tell the room that everything was read."""
        if self.theirs:
            last = self.theirs[-1].id
            await self.client.read(self.room_id, last)
            mark_read(self.lines, last, mine=False)

    async def received(self, count: int, *, timeout: float = 30) -> None:
        """Wait until the contact has said so many things."""
        async with asyncio.timeout(timeout):
            while len(self.theirs) < count:
                await self._next()

    async def read_by_contact(self, *, timeout: float = 10) -> None:
        """Wait until the contact has read everything."""
        async with asyncio.timeout(timeout):
            while not all(line.read for line in self.mine):
                await self._next()

    async def _next(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    async def _receive(self) -> None:
        async for event in self.client.inbox.follow():
            if event.room_id == self.room_id:
                self._take(event)
                self._changed.set()

    def _take(self, event: MatrixEvent) -> None:
        if event.section == "timeline" and event.type == "m.room.message":
            mine = event.sender == self.client.user_id
            text = event.body or ""
            self.lines.append(Line(event.event_id, text, mine=mine, receipt=True))
        elif event.type == "m.receipt":
            for event_id, kinds in event.content.items():
                if self.contact in kinds.get("m.read", {}):
                    mark_read(self.lines, event_id, mine=True)
