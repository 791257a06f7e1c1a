# SPDX-License-Identifier: Apache-2.0
"""XEP-0114: one connection of one component to its server. slixmpp does the handshake.

Stanzas bypass slixmpp's handlers: they are handed on as parsed elements, which is some twenty
times faster and does not lose those whose JIDs the library refuses. A connection is used once; the
next attempt is a new object, so nothing of a broken stream survives.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast
from xml.etree.ElementTree import Element, ParseError

from slixmpp import ComponentXMPP
from slixmpp.xmlstream import xmlstream

from gateway.adapter import Clock
from gateway.tasks import within
from gateway.xmpp.codec.incoming import ACCEPT

# slixmpp logs contents, and the handshake's digest, at several levels.
logging.getLogger("slixmpp").setLevel(logging.CRITICAL + 1)

_STANZAS = frozenset({f"{ACCEPT}message", f"{ACCEPT}presence", f"{ACCEPT}iq"})
_HANDSHAKE_LIMIT_S = 20.0
MAX_DEPTH = 100
"""Elements in one another, within one stanza (REQ-713)."""
MAX_ELEMENTS = 10_000
"""Of one stanza (REQ-713)."""
MAX_ELEMENTS_OF_LISTS = 200_000
"""Of an answer that we have asked for, and that may be long: the contact list of a user."""
_STANZA_DEPTH = 2
_HIGH_WATER = 256 * 1024
"""Bytes that the socket has not taken: from here on stanzas wait in the `Outbox`."""
_LOW_WATER = 64 * 1024
_READ_BYTES = 16 * 1024
"""What is handled in one go: some hundred stanzas, and others have their turn of the loop."""
_PROLOG_BYTES = 4096
_HEADER = re.compile(rb"\s*(<\?xml[^<>]*\?>)?\s*<[A-Za-z_]")
"""How a stream begins: without a DTD, and so without entities (RFC 6120 §11.1, REQ-713)."""
_ENCODING = re.compile(rb"encoding\s*=\s*.(?!utf-8.)", re.IGNORECASE)
"""Another encoding than RFC 6120 §11.6 allows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionHooks:
    """Whom a connection tells what."""

    ready: Callable[[Connection], None]
    """The server has accepted the handshake."""
    stanza: Callable[[Element], None]
    excessive: Callable[[Element], None]
    """A stanza that is too deep or has too many elements; its children are gone (REQ-713)."""
    may_be_long: Callable[[str], bool]
    """Whether a stanza with this id is an answer that may be long."""
    pressure: Callable[[bool], None]
    """The server stopped (True) or went on (False) taking what we write."""


class ConnectionFailed(Exception):
    """No usable stream. ``conflict``: another connection of this component is there."""

    def __init__(self, reason: str, *, conflict: bool = False) -> None:
        super().__init__(reason)
        self.conflict = conflict


class _WithoutCertificates:
    """Stands for the module `ssl` while slixmpp makes an object.

    It reads the certificates of the whole system twice for each, which holds the loop for 50 ms
    and more. A component has no TLS (XEP-0114 §4), and slixmpp gives no way to say so.
    """

    CERT_REQUIRED = ssl.CERT_REQUIRED

    class _Context(ssl.SSLContext):
        def set_default_verify_paths(self) -> None:
            """Read nothing."""

    @classmethod
    def create_default_context(cls) -> ssl.SSLContext:
        """A context that trusts nobody."""
        return cls._Context(ssl.PROTOCOL_TLS_CLIENT)


@contextlib.contextmanager
def _no_certificates() -> Iterator[None]:
    of_slixmpp = cast("Any", xmlstream)
    of_slixmpp.ssl = _WithoutCertificates
    try:
        yield
    finally:
        of_slixmpp.ssl = ssl


