"""An XMPP client that does what it is told and remembers what it received."""

import asyncio
import copy
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape, quoteattr

import slixmpp
from slixmpp.xmlstream import StanzaBase

from .inbox import Inbox
from .ports import LOOPBACK
from .process import PeerError

RECEIPTS = "urn:xmpp:receipts"
CHAT_STATES = "http://jabber.org/protocol/chatstates"
MARKERS = "urn:xmpp:chat-markers:0"
REPLACE = "urn:xmpp:message-correct:0"
ROSTER = "jabber:iq:roster"

_LOST_S = 2
"""So long a connection that was cut may take to be over."""

ChatState = Literal["active", "composing", "paused", "inactive", "gone"]


class _Stream(slixmpp.ClientXMPP):
    """slixmpp without its own part in subscriptions: it would approve, subscribe back, answer."""

    def _ignore(self, presence: object) -> None:
        pass

    _handle_subscribe = _handle_subscribed = _ignore
    _handle_unsubscribe = _handle_unsubscribed = _ignore
    _handle_new_subscription = _ignore


class Stanza:
    """One received stanza, as it was on the wire."""

    def __init__(self, xml: ET.Element) -> None:
        """Keep a copy: slixmpp's handlers may change what they are given."""
        self.xml = copy.deepcopy(xml)

    @property
    def kind(self) -> str:
        """One of message, presence, iq."""
        return self.xml.tag.rpartition("}")[2]

    @property
    def id(self) -> str:
        """The stanza's id, or an empty string."""
        return self.xml.get("id", "")

    @property
    def sender(self) -> str:
        """The full JID in `from`."""
        return self.xml.get("from", "")

    @property
    def sender_bare(self) -> str:
        """The sender without the resource."""
        return self.sender.partition("/")[0]

    @property
    def type(self) -> str:
        """The type; a presence or message without one has its default."""
        default = {"presence": "available", "message": "normal"}.get(self.kind, "")
        return self.xml.get("type", default)

    @property
    def body(self) -> str | None:
        """The text of a message."""
        return self.xml.findtext("{jabber:client}body")

    def child(self, namespace: str, name: str) -> ET.Element | None:
        """A direct child, if it is there."""
        return self.xml.find(f"{{{namespace}}}{name}")

    def text(self, name: str, namespace: str = "jabber:client") -> str:
        """The text of a direct child, or an empty string."""
        return self.xml.findtext(f"{{{namespace}}}{name}", "")

    def __str__(self) -> str:
        return ET.tostring(self.xml, encoding="unicode")


