# SPDX-License-Identifier: Apache-2.0
"""What waits in the store for its time: looked at again and again, as long as there is any."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod

import structlog

from gateway.adapter import Clock
from gateway.errors import StoreUnavailable
from gateway.ids import NetworkName

log = structlog.get_logger("bridge")


class Looking(ABC):
    """Of one network. ``failed``: what the log says of a look that went wrong."""

    def __init__(self, network: NetworkName, clock: Clock, every_s: float, failed: str) -> None:
        self._network = network
        self._clock = clock
        self._every_s = every_s
        self._failed = failed
        self._some = asyncio.Event()
        self._some.set()  # of an earlier process

    def came(self) -> None:
        """There is one more."""
        self._some.set()

    async def watch(self) -> None:
        """Look, and look again after a while if something still waits."""
        while True:
            await self._some.wait()
            self._some.clear()
            try:
                if await self._look():
                    self._some.set()
            except StoreUnavailable:
                self._some.set()  # they are told when there is a store again
            except Exception:  # what is wrong with one of them must not end this for all
                self._some.set()
                log.exception(self._failed, network=self._network)
            await self._clock.sleep(self._every_s)

    @abstractmethod
    async def _look(self) -> bool:
        """Tell what is due. Returns whether anything is left."""