class Connection(ComponentXMPP, asyncio.BufferedProtocol):
    """A component stream from connect to end."""

    def __init__(
        self,
        domain: str,
        secret: str,
        address: tuple[str, int],
        hooks: ConnectionHooks,
        clock: Clock,
    ) -> None:
        with _no_certificates():
            super().__init__(domain, secret, *address)  # type: ignore[no-untyped-call]
        self._hooks = hooks
        self._clock = clock
        self._read_into = memoryview(bytearray(_READ_BYTES))
        self._opening: bytes | None = b""
        """What came before the root element was complete; None after that."""
        self._elements = 0
        self._excessive = False
        self._most = MAX_ELEMENTS
        self.heard_at = clock.monotonic()
        """When the server last sent anything; monotonic."""
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.ended = asyncio.Event()
        self.end_reason = "the server closed the stream"
        self._conflict = False
        self.add_event_handler("session_start", self._started)
        self.add_event_handler("stream_error", self._stream_error)
        self.add_event_handler("disconnected", self._ended)

    async def open(self) -> None:
        """Connect and shake hands. Raises `ConnectionFailed`."""
        try:
            await within(self._clock, _HANDSHAKE_LIMIT_S, self._shake_hands())
        except TimeoutError:
            raise ConnectionFailed("the server does not answer the handshake") from None

    async def _shake_hands(self) -> None:
        await self.connect()
        if not self.is_connected():
            raise ConnectionFailed("the server cannot be reached")
        await self._ready

    def write(self, data: bytes) -> None:
        """Write to the socket; nothing is kept when the connection is gone."""
        if self.transport is not None and not self.ended.is_set():
            self.transport.write(data)

    async def close(self, wait_s: float) -> None:
        """Close our half, read what the server still sends, and end."""
        if self.transport is not None and not self.ended.is_set():
            self.send_raw(self.stream_footer)
            with contextlib.suppress(TimeoutError):
                await within(self._clock, wait_s, self.ended.wait())
        self.drop()

    def drop(self) -> None:
        """End at once."""
        self.abort()
        self.ended.set()
        if self._run_out_filters is not None:
            self._run_out_filters.cancel()

    # --- the socket's side ----------------------------------------------------------------------

    def connection_made(self, transport: Any, send_event: bool = True) -> None:
        """See `asyncio.Protocol.connection_made`."""
        transport.set_write_buffer_limits(_HIGH_WATER, _LOW_WATER)
        super().connection_made(transport, send_event)

    def pause_writing(self) -> None:
        """See `asyncio.Protocol.pause_writing`."""
        self._hooks.pressure(True)

    def resume_writing(self) -> None:
        """See `asyncio.Protocol.resume_writing`."""
        self._hooks.pressure(False)

    def get_buffer(self, sizehint: int) -> memoryview:
        """See `asyncio.BufferedProtocol.get_buffer`."""
        return self._read_into

    def buffer_updated(self, nbytes: int) -> None:
        """See `asyncio.BufferedProtocol.buffer_updated`."""
        self.data_received(bytes(self._read_into[:nbytes]))

    def data_received(self, data: bytes | str) -> None:
        """What slixmpp does, with bounds on a stanza, and without its answers to bad XML."""
        self.heard_at = self._clock.monotonic()
        if self._opening is not None:
            data = self._opened(data)
        if self.parser is None or not data:
            return
        self.parser.feed(data)
        try:
            self._read(cast("Iterator[tuple[str, Element]]", self.parser.read_events()))
        except ParseError:
            self._give_up("the server sent what is not XML")

    def _opened(self, data: bytes | str) -> bytes:
        """All that has come, once it is the beginning of a stream; nothing before."""
        assert self._opening is not None
        self._opening = begun = self._opening + (
            data if isinstance(data, bytes) else data.encode()
        )
        header = _HEADER.match(begun)
        if header is None and (b"<!" in begun or len(begun) > _PROLOG_BYTES):
            self._give_up("the server does not speak XMPP")
        elif header is not None and header[1] and _ENCODING.search(header[1]):
            self._give_up("the server does not speak UTF-8")
        elif header is not None:
            self._opening = None
            return begun
        return b""

    def _give_up(self, reason: str) -> None:
        self.end_reason = reason
        self.drop()

    def _read(self, events: Iterator[tuple[str, Element]]) -> None:
        for event, element in events:
            if event == "start":
                if self.xml_depth == 0:
                    self.xml_root = element
                    self.start_stream_handler(element)  # type: ignore[no-untyped-call]
                self.xml_depth += 1
                self._elements += 1
                if self.xml_depth == _STANZA_DEPTH:
                    is_long = self._hooks.may_be_long(element.get("id", ""))
                    self._most = MAX_ELEMENTS_OF_LISTS if is_long else MAX_ELEMENTS
                if self._elements > self._most or self.xml_depth > MAX_DEPTH + 1:
                    self._excessive = True
                continue
            self.xml_depth -= 1
            if self.xml_depth == 1:
                self._complete(element)
            elif self.xml_depth == 0:
                self.abort()
                return
            elif self._excessive:
                element.clear()  # so that it costs no memory either

    def _complete(self, stanza: Element) -> None:
        excessive, self._excessive, self._elements = self._excessive, False, 0
        if excessive:
            del stanza[:]
            self._hooks.excessive(stanza)
        elif stanza.tag in _STANZAS:
            self._hooks.stanza(stanza)
        else:
            self._spawn_event(stanza)
        if self.xml_root is not None:
            self.xml_root.clear()

    # --- slixmpp's side -------------------------------------------------------------------------

    def reschedule_connection_attempt(self) -> None:
        """slixmpp would try again by itself; the stream does that, with its own back-off."""

    def _started(self, _: Any) -> None:
        # Stanzas may follow the handshake in the same read: everything must stand before them.
        if not self._ready.done():
            self._ready.set_result(None)
            self._hooks.ready(self)

    def _stream_error(self, error: Any) -> None:
        condition = error["condition"]
        self._conflict = condition == "conflict"
        self.end_reason = f"stream error {condition}"

    def _ended(self, _: Any) -> None:
        self.ended.set()
        if not self._ready.done():
            self._ready.set_exception(ConnectionFailed(self.end_reason, conflict=self._conflict))

    @property
    def conflict(self) -> bool:
        """The server ended the stream because of another connection."""
        return self._conflict
