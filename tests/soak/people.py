# SPDX-License-Identifier: Apache-2.0
"""Users who come and go, each one thing after the other, and the ledger of what they said.

A person waits until what was said has arrived. Who gets no answer says it again under the same
id, as clients do.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from slixmpp.xmlstream import StanzaBase

from tests.peers.process import PeerError
from tests.peers.xmpp_client import RECEIPTS, XmppClient
from tests.scripted.server import ScriptedNetwork
from tests.soak.process import COMPONENT

PASSWORD = "a pass word"
_BODY = "{jabber:client}body"
_RECEIVED = f"{{{RECEIPTS}}}received"
_ANSWER_S = 8.0
_ATTEMPTS = 20
_NOTICED_S = 0.5
_ARRIVAL_S = 660.0
"""A session that was cut off again and again is made anew after 10 minutes at the latest."""


@dataclass(slots=True)
class Ledger:
    """What was said, and what became of it."""

    said: int = 0
    """Texts of people on the network, and of users."""
    arrived: dict[str, set[str]] = field(default_factory=dict)
    """Text from the network → ids under which it came."""
    longest_s: float = 0.0
    """How long a text took that arrived: sessions that are cut off often wait before the next."""
    repeated: int = 0
    """Stanzas that came again under the same id."""
    sent: Counter[str] = field(default_factory=Counter)
    """Text of a user → how often the network has it."""
    said_again: int = 0
    answered: set[str] = field(default_factory=set)
    """Ids of users' stanzas that have a receipt."""
    lost: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    """What people wanted to do and could not, in words."""
    done: Counter[str] = field(default_factory=Counter)
    """What people did."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self) -> None:
        """Something was noted."""
        self.changed.set()
        self.changed = asyncio.Event()

    def took(self, seconds: float) -> None:
        """A text has arrived."""
        self.longest_s = max(self.longest_s, seconds)

    async def until(self, condition: Callable[[], bool], limit_s: float) -> bool:
        """Wait for something to become true here. Whether it did."""
        try:
            async with asyncio.timeout(limit_s):
                while not condition():
                    await self.changed.wait()
        except TimeoutError:
            return condition()
        return True

    @property
    def doubled(self) -> list[str]:
        """Texts that came under two ids, or are twice on the network."""
        here = [text for text, ids in self.arrived.items() if len(ids) > 1]
        return here + [text for text, times in self.sent.items() if times > 1]


class Client(XmppClient):
    """Puts texts and receipts into the ledger, and keeps the rest for waiting."""

    ledger: Ledger
    errors: set[str]

    def _record(self, stanza: StanzaBase) -> StanzaBase:
        element = stanza.xml
        if stanza.name == "message" and "@" in element.get("from", ""):
            self._note(element.get("id", ""), element)
            return stanza
        return super()._record(stanza)

    def _note(self, stanza_id: str, element: Element) -> None:
        body, received = element.findtext(_BODY), element.find(_RECEIVED)
        if element.get("type") == "error":
            self.errors.add(stanza_id)
        elif received is not None:
            self.ledger.answered.add(received.get("id", ""))
        elif body is not None:
            ids = self.ledger.arrived.setdefault(body, set())
            self.ledger.repeated += stanza_id in ids
            ids.add(stanza_id)
        self.ledger.wake()


class Network(ScriptedNetwork):
    """Notes in ``acknowledged`` too that a session goes on from where it was."""

    def _connect(self, request: dict[str, Any], writer: asyncio.StreamWriter) -> str:
        account = super()._connect(request, writer)
        if account and request["since"] is not None:
            self.acknowledged[account] = request["since"]
        return account


@dataclass(slots=True)
class Place:
    """Where people live."""

    network: Network
    ledger: Ledger
    port: int
    ca_file: Path
    add_user: Callable[[str, str], str]
    trace: Callable[[str], str]
    """What the gateway's journals know of a text, in words."""
    numbers: itertools.count[int] = field(default_factory=itertools.count)


