# SPDX-License-Identifier: Apache-2.0
"""The server's side of a component stream (XEP-0114), as well-behaved or not as a test wants."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast
from xml.etree.ElementTree import Element, ParseError, XMLPullParser

from tests.scenario.patterns import ACCEPT, shown
from tests.scenario.uploads import UPLOAD, FakeUploads

STREAMS = "http://etherx.jabber.org/streams"
_PING = "{urn:xmpp:ping}ping"
_LAST = "{jabber:iq:last}query"


@dataclass(slots=True)
class FakeServer:
    """Hosts ``host``, and has one component. Listens on a free loopback port.

    A second component may connect too; it is seen by `streams` alone.
    """

    host: str
    component: str
    secret: str
    received: asyncio.Queue[Element] = field(default_factory=asyncio.Queue)
    """Stanzas of the gateway, without the barriers."""
    answers_barriers: bool = True
    others: str = "are shown"
    """What becomes of pings to other servers: they are received like all else, or ``answer``,
    ``are silent``, or ``are away`` and this server says so."""
    uptime_s: int = 86_400
    """So long ago this server was started."""
    tells_uptime: bool = True
    """It answers who asks for that."""
    grants: str = ""
    """What it tells on each stream of what the component may do: as late as it can, before it
    answers for the first time."""
    refusal: str = ""
    """A stream error that answers the handshake, or ``close`` after the header."""
    prolog: str = "<?xml version='1.0'?>"
    shows_probes: bool = False
    """Probes of our users are received like all else; otherwise only `probes` has them."""
    probes: list[str] = field(default_factory=list)
    """Who was asked for, by whom."""
    mute: bool = False
    """Connections are taken, and nothing is ever said."""
    closes: bool = True
    """A stream that the gateway ends is ended by the server too."""
    attempts: int = 0
    """Connections so far."""
    barriers: list[str] = field(default_factory=list)
    """Ids of the barriers that came on this stream."""
    held: list[str] = field(default_factory=list)
    """Those among them that were not answered."""
    digests: list[str] = field(default_factory=list)
    ended_well: bool = False
    """The gateway has closed its half of the stream."""
    uploads: FakeUploads | None = None
    """A service of this server for files."""
    wrapped: list[Element] = field(default_factory=list)
    """IQs that it was to pass on in the names of users."""
    port: int = 0
    violations: list[str] = field(default_factory=list)
    """What a real server would have closed the stream for."""
    up: asyncio.Event = field(default_factory=asyncio.Event)
    streams: dict[str, asyncio.StreamWriter] = field(default_factory=dict)
    """The connection of each component."""
    answers_by: str = ""
    """The component by whose connection barriers are answered, as ejabberd does at random."""
    _hosts: dict[asyncio.StreamWriter, str] = field(default_factory=dict)
    _server: asyncio.Server | None = None
    _writer: asyncio.StreamWriter | None = None
    _all: set[asyncio.StreamWriter] = field(default_factory=set)
    _serving: set[asyncio.Task[None]] = field(default_factory=set)

    async def start(self) -> None:
        """Listen, on the port of before if there was one."""
        self._server = await asyncio.start_server(
            self._connected, "127.0.0.1", self.port, limit=1 << 24
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Cut everything and listen no longer."""
        if self._server is not None:
            self._server.close()
            self.cut()
            if self._serving:
                await asyncio.wait(set(self._serving))
            await self._server.wait_closed()
            self._server = None

    @property
    def listens(self) -> bool:
        """Connections are possible."""
        return self._server is not None

    def cut(self) -> None:
        """Drop the connection without a word."""
        self.up.clear()
        for writer in list(self._all):
            writer.transport.abort()

    def freeze(self) -> None:
        """Neither read nor speak, on an open connection: it hangs, or its machine is gone."""
        assert self._writer is not None, "the gateway is not connected"
        self._writer.transport.pause_reading()  # type: ignore[attr-defined]

    def thaw(self) -> None:
        """Go on with what came meanwhile."""
        assert self._writer is not None, "the gateway is not connected"
        self._writer.transport.resume_reading()  # type: ignore[attr-defined]

    # --- what the server does -------------------------------------------------------------------

    def send(self, xml: str) -> None:
        """Write to the gateway."""
        assert self._writer is not None, "the gateway is not connected"
        self._writer.write(xml.encode())

    async def send_in_pieces(self, xml: str, size: int) -> None:
        """Write so that stanzas arrive in pieces, and letters too."""
        assert self._writer is not None, "the gateway is not connected"
        data = xml.encode()
        for start in range(0, len(data), size):
            self._writer.write(data[start : start + size])
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    def stream_error(self, condition: str) -> None:
        """End the stream as a server does."""
        self.send(
            f"<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
            "</stream:error></stream:stream>"
        )

    def answer_barriers(self) -> None:
        """From now on, and those that were held."""
        self.answers_barriers = True
        if self._writer is None:
            self.held.clear()
        held, self.held = self.held, []
        for barrier in held:
            self._answer(barrier, self.component)

    def cut_one(self, stream: str) -> None:
        """Drop the connection of this component alone."""
        self.streams[stream].transport.abort()

    def send_by(self, stream: str, xml: str) -> None:
        """Write to the gateway by the connection of this component."""
        self.streams[stream].write(xml.encode())

    def _answer(self, barrier: str, to: str) -> None:
        answer = f"<iq type='result' from='{self.host}' to='{to}' id='{barrier}'/>"
        self.send_by(self.answers_by or to, answer)

    # --- the stream -----------------------------------------------------------------------------

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        self._all.add(writer)
        self.attempts += 1
        try:
            await self._serve(reader, writer)
        except ConnectionError:
            pass
        except ParseError as error:
            self.violations.append(f"not well-formed: {error}")
            writer.transport.abort()
        finally:
            self._all.discard(writer)
            host = self._hosts.pop(writer, "")
            if self.streams.get(host) is writer:
                del self.streams[host]
            if self._writer is writer:
                self._writer = None
                self.up.clear()
            writer.close()
            self._serving.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        parser: XMLPullParser[Element] = XMLPullParser(("start", "end"))
        depth = 0
        root: Element | None = None
        while data := await reader.read(1 << 16):
            if self.mute:
                continue
            parser.feed(data)
            for event, element in cast("Iterator[tuple[str, Element]]", parser.read_events()):
                if event == "start":
                    if depth == 0:
                        root = element
                        self._open(writer, element.get("to", ""))
                        if self.refusal == "close":
                            return
                    depth += 1
                    continue
                depth -= 1
                if depth == 1:
                    self._take(element, writer)
                    assert root is not None
                    root.clear()
                elif depth == 0:
                    self.ended_well = True
                    if not self.closes:
                        continue
                    writer.write(b"</stream:stream>")
                    return

    def _open(self, writer: asyncio.StreamWriter, component: str) -> None:
        self._hosts[writer] = component
        if component == self.component:
            self.barriers.clear()
            self.held.clear()
            self.ended_well = False
        writer.write(
            f"{self.prolog}<stream:stream xmlns='jabber:component:accept'"
            f" xmlns:stream='{STREAMS}' from='{component}' id='s{self.attempts}'>".encode()
        )

    def _take(self, element: Element, writer: asyncio.StreamWriter) -> None:
        if element.tag == f"{ACCEPT}handshake":
            self._shake_hands(element.text or "", writer)
        elif self._is_barrier(element):
            barrier, host = element.get("id", ""), self._hosts[writer]
            self.barriers.append(barrier)
            if self.answers_barriers or host != self.component:
                self._answer(barrier, host)
            else:
                self.held.append(barrier)
        elif self._asks_uptime(element) and element.get("to") == self.host:
            self._judge(element, writer)
            if self.tells_uptime:
                self._tell_uptime(element)
        elif element.get("type") == "probe" and not self.shows_probes:
            self._judge(element, writer)
            self.probes.append(f"{element.get('from')} -> {element.get('to')}")
        elif self.others != "are shown" and self._asks_uptime(element):
            if self.others != "are silent":
                self._pong(element)
        else:
            self._judge(element, writer)
            self._receive(element)

    def _receive(self, element: Element) -> None:
        if element.find("{urn:xmpp:privilege:2}privileged_iq") is not None:
            self.wrapped.append(element)
        if self.uploads is None or element.get("to") != UPLOAD:
            self.received.put_nowait(element)
        elif (answer := self.uploads.answer(element)) is not None:
            self.send(answer)

    def _tell_uptime(self, question: Element) -> None:
        if self.grants:
            self.send(f"<message from='{self.host}' to='{self.component}'>{self.grants}</message>")
        self.send_by(
            str(question.get("from")),
            f"<iq type='result' from='{self.host}' to='{question.get('from')}'"
            f" id='{question.get('id')}'>"
            f"<query xmlns='jabber:iq:last' seconds='{self.uptime_s}'/></iq>",
        )

    def _pong(self, ping: Element) -> None:
        addresses = f"from='{ping.get('to')}' to='{self.component}' id='{ping.get('id')}'"
        if self.others == "answer":
            self.send(f"<iq type='result' {addresses}/>")
        else:
            self.send(
                f"<iq type='error' {addresses}><error type='wait'><remote-server-timeout"
                " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
            )

    def _shake_hands(self, digest: str, writer: asyncio.StreamWriter) -> None:
        expected = hashlib.sha1(
            f"s{self.attempts}{self.secret}".encode(), usedforsecurity=False
        ).hexdigest()
        self.digests.append(expected)
        host = self._hosts[writer]
        self.streams[host] = writer
        if host == self.component:
            self._writer = writer
        if self.refusal or digest != expected:
            self.stream_error(self.refusal or "not-authorized")
        else:
            writer.write(b"<handshake/>")
            if host == self.component:
                self.up.set()

    def _is_barrier(self, element: Element) -> bool:
        return self._is_ping(element) and element.get("to") == self.host

    def _asks_uptime(self, element: Element) -> bool:
        return element.get("type") == "get" and element.find(_LAST) is not None

    def _is_ping(self, element: Element) -> bool:
        return element.get("type") == "get" and element.find(_PING) is not None

    def _judge(self, element: Element, writer: asyncio.StreamWriter) -> None:
        """Prosody and ejabberd end the stream for these (REQ-103)."""
        domain = element.get("from", "").partition("/")[0].rpartition("@")[2]
        if domain != self._hosts[writer] or not element.get("to"):
            self.violations.append(shown(element))
