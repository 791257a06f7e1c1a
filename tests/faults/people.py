# SPDX-License-Identifier: Apache-2.0
"""Two people who talk through the gateway, whatever happens, and remember when."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import aiohttp
from slixmpp.exceptions import XMPPError
from slixmpp.xmlstream.xmlstream import NotConnectedError

from tests.demo.login import Talk, befriend_gateway
from tests.peers.matrix_client import MatrixClient
from tests.peers.process import PeerError
from tests.peers.xmpp_client import RECEIPTS, Stanza, XmppClient

PASSWORD = "a pass word"
GREETING = "Here I am."
_AGAIN_S = 0.1
_RECONNECT_S = 20.0
OOB = "jabber:x:oob"
_MAM = "urn:xmpp:mam:2"
_RSM = "http://jabber.org/protocol/rsm"


@dataclass(slots=True)
class Pair:
    """A user with an XMPP client, and a contact on Matrix."""

    alice: XmppClient
    phone: MatrixClient
    """Alice's own Matrix client; it only makes the room."""
    bob: MatrixClient
    gateway: str
    """The component's domain."""
    talk: Talk
    room: str = ""
    said: dict[str, str] = field(default_factory=dict)
    """What alice has sent, by stanza id, in order."""
    file: str = ""
    """The stanza id of a file that alice has sent (`tests.faults.files`)."""
    bob_said: list[str] = field(default_factory=list)
    """What bob's homeserver has taken, in order."""
    online: asyncio.Event = field(default_factory=asyncio.Event)
    """Alice's client has a connection that she believes in."""
    sent_at: dict[str, float] = field(default_factory=dict)
    came_at: dict[str, float] = field(default_factory=dict)
    echoed_at: dict[str, float] = field(default_factory=dict)
    """When bob's own client saw what he had sent: the way that does not lead through us."""
    mark: int = 0
    """Where alice's inbox stood when the burst began."""

    @property
    def bob_jid(self) -> str:
        """Bob as alice sees him."""
        return f"{self.bob.user_id[1:].replace(':', '%')}@{self.gateway}"

    # --- the set-up -----------------------------------------------------------------------------

    async def meet(self, homeserver: str, login: str = "login") -> None:
        """Alice links her account by this URL, and gets a chat with bob. ``login``: by which she
        gets a dialogue in the chat."""
        await self.talk.log_in(homeserver, self.phone.user, PASSWORD, begin=login)
        await befriend_gateway(self.alice, self.gateway)
        self.room = await self.phone.create_direct(self.bob.user_id)
        await self.bob.join(self.room)
        await self.bob.send_text(self.room, GREETING)
        await self.alice.wait_message(GREETING, sender=self.bob_jid, timeout=30)
        await self.phone.disconnect()  # one client less for the homeserver to serve
        self.mark = self.alice.inbox.mark()

    # --- talking --------------------------------------------------------------------------------

    async def alice_says(self, count: int, pause_s: float) -> None:
        """So many texts; while she is offline she waits, as people do."""
        for number in range(count):
            await self._alice_says(f"alice {number}")
            await asyncio.sleep(pause_s)

    async def alice_says_until(self, over: asyncio.Event, pause_s: float) -> None:
        """At a steady pace."""
        for number in itertools.count():
            if over.is_set():
                return
            await self._alice_says(f"alice {number}")
            await asyncio.sleep(pause_s)

    async def _alice_says(self, text: str) -> None:
        await self.online.wait()
        self.sent_at[text] = time.monotonic()
        try:
            stanza_id = self.alice.send_message(self.bob_jid, text)
        except (NotConnectedError, PeerError):
            # It never left her client, which shows it as not sent.
            self.online.clear()
        else:
            self.said[stanza_id] = text

    async def bob_says(self, count: int, pause_s: float) -> None:
        """So many texts; his client repeats each until the homeserver has it."""
        for number in range(count):
            await self._bob_says(f"bob {number}")
            await asyncio.sleep(pause_s)

    async def bob_says_until(self, over: asyncio.Event, pause_s: float) -> None:
        """At a steady pace."""
        for number in itertools.count():
            if over.is_set():
                return
            await self._bob_says(f"bob {number}")
            await asyncio.sleep(pause_s)

    async def _bob_says(self, text: str) -> None:
        self.sent_at[text] = time.monotonic()
        while True:
            try:
                await self.bob.send_text(self.room, text, txn_id=f"{self.room}.{text}")
            except (aiohttp.ClientError, PeerError, TimeoutError):
                await asyncio.sleep(_AGAIN_S)
            else:
                self.bob_said.append(text)
                return

    async def reconnect(self) -> None:
        """Alice's client notices that its connection is dead, and makes a new one."""
        self.online.clear()
        with suppress(PeerError):
            self.alice.abort()
        async with asyncio.timeout(_RECONNECT_S):
            while True:
                try:
                    await self.alice.connect()
                except (PeerError, XMPPError, AssertionError):
                    await asyncio.sleep(_AGAIN_S)
                else:
                    break
        self.online.set()

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Note when each text arrives for the first time."""
        watching = [
            asyncio.create_task(self._watch_alice()),
            asyncio.create_task(self._watch_bob()),
        ]
        try:
            yield
        finally:
            for task in watching:
                task.cancel()
            await asyncio.wait(watching)

    async def _watch_alice(self) -> None:
        async for stanza in self.alice.inbox.follow(self.mark):
            if stanza.sender_bare == self.bob_jid and stanza.body and stanza.type == "chat":
                self.came_at.setdefault(stanza.body, time.monotonic())

    async def _watch_bob(self) -> None:
        async for event in self.bob.inbox.follow():
            if event.section == "timeline" and event.body:
                times = self.came_at if event.sender == self.phone.user_id else self.echoed_at
                times.setdefault(event.body, time.monotonic())

    def latencies(self, start: float, end: float) -> list[float]:
        """Seconds from sending to arrival, of both directions, for what was sent in between.

        What has not come counts as if it came now.
        """
        now = time.monotonic()
        return [
            self.came_at.get(text, now) - sent
            for text, sent in self.sent_at.items()
            if start <= sent < end
        ]

    def echoes(self, start: float, end: float) -> list[float]:
        """The same without the gateway: how long bob's texts took to his own client."""
        return [
            self.echoed_at[text] - sent
            for text, sent in self.sent_at.items()
            if start <= sent < end and text in self.echoed_at
        ]

    # --- what they saw --------------------------------------------------------------------------

    def at_alice(self) -> list[tuple[str, str]]:
        """Id and text of each stanza with a text from bob, also repeated ones."""
        return [
            (stanza.id, stanza.body or "")
            for stanza in self.alice.inbox.items[self.mark :]
            if stanza.kind == "message"
            and stanza.type == "chat"
            and stanza.sender_bare == self.bob_jid
            and is_text(stanza)
        ]

    async def archive(self) -> list[Stanza]:
        """What alice's server has archived of the chat, in order (XEP-0313)."""
        form = (
            "<x xmlns='jabber:x:data' type='submit'>"
            f"<field var='FORM_TYPE' type='hidden'><value>{_MAM}</value></field>"
            f"<field var='with'><value>{self.bob_jid}</value></field></x>"
        )
        mark, after = self.alice.inbox.mark(), ""
        while True:
            page = f"<set xmlns='{_RSM}'><max>50</max>{after}</set>"
            query = f"<query xmlns='{_MAM}'>{form}{page}</query>"
            answer = await self.alice.iq(None, query, type="set", timeout=30)
            fin = answer.child(_MAM, "fin")
            assert fin is not None, str(answer)
            if fin.get("complete") == "true":
                break
            last = fin.findtext(f"{{{_RSM}}}set/{{{_RSM}}}last")
            after = f"<after>{last}</after>"
        path = f"{{{_MAM}}}result/{{urn:xmpp:forward:0}}forwarded/{{jabber:client}}message"
        found = (stanza.xml.find(path) for stanza in self.alice.inbox.items[mark:])
        stanzas = [Stanza(message) for message in found if message is not None]
        return [stanza for stanza in stanzas if stanza.sender_bare == self.bob_jid]

    async def awaited(self, *, archived: bool) -> AsyncIterator[str]:
        """The last of bob's texts, if alice does not have it yet; order is judged elsewhere."""
        last = self.bob_said[-1]
        if last in self.came_at:
            return
        if not archived or last not in [stanza.body for stanza in await self.archive()]:
            yield last

    def receipts(self) -> list[Stanza]:
        """Receipts at alice's client, also repeated ones."""
        return [
            stanza
            for stanza in self.alice.inbox.items
            if stanza.sender_bare == self.bob_jid and receipt_of(stanza) not in ("", self.file)
        ]

    def errors(self) -> dict[str, str]:
        """Condition by id, for alice's texts that came back."""
        return {
            stanza.id: _condition(stanza)
            for stanza in self.alice.inbox.items
            if stanza.kind == "message" and stanza.type == "error" and stanza.id in self.said
        }

    def at_bob(self) -> list[str]:
        """Alice's texts as bob's timeline has them."""
        return _texts(self.bob, self.phone.user_id, self.room)

    def by_bob(self) -> list[str]:
        """Bob's texts in the order of the room."""
        return _texts(self.bob, self.bob.user_id, self.room)


def receipt_of(stanza: Stanza) -> str:
    """The id of the text that it confirms, or an empty string."""
    received = stanza.child(RECEIPTS, "received")
    return received.get("id", "") if received is not None else ""


def url_of(stanza: Stanza) -> str:
    """Of the file that a message is; empty if it is something else."""
    return stanza.xml.findtext(f"{{{OOB}}}x/{{{OOB}}}url") or ""


def is_text(stanza: Stanza) -> bool:
    """Whether it is one of those that are counted."""
    return stanza.body not in (None, "", GREETING) and not url_of(stanza)


def _condition(stanza: Stanza) -> str:
    error = stanza.xml.find("{jabber:client}error")
    names = [child.tag.rpartition("}")[2] for child in error] if error is not None else []
    return next((name for name in names if name != "text"), "")


def _texts(client: MatrixClient, sender: str, room: str) -> list[str]:
    """In the order of the timeline; a client that had to ask twice may have an event twice."""
    events = {
        event.event_id: event.body or ""
        for event in client.inbox.items
        if event.section == "timeline"
        and event.content.get("msgtype") == "m.text"
        and event.sender == sender
        and event.room_id == room
    }
    return [text for text in events.values() if text != GREETING]
