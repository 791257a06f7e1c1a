# SPDX-License-Identifier: Apache-2.0
"""Answers that find no stream: they leave by the next connection, in order.

Who asked may have come by the stream of another network (`gateway.xmpp.neighbours`), and the
answer can only leave by that of its sender. Bounded, and not durable: a row is what must arrive.
"""

from __future__ import annotations

from collections import deque

MAX_ANSWERS = 1_000
MAX_BYTES = 1024 * 1024


class Answers:
    """Those of one component, while it is not connected."""

    def __init__(self) -> None:
        self._waiting: deque[bytes] = deque()
        self._bytes = 0

    def add(self, stanza: bytes) -> None:
        """Keep it for the next connection; the oldest make room."""
        self._waiting.append(stanza)
        self._bytes += len(stanza)
        while len(self._waiting) > MAX_ANSWERS or self._bytes > MAX_BYTES:
            self._bytes -= len(self._waiting.popleft())

    def take(self) -> list[bytes]:
        """All of them."""
        taken = list(self._waiting)
        self._waiting.clear()
        self._bytes = 0
        return taken
