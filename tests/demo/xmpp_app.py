"""A chat window of a decent XMPP client.

It shows a message once, however often its stanza comes. It keeps what it sent until there is a
receipt. When something comes back as an error, or nothing comes at all, it stops sending, waits
until the other side answers a ping, and then sends again what has no receipt: in order, under the
same ids, and before anything new.
"""

import asyncio
import time
import uuid
from collections import deque
from types import TracebackType
from typing import Self

from tests.demo.lines import Line, mark_read
from tests.peers.xmpp_client import MARKERS, RECEIPTS, Stanza, XmppClient

_PATIENCE_S = 3.0
"""Without any receipt for this long, what was sent may be lost."""
_PING_S = 0.1


class XmppApp:
    """The chat of one user with one contact. Works inside its `async with` block."""

    def __init__(self, client: XmppClient, contact: str) -> None:
        """Show the chat of ``client`` with ``contact``, a bare JID."""
        self.client = client
        self.contact = contact
        self.lines: list[Line] = []
        self.repeats = 0
        """Stanzas that came again under an id that was there already."""
        self.resent = 0
        """Stanzas that this client sent again."""
        self.bounced = 0
        """Stanzas that came back as an error."""
        self._unsent: deque[Line] = deque()
        self._unconfirmed: dict[str, Line] = {}
        self._trouble = asyncio.Event()
        self._work = asyncio.Event()
        self._changed = asyncio.Event()
        self._heard_at = 0.0
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        since = self.client.inbox.mark()
        self._tasks = [
            asyncio.create_task(self._receive(since)),
            asyncio.create_task(self._send()),
            asyncio.create_task(self._watch()),
        ]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def mine(self) -> list[Line]:
        """What this user said."""
        return [line for line in self.lines if line.mine]

    @property
    def theirs(self) -> list[Line]:
        """What the contact said."""
        return [line for line in self.lines if not line.mine]

    def say(self, text: str) -> Line:
        """Send a message, now or as soon as those before it are through."""
        line = Line(str(uuid.uuid4()), text, mine=True)
        self.lines.append(line)
        self._unsent.append(line)
        self._work.set()
        return line

    def read_all(self) -> None:
        """Tell the contact that everything was read."""
        theirs = self.theirs
        if theirs:
            self.client.send_marker(self.contact, theirs[-1].id)
            mark_read(self.lines, theirs[-1].id, mine=False)

    async def confirmed(self, *, timeout: float = 30) -> None:
        """Wait until everything said so far has its receipt."""
        async with asyncio.timeout(timeout):
            while not all(line.receipt for line in self.mine):
                await self._next()

    async def received(self, count: int, *, timeout: float = 30) -> None:
        """Wait until the contact has said so many things."""
        async with asyncio.timeout(timeout):
            while len(self.theirs) < count:
                await self._next()

    async def read_by_contact(self, *, timeout: float = 10) -> None:
        """Wait until the contact has read everything."""
        async with asyncio.timeout(timeout):
            while not all(line.read for line in self.mine):
                await self._next()

    async def _next(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    # --- receiving ------------------------------------------------------------------------------

    async def _receive(self, since: int) -> None:
        async for stanza in self.client.inbox.follow(since):
            if stanza.kind == "message" and stanza.sender_bare == self.contact:
                self._heard_at = time.monotonic()
                self._take(stanza)
                self._changed.set()

    def _take(self, stanza: Stanza) -> None:
        if stanza.type == "error":
            if stanza.id in self._unconfirmed:
                self.bounced += 1
                self._trouble.set()
                self._work.set()
            return
        receipt = stanza.child(RECEIPTS, "received")
        displayed = stanza.child(MARKERS, "displayed")
        if receipt is not None:
            line = self._unconfirmed.pop(receipt.get("id", ""), None)
            if line is not None:
                line.receipt = True
        elif displayed is not None:
            mark_read(self.lines, displayed.get("id", ""), mine=True)
        elif stanza.body is not None:
            if any(line.id == stanza.id for line in self.lines):
                self.repeats += 1
            else:
                self.lines.append(Line(stanza.id, stanza.body, mine=False, receipt=True))

    # --- sending --------------------------------------------------------------------------------

    async def _send(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            if self._trouble.is_set():
                await self._answered()
                self._trouble.clear()
                for line in self._unconfirmed.values():
                    self.resent += 1
                    self._put(line)
            while self._unsent and not self._trouble.is_set():
                line = self._unsent.popleft()
                self._unconfirmed[line.id] = line
                self._put(line)
                await asyncio.sleep(0)

    def _put(self, line: Line) -> None:
        self._heard_at = time.monotonic()
        self.client.send_message(self.contact, line.text, id=line.id)

    async def _answered(self) -> None:
        """Wait for an answer of the gateway itself; what it got before, it has read by then."""
        gateway = self.contact.rpartition("@")[2]
        while True:
            try:
                answer = await self.client.iq(gateway, "<ping xmlns='urn:xmpp:ping'/>", timeout=2)
            except AssertionError:
                continue
            if answer.type == "result":
                return
            await asyncio.sleep(_PING_S)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_PATIENCE_S / 10)
            if self._unconfirmed and time.monotonic() - self._heard_at > _PATIENCE_S:
                self._heard_at = time.monotonic()
                self._trouble.set()
                self._work.set()