class XmppClient:
    """One resource of one user. An `async with` block connects and disconnects it."""

    def __init__(
        self,
        user: str,
        password: str,
        *,
        port: int,
        ca_file: Path,
        domain: str = "localhost",
        resource: str = "test",
        plugins: Sequence[str] = (),
    ) -> None:
        """Prepare to log in on loopback `port`, over TLS, trusting only `ca_file`.

        `plugins` of slixmpp speak for themselves; see `plugin`.
        """
        self._plugins = ("xep_0030", "xep_0199", *plugins)
        self.bare = f"{user}@{domain}"
        self.jid = f"{self.bare}/{resource}"
        self.inbox: Inbox[Stanza] = Inbox(self.jid)
        self._port = port
        self._ca_file = ca_file
        self._password = password
        self._stream: _Stream | None = None

    async def connect(self, *, available: bool = True, timeout: float = 10) -> None:
        """Log in, fetch the roster and, if `available`, send a first presence."""
        stream = self._new_stream()
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def succeed(_: object) -> None:
            if not ready.done():
                ready.set_result(None)

        def fail(reason: object) -> None:
            if not ready.done():
                ready.set_exception(PeerError(repr(reason)))

        stream.add_event_handler("session_start", succeed)
        for event in ("connection_failed", "disconnected"):
            stream.add_event_handler(event, fail)
        stream.add_event_handler("failed_all_auth", lambda _: fail("the server knows them not"))
        self._stream = stream
        stream.connect(LOOPBACK, self._port)
        try:
            async with asyncio.timeout(timeout):
                await ready
        except (PeerError, TimeoutError) as error:
            await self.disconnect()
            raise PeerError(f"{self.jid} cannot log in: {error!r}") from None
        except asyncio.CancelledError:
            self.abort()
            raise
        await self.roster()
        if available:
            self.send_presence()

    def _new_stream(self) -> _Stream:
        stream = _Stream(self.jid, self._password)
        for plugin in self._plugins:
            stream.register_plugin(plugin)
        stream.enable_direct_tls = False
        stream.ca_certs = self._ca_file
        stream.add_filter("in", self._record)
        return stream

    async def disconnect(self) -> None:
        """Log out and close the stream; does nothing if there is none."""
        stream, self._stream = self._stream, None
        if stream is None:
            return
        stream.cancel_connection_attempt()
        if stream.transport:
            gone = stream.disconnected
            await stream.disconnect()
            # A connection that is lost within its TLS handshake never says so.
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOST_S):
                    await gone

    def abort(self) -> None:
        """Cut the connection without a word, as a lost network does."""
        stream, self._stream = self._connected(), None
        stream.cancel_connection_attempt()
        stream.abort()

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.disconnect()

    def plugin(self, name: str) -> Any:
        """A plugin of slixmpp, such as ``xep_0050``: somebody else's idea of a protocol."""
        plugins: Any = self._connected().plugin
        return plugins[name]

    # Sending

    def send_raw(self, xml: str) -> None:
        """Send a stanza as it is written."""
        self._connected().send_raw(xml)

    def send_message(
        self,
        to: str,
        body: str,
        *,
        id: str | None = None,
        kind: str = "chat",
        receipt: bool = True,
        replaces: str | None = None,
        extra: str = "",
    ) -> str:
        """Send a text and return its id; the same `id` again is what a client does on a retry.

        `receipt` asks for one (XEP-0184); `replaces` makes it a correction (XEP-0308); `extra`
        is XML put behind the body.
        """
        id = id or str(uuid.uuid4())
        parts = [f"<body>{escape(body)}</body>"]
        if receipt:
            parts.append(f"<request xmlns='{RECEIPTS}'/><markable xmlns='{MARKERS}'/>")
        if replaces:
            parts.append(f"<replace xmlns='{REPLACE}' id={quoteattr(replaces)}/>")
        parts.append(f"<origin-id xmlns='urn:xmpp:sid:0' id={quoteattr(id)}/>")
        self._send_message(to, "".join(parts) + extra, kind=kind, id=id)
        return id

    def send_chat_state(self, to: str, state: ChatState) -> None:
        """Tell a contact that the user is typing, has paused, … (XEP-0085)."""
        self._send_message(to, f"<{state} xmlns='{CHAT_STATES}'/>")

    def send_receipt(self, to: str, message_id: str) -> None:
        """Confirm that a message has arrived (XEP-0184)."""
        self._send_message(to, f"<received xmlns='{RECEIPTS}' id={quoteattr(message_id)}/>")

    def send_marker(self, to: str, message_id: str, marker: str = "displayed") -> None:
        """Tell how far the user has read (XEP-0333)."""
        self._send_message(to, f"<{marker} xmlns='{MARKERS}' id={quoteattr(message_id)}/>")

    def send_presence(
        self, to: str | None = None, *, type: str | None = None, show: str = "", status: str = ""
    ) -> None:
        """Send a presence, to one JID or (without `to`) to everybody subscribed."""
        attributes = "".join(
            f" {name}={quoteattr(value)}" for name, value in (("to", to), ("type", type)) if value
        )
        children = "".join(
            f"<{name}>{escape(value)}</{name}>"
            for name, value in (("show", show), ("status", status))
            if value
        )
        self.send_raw(f"<presence{attributes}>{children}</presence>")

    def subscribe(self, to: str) -> None:
        """Ask for a contact's presence."""
        self.send_presence(to, type="subscribe")

    def approve(self, to: str) -> None:
        """Let a contact see the user's presence."""
        self.send_presence(to, type="subscribed")

    def unsubscribe(self, to: str) -> None:
        """Ask for a contact's presence no longer."""
        self.send_presence(to, type="unsubscribe")

    def deny(self, to: str) -> None:
        """Refuse a contact the user's presence, or take it back."""
        self.send_presence(to, type="unsubscribed")

    async def iq(
        self, to: str | None, payload: str, *, type: str = "get", timeout: float = 10
    ) -> Stanza:
        """Send a request and return the answer, which may be of type error."""
        id = str(uuid.uuid4())
        mark = self.inbox.mark()
        target = f" to={quoteattr(to)}" if to else ""
        self.send_raw(f"<iq type={quoteattr(type)} id='{id}'{target}>{payload}</iq>")

        def answer(stanza: Stanza) -> bool:
            return stanza.kind == "iq" and stanza.id == id and stanza.type in ("result", "error")

        return await self.inbox.wait_for(answer, timeout=timeout, since=mark)

    async def ping(self, to: str | None = None) -> None:
        """Ping a JID or the own server (XEP-0199); when it answers, it has read all before."""
        answer = await self.iq(to, "<ping xmlns='urn:xmpp:ping'/>")
        if answer.type != "result":
            raise AssertionError(f"the ping of {to or 'the server'} was answered by {answer}")

    async def roster(self) -> dict[str, ET.Element]:
        """The user's roster: its items by bare JID."""
        answer = await self.iq(None, f"<query xmlns='{ROSTER}'/>")
        items = answer.xml.iterfind(f"{{{ROSTER}}}query/{{{ROSTER}}}item")
        return {item.get("jid", ""): item for item in items}

    async def enable_carbons(self) -> None:
        """Ask for copies of what the user's other clients send and receive (XEP-0280)."""
        await self.iq(None, "<enable xmlns='urn:xmpp:carbons:2'/>", type="set")

    # Waiting

    async def wait_for(
        self, wanted: Callable[[Stanza], bool], *, timeout: float = 10, since: int = 0
    ) -> Stanza:
        """The first received stanza that is wanted; `since` comes from `inbox.mark()`."""
        return await self.inbox.wait_for(wanted, timeout=timeout, since=since)

    async def wait_message(
        self, body: str, *, sender: str | None = None, timeout: float = 10, since: int = 0
    ) -> Stanza:
        """The first message with this text (from this bare JID, if one is given)."""

        def message_with_body(stanza: Stanza) -> bool:
            return stanza.body == body and stanza.type != "error" and _is_from(stanza, sender)

        return await self.wait_for(message_with_body, timeout=timeout, since=since)

    async def wait_receipt(self, message_id: str, *, timeout: float = 10) -> Stanza:
        """The receipt (XEP-0184) for a message that was sent."""

        def receipt(stanza: Stanza) -> bool:
            received = stanza.child(RECEIPTS, "received")
            return received is not None and received.get("id") == message_id

        return await self.wait_for(receipt, timeout=timeout)

    async def wait_marker(
        self, message_id: str, marker: str = "displayed", *, timeout: float = 10
    ) -> Stanza:
        """The marker (XEP-0333) for a message that was sent."""

        def chat_marker(stanza: Stanza) -> bool:
            found = stanza.child(MARKERS, marker)
            return found is not None and found.get("id") == message_id

        return await self.wait_for(chat_marker, timeout=timeout)

    async def wait_error(self, message_id: str, *, timeout: float = 10) -> Stanza:
        """The error that came back for a message that was sent."""

        def error(stanza: Stanza) -> bool:
            return stanza.kind == "message" and stanza.type == "error" and stanza.id == message_id

        return await self.wait_for(error, timeout=timeout)

    async def wait_chat_state(
        self, state: ChatState, *, sender: str | None = None, timeout: float = 10, since: int = 0
    ) -> Stanza:
        """The first chat state of this kind."""

        def chat_state(stanza: Stanza) -> bool:
            return stanza.child(CHAT_STATES, state) is not None and _is_from(stanza, sender)

        return await self.wait_for(chat_state, timeout=timeout, since=since)

    async def wait_presence(
        self,
        type: str = "available",
        *,
        sender: str | None = None,
        timeout: float = 10,
        since: int = 0,
    ) -> Stanza:
        """The first presence of this type; `available` is the one without a type."""

        def presence(stanza: Stanza) -> bool:
            return stanza.kind == "presence" and stanza.type == type and _is_from(stanza, sender)

        return await self.wait_for(presence, timeout=timeout, since=since)

    def _send_message(
        self, to: str, payload: str, *, kind: str = "chat", id: str | None = None
    ) -> None:
        id = id or str(uuid.uuid4())
        self.send_raw(
            f"<message to={quoteattr(to)} type={quoteattr(kind)} id={quoteattr(id)}>"
            f"{payload}</message>"
        )

    def _record(self, stanza: StanzaBase) -> StanzaBase:
        if stanza.name in ("message", "presence", "iq"):
            self.inbox.add(Stanza(stanza.xml))
        return stanza

    def _connected(self) -> _Stream:
        if self._stream is None:
            raise PeerError(f"{self.jid} is not connected")
        return self._stream


def _is_from(stanza: Stanza, sender: str | None) -> bool:
    return sender is None or sender in (stanza.sender, stanza.sender_bare)
