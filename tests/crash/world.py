# SPDX-License-Identifier: Apache-2.0
"""What outlives the gateway: the XMPP server with alice's client, the network, and the disk."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import re
import shutil
import sqlite3
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape

from gateway.adapter import Linked
from gateway.bridge.accounts import Accounts
from gateway.ids import RemoteUserId, UserJid
from gateway.store import Store, accounts, contacts
from gateway.store.contacts import ContactRow, Subscription
from gateway.store.secrets import SecretBox
from tests.crash.telegram_network import TelegramNetwork
from tests.crash.victim import COMPONENT, HOST, NETWORK, SECRET, FastClock, Job, live
from tests.scenario.server import FakeServer
from tests.scripted.server import ScriptedNetwork

ALICE = UserJid(f"alice@{HOST}")
DEVICE = f"{ALICE}/phone"
TOKEN = "token-alice"

_ACCEPT = "{jabber:component:accept}"
_BARRIER = "barrier"
_DELAY = "{urn:xmpp:delay}delay"
_LIMIT_S = 30.0
ACCEPTED = 2

_processes = multiprocessing.get_context("forkserver")
# With these imported once, a new process costs a fork.
_processes.set_forkserver_preload(
    ["pytest", "tests.crash.victim", "tests.crash.script_victim", "tests.crash.warm"]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What people do, and on which network."""

    name: str
    play: Callable[[World], Any]
    """Goes on, whatever happens to the gateway, until everybody has what they waited for."""
    adapter: str = "scripted"
    privileged: bool = False
    """The server lets the gateway send in its users' names (XEP-0356)."""
    forgetful_server: bool = False
    """The server dies together with the gateway, and has nothing of what came after the last
    barrier that it has answered."""
    texts: tuple[str, ...] = ()
    """What alice writes, in order; each text is its own id."""
    incoming: tuple[str, ...] = ()
    """What bob writes, in order."""
    own: tuple[str, ...] = ()
    """What alice writes with another client of the network."""
    in_own_chat: bool = False
    """On Telegram: alice has let her bot into her own chat with bob, and has to prove that."""
    is_linked: bool = False
    """On Telegram: alice has no account, and the group is linked for everybody."""
    notices: tuple[str, ...] = ()
    """Parts of what the gateway itself says, in order."""

    @property
    def has_keys(self) -> bool:
        """Whether the network recognises a repeated message."""
        return self.adapter == "scripted"


class Server(FakeServer):
    """Tells where the barriers were."""

    def _take(self, element: Element, writer: asyncio.StreamWriter) -> None:
        super()._take(element, writer)
        if self._is_barrier(element):
            self.received.put_nowait(Element(_BARRIER))


