# SPDX-License-Identifier: Apache-2.0
"""Sessions in rooms that are not there any more (REQ-557, REQ-598; XEP-0045 §11.1).

Who says nothing for two hours is asked, a few a second. Who does not answer is asked again, and is
put out after a day: the server of a client that sleeps keeps the question for it. When anybody was
heard of last is in the store, so after a restart nobody is asked who need not be. That day is one
in which we could hear them, without a break.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import structlog

from gateway.bridge.ground import Ground
from gateway.bridge.ports import Pulse, XmppPort
from gateway.bridge.rooms.servers import Servers
from gateway.errors import StoreUnavailable
from gateway.store import rooms, sessions
from gateway.store.sessions import Silent

log = structlog.get_logger("rooms")

_SILENT_S = 2 * 3600.0
_GONE_S = 24 * 3600.0
"""For so long a session that does not answer stays in."""
_EVERY_S = 60.0
_BETWEEN_S = 0.2
"""From one question to the next."""
_MOST = 200
"""Questions in one go."""
_MOST_HEARD = 10_000
"""Sessions that were heard of since they were stored; others are asked needlessly."""


class Ghosts:
    """Those of one network."""

    def __init__(self, ground: Ground, servers: Servers, put_out: Callable[[str], None]) -> None:
        self._network = ground.network
        self._store = ground.store
        self._clock = ground.clock
        self._persist = ground.persist
        self._servers = servers
        self._put_out = put_out
        """Out of all rooms."""
        self._port: XmppPort
        self._heard: dict[str, float] = {}
        """Since that was stored; by the clock of the store."""
        self._asked: dict[str, float] = {}
        """When; monotonic."""
        self._missing: dict[str, float] = {}
        """Since when they do not answer."""

    def attach(self, port: XmppPort) -> None:
        """Connect to the XMPP side."""
        self._port = port

    def heard(self, jid: str) -> None:
        """A session has said something to a room, whatever it is."""
        if jid in self._heard or len(self._heard) < _MOST_HEARD:
            self._heard[jid] = self._clock.now()
        self._missing.pop(jid, None)
        self._servers.heard(jid)

    def stream_lost(self) -> None:
        """Nobody can answer."""
        self._missing.clear()

    async def watch(self) -> None:
        """Look after them for ever."""
        while True:
            await self._clock.sleep(_EVERY_S)
            try:
                await self._store_heard()
                for one in self._silent():
                    if self._port.is_up():
                        self._ask(one)
                        await self._clock.sleep(_BETWEEN_S)
            except StoreUnavailable as error:
                log.info("sessions_not_looked_after", network=self._network, reason=str(error))
            except Exception:  # else nobody would ever be asked again
                log.exception("sessions_not_looked_after", network=self._network)

    async def _store_heard(self) -> None:
        heard, self._heard = self._heard, {}
        if heard:
            await self._persist.write(lambda db: sessions.heard(db, heard))

    def _silent(self) -> list[Silent]:
        """Those to be asked now."""
        before = self._clock.monotonic() - _SILENT_S
        self._asked = {jid: at for jid, at in self._asked.items() if at > before}
        most = _MOST + len(self._asked)
        since = self._clock.now() - _SILENT_S
        found = sessions.silent(self._store.reader, self._network, since, most)
        silent = {one.jid for one in found}
        self._missing = {jid: at for jid, at in self._missing.items() if jid in silent}
        return [one for one in found if one.jid not in self._asked]

    def _ask(self, one: Silent) -> None:
        room = rooms.by_id(self._store.reader, one.room)
        if room is not None and one.jid not in self._heard:
            self._asked[one.jid] = self._clock.monotonic()
            answered = partial(self._answered, one)
            self._port.feel_pulse(room.remote_id, one.jid, answered, has_caps=bool(one.caps))

    def _answered(self, one: Silent, pulse: Pulse) -> None:
        now = self._clock.monotonic()
        match pulse:
            case Pulse.ALIVE:
                self.heard(one.jid)
            case Pulse.GONE:
                self._put_out(one.jid)
            case Pulse.UNREACHABLE:
                self._servers.unreachable(one.jid)
            case Pulse.SILENT if self._port.is_up() and one.jid not in self._heard:
                if now - self._missing.setdefault(one.jid, now) >= _GONE_S:
                    del self._missing[one.jid]
                    self._put_out(one.jid)
