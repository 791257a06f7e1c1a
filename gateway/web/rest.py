# SPDX-License-Identifier: Apache-2.0
"""A file that is in the cache. Where it was damaged, the network has the rest."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

from gateway.adapter import Download
from gateway.media.cache import Kept
from gateway.media.kept import Damaged


class Rest:
    """From some byte on."""

    def __init__(
        self, kept: Kept, start: int, fetch: Callable[[int], Awaitable[Download]]
    ) -> None:
        """``fetch`` gives the file from a byte on, by the network."""
        self._kept = kept
        self._start = start
        self._fetch = fetch
        self._fetched: Download | None = None

    @property
    def download(self) -> Download:
        """As the network would give it."""
        return Download(
            chunks=self._chunks(),
            close=self._close,
            size=self._kept.size,
            media_type=self._kept.media_type,
        )

    async def _chunks(self) -> AsyncIterator[bytes]:
        at = self._start
        try:
            async for chunk in self._kept.chunks(at):
                at += len(chunk)
                yield chunk
            return
        except Damaged:
            self._fetched = await self._fetch(at)
        async for chunk in self._fetched.chunks:
            yield chunk

    async def _close(self) -> None:
        await self._kept.close()
        if self._fetched is not None:
            await self._fetched.close()