@dataclass(slots=True)
class World:
    """One run."""

    scenario: Scenario
    job: Job
    server: Server
    network: ScriptedNetwork | TelegramNetwork
    stanzas: list[Element] = field(default_factory=list)
    """All messages to alice, as her server got them."""
    own: list[Element] = field(default_factory=list)
    """Messages in alice's name."""
    sent: list[str] = field(default_factory=list)
    """Texts that her client has sent at least once."""
    receipts: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Ids of the receipts for each text."""
    errors: dict[str, str] = field(default_factory=dict)
    """Condition for each text that came back."""
    never_committed: int = 0
    """Texts that died with the process, before their commit."""
    killed: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    _proved: tuple[list[Element], list[Element], dict[str, set[str]], dict[str, str]] = field(
        default_factory=lambda: ([], [], {}, {})
    )

    @property
    def bob(self) -> str:
        """The address of alice's contact."""
        network = self.network
        name = network.bob if isinstance(network, TelegramNetwork) else "bob"
        return f"{name}@{COMPONENT}"

    # --- what people do ------------------------------------------------------------------------

    def says(self, text: str) -> None:
        """Alice writes to bob; her client repeats it until it is answered."""
        self.sent.append(text)
        self._send(text)

    def bob_says(self, text: str) -> None:
        """Bob writes to alice."""
        self.network.says("alice", "bob", text)

    def says_elsewhere(self, text: str) -> None:
        """Alice writes to bob with another client of the network."""
        self.network.says("alice", "bob", text, own=True)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something to become true here."""
        async with asyncio.timeout(_LIMIT_S):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    def answered(self, *texts: str) -> bool:
        """Whether texts have a receipt or an error."""
        return all(text in self.receipts or text in self.errors for text in texts)

    def bodies(self, stanzas: list[Element]) -> list[str]:
        """The texts among stanzas, in order."""
        return [found for s in stanzas if (found := body_of(s)) is not None]

    def has(self, *texts: str) -> bool:
        """Whether alice has got bob's texts."""
        return set(texts) <= set(self.bodies(self.stanzas))

    def found(self, pattern: str) -> str:
        """What stands in a text that alice has got; the group of the pattern, or nothing."""
        matches = (re.search(pattern, body) for body in self.bodies(self.stanzas))
        return next((match[1] for match in matches if match is not None), "")

    def has_own(self, *texts: str) -> bool:
        """Whether alice's other texts have appeared."""
        return set(texts) <= set(self.bodies(self.own))

    def _send(self, text: str) -> None:
        if self.server.up.is_set():
            self.server.send(
                f"<message from='{DEVICE}' to='{self.bob}' type='chat' id='{text}'>"
                f"<body>{escape(text)}</body><request xmlns='urn:xmpp:receipts'/></message>"
            )

    # --- alice's server ------------------------------------------------------------------------

    async def serve(self) -> None:
        """Take what the gateway sends."""
        while True:
            self._take(await self.server.received.get())
            self.changed.set()

    def _take(self, stanza: Element) -> None:
        if stanza.tag == _BARRIER:
            receipts = {text: set(ids) for text, ids in self.receipts.items()}
            self._proved = ([*self.stanzas], [*self.own], receipts, {**self.errors})
        if stanza.tag != f"{_ACCEPT}message":
            return
        forwarded = stanza.find(".//{jabber:client}message")
        if forwarded is not None:
            self.own.append(forwarded)
            # The server routes it like any message of alice's, so we get it as well.
            body = escape(body_of(forwarded) or "")
            self.server.send(
                f"<message from='{ALICE}' to='{self.bob}' type='chat' id='{forwarded.get('id')}'>"
                f"<body>{body}</body></message>"
            )
            return
        received = stanza.find("{urn:xmpp:receipts}received")
        if stanza.get("type") == "error":
            error = stanza.find(f"{_ACCEPT}error")
            assert error is not None
            self.errors[stanza.get("id", "")] = error[0].tag.rpartition("}")[2]
        elif received is not None:
            self.receipts[received.get("id", "")].add(stanza.get("id", ""))
        self.stanzas.append(stanza)

    def _lose(self) -> None:
        """What came after the last barrier is gone."""
        stanzas, own, receipts, errors = self._proved
        self.stanzas, self.own, self.errors = [*stanzas], [*own], {**errors}
        self.receipts = defaultdict(set, {text: set(ids) for text, ids in receipts.items()})

    async def greet(self) -> None:
        """At each connection: grant what is granted, and repeat what has no answer."""
        attempts = 0
        while True:
            await self.server.up.wait()
            if self.server.attempts == attempts:
                await asyncio.sleep(0.005)
                continue
            attempts = self.server.attempts
            if self.scenario.privileged:
                self.server.send(
                    f"<message from='{HOST}' to='{COMPONENT}'>"
                    "<privilege xmlns='urn:xmpp:privilege:2'>"
                    "<perm access='message' type='outgoing'/></privilege></message>"
                )
            if not self.scenario.has_keys:
                # Her user waits for the gateway to say what it knows, then sends it again.
                while self.server.up.is_set() and (  # noqa: ASYNC110
                    self.open_rows("outbound") or self.open_rows("inbound")
                ):
                    await asyncio.sleep(0.02)
            for text in self.sent:
                if not self.answered(text):
                    self._send(text)
            self.changed.set()

    # --- the gateway ---------------------------------------------------------------------------

    async def run(self) -> None:
        """Play the scenario over one life of the gateway, and another one if it is killed."""
        playing = asyncio.ensure_future(self.scenario.play(self))
        helpers = [asyncio.ensure_future(self.serve()), asyncio.ensure_future(self.greet())]
        try:
            code = await self._life(self.job, playing)
            if code:
                assert code == -9, f"exit code {code}\n{self.job.log.read_text()}"
                self.killed += 1
                await self._quiet()
                self._examine_the_dead()
                if self.scenario.forgetful_server:
                    self._lose()
                again = Job(**{**_fields(self.job), "kill_at": 0})
                code = await self._life(again, playing)
            assert code == 0, f"exit code {code}\n{self.job.log.read_text()}"
            await playing
            await self._quiet()
            self._examine_the_end()
        finally:
            for task in (playing, *helpers):
                task.cancel()
            await asyncio.wait([playing, *helpers])
        for task in helpers:
            assert task.cancelled() or task.exception() is None, task.exception()

    async def _life(self, job: Job, playing: asyncio.Future[Any]) -> int:
        process = _processes.Process(target=live, args=(job,))
        process.start()
        ended = asyncio.ensure_future(end_of(process))
        try:
            async with asyncio.timeout(_LIMIT_S):
                await asyncio.wait((ended, playing), return_when=asyncio.FIRST_COMPLETED)
                while not ended.done() and not self._is_up_to_date():
                    await asyncio.wait((ended,), timeout=0.01)
                if not ended.done():
                    process.terminate()
                return await ended
        except TimeoutError:
            raise AssertionError(
                f"stuck; sent {self.sent}, receipts {dict(self.receipts)}, errors {self.errors},"
                f" got {self.bodies(self.stanzas)}\n{self.job.log.read_text()}"
            ) from None
        finally:
            if not ended.done():
                process.kill()
                await ended
            process.close()

    def _is_up_to_date(self) -> bool:
        with self._database() as db:
            cursor = cursor_in(db)
        return (
            self.server.up.is_set()
            and cursor == self.network.last_position("alice")
            # Of a life that nobody kills, the planned stop has to do the rest.
            and (not self.killed or self.open_rows("inbound") == self.open_rows("outbound") == 0)
        )

    async def _quiet(self) -> None:
        """Wait until everything that the dead process had written has been read."""
        async with asyncio.timeout(_LIMIT_S):
            while (  # noqa: ASYNC110 - some of it tells nobody
                self.server.up.is_set()
                or self.server._all
                or self._is_network_busy()
                or not self.server.received.empty()
            ):
                await asyncio.sleep(0.002)

    def _is_network_busy(self) -> bool:
        if isinstance(self.network, TelegramNetwork):
            return self.network.is_busy
        return bool(self.network._all_writers)

    # --- the judgement -------------------------------------------------------------------------

    def _examine_the_dead(self) -> None:
        """Nothing has left the process on the strength of something that is not on the disk."""
        with copy_of(self.job.database) as db:
            assert self.network.acknowledged["alice"] <= cursor_in(db), "acknowledged too early"
            known = dict(db.execute("SELECT stanza_id, state FROM outbound"))
            for sent in self.network.sent:
                assert sent.body in known, "sent before the commit"
            for text_id in self.receipts:
                assert known[text_id] == ACCEPTED, "a receipt before the commit"
            # What the gateway itself says is no message of a conversation.
            stored = "SELECT stanza_id FROM message UNION SELECT stanza_id FROM inbound"
            messages = {row for (row,) in db.execute(stored)}
            for stanza in (*self.stanzas, *self.own):
                assert body_of(stanza) is None or stanza.get("id") in messages
            for text in self.sent:
                if text not in known:
                    self.never_committed += 1
                    assert text not in self.receipts

    def _examine_the_end(self) -> None:
        assert self.server.violations == []
        self._examine_outbound()
        self._examine_inbound()
        with copy_of(self.job.database) as db:
            # After a planned stop nothing is left: all of it was proved.
            assert self.open_rows("outbound") == self.open_rows("inbound") == 0
            assert cursor_in(db) == self.network.last_position("alice")
        for line in self.job.log.read_text().splitlines():
            assert not line.startswith("{") or json.loads(line)["level"] != "error", line

    def _examine_outbound(self) -> None:
        on_network = [text.body for text in self.network.sent]
        assert len({text.key for text in self.network.sent}) == len(on_network)
        delivered = [text for text in on_network if text in self.scenario.texts]
        assert delivered == on_network, "something else was sent"
        assert len(set(delivered)) == len(delivered), f"sent twice: {delivered}"
        assert delivered == [text for text in self.scenario.texts if text in delivered]
        for text in self.scenario.texts:
            if self.scenario.has_keys or text in self.receipts:
                assert text in delivered
                assert len(self.receipts[text]) == 1
                assert text not in self.errors
            else:
                assert self.errors[text] == "undefined-condition", "not reported as uncertain"

    def _examine_inbound(self) -> None:
        """At least once; once means one distinct id, and repeats identical but for the delay."""
        by_id: dict[str, set[str]] = defaultdict(set)
        for stanza in self.stanzas:
            by_id[f"{stanza.get('type')} {stanza.get('id')}"].add(canonical(stanza))
        for stanza in self.own:
            by_id[f"own {stanza.get('id')}"].add(canonical(stanza))
        for repeats in by_id.values():
            assert len(repeats) == 1, "not identical:\n" + "\n".join(repeats)
        told = self._first_occurrences([s for s in self.stanzas if _is_of_gateway(s)])
        assert len(told) == len(self.scenario.notices), told
        assert all(part in text for part, text in zip(self.scenario.notices, told, strict=True))
        seen = self._first_occurrences([s for s in self.stanzas if not _is_of_gateway(s)])
        if self.scenario.has_keys:
            assert seen == list(self.scenario.incoming)
        else:
            # The echo of an uncertain message is shown: the network cannot say whose it is.
            uncertain = {f"You: {text}" for text in self.errors}
            assert [text for text in seen if text not in uncertain] == [*self.scenario.incoming]
        assert self._first_occurrences(self.own) == list(self.scenario.own)

    def _first_occurrences(self, stanzas: list[Element]) -> list[str]:
        """The texts with one entry for each distinct id, in the order of their first coming."""
        ids: dict[str, str] = {}
        for stanza in stanzas:
            body = body_of(stanza)
            if body is not None:
                ids.setdefault(stanza.get("id", ""), body)
        return list(ids.values())

    def open_rows(self, table: str) -> int:
        """Rows of a journal that are not decided."""
        with self._database() as db:
            (count,) = db.execute(f"SELECT count(*) FROM {table} WHERE state < 2").fetchone()
        return int(count)

    def _database(self) -> closing[sqlite3.Connection]:
        return closing(sqlite3.connect(f"{self.job.database.as_uri()}?mode=ro", uri=True))


