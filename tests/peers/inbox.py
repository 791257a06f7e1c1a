"""What a test client received, and waiting for what it has not received yet."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Inbox(Generic[Item]):
    """Everything that arrived, in order. Waiting looks at the past too, so it cannot be late."""

    def __init__(self, owner: str) -> None:
        """Name the `owner` for the text of a failed wait."""
        self.items: list[Item] = []
        self._owner = owner
        self._arrived = asyncio.Event()

    def mark(self) -> int:
        """The present end, to be given to `wait_for` as `since`."""
        return len(self.items)

    def add(self, item: Item) -> None:
        """Append an item and wake those who wait."""
        self.items.append(item)
        self._arrived.set()
        self._arrived = asyncio.Event()

    def find(self, wanted: Callable[[Item], bool], *, since: int = 0) -> list[Item]:
        """All items from `since` on that are wanted."""
        return [item for item in self.items[since:] if wanted(item)]

    async def follow(self, since: int = 0) -> AsyncIterator[Item]:
        """Every item from `since` on, also those that come later; never ends by itself."""
        position = since
        while True:
            while position < len(self.items):
                position += 1
                yield self.items[position - 1]
            await self._arrived.wait()

    async def wait_for(
        self, wanted: Callable[[Item], bool], *, timeout: float = 10, since: int = 0
    ) -> Item:
        """The first wanted item from `since` on; AssertionError with what came instead."""
        position = since
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while True:
                    while position < len(self.items):
                        item = self.items[position]
                        position += 1
                        if wanted(item):
                            return item
                    await self._arrived.wait()
        came = "\n".join(f"  {item}" for item in self.items[since:]) or "  nothing"
        raise AssertionError(
            f"{self._owner} waited {timeout} s in vain for {wanted.__qualname__}; came:\n{came}"
        )
