# SPDX-License-Identifier: Apache-2.0
"""Servers of remote users: when they may be written to, and when they have what was written.

Our server's answer to a barrier says nothing of theirs. A row to a remote user is settled by a
receipt of their client, by an answer of their server to a ping that was sent at least 10 s after
the row, or after 15 min. Until then it is written once more, to a server that may have lost it:

- it was silent, or could not be reached, and answers again;
- it has been up for a shorter time than before: it was killed and is back within seconds, and what
  was on its way vanishes without an error;
- our own stream broke: a server that is killed loses what it holds for others;
- our own server was started after it had taken the row over, as after a power cut: the process
  that wrote the row has not seen that.

A new server is pinged before the first row, because stanzas may overtake one another while two
servers connect. One that does not answer pings is written to all the same, after the first ping
has had its time: what cannot be delivered comes back as an error.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog

from gateway.adapter import Clock
from gateway.bridge.inbound.queues import Queue
from gateway.bridge.ports import Ping, Pong, XmppPort
from gateway.ids import AccountId, RowId, StanzaId, UserJid
from gateway.store.journal import InboundRow
from gateway.tasks import Tasks, within

log = structlog.get_logger("peers")

_SETTLING_S = 10.0
_SETTLE_ANYWAY_S = 15 * 60.0
_FIRST_RETRY_S = 5.0
_LONGEST_RETRY_S = 300.0
_CLOCKS_DIFFER_S = 2.0
_IDLE_S = 600.0
"""After this long without traffic a server counts as new: its connection may be gone."""
_FORGOTTEN_S = 86_400.0
"""And after this long nothing of it is remembered."""
_SWEEP_S = 3600.0
_RESTARTS = 3
_RESTARTS_WITHIN_S = 3600.0
"""A server that was started more often than that tells something else, or is several machines."""


@dataclass(slots=True)
class _Peer:
    domain: str
    reachable: bool = False
    ever_reached: bool = False
    silent: bool = False
    up_since: tuple[float, float] | None = None
    """Monotonic; the earliest and the latest time at which it can have been started."""
    restarts: list[float] = field(default_factory=list)
    """Monotonic; when it was believed, of late, that it had been started again."""
    lost_before: float = -math.inf
    """Monotonic; what was written before, and is not settled, may be lost."""
    answers_pings: bool = True
    """False if the very first ping had no answer: then errors have to do."""
    probing: asyncio.Task[None] | None = None
    hurry: asyncio.Event = field(default_factory=asyncio.Event)
    """Somebody cannot wait until rows have had time to be stored."""
    used_at: float = 0.0
    waiting: list[Queue] = field(default_factory=list)
    awaited: dict[RowId, InboundRow] = field(default_factory=dict)
    by_id: dict[tuple[UserJid, StanzaId], RowId] = field(default_factory=dict)
    """What a client may say that it has."""

    def add(self, row: InboundRow) -> None:
        """Wait until the server has it."""
        self.awaited[row.id] = row
        self.by_id[row.user, row.stanza_id] = row.id

    def take(self, row: RowId | None) -> InboundRow | None:
        """Wait no longer. None if nobody did."""
        taken = self.awaited.pop(row, None) if row is not None else None
        if taken is not None and self.by_id.get((taken.user, taken.stanza_id)) == row:
            del self.by_id[taken.user, taken.stanza_id]
        return taken

    def take_all(self) -> list[InboundRow]:
        """Wait for nothing any longer."""
        rows = list(self.awaited.values())
        self.awaited.clear()
        self.by_id.clear()
        return rows


class Peers:
    """The remote servers of one network's users."""

    def __init__(
        self,
        port: XmppPort,
        clock: Clock,
        *,
        settle: Callable[[Sequence[InboundRow]], None],
        again: Callable[[Sequence[InboundRow]], None],
        unblock: Callable[[Sequence[Queue]], None],
    ) -> None:
        self._port = port
        self._clock = clock
        self._settle = settle
        self._again = again
        self._unblock = unblock
        self._swept_at = clock.monotonic()
        self._own_started = -math.inf
        """Monotonic; when our own server was started, at the earliest."""
        self._peers: dict[str, _Peer] = {}
        self._tasks = Tasks("peers")

    def may_write(self, user: UserJid, queue: Queue) -> bool:
        """Whether the user's server is known to answer; if not, the queue is unblocked later."""
        peer = self._peer(user)
        now = self._clock.monotonic()
        if peer.reachable and not peer.awaited and now - peer.used_at > _IDLE_S:
            peer.reachable = False
        peer.used_at = now
        if peer.reachable or not peer.answers_pings:
            return True
        peer.waiting.append(queue)
        peer.hurry.set()
        self._probe(peer)
        return False

    def await_settling(self, row: InboundRow) -> bool:
        """Our server has taken the row over; theirs may not have. False if it may be lost."""
        peer = self._peer(row.user)
        if row.written_at < max(peer.lost_before, self._own_started):
            return False
        peer.add(row)
        self._probe(peer)
        return True

    def received(self, user: UserJid, message: StanzaId) -> bool:
        """A receipt of the user's client. False if no such row is awaited."""
        peer = self._peers.get(_domain(user))
        row = peer.take(peer.by_id.get((user, message))) if peer is not None else None
        if row is not None:
            self._settle([row])
        return row is not None

    def take_back(self, row: InboundRow) -> None:
        """The row bounced; it is not awaited any longer."""
        peer = self._peers.get(_domain(row.user))
        if peer is not None:
            peer.take(row.id)

    def forget(self, account: AccountId) -> None:
        """The account was removed."""
        for peer in self._peers.values():
            for key in [key for key, row in peer.awaited.items() if row.account == account]:
                peer.take(key)

    def unreachable(self, user: UserJid) -> None:
        """A server says that the user's cannot be reached."""
        peer = self._peer(user)
        peer.silent, peer.reachable = True, False
        peer.hurry.set()
        self._probe(peer)

    def stream_lost(self) -> None:
        """Our own stream broke: pings under way will not be answered."""
        for peer in self._peers.values():
            peer.reachable = False  # our server has to connect to it anew
            if peer.probing is not None:
                peer.probing.cancel()
                peer.probing = None
            self._write_again(peer)
            self._resume_all(peer)

    def own_server_is_up_for(self, uptime_s: int) -> None:
        """Our own server, to which we have just connected, says when it was started."""
        self._own_started = self._clock.monotonic() - uptime_s - 1 - _CLOCKS_DIFFER_S
        for peer in self._peers.values():
            lost = [r for r in peer.awaited.values() if r.written_at < self._own_started]
            for row in lost:
                peer.take(row.id)
            if lost:
                log.info("own_server_was_restarted", domain=peer.domain, written_again=len(lost))
                self._again(lost)

    def stop(self) -> None:
        """End all probing."""
        for peer in self._peers.values():
            if peer.probing is not None:
                peer.probing.cancel()

    def _peer(self, user: UserJid) -> _Peer:
        domain = _domain(user)
        peer = self._peers.get(domain)
        if peer is None:
            self._sweep()
            peer = self._peers[domain] = _Peer(domain, used_at=self._clock.monotonic())
        return peer

    def _sweep(self) -> None:
        """Forget servers to which nothing was written for long: users come and leave for ever."""
        now = self._clock.monotonic()
        if now - self._swept_at < _SWEEP_S:
            return
        self._swept_at = now
        for peer in tuple(self._peers.values()):
            busy = peer.waiting or peer.awaited or peer.probing is not None
            if not busy and now - peer.used_at > _FORGOTTEN_S:
                del self._peers[peer.domain]

    def _probe(self, peer: _Peer) -> None:
        if peer.probing is None:
            peer.probing = self._tasks.spawn(self._probing(peer), f"probing {peer.domain}")

    async def _probing(self, peer: _Peer) -> None:
        """Ping until nobody waits for this server any more."""
        try:
            await self._ping_on(peer)
        finally:
            # Here, and not when the task is done: in between somebody may begin to wait.
            if peer.probing is asyncio.current_task():
                peer.probing = None

    async def _ping_on(self, peer: _Peer) -> None:
        retry_s = _FIRST_RETRY_S
        while peer.waiting or peer.awaited:
            if not peer.waiting and peer.reachable and not peer.silent:
                await self._give_time(peer)
            asked_at = self._clock.monotonic()
            answer = await self._ping(peer.domain)
            self._settle_old(peer)
            if answer.outcome is Ping.ANSWERED:
                retry_s = _FIRST_RETRY_S
                self._answered(peer, asked_at, answer.uptime_s)
                continue
            if self._port.is_up():
                self._silent(peer, answer.outcome)
            # Otherwise our own stream broke, and that says nothing of theirs.
            await self._clock.sleep(retry_s)
            retry_s = min(retry_s * 2, _LONGEST_RETRY_S)

    async def _give_time(self, peer: _Peer) -> None:
        """Until the server must have stored what it got, unless somebody is in a hurry."""
        peer.hurry.clear()
        with contextlib.suppress(TimeoutError):
            await within(self._clock, _SETTLING_S, peer.hurry.wait())

    async def _ping(self, domain: str) -> Pong:
        answer: asyncio.Future[Pong] = asyncio.get_running_loop().create_future()

        def answered(pong: Pong) -> None:
            if not answer.done():
                answer.set_result(pong)

        self._port.ping(domain, answered)
        return await answer

    def _silent(self, peer: _Peer, answer: Ping) -> None:
        log.info("peer_silent", domain=peer.domain, answer=answer.name.lower())
        if answer is Ping.SILENT and not peer.silent and not peer.ever_reached:
            peer.answers_pings = False
        peer.silent, peer.reachable = True, False
        self._resume_all(peer)  # those who still may not write come back

    def _answered(self, peer: _Peer, asked_at: float, uptime_s: int | None) -> None:
        peer.reachable = peer.ever_reached = peer.answers_pings = True
        restarted = self._was_restarted(peer, asked_at, uptime_s)
        if peer.silent or restarted:
            peer.silent = False
            again = self._write_again(peer)
            log.info("peer_back", domain=peer.domain, restarted=restarted, written_again=again)
        else:
            self._take(peer, asked_at - _SETTLING_S)
        self._resume_all(peer)

    def _was_restarted(self, peer: _Peer, asked_at: float, uptime_s: int | None) -> bool:
        if uptime_s is None:
            return False
        before = peer.up_since
        peer.up_since = (asked_at - uptime_s - 1, self._clock.monotonic() - uptime_s)
        if before is None or peer.up_since[0] - _CLOCKS_DIFFER_S <= before[1]:
            return False
        now = self._clock.monotonic()
        peer.restarts = [at for at in peer.restarts if now - at < _RESTARTS_WITHIN_S]
        if len(peer.restarts) >= _RESTARTS:
            return False
        peer.restarts.append(now)
        return True

    def _write_again(self, peer: _Peer) -> int:
        """Its unsettled rows; those that our server has not taken over yet follow when it has."""
        peer.lost_before = self._clock.monotonic()
        rows = peer.take_all()
        if rows:
            self._again(rows)
        return len(rows)

    def _settle_old(self, peer: _Peer) -> None:
        self._take(peer, self._clock.monotonic() - _SETTLE_ANYWAY_S)

    def _take(self, peer: _Peer, written_before: float) -> None:
        done = [row for row in peer.awaited.values() if row.written_at <= written_before]
        for row in done:
            peer.take(row.id)
        self._settle(done)

    def _resume_all(self, peer: _Peer) -> None:
        waiting, peer.waiting = peer.waiting, []
        if waiting:
            self._unblock(waiting)


def _domain(user: UserJid) -> str:
    return user.rpartition("@")[2]
