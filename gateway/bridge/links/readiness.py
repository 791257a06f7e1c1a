# SPDX-License-Identifier: Apache-2.0
"""Starting and stopping the adapter of one network, which is not ours and may do neither."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from gateway.adapter import Adapter, Clock, LoginFlow, Relogin
from gateway.bridge.links.pacing import Breaker
from gateway.errors import Transient
from gateway.ids import NetworkName
from gateway.tasks import contained, within
from gateway.text.wording import tr

log = structlog.get_logger("network")

_LIMIT_S = 60.0
TROUBLE = tr("The gateway cannot use this network at the moment; its admin can see why.")


class Readiness:
    """Whether the adapter of one network has started."""

    def __init__(self, network: NetworkName, adapter: Adapter) -> None:
        self._network = network
        self._adapter = adapter
        self._clock: Clock = adapter.context.clock
        self._breaker = Breaker()
        self.is_ready = False

    async def run(self, ready: Callable[[], None], hindered: Callable[[], None]) -> None:
        """Start the adapter, again and again until it has started (2 s to 10 min)."""
        while not self.is_ready:
            try:
                await within(self._clock, _LIMIT_S, contained(self._adapter.start))
                self.is_ready = True
            except Exception:
                self._breaker.failed(None)
                wait_s = self._breaker.wait_s()
                if self._breaker.is_notable:
                    log.exception(
                        "network_not_started",
                        network=self._network,
                        failures=self._breaker.failures,
                        again_in_s=round(wait_s, 1),
                    )
                hindered()
                await self._clock.sleep(wait_s)
        ready()

    def login(self, again: Relogin | None = None) -> LoginFlow:
        """Begin a login. Raises `Transient` while the adapter has not started."""
        if not self.is_ready:
            raise Transient(TROUBLE)
        return self._adapter.login(again)

    async def stop(self) -> None:
        """After the last session. The process ends whatever comes of it."""
        self.is_ready = False
        try:
            await within(self._clock, _LIMIT_S, contained(self._adapter.stop))
        except Exception:
            log.exception("network_not_stopped", network=self._network)