def cursor_in(db: sqlite3.Connection) -> int:
    """As a number: Telegram's has the time behind it."""
    (cursor,) = db.execute("SELECT cursor FROM account").fetchone()
    return int(cursor.split()[0])


def body_of(stanza: Element) -> str | None:
    """The text of a message, whatever its namespace."""
    for child in stanza:
        if child.tag.rpartition("}")[2] == "body":
            return child.text
    return None


def _is_of_gateway(stanza: Element) -> bool:
    return stanza.get("from", "").partition("/")[0] == COMPONENT


def canonical(stanza: Element) -> str:
    """As it is, but for its delay."""
    copy = ElementTree.fromstring(ElementTree.tostring(stanza))
    for delay in copy.findall(_DELAY):
        copy.remove(delay)
    return ElementTree.canonicalize(ElementTree.tostring(copy, encoding="unicode"))


@asynccontextmanager
async def world(
    scenario: Scenario, template: Path, directory: Path, *, kill_at: int = 0, after: bool = False
) -> AsyncIterator[World]:
    """A run on a copy of the prepared database."""
    shutil.copytree(template, directory)
    server = Server(HOST, COMPONENT, SECRET)
    network: ScriptedNetwork | TelegramNetwork
    if scenario.adapter == "telegram":
        network = TelegramNetwork(in_own_chat=scenario.in_own_chat)
    else:
        network = ScriptedNetwork(idempotent=scenario.has_keys, tokens={TOKEN: "alice"})
    await server.start()
    try:
        async with network:
            job = Job(
                directory=directory,
                server_port=server.port,
                network_port=network.port,
                adapter=scenario.adapter,
                kill_at=kill_at,
                after=after,
            )
            yield World(scenario, job, server, network)
    finally:
        await server.stop()


