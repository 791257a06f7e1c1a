# SPDX-License-Identifier: Apache-2.0
"""What waits to be written to one connection: in order, in few writes, and bounded (REQ-712).

The socket takes what it can. The rest waits here and not in the transport, because only here can
presence be dropped when it becomes too much: it is state, and a newer one follows. Content is
never dropped; who would have to hold more of it than fits gives the connection up instead.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

PRESENCE_BYTES = 8 * 1024 * 1024
"""While the server does not read: what may wait before the oldest presence is dropped."""
MAX_BYTES = 32 * 1024 * 1024
"""While the server does not read: what may wait at all."""
_WRITE_BYTES = 64 * 1024
"""At most that goes into one write, so that the socket can say stop."""
_AT_ONCE_BYTES = 1024 * 1024
"""More than that does not wait for the end of what runs now: the socket has to say stop while few
rows are behind it. A whole window of the largest ones is 120 MB."""


class Outbox:
    """Stanzas on their way to the socket of one connection."""

    def __init__(self, write: Callable[[bytes], None], full: Callable[[], None]) -> None:
        self._write = write
        self._full = full
        self._waiting: dict[int, bytes] = {}
        self._presences: deque[int] = deque()
        """Numbers of those that may be dropped, oldest first; some have left already."""
        self._next = 0
        self._bytes = 0
        self._scheduled = False
        self._closed = False
        self.congested = False
        """The server does not take what was written before."""
        self.dropped = 0
        """How many presences."""

    def add(self, stanza: bytes, *, droppable: bool) -> None:
        """Write soon: after what runs now, or when the server reads again."""
        if self._closed:
            return
        if droppable:
            self._presences.append(self._next)
        self._waiting[self._next] = stanza
        self._next += 1
        self._bytes += len(stanza)
        if self.congested:
            self._keep_bounds()
        elif self._bytes >= _AT_ONCE_BYTES:
            self.flush()
        elif not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self.flush)

    def flush(self) -> None:
        """Write until the server no longer takes it."""
        self._scheduled = False
        waiting = self._waiting
        while waiting and not self.congested:
            self._write_some()
        if not waiting:
            self._presences.clear()
        elif self._presences:
            first = next(iter(waiting))
            while self._presences and self._presences[0] < first:
                self._presences.popleft()
        if self.congested:
            self._keep_bounds()

    def close(self) -> None:
        """Write everything, whoever reads it; nothing more may follow."""
        self.congested = False
        data = b"".join(self._waiting.values())
        self.clear()
        if data:
            self._write(data)

    def clear(self) -> None:
        """The connection is gone."""
        self._closed = True
        self._waiting.clear()
        self._presences.clear()
        self._bytes = 0

    def _write_some(self) -> None:
        waiting, size = self._waiting, 0
        numbers = []
        for number, stanza in waiting.items():
            numbers.append(number)
            size += len(stanza)
            if size >= _WRITE_BYTES:
                break
        if len(numbers) == len(waiting):
            data = b"".join(waiting.values())
            waiting.clear()
        else:
            data = b"".join([waiting.pop(number) for number in numbers])
        self._bytes -= size
        self._write(data)

    def _keep_bounds(self) -> None:
        while self._bytes > PRESENCE_BYTES and self._presences:
            stanza = self._waiting.pop(self._presences.popleft(), None)
            if stanza is not None:
                self._bytes -= len(stanza)
                self.dropped += 1
        if self._bytes > MAX_BYTES:
            self.clear()
            self._full()
