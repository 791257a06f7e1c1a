# SPDX-License-Identifier: Apache-2.0
"""The same world with a group of Telegram: alice's client is in its room, and what is said, edited
and reacted with, and files, go each way. She has a bot there, or that of the gateway speaks for
her."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote
from xml.etree.ElementTree import Element

from gateway.ids import RemoteRoomId
from gateway.store import Store, portals
from gateway.store.portals import Portal
from tests.crash.telegram_network import LinkedGroup, TelegramGroup
from tests.crash.victim import COMPONENT, HOST, NETWORK, SECRET, FastClock, Job
from tests.crash.world import (
    ACCEPTED,
    ALICE,
    DEVICE,
    Scenario,
    Server,
    World,
    body_of,
    canonical,
    copy_of,
    cursor_in,
    prepare,
)
from tests.peers.bot_api import Message
from tests.scenario.web import Hosted, WebHost

FILE = bytes(range(256)) * 2000
"""More than one piece."""
_PATH = "/a/paper.bin"
_ACCEPT = "{jabber:component:accept}"
_SID = "{urn:xmpp:sid:0}stanza-id"
_REACTIONS = "{urn:xmpp:reactions:0}reactions"
_INVITATION = "{jabber:x:conference}x"
_UNCERTAIN = "undefined-condition"
_SUBJECT = f"{_ACCEPT}subject"
_WHERE = r"xmpp:(\S+)\?join"
"""Who has linked a group is told where its room is."""


@dataclass(frozen=True, slots=True)
class Past:
    """What was before: both have said something, and alice's client is in the room."""

    room: str
    theirs: str
    mine: str
    """The ids that the room has given what they said."""
    position: int
    """Number of the next update."""


