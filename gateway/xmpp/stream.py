# SPDX-License-Identifier: Apache-2.0
"""XEP-0114: the component's stream for ever: reconnecting, the single exit, the barrier.

XEP-0114 has no acknowledgements. After at most 200 rows or 2 s a ping goes to our own server; its
answer proves that everything written before it was taken over (REQ-903). Rows without that proof
are written again on the next connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

import structlog

from gateway.adapter import Clock
from gateway.bridge.ports import Ping
from gateway.errors import StanzaRefused
from gateway.store.journal import InboundRow
from gateway.tasks import Tasks, is_cancelled, within
from gateway.text import is_clean
from gateway.xmpp.codec.xml import Stanza
from gateway.xmpp.connection import Connection, ConnectionFailed
from gateway.xmpp.jid import split

log = structlog.get_logger("stream")

MAX_STANZA_BYTES = 256 * 1024
WINDOW = 500
"""Rows that may be written without a proof that they were taken over."""
BARRIER_ROWS = 200
BARRIER_S = 2.0
BARRIER_LIMIT_S = 30.0
_PING_LIMIT_S = 30.0
_FIRST_RETRY_S = 1.0
_LONGEST_RETRY_S = 60.0
_HEALTHY_S = 60.0
_CLOSE_WAIT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Where the component connects, and as what."""

    domain: str
    """The component's own."""
    secret: str = field(repr=False)
    host: str
    port: int
    server_domain: str
    """A domain that this very server hosts: barriers go there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamHooks:
    """Whom the stream tells what."""

    stanza: Callable[[Element], None]
    up: Callable[[], None]
    lost: Callable[[], None]
    taken_over: Callable[[Sequence[InboundRow]], None]


@dataclass(frozen=True, slots=True)
class _Barrier:
    id: str
    rows: int
    """How many rows of the window its answer proves, after those of earlier barriers."""
    sent_at: float


class Stream:
    """One component's stream."""

    def __init__(self, settings: ServerSettings, hooks: StreamHooks, clock: Clock) -> None:
        self._settings = settings
        self._hooks = hooks
        self._clock = clock
        self._log = log.bind(domain=settings.domain)
        self._tasks = Tasks(f"stream {settings.domain}")
        self._connection: Connection | None = None
        self._stopping = False
        self._buffer: list[bytes] = []
        self._window: deque[InboundRow] = deque()
        self._all_proved = asyncio.Event()
        self._barriers: deque[_Barrier] = deque()
        self._barrier_watch: asyncio.Task[None] | None = None
        self._unbarriered = 0
        self._barrier_timer: asyncio.Task[None] | None = None
        self._answers: dict[str, Callable[[Element | None], None]] = {}
        self._up = False
        self._has_answered = False
        """The server has answered a barrier on this connection, and before that it has told what
        it grants (REQ-1001)."""

    @property
    def is_up(self) -> bool:
        """The handshake is done and the connection stands."""
        return self._up and not self._stopping

    def has_room(self) -> bool:
        """Rows may be written."""
        return self._has_answered and not self._stopping and len(self._window) < WINDOW

    # --- the single exit ------------------------------------------------------------------------

    def send(self, stanza: Stanza) -> None:
        """Write a stanza that nobody waits for. Without a stream it is dropped.

        A stanza that would end the stream is logged and dropped here, alone (REQ-103 to REQ-106).
        """
        try:
            data = self._checked(stanza)
        except StanzaRefused as error:
            self._log.error("stanza_refused", kind=stanza.kind, id=stanza.id, reason=str(error))
        else:
            self._write(data)

    def send_row(self, row: InboundRow, stanza: Stanza) -> None:
        """Write the stanza of a row. Raises `StanzaRefused`."""
        self._write(self._checked(stanza))
        self._window.append(row)
        self._unbarriered += 1
        if self._unbarriered >= BARRIER_ROWS:
            self._barrier()
        elif self._barrier_timer is None:
            self._barrier_timer = self._tasks.spawn(self._barrier_soon(), "barrier timer")

    def _checked(self, stanza: Stanza) -> bytes:
        if split(stanza.sender).domain != self._settings.domain:
            raise StanzaRefused("its sender is not of our domain")
        if not stanza.to:
            raise StanzaRefused("it has no addressee")
        text = str(stanza)
        if not is_clean(text):
            raise StanzaRefused("it has characters that XML does not allow")
        data = text.encode()
        if len(data) > MAX_STANZA_BYTES:
            raise StanzaRefused(f"it has {len(data)} bytes")
        return data

    def _write(self, data: bytes) -> None:
        if not self._up:
            return
        if not self._buffer:
            asyncio.get_running_loop().call_soon(self._flush)
        self._buffer.append(data)

    def _flush(self) -> None:
        data, self._buffer = b"".join(self._buffer), []
        if self._connection is not None and data:
            self._connection.write(data)

    # --- requests of ours -----------------------------------------------------------------------

    def request(
        self, to: str, payload: str, answered: Callable[[Element | None], None], limit_s: float
    ) -> None:
        """An IQ get from the component; ``answered`` gets the reply, or None when none came."""
        request_id = secrets.token_hex(12)
        self._answers[request_id] = answered
        self._tasks.spawn(self._give_up(request_id, limit_s), "request limit")
        self.send(Stanza("iq", self._settings.domain, to, "get", request_id, payload))

    def ping(self, domain: str, answered: Callable[[Ping], None]) -> None:
        """Ping another server. Any answer counts, unless ours answers for it (REQ-905)."""

        def reply(element: Element | None) -> None:
            if element is None or split(element.get("from", "")).domain != domain:
                answered(Ping.SILENT)
            elif any("remote-server" in child.tag for child in element.iter()):
                answered(Ping.UNREACHABLE)
            else:
                answered(Ping.ANSWERED)

        self.request(domain, "<ping xmlns='urn:xmpp:ping'/>", reply, _PING_LIMIT_S)

    async def _give_up(self, request_id: str, limit_s: float) -> None:
        await self._clock.sleep(limit_s)
        answered = self._answers.pop(request_id, None)
        if answered is not None:
            answered(None)

    def take_reply(self, element: Element) -> bool:
        """An IQ result or error: True if it answers a request or a barrier of ours."""
        reply_id = element.get("id", "")
        answered = self._answers.pop(reply_id, None)
        if answered is not None:
            answered(element)
            return True
        if any(barrier.id == reply_id for barrier in self._barriers):
            if element.get("from", "") == self._settings.server_domain:
                self._barrier_answered(reply_id)
            return True
        return False

    # --- the barrier ----------------------------------------------------------------------------

    async def _barrier_soon(self) -> None:
        await self._clock.sleep(BARRIER_S)
        self._barrier_timer = None
        if self._unbarriered:
            self._barrier()

    def _barrier(self) -> None:
        barrier = secrets.token_hex(16)
        now = self._clock.monotonic()
        self._barriers.append(_Barrier(barrier, self._unbarriered, now))
        self._unbarriered = 0
        self.send(
            Stanza(
                "iq",
                self._settings.domain,
                self._settings.server_domain,
                "get",
                barrier,
                "<ping xmlns='urn:xmpp:ping'/>",
            )
        )
        if self._barrier_watch is None:
            self._barrier_watch = self._tasks.spawn(self._watch_barriers(), "barrier limit")

    async def _watch_barriers(self) -> None:
        while self._barriers:
            oldest = self._barriers[0]
            await self._clock.sleep(oldest.sent_at + BARRIER_LIMIT_S - self._clock.monotonic())
            if self._barriers and self._barriers[0] is oldest:
                self._barriers_overdue()
                break
        self._barrier_watch = None

    def _barriers_overdue(self) -> None:
        if self._connection is not None:
            self._log.error(
                "barrier_overdue",
                seconds=BARRIER_LIMIT_S,
                advice=f"is {self._settings.server_domain} hosted by this server?",
            )
            self._connection.end_reason = "the server did not answer a ping"
            self._connection.drop()

    def _barrier_answered(self, barrier: str) -> None:
        """Barriers are answered in order, so an answer proves all earlier ones too."""
        proved = 0
        while self._barriers:
            oldest = self._barriers.popleft()
            proved += oldest.rows
            if oldest.id == barrier:
                break
        rows_taken = [self._window.popleft() for _ in range(proved)]
        if not self._has_answered:
            self._has_answered = True
            self._hooks.up()
        self._hooks.taken_over(rows_taken)
        if not self._window:
            self._all_proved.set()

    # --- the life of the stream -----------------------------------------------------------------

    async def run(self) -> None:
        """Keep connected until `stop`."""
        retry_s = _FIRST_RETRY_S
        while not self._stopping:
            connected_at = None
            try:
                connection = await self._connect()
                connected_at = self._clock.monotonic()
                await connection.ended.wait()
                reason, conflict = connection.end_reason, connection.conflict
            except ConnectionFailed as error:
                reason, conflict = str(error), error.conflict
            except (asyncio.CancelledError, Exception):
                if is_cancelled():
                    raise
                self._log.exception("stream_failed")
                reason, conflict = "internal error", False
            self._down()
            if self._stopping:
                return
            if connected_at is not None and self._clock.monotonic() - connected_at >= _HEALTHY_S:
                retry_s = _FIRST_RETRY_S
            if conflict:
                retry_s = _LONGEST_RETRY_S
            wait_s = random.uniform(0.5, 1.0) * retry_s
            self._log.warning(
                "stream_down",
                reason=reason,
                again_in_s=round(wait_s, 1),
                **({"alarm": "is a second gateway running?"} if conflict else {}),
            )
            await self._clock.sleep(wait_s)
            retry_s = min(retry_s * 2, _LONGEST_RETRY_S)

    async def _connect(self) -> Connection:
        settings = self._settings
        connection = Connection(
            settings.domain,
            settings.secret,
            (settings.host, settings.port),
            self._ready,
            self._hooks.stanza,
            self._clock,
        )
        try:
            await connection.open()
        except BaseException:
            connection.drop()
            raise
        return connection

    def _ready(self, connection: Connection) -> None:
        self._connection = connection
        self._up = True
        self._log.info("stream_up")
        self._barrier()  # shows at once whether the server answers barriers (REQ-904)

    def _down(self) -> None:
        if self._connection is None:
            return
        self._connection.drop()
        self._connection = None
        self._up = self._has_answered = False
        self._buffer.clear()
        self._window.clear()
        self._barriers.clear()
        self._unbarriered = 0
        self._hooks.lost()

    async def stop(self) -> None:
        """A planned end: prove what was written, close our half, read to the end."""
        self._stopping = True
        connection = self._connection
        if connection is not None:
            if self._window:
                self._all_proved.clear()
                self._barrier()
                await self._proved(connection)
            self._flush()
            self._up = False  # nothing may follow the end of our half
            await connection.close(_CLOSE_WAIT_S)
        await self._tasks.cancel()

    async def _proved(self, connection: Connection) -> None:
        ways = [
            self._tasks.spawn(self._all_proved.wait(), "proof"),
            self._tasks.spawn(connection.ended.wait(), "end of the connection"),
        ]
        with contextlib.suppress(TimeoutError):
            first = asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            await within(self._clock, _CLOSE_WAIT_S, first)
        for way in ways:
            way.cancel()
