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
from collections.abc import Callable
from typing import Any
from xml.etree.ElementTree import Element

from slixmpp import ComponentXMPP

from gateway.adapter import Clock
from gateway.tasks import within
from gateway.xmpp.codec.incoming import ACCEPT

# slixmpp logs contents, and the handshake's digest, at several levels.
logging.getLogger("slixmpp").setLevel(logging.CRITICAL + 1)

_STANZAS = frozenset({f"{ACCEPT}message", f"{ACCEPT}presence", f"{ACCEPT}iq"})
_HANDSHAKE_LIMIT_S = 20.0


class ConnectionFailed(Exception):
    """No usable stream. ``conflict``: another connection of this component is there."""

    def __init__(self, reason: str, *, conflict: bool = False) -> None:
        super().__init__(reason)
        self.conflict = conflict


class Connection(ComponentXMPP):
    """A component stream from connect to end."""

    def __init__(
        self,
        domain: str,
        secret: str,
        address: tuple[str, int],
        on_ready: Callable[[Connection], None],
        on_stanza: Callable[[Element], None],
        clock: Clock,
    ) -> None:
        super().__init__(domain, secret, *address)  # type: ignore[no-untyped-call]
        self._on_ready = on_ready
        self._on_stanza = on_stanza
        self._clock = clock
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

    # --- slixmpp's side -------------------------------------------------------------------------

    def _spawn_event(self, xml: Element) -> None:
        if xml.tag in _STANZAS:
            self._on_stanza(xml)
        else:
            super()._spawn_event(xml)

    def reschedule_connection_attempt(self) -> None:
        """slixmpp would try again by itself; the stream does that, with its own back-off."""

    def _started(self, _: Any) -> None:
        # Stanzas may follow the handshake in the same read: everything must stand before them.
        if not self._ready.done():
            self._ready.set_result(None)
            self._on_ready(self)

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