@dataclass(slots=True)
class GroupWorld(World):
    """One run."""

    BY_BOB: ClassVar = ("text in", "theirs, better", "👍", "file in.bin")
    """What comes from him, in order, as `told` has it."""
    BY_ALICE: ClassVar = ("text", "edit", "reaction", "file")
    """Ids of what she sends, in order."""

    past: Past = field(default_factory=lambda: Past("", "", "", 0))
    mine: Message | None = None
    reflected: dict[str, list[Element]] = field(default_factory=lambda: defaultdict(list))
    """What the room has told alice of what she has sent herself, by its id."""
    files: WebHost = field(default_factory=WebHost)

    @property
    def group(self) -> TelegramGroup:
        """Where all of it happens."""
        assert isinstance(self.network, TelegramGroup)
        return self.network

    # --- what people do ------------------------------------------------------------------------

    def answered(self, *ids: str) -> bool:
        """Whether what alice has sent was said in the room, or came back."""
        return all(id in self.reflected or id in self.errors for id in ids)

    def has(self, *told: str) -> bool:
        """Whether alice's client was told by bob's occupant."""
        return set(told) <= {told_by(stanza) for stanza in self._of_bob()}

    def _send(self, id: str) -> None:
        if not self.server.up.is_set():
            return
        url = f"{self.files.base}{_PATH}"
        content = {
            "text": "<body>text out</body>",
            "edit": "<body>mine, better</body>"
            "<replace xmlns='urn:xmpp:message-correct:0' id='mine'/>",
            "reaction": f"<reactions xmlns='urn:xmpp:reactions:0' id='{self.past.theirs}'>"
            "<reaction>🔥</reaction></reactions>",
            "file": f"<body>{url}</body><x xmlns='jabber:x:oob'><url>{url}</url></x>",
        }
        self.server.send(
            f"<message from='{DEVICE}' to='{self.past.room}' type='groupchat' id='{id}'>"
            f"{content[id]}</message>"
        )

    def _take(self, stanza: Element) -> None:
        World._take(self, stanza)
        is_own = stanza.get("from") == f"{self.past.room}/Alice" and stanza.get("type") != "error"
        if stanza.tag == f"{_ACCEPT}message" and is_own:
            self.reflected[stanza.get("id", "")].append(stanza)

    def _of_bob(self) -> list[Element]:
        return [each for each in self.stanzas if each.get("from") == f"{self.past.room}/Bob"]

    # --- the judgement -------------------------------------------------------------------------

    def _examine_the_dead(self) -> None:
        with copy_of(self.job.database) as db:
            assert self.network.acknowledged["alice"] <= cursor_in(db), "acknowledged too early"
            known = dict(db.execute("SELECT stanza_id, state FROM outbound"))
            kept = {id for (id,) in db.execute("SELECT archive_id FROM archived")}
        for id, is_done in self._done().items():
            assert not is_done or id in known, f"{id} was sent before its commit"
        for id in self.reflected:
            assert known[id] == ACCEPTED, f"{id} was reflected before that was committed"
        for stanza in (*self._of_bob(), *(each for of in self.reflected.values() for each in of)):
            assert stanza_id(stanza) in kept, "told before its commit"
        for id in self.sent:
            self.never_committed += id not in known

    def _examine_outbound(self) -> None:
        if self.mine is None:  # the life before
            return
        done = self._done()
        for id in self.BY_ALICE:
            assert (id in self.reflected) != (id in self.errors), f"{id} was not answered once"
            assert id in self.errors or done[id], f"{id} was lost"
        # To edit and to react twice is the same as once, so nothing about these is uncertain.
        assert set(self.errors) <= {"text", "file"}
        assert set(self.errors.values()) <= {_UNCERTAIN}
        assert len(self.errors) <= 1, "one crash, and more than one is uncertain"
        said = [self._by_alice(message) or "a file" for message in self.group.said[1:]]
        assert sorted(set(said)) == sorted(said), f"sent twice: {said}"
        assert said == [text for text in ("text out", "a file") if text in said]

    def _done(self) -> dict[str, bool]:
        """What of alice's has happened in the group."""
        said = self.group.said
        files = (each for each in said if not self._by_alice(each))
        assert all(each.content["document"]["file_size"] == len(FILE) for each in files)
        assert self.mine is not None
        made = self.group.theirs.reactions.get(self.group.bot.id, [])
        return {
            "text": any(self._by_alice(message) == "text out" for message in said),
            "edit": self._by_alice(self.mine) == "mine, better",
            "reaction": [each["emoji"] for each in made] == ["🔥"],
            "file": any("document" in message.content for message in said),
        }

    def _by_alice(self, message: Message) -> str:
        """Her words."""
        if not isinstance(self.network, LinkedGroup):
            return message.text
        name, _, words = message.text.partition(": ")
        assert name == "Alice", "the bot says whose it is"
        return words

    def _examine_inbound(self) -> None:
        """At least once; once means one distinct id, and repeats identical but for the delay."""
        if self.mine is None:
            return
        by_id: dict[str, list[Element]] = defaultdict(list)
        for stanza in (*self._of_bob(), *(each for of in self.reflected.values() for each in of)):
            by_id[stanza_id(stanza)].append(stanza)
        for repeats in by_id.values():
            assert len({canonical(each) for each in repeats}) == 1, "not identical"
        firsts = [repeats[0] for repeats in by_id.values()]
        by_bob = [each for each in firsts if each.get("from") == f"{self.past.room}/Bob"]
        assert [told_by(each) for each in by_bob] == [*self.BY_BOB]
        assert by_bob[2].find(_REACTIONS).get("id") == self.past.mine  # type: ignore[union-attr]
        own = [each.get("id") for each in firsts if each not in by_bob]
        assert own == [id for id in self.BY_ALICE if id in self.reflected]


def stanza_id(stanza: Element) -> str:
    """The id that the room has given it."""
    found = stanza.find(_SID)
    assert found is not None, "the room says nothing without an id"
    return found.get("id", "")


def told_by(stanza: Element) -> str:
    """What it tells, in short."""
    reactions = stanza.find(_REACTIONS)
    if reactions is not None:
        return "".join(each.text or "" for each in reactions)
    name = stanza.find(".//{urn:xmpp:file:metadata:0}name")
    return f"file {name.text}" if name is not None else body_of(stanza) or ""