class Person:
    """One user, with an account of the same name on the network."""

    def __init__(self, place: Place, name: str, rng: random.Random) -> None:
        self.name = name
        self._place = place
        self._network, self._ledger = place.network, place.ledger
        self._rng = rng
        self._contacts = [f"{name}-friend-{number}" for number in range(3)]
        for contact in self._contacts:
            self._network.people[contact] = contact.title()
        self._network.passwords[name] = PASSWORD
        place.add_user(name, PASSWORD)
        self._client = Client(name, PASSWORD, port=place.port, ca_file=place.ca_file)
        self._client.ledger, self._client.errors = self._ledger, set()
        self._deed = "come"

    # --- coming and going -----------------------------------------------------------------------

    async def come(self) -> None:
        """Connect and link the account."""
        await self._client.connect()
        await self.log_in()

    async def go(self) -> None:
        """Leave for ever."""
        await self.unregister()
        await self.leave()

    async def leave(self) -> None:
        """Disconnect."""
        await self._client.disconnect()

    async def act(self) -> str:
        """Do one thing. Returns what it was."""
        self._client.inbox.items.clear()
        self._client.errors.clear()
        names, weights = zip(*_WEIGHTS.items(), strict=True)
        (name,) = self._rng.choices(names, weights)
        self._deed = name
        await self._persist(getattr(self, name))
        return str(name)

    async def _persist(self, work: Callable[[], Awaitable[None]]) -> None:
        """Stanzas that nothing proves are lost with a stream: then it is tried again."""
        for _ in range(_ATTEMPTS):
            try:
                await work()
            except (AssertionError, PeerError):
                self._ledger.said_again += 1
                await asyncio.sleep(1)
            else:
                return
        raise AssertionError(f"{self.name} cannot {work.__name__}")

    async def relogin(self) -> None:
        """Log out, and in again."""
        await self._talk(self._log_out)
        await self.log_in()

    async def reregister(self) -> None:
        """Unregister, and start afresh."""
        await self.unregister()
        await self.log_in()

    async def expire(self) -> None:
        """The network ends the login; the gateway says so, and the user logs in again."""
        self._network.revoke(self.name)
        await self._hear("again")
        await self.log_in()

    async def unregister(self) -> None:
        """Have everything deleted."""
        await self._talk(self._unregister)

    async def log_in(self) -> None:
        """By the dialogue; returns when the session is live."""
        self._network.acknowledged.pop(self.name, None)
        await self._talk(self._log_in)
        await self._network.until(lambda: self.name in self._network.acknowledged, _ARRIVAL_S)

    # --- the dialogue ---------------------------------------------------------------------------

    async def _talk(self, work: Callable[[], Awaitable[None]]) -> None:
        """From the beginning: what an interrupted dialogue left behind is cancelled first."""

        async def anew() -> None:
            await self._ask("cancel", "to cancel", "Cancelled")
            await work()

        await self._persist(anew)

    async def _log_in(self) -> None:
        """Answer what is asked; after an earlier login that may be less."""
        said, answers = "login", {"User": self.name, "Password": PASSWORD}
        while True:
            mark = self._client.inbox.mark()
            self._say(said)
            heard = await self._hear("User?", "Password?", "You are logged in as", since=mark)
            if "You are logged in as" in heard:
                return
            said = answers["User" if "User?" in heard else "Password"]

    async def _log_out(self) -> None:
        await self._ask("logout", "You are logged out", "You have no account")

    async def _unregister(self) -> None:
        if await self._ask("unregister", "Send “yes”", "You have no account"):
            await self._ask("yes", "are deleted")

    async def _ask(self, text: str, wanted: str, settled: str = "\0") -> bool:
        """Say it and wait for one of two answers. True if it is the first."""
        mark = self._client.inbox.mark()
        self._say(text)
        return wanted in await self._hear(wanted, settled, since=mark)

    def _say(self, text: str) -> None:
        self._client.send_message(COMPONENT, text, receipt=False)

    async def _hear(self, *wanted: str, since: int = 0) -> str:
        stanza = await self._client.wait_for(
            lambda stanza: (
                stanza.sender_bare == COMPONENT
                and stanza.type != "error"
                and any(words in (stanza.body or "") for words in wanted)
            ),
            timeout=_ANSWER_S,
            since=since,
        )
        return stanza.body or ""

    # --- talking --------------------------------------------------------------------------------

    async def chat(self) -> None:
        """Some texts both ways, at the same time."""
        contact = self._rng.choice(self._contacts)
        self._client.send_chat_state(f"{contact}@{COMPONENT}", "composing")
        self._network.types(self.name, contact, True)
        texts = [self._is_told(contact) for _ in range(self._rng.randint(1, 4))]
        await asyncio.gather(
            *(self._tells(contact) for _ in range(self._rng.randint(1, 4))),
            *(self._has(text) for text in texts),
        )

    async def burst(self) -> None:
        """Many texts at once from all contacts."""
        texts = [self._is_told(contact) for contact in self._contacts for _ in range(10)]
        await asyncio.gather(*map(self._has, texts))

    async def go_offline(self) -> None:
        """What is said meanwhile waits at the user's server."""
        if self._rng.random() < 0.3:
            self._deed = "go_offline, cut off"
            self._client.abort()
            # Without stream management (XEP-0198) the server loses what it writes to a client that
            # is gone, until it notices; that is between the two of them.
            await asyncio.sleep(_NOTICED_S)
        await self._client.disconnect()
        texts = [self._is_told(self._contacts[0]) for _ in range(self._rng.randint(0, 3))]
        await asyncio.sleep(self._rng.uniform(0.5, 2))
        await self._client.connect()
        await asyncio.gather(*map(self._has, texts))

    def _is_told(self, contact: str) -> str:
        self._ledger.said += 1
        text = f"{self.name} hears {next(self._place.numbers)}"
        self._network.says(self.name, contact, text)
        return text

    async def _has(self, text: str) -> None:
        began = time.monotonic()
        if await self._ledger.until(lambda: text in self._ledger.arrived, _ARRIVAL_S):
            self._ledger.took(time.monotonic() - began)
        else:
            self._lose(text)

    def _lose(self, text: str) -> None:
        self._ledger.lost.append(f"{text} ({self._deed}; {self._place.trace(text)})")

    async def _tells(self, contact: str) -> None:
        self._ledger.said += 1
        text, stanza_id = f"{self.name} says {next(self._place.numbers)}", str(uuid.uuid4())
        answered, errors = self._ledger.answered, self._client.errors
        began = time.monotonic()
        for attempt in itertools.takewhile(
            lambda _: time.monotonic() - began < _ARRIVAL_S, itertools.count()
        ):
            self._ledger.said_again += attempt > 0
            errors.discard(stanza_id)
            self._client.send_message(f"{contact}@{COMPONENT}", text, id=stanza_id)
            await self._ledger.until(
                lambda: stanza_id in answered or stanza_id in errors, _ANSWER_S
            )
            if stanza_id in answered:
                self._ledger.took(time.monotonic() - began)
                return
            await asyncio.sleep(1)
        self._lose(text)

    # --- contacts -------------------------------------------------------------------------------

    async def add_contact(self) -> None:
        """Find somebody new, talk, and mostly drop them again."""
        contact = f"new-{next(self._place.numbers)}"
        self._network.people[contact] = contact.title()
        puppet = f"{contact}@{COMPONENT}"
        self._client.subscribe(puppet)
        await self._client.wait_presence("subscribe", sender=puppet, timeout=_ANSWER_S)
        self._client.approve(puppet)
        await self._tells(contact)
        await self._has(self._is_told(contact))
        if self._rng.random() < 0.8:
            self._client.unsubscribe(puppet)
            self._client.deny(puppet)
        else:
            self._contacts = [*self._contacts[-4:], contact]

    async def look_around(self) -> None:
        """What clients ask of their own accord."""
        puppet = f"{self._rng.choice(self._contacts)}@{COMPONENT}"
        for to in (puppet, f"{puppet}/scripted", COMPONENT):
            for payload in _QUERIES:
                await self._client.iq(to, payload, timeout=_ANSWER_S)
        await self._client.roster()


_QUERIES = (
    "<query xmlns='http://jabber.org/protocol/disco#info'/>",
    "<query xmlns='http://jabber.org/protocol/disco#items'/>",
    "<vCard xmlns='vcard-temp'/>",
    "<ping xmlns='urn:xmpp:ping'/>",
    "<query xmlns='jabber:iq:version'/>",
)
_WEIGHTS = {
    "chat": 40,
    "burst": 4,
    "go_offline": 8,
    "add_contact": 6,
    "look_around": 4,
    "relogin": 3,
    "reregister": 3,
    "expire": 2,
}