async def prepare(
    directory: Path, adapter: str = "scripted", *, in_own_chat: bool = False
) -> None:
    """A database with alice's account, linked and up to date, and bob as her contact."""
    clock = FastClock()
    store = await Store.open(directory / "dragoman.db")
    box = SecretBox.load(directory / "dragoman.db.key", has_secrets=False)
    alice, contact, token = RemoteUserId("alice"), RemoteUserId("bob"), TOKEN
    if adapter == "telegram":
        network = TelegramNetwork(in_own_chat=in_own_chat)
        alice, contact, token = network.alice, network.bob, network.token
    linked = Linked(realm=adapter, remote_id=alice, secret=token.encode())
    account = await Accounts(NETWORK, store, box, clock).link(ALICE, linked)
    bob = ContactRow(name="Bob", to_user=Subscription.GRANTED, from_user=Subscription.GRANTED)
    await store.write(lambda db: accounts.set_cursor(db, account.id, "0", clock.now()))
    await store.write(lambda db: contacts.put(db, account.id, contact, bob))
    await store.close()


def _fields(job: Job) -> dict[str, Any]:
    return {name: getattr(job, name) for name in Job.__slots__}


async def end_of(process: ForkServerProcess) -> int:
    """Wait until a process has ended; its exit code."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(process.sentinel, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(process.sentinel)
    process.join()
    assert process.exitcode is not None
    return process.exitcode


class copy_of:
    """The database as the dead process has left it; looking at it changes nothing."""

    def __init__(self, database: Path) -> None:
        self._database = database

    def __enter__(self) -> sqlite3.Connection:
        self._copies = tempfile.TemporaryDirectory()
        for suffix in ("", "-wal"):
            source = self._database.with_name(self._database.name + suffix)
            if source.exists():
                shutil.copy(source, self._copies.name)
        self._db = sqlite3.connect(Path(self._copies.name) / self._database.name)
        return self._db

    def __exit__(self, *_: object) -> None:
        self._db.close()
        self._copies.cleanup()