async def talk(world: World) -> None:
    """One thing after the other, each in both directions."""
    assert isinstance(world, GroupWorld)
    network = world.group
    bob = network.person
    by_bob: list[Callable[[], Any]] = [
        lambda: bob.say(network.group, "text in"),
        lambda: bob.edit(network.theirs, "theirs, better"),
        lambda: bob.react(world.mine, "👍"),  # type: ignore[arg-type]
        lambda: bob.send_file(network.group, "document", b"bytes", name="in.bin"),
    ]
    await world.until(world.server.up.is_set)
    for id, told, happen in zip(world.BY_ALICE, world.BY_BOB, by_bob, strict=True):
        happen()
        await world.until(lambda told=told: world.has(told))  # type: ignore[misc]
        world.says(id)
        await world.until(lambda id=id: world.answered(id))  # type: ignore[misc]


async def _come_in(world: World) -> None:
    """Alice's client joins the room of which she is told, and says something there."""
    assert isinstance(world, GroupWorld)
    await world.until(lambda: any(each.find(_INVITATION) is not None for each in world.stanzas))
    (found,) = (each for stanza in world.stanzas for each in stanza.iter(_INVITATION))
    _join(world, found.get("jid", ""))
    await _say_mine(world)


def _join(world: GroupWorld, room: str) -> None:
    world.past = Past(room, "", "", 0)
    muc = "<x xmlns='http://jabber.org/protocol/muc'/>"
    world.server.send(f"<presence from='{DEVICE}' to='{room}/Alice'>{muc}</presence>")


async def _say_mine(world: GroupWorld) -> None:
    await world.until(lambda: world.has("theirs"))
    room = world.past.room
    about = f"from='{DEVICE}' to='{room}' type='groupchat' id='mine'"
    world.server.send(f"<message {about}><body>mine</body></message>")
    await world.until(lambda: "mine" in world.reflected)


async def _come_into_linked(world: World) -> None:
    """The same with a room that is there for everybody."""
    assert isinstance(world, GroupWorld)
    network = world.group
    assert isinstance(network, LinkedGroup)
    await world.until(lambda: bool(world.found(_WHERE)))
    _join(world, unquote(world.found(_WHERE)))
    await world.until(lambda: any(each.find(_SUBJECT) is not None for each in world.stanzas))
    network.say_theirs()
    await _say_mine(world)


async def _prepare_linked(directory: Path) -> None:
    """A database without accounts, in which the group is linked."""
    clock, group = FastClock(), LinkedGroup().group
    portal = Portal(room=RemoteRoomId(str(group.id)), members_only=False, linked_by=ALICE)
    store = await Store.open(directory / "dragoman.db")
    await store.write(lambda db: portals.link(db, NETWORK, portal, clock.now()))
    await store.close()


async def prepare_group(directory: Path, *, is_linked: bool = False) -> Past:
    """A database in which alice's client is in the room of the group."""
    if is_linked:
        await _prepare_linked(directory)
    else:
        await prepare(directory, "telegram")
    first = directory.with_name("first")
    come_in = _come_into_linked if is_linked else _come_in
    scenario = Scenario(name="comes in", play=come_in, adapter="telegram", is_linked=is_linked)
    async with group_world(scenario, directory, first, None) as world:
        await world.run()
        (theirs,) = (stanza_id(each) for each in world._of_bob()[:1])
        mine = stanza_id(world.reflected["mine"][0])
        position = world.network.last_position("alice")
        for file in first.glob("dragoman.db*"):
            shutil.copy(file, directory)
        return Past(world.past.room, theirs, mine, position)


@asynccontextmanager
async def group_world(
    scenario: Scenario,
    template: Path,
    directory: Path,
    past: Past | None,
    *,
    kill_at: int = 0,
    after: bool = False,
) -> AsyncIterator[GroupWorld]:
    """A run on a copy of the prepared database; the first one, without a ``past``, is before."""
    shutil.copytree(template, directory)
    server, files = Server(HOST, COMPONENT, SECRET), WebHost()
    files.files[_PATH] = Hosted(FILE)
    await server.start()
    await files.start()
    try:
        kind = LinkedGroup if scenario.is_linked else TelegramGroup
        async with kind() as network:
            job = Job(
                directory=directory,
                server_port=server.port,
                network_port=network.port,
                adapter=scenario.adapter,
                kill_at=kill_at,
                after=after,
                relay_token=network.token if scenario.is_linked else "",
                web_port=files.port,
            )
            world = GroupWorld(scenario, job, server, network, files=files)
            if past is not None:
                world.past, world.mine = past, network.go_on(past.position)
            yield world
    finally:
        await files.stop()
        await server.stop()
