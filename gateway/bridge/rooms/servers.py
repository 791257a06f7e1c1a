# SPDX-License-Identifier: Apache-2.0
"""Servers of sessions in rooms that cannot be reached now (REQ-557), or are too slow (REQ-556).

What is written for other servers waits in ours, where nobody counts it. So each of them is asked
now and then whether it has what was written, and gets no more while too much may wait for it;
others do not notice. A session that misses something is out of its room at once, and the archive
has what it missed: nothing is kept for it. It is told (333) when its server is there again, so
that its client joins again and looks; what is told to a server that cannot be reached nobody
hears. After five minutes all its sessions are out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

import structlog

from gateway.adapter import Clock
from gateway.bridge.ports import Ping, Pong, XmppPort
from gateway.ids import RoomId, UserJid
from gateway.tasks import Tasks

log = structlog.get_logger("rooms")

MOST_UNPROVED = 20_000
"""Stanzas that may wait for one server."""
_ASK_AFTER = 1_000
_AGAIN_S = 30.0
_TRIES = 10
_PATIENCE_S = 20.0
"""In which one that did not answer is not asked again."""


@dataclass(slots=True, eq=False)
class _Server:
    """Of some sessions."""

    domain: str
    written: int = 0
    """Stanzas, since the stream is up."""
    proved: int = 0
    """How many of these it has."""
    is_asked: bool = False
    not_before: float = 0.0
    """Monotonic; when it may be asked again."""
    is_slow: bool = False
    """It gets nothing."""
    is_doubted: bool = False
    sessions: set[str] = field(default_factory=set)
    """Those that bounced, and have missed nothing."""
    missed: dict[tuple[str, RoomId], None] = field(default_factory=dict)
    """Who are out of a room, and have to be told."""

    @property
    def unproved(self) -> int:
        return self.written - self.proved


class Servers:
    """Those of one network."""

    def __init__(
        self,
        clock: Clock,
        tasks: Tasks,
        *,
        put_out: Callable[[str], None],
        tell_out: Callable[[str, RoomId], None],
    ) -> None:
        self._clock = clock
        self._tasks = tasks
        self._put_out = put_out
        """Out of all rooms."""
        self._tell_out = tell_out
        """It is out of a room already."""
        self._port: XmppPort
        self._servers: dict[str, _Server] = {}
        self._slow: set[str] = set()
        self._doubted: set[str] = set()

    def attach(self, port: XmppPort) -> None:
        """Connect to the XMPP side."""
        self._port = port

    # --- those that are too slow -----------------------------------------------------------------

    def admit(self, to: tuple[str, ...]) -> tuple[str, ...]:
        """To which of these sessions anything may be written."""
        if not self._slow:
            return to
        return tuple(jid for jid in to if _domain(jid) not in self._slow)

    def wrote(self, receivers: Iterable[str]) -> None:
        """Stanzas were written, to these addresses."""
        for domain, number in Counter(map(_domain, receivers)).items():
            if self._port.is_local(UserJid(domain)):
                continue  # the barrier is for those
            server = self._of(domain)
            server.written += number
            if server.unproved >= _ASK_AFTER:
                self._ask(server)
            if server.unproved >= MOST_UNPROVED and not server.is_slow:
                server.is_slow = True
                self._slow.add(domain)
                log.warning("server_too_slow", domain=domain, stanzas=server.unproved)
                self._doubt(server)

    def stream_lost(self) -> None:
        """What was written on it does not wait there any more."""
        for server in self._servers.values():
            server.proved = server.written

    def _of(self, domain: str) -> _Server:
        if domain not in self._servers:
            self._servers[domain] = _Server(domain)
        return self._servers[domain]

    def _ask(self, server: _Server) -> None:
        if server.is_asked or self._clock.monotonic() < server.not_before:
            return
        server.is_asked = True
        self._port.ping(server.domain, partial(self._answered, server, server.written))

    def _answered(self, server: _Server, written: int, pong: Pong) -> None:
        server.is_asked = False
        if pong.outcome is not Ping.ANSWERED:
            server.not_before = self._clock.monotonic() + _PATIENCE_S
            return
        server.proved = max(server.proved, written)
        if server.unproved < _ASK_AFTER:
            self._over(server)
        else:
            self._ask(server)

    # --- those that cannot be reached ------------------------------------------------------------

    def unreachable(self, jid: str) -> None:
        """Our server says so of that of a session."""
        server = self._of(_domain(jid))
        server.sessions.add(jid)
        self._doubt(server)

    def missed(self, jid: str, room: RoomId) -> None:
        """Something did not get to a session, which is out of a room for that."""
        server = self._of(_domain(jid))
        server.missed[jid, room] = None
        self._doubt(server)

    def heard(self, jid: str) -> None:
        """A session has said something."""
        if self._doubted and (domain := _domain(jid)) in self._doubted - self._slow:
            self._over(self._servers[domain])

    def _doubt(self, server: _Server) -> None:
        if not server.is_doubted:
            server.is_doubted = True
            self._doubted.add(server.domain)
            self._tasks.spawn(self._try(server), "server in doubt")

    async def _try(self, server: _Server) -> None:
        for _ in range(_TRIES):
            await self._clock.sleep(_AGAIN_S)
            if not server.is_doubted:
                return
            if self._port.is_up():
                self._ask(server)
        await self._clock.sleep(_PATIENCE_S)
        if not server.is_doubted:
            return
        log.info("server_given_up", domain=server.domain, sessions=len(server.sessions))
        gone = tuple(server.sessions)
        self._over(server)
        for jid in gone:
            self._put_out(jid)

    def _over(self, server: _Server) -> None:
        """It is there again; or nobody waits for that any more."""
        server.is_slow = server.is_doubted = False
        self._slow.discard(server.domain)
        self._doubted.discard(server.domain)
        missed, server.missed = server.missed, {}
        server.sessions.clear()
        for jid, room in missed:
            self._tell_out(jid, room)


def _domain(jid: str) -> str:
    """Of a full JID."""
    return jid.partition("/")[0].rpartition("@")[2]
