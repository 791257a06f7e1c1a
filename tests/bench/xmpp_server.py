# SPDX-License-Identifier: Apache-2.0
"""A server for one component: takes its handshake, answers its pings, counts what it delivers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any
from xml.etree.ElementTree import Element, XMLPullParser

from tests.bench import stanzas

_ACCEPT = "{jabber:component:accept}"
_BODY = f"{_ACCEPT}body"
_RECEIVED = "{urn:xmpp:receipts}received"
_LINK = "{jabber:x:oob}x/{jabber:x:oob}url"
_PING = "{urn:xmpp:ping}ping"
_UNKNOWN = (
    "<error type='cancel'>"
    "<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
)


class FakeServer(asyncio.Protocol):
    """One connection at a time."""

    def __init__(self) -> None:
        self.up_at = 0.0
        """Monotonic time of the last handshake."""
        self.up = asyncio.Event()
        self.on_message: Callable[[str, bool], None] = lambda sender, receipt: None
        """Called with the sender's localpart for each message and for each receipt."""
        self.on_presence: Callable[[str], None] = lambda sender: None
        """Called with the sender's localpart for each available presence."""
        self.on_invitation: Callable[[str], None] = lambda room: None
        """Called with the address of a room into which a user is invited."""
        self.on_entered: Callable[[str], None] = lambda session: None
        """Called with the address of a session that has joined a room."""
        self.on_left: Callable[[str], None] = lambda session: None
        """Called with the address of a session that is told that somebody is in a room no more."""
        self.on_said: Callable[[str, str], None] = lambda session, body: None
        """Called with the address of a session and each text that it is told in a room."""
        self.on_link: Callable[[str], None] = lambda url: None
        """Called with the address of each file that a user is told of (XEP-0066)."""
        self._transport: asyncio.Transport
        self._parser: XMLPullParser[Any] = XMLPullParser(("start", "end"))
        self._depth = 0
        self._root: Element | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The component is there."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._parser = XMLPullParser(("start", "end"))
        self._depth = 0
        self._root = None

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self.up.clear()

    def data_received(self, data: bytes) -> None:
        """Read its stanzas."""
        self._parser.feed(data)
        for event, element in stanzas.events(self._parser):
            if event == "start":
                self._depth += 1
                if self._root is None:
                    self._root = element
                    self.write(stanzas.OPENING)
                continue
            self._depth -= 1
            if self._depth == 0:
                self._transport.close()
            elif self._depth == 1:
                self._take(element)
                if self._root is not None:
                    self._root.clear()

    def write(self, data: bytes) -> None:
        """Write to the component."""
        self._transport.write(data)

    def _take(self, element: Element) -> None:
        kind = element.tag.removeprefix(_ACCEPT)
        if kind == "message":
            self._hear(element)
        elif kind == "presence" and element.get("type") is None:
            self.on_presence(element.get("from", "").partition("@")[0])
        elif kind == "presence" and element.get("type") == "unavailable":
            self.on_left(element.get("to", ""))
        elif kind == "iq" and element.get("type") in ("get", "set"):
            known = element.find(_PING) is not None
            reply = (
                f"<iq type='{'result' if known else 'error'}' id='{element.get('id')}'"
                f" from='{element.get('to')}' to='{element.get('from')}'>"
                f"{'' if known else _UNKNOWN}</iq>"
            )
            self.write(reply.encode())
        elif kind == "handshake":
            self.write(stanzas.HANDSHAKE)
            self.up_at = time.monotonic()
            self.up.set()

    def _hear(self, element: Element) -> None:
        localpart = element.get("from", "").partition("@")[0]
        if (body := element.find(_BODY)) is not None:
            self.on_message(localpart, False)
            if (url := element.findtext(_LINK)) is not None:
                self.on_link(url)
            if element.get("type") == "groupchat":
                self.on_said(element.get("to", ""), body.text or "")
        elif element.find(_RECEIVED) is not None:
            self.on_message(localpart, True)
        elif (invitation := element.find("{jabber:x:conference}x")) is not None:
            self.on_invitation(invitation.get("jid", ""))
        elif element.find(f"{_ACCEPT}subject") is not None:
            self.on_entered(element.get("to", ""))
