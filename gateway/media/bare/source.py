# SPDX-License-Identifier: Apache-2.0
"""What comes, to be taken in parts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TypeAlias

_PIECE = 64 * 1024


class Source:
    """A file, of which there is as much in memory as the next part of it needs."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""
        self._at = 0
        """Of what there is, so much was taken: a file may have very many small parts."""

    async def more(self) -> bool:
        """Have another chunk; False if there is none."""
        chunk = await anext(self._chunks, b"")
        self._rest = self.ahead + chunk
        self._at = 0
        return bool(chunk)

    @property
    def ahead(self) -> bytes:
        """What came and was not taken."""
        return self._rest[self._at :]

    async def peek(self, length: int) -> bytes:
        """So many bytes, or at the end fewer, which are still to be taken."""
        while len(self._rest) - self._at < length and await self.more():
            pass
        return self._rest[self._at : self._at + length]

    async def take(self, length: int) -> bytes:
        """So many bytes, or at the end fewer."""
        taken = await self.peek(length)
        self._at += len(taken)
        return taken

    async def through(self, length: int | None = None) -> AsyncIterator[bytes]:
        """So many bytes, or all that there are, in pieces."""
        while length is None or length > 0:
            there = len(self._rest) - self._at
            if not there and not await self.more():
                return
            there = len(self._rest) - self._at
            most = there if length is None else min(length, there)
            piece = await self.take(min(most, _PIECE))
            length = None if length is None else length - len(piece)
            yield piece

    async def blanked(self, length: int | None = None) -> AsyncIterator[bytes]:
        """Zeros in their place."""
        async for piece in self.through(length):
            yield bytes(len(piece))


Format: TypeAlias = Callable[[Source], AsyncIterator[bytes]]
"""Gives as many bytes as it takes. What it leaves goes on as it is."""
