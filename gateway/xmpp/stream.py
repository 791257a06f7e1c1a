# SPDX-License-Identifier: Apache-2.0
"""XEP-0114: the component's stream for ever: reconnecting, the single exit, liveness.

Rows whose barrier was not answered are written again on the next connection. A server from which
nothing has come for 30 s is pinged too, and one that does not answer for another 30 s is left, so
that it bounces what it would else feed to a dead socket (REQ-914).
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

import structlog

from gateway.adapter import Clock
from gateway.errors import StanzaRefused
from gateway.store.journal import InboundRow
from gateway.tasks import Tasks, is_cancelled, within
from gateway.text import is_clean
from gateway.xmpp.advice import advice_on
from gateway.xmpp.answers import Answers
from gateway.xmpp.barriers import BARRIER_LIMIT_S, Barriers
from gateway.xmpp.codec.xml import Stanza
from gateway.xmpp.connection import Connection, ConnectionFailed, ConnectionHooks
from gateway.xmpp.jid import split
from gateway.xmpp.limits import Rarely
from gateway.xmpp.outbox import MAX_BYTES, Outbox
from gateway.xmpp.requests import RequestIds

log = structlog.get_logger("stream")

MAX_STANZA_BYTES = 256 * 1024
SILENCE_S = 30.0
"""After so long without a word of the server it is pinged."""
_ASK_AGAIN_S = 0.5
_ASKED_IN_VAIN = 60
"""Each answer comes by any of the connections: with ten of them, not one of so many by this one
in 2 of 1,000 cases."""
_MOMENT_S = 0.01
_LOGGED_ID_CHARS = 64
_PING = "<ping xmlns='urn:xmpp:ping'/>"
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
    excessive: Callable[[Element], None]
    """A stanza that is too deep or has too many elements, without its children (REQ-713)."""
    may_answer: Callable[[str], bool]
    """Whether anything more may go to this address (REQ-717)."""
    up: Callable[[], None]
    lost: Callable[[], None]
    taken_over: Callable[[Sequence[InboundRow]], None]


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
        self._outbox: Outbox | None = None
        self._ids = RequestIds(settings.domain, clock)
        self._barriers = Barriers(self._send_barrier, self._barriers_overdue, clock, self._tasks)
        self._requests: dict[str, Callable[[Element | None], None]] = {}
        self._long: set[str] = set()
        self._answers = Answers()
        self._rarely = Rarely()
        self._silence: asyncio.Task[None] | None = None
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
        return (
            self._has_answered
            and not self._stopping
            and self._barriers.has_room
            and self._outbox is not None
            and not self._outbox.congested
        )

    # --- the single exit ------------------------------------------------------------------------

    def send(self, stanza: Stanza, *, unasked: bool = False, fleeting: bool = False) -> None:
        """Write a stanza that is worth no row. Without a stream, answers wait for one.

        A stanza that would end the stream is logged and dropped here, alone (REQ-103 to REQ-106).
        What is ``unasked`` answers nobody: no stanza of a stranger can make more of it (REQ-717).
        What is ``fleeting`` is of no use a moment later.
        """
        try:
            data = self._checked(stanza)
        except StanzaRefused as error:
            self._tell_refused(stanza, error)
            return
        if unasked or self._hooks.may_answer(stanza.to):
            # Availability is state: a newer one follows. Subscriptions are not.
            state = stanza.kind == "presence" and stanza.type in ("", "unavailable")
            if self._up:
                self._write(data, droppable=state)
            elif not (unasked or fleeting or state or self._stopping):
                self._answers.add(data)

    def _tell_refused(self, stanza: Stanza, error: StanzaRefused) -> None:
        """Strangers can choose ids that no answer has room for, and so fill the disk with them."""
        if (unsaid := self._rarely.unsaid(stanza.kind, self._clock.monotonic())) is not None:
            self._log.error(
                "stanza_refused",
                kind=stanza.kind,
                id=stanza.id[:_LOGGED_ID_CHARS],
                reason=str(error),
                unsaid=unsaid,
            )

    def send_row(self, row: InboundRow, stanzas: Sequence[Stanza]) -> None:
        """Write the stanzas of a row. Raises `StanzaRefused`, and then none is written."""
        for data in list(map(self._checked, stanzas)):
            self._write(data)
        self._barriers.written(row)

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

    def _write(self, data: bytes, *, droppable: bool = False) -> None:
        if self._up and self._outbox is not None:
            self._outbox.add(data, droppable=droppable)

    def _pressed(self, congested: bool) -> None:
        """The server stopped or went on reading."""
        outbox = self._outbox
        if outbox is None:
            return
        outbox.congested = congested
        if congested:
            if not self._barriers.is_waiting:
                self._barriers.send()  # from now on it has that long to read again
            return
        if outbox.dropped:
            self._log.warning("presence_dropped", count=outbox.dropped)
            outbox.dropped = 0
        outbox.flush()
        if self.has_room():
            self._hooks.taken_over([])

    def _outbox_full(self) -> None:
        self._log.error("server_does_not_read", waiting_bytes=MAX_BYTES)
        self._drop("the server does not read")

    # --- requests of ours -----------------------------------------------------------------------

    def request(
        self,
        to: str,
        payload: str,
        answered: Callable[[Element | None], None],
        limit_s: float,
        kind: str = "get",
        sender: str = "",
        *,
        is_long: bool = False,
    ) -> None:
        """An IQ from the component, or from another address of ours; ``answered`` gets the reply,
        or None when none came. ``is_long``: the reply may be."""
        request_id = self._ids.new()
        if is_long:
            self._long.add(request_id)
        self._requests[request_id] = answered
        self._tasks.spawn(self._give_up(request_id, limit_s), "request limit")
        sender = sender or self._settings.domain
        self.send(Stanza("iq", sender, to, kind, request_id, payload), unasked=True)

    async def _give_up(self, request_id: str, limit_s: float) -> None:
        await self._clock.sleep(limit_s)
        self._long.discard(request_id)
        answered = self._requests.pop(request_id, None)
        if answered is not None:
            answered(None)

    def take_reply(self, element: Element) -> bool:
        """An IQ result or error: True if it answers a request or a barrier of ours."""
        reply_id = element.get("id", "")
        answered = self._requests.pop(reply_id, None)
        if answered is not None:
            answered(element)
            return True
        if self._barriers.knows(reply_id):
            if element.get("from", "") == self._settings.server_domain:
                self._barrier_answered(reply_id)
            return True
        if element.get("from", "") == self._settings.server_domain:
            self._ids.stray(reply_id)
        return False

    # --- the barrier ----------------------------------------------------------------------------

    def _send_barrier(self) -> str:
        barrier = self._ids.new()
        own, server = self._settings.domain, self._settings.server_domain
        self.send(Stanza("iq", own, server, "get", barrier, _PING), unasked=True)
        return barrier

    def _barriers_overdue(self) -> None:
        if self._connection is not None:
            self._log.error(
                "barrier_overdue",
                seconds=BARRIER_LIMIT_S,
                advice=f"is {self._settings.server_domain} hosted by this server?",
            )
            self._drop("the server did not answer a ping")

    def _barrier_answered(self, barrier: str) -> None:
        rows = self._barriers.answered(barrier)
        if not self._has_answered:
            self._has_answered = True
            self._hooks.up()
        self._hooks.taken_over(rows)

    async def _watch_silence(self, connection: Connection) -> None:
        """Ping a server that says nothing (REQ-914); the barrier's limit does the rest.

        Answers may come by another stream (`gateway.xmpp.neighbours`), any of them. If all of many
        do, then this one takes nothing to us any more.
        """
        asked = 0
        while not connection.ended.is_set():
            patience_s = connection.heard_at + SILENCE_S - self._clock.monotonic()
            if patience_s > _MOMENT_S:
                asked = 0
                await self._clock.sleep(patience_s)
            elif asked >= _ASKED_IN_VAIN:
                self._drop("the server answers by another connection only")
            else:
                if not self._barriers.is_waiting:
                    self._barriers.send()
                    asked += 1
                await self._clock.sleep(_ASK_AGAIN_S)

    def _drop(self, reason: str) -> None:
        if self._connection is not None:
            self._connection.end_reason = reason
            self._connection.drop()

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
                **advice_on(reason, self._settings.domain),
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
            ConnectionHooks(
                ready=self._ready,
                stanza=self._hooks.stanza,
                excessive=self._hooks.excessive,
                may_be_long=self._long.__contains__,
                pressure=self._pressed,
            ),
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
        self._outbox = Outbox(connection.write, self._outbox_full)
        self._up = True
        self._log.info("stream_up")
        self._barriers.send()  # shows at once whether the server answers them (REQ-904)
        for answer in self._answers.take():
            self._write(answer)
        self._silence = self._tasks.spawn(self._watch_silence(connection), "silence")

    def _down(self) -> None:
        if self._connection is None:
            return
        self._connection.drop()
        self._connection = None
        self._up = self._has_answered = False
        if self._outbox is not None:
            self._outbox.clear()
            self._outbox = None
        if self._silence is not None:
            self._silence.cancel()
        self._barriers.reset()
        if not self._stopping:
            self._hooks.lost()

    async def prove(self) -> None:
        """A planned end begins: write no more rows, and prove those that were written."""
        if not self._stopping:
            self._stopping = True
            if self._connection is not None and self._barriers.unproved:
                self._barriers.send()
                await self._proved(self._connection)

    async def stop(self) -> None:
        """A planned end: `prove`, close our half, read to the end."""
        await self.prove()
        connection = self._connection
        if connection is not None:
            self._up = False  # nothing may follow the end of our half
            if self._outbox is not None:
                self._outbox.close()
            await connection.close(_CLOSE_WAIT_S)
        await self._tasks.cancel()

    async def _proved(self, connection: Connection) -> None:
        ways = [
            self._tasks.spawn(self._barriers.all_proved.wait(), "proof"),
            self._tasks.spawn(connection.ended.wait(), "end of the connection"),
        ]
        with contextlib.suppress(TimeoutError):
            first = asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            await within(self._clock, _CLOSE_WAIT_S, first)
        for way in ways:
            way.cancel()
