# SPDX-License-Identifier: Apache-2.0
"""What is done for files by other threads and processes: whether any of it is under way."""

from __future__ import annotations

import asyncio


class Work:
    """One for the process. A block is under way for as long as it lasts."""

    def __init__(self) -> None:
        self._under_way = 0
        self.idle = asyncio.Event()
        """Nothing is."""
        self.idle.set()

    def __enter__(self) -> None:
        self._under_way += 1
        self.idle.clear()

    def __exit__(self, *_: object) -> None:
        self._under_way -= 1
        if not self._under_way:
            self.idle.set()
