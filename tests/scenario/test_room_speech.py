# SPDX-License-Identifier: Apache-2.0
"""What is said in rooms about what was said, where a script is not enough."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, tostring

import pytest

from gateway.bridge.splitting import MAX_PART_BYTES
from gateway.events import RemoteEvent, RemoteUnreadable
from gateway.ids import RemoteMessageId, RemoteRoomId, RemoteUserId, UserJid
from gateway.store import reactions
from tests.scenario.house import House, Options
from tests.scenario.patterns import ACCEPT
from tests.scenario.test_rooms import (
    MAM,
    MUC_USER,
    PHONE,
    _ask,
    _club,
    _end,
    _is_complete,
    _join,
    _query,
    _received,
)
from tests.scenario.test_stream import ALICE

CLIENT = "{jabber:client}"
SID = "{urn:xmpp:sid:0}stanza-id"
REACTION = "{urn:xmpp:reactions:0}reaction"
RETRACT = "{urn:xmpp:message-retract:1}"
REPLACE = "{urn:xmpp:message-correct:0}replace"
DISCO = "{http://jabber.org/protocol/disco#info}"
DISPLAYED = "{urn:xmpp:chat-markers:0}displayed"


def _tell(house: House, kind: str, **fields: Any) -> None:
    fields.setdefault("sent_at", house.clock.now())
    house.network.event("alice", f"room-{kind}", room="!club", **fields)


async def _settled(house: House) -> list[Element]:
    await house.clock.settle()
    return _received(house)


def _id(message: Element) -> str:
    found = message.find(SID)
    assert found is not None
    return found.get("id", "")


def _emoji(message: Element) -> list[str]:
    return sorted(each.text or "" for each in message.iter(REACTION))


async def _pages(house: House, room: str, size: int, *, backwards: bool) -> list[Element]:
    """The whole archive, in its order."""
    found: list[Element] = []
    page = await _ask(house, room, _query(f"<max>{size}</max>{'<before/>' * backwards}"))
    while True:
        results = [
            result for answer in page if (result := answer.find(f"{MAM}result")) is not None
        ]
        assert len(results) <= size
        found = results + found if backwards else found + results
        if _is_complete(page):
            return found
        end = (
            f"<before>{_end(page, 'first')}</before>"
            if backwards
            else f"<after>{_end(page, 'last')}</after>"
        )
        page = await _ask(house, room, _query(f"<max>{size}</max>{end}"))


def _without_namespace(message: Element) -> bytes:
    """What it says, of a live message or one of the archive."""
    said = (child for child in message if child.tag != f"{MUC_USER}x")  # who it is, not what
    xml = b"".join(map(tostring, said))
    return xml.replace(b"jabber:client", b"jabber:component:accept")


class _People:
    """Say something, and something about that, all at one and the same time."""

    def __init__(self, house: House, seed: int) -> None:
        self._house = house
        self._random = random.Random(seed)
        self.gone: set[str] = set()
        """Words that were taken back."""
        self._texts: dict[str, tuple[str, list[str]]] = {}
        """By id: the sender, and all words."""
        self._reactions: list[str] = []

    def act(self, number: int) -> None:
        kinds = [self._say, self._say, self._edit, self._react, self._react, self._take_back]
        if not self._texts:
            kinds = [self._say]
        self._random.choice(kinds)(f"m{number}")

    def _word(self, id: str) -> str:
        return f"word-{id}-{self._random.randrange(10**9)}"

    def _say(self, id: str) -> None:
        sender, word = self._random.choice(["alice", "bob"]), self._word(id)
        reply = self._random.choice([None, *self._texts])
        fields = {} if reply is None else {"reply_to": reply}
        _tell(self._house, "message", sender=sender, id=id, body=word, **fields)
        self._texts[id] = (sender, [word])

    def _edit(self, id: str) -> None:
        edited, word = self._random.choice(list(self._texts)), self._word(id)
        sender, words = self._texts[edited]
        words.append(word)
        _tell(self._house, "message", sender=sender, id=id, body=word, edits=edited)

    def _react(self, id: str) -> None:
        if self._reactions and self._random.random() < 0.3:
            taken = self._random.choice(self._reactions)
            _tell(self._house, "retraction", id=id, message=taken, by="bob")
            return
        message = self._random.choice(list(self._texts))
        emoji = self._random.choice("👍🎂❤")
        _tell(self._house, "reaction", sender="bob", id=id, message=message, emoji=emoji)
        self._reactions.append(id)

    def _take_back(self, id: str) -> None:
        message = self._random.choice(list(self._texts))
        _tell(self._house, "retraction", id=id, message=message, by="bob")
        self.gone.update(self._texts.pop(message)[1])


@pytest.mark.parametrize("seed", range(12))
async def test_req_569_580_582_583_each_entry_is_on_one_page_and_as_it_was(
    house: House, seed: int
) -> None:
    room = await _club(house)
    await _join(house, room)
    people, live = _People(house, seed), []
    for number in range(60):
        people.act(number)
        live += await _settled(house)
    forwards = await _pages(house, room, 10, backwards=False)
    ids = [result.get("id", "") for result in forwards]
    assert ids == [_id(message) for message in live]
    assert len(set(ids)) == len(ids)
    backwards = await _pages(house, room, 10, backwards=True)
    assert [result.get("id", "") for result in backwards] == ids
    for was, result in zip(live, forwards, strict=True):
        kept = result.find(f".//{CLIENT}message")
        assert kept is not None
        assert (kept.get("id"), kept.get("from")) == (was.get("id"), was.get("from"))
        text = "".join(kept.itertext())
        assert not any(word in text for word in people.gone)
        if kept.find(f"{RETRACT}retracted") is None and not any(
            word in "".join(was.itertext()) for word in people.gone
        ):
            assert _without_namespace(kept) == _without_namespace(was)
    newest = (await _join(house, room, f"{ALICE}/laptop"))[2:-1]
    assert len(newest) <= 20
    assert all(message.find(f"{ACCEPT}body") is not None for message in newest)
    assert not any(word in "".join(m.itertext()) for m in newest for word in people.gone)


async def test_req_566_reactions_of_one_person_have_a_bound(house: House) -> None:
    room = await _club(house, "cake?")
    await _join(house, room)
    for number in range(25):
        emoji = chr(0x1F600 + number)
        _tell(house, "reaction", sender="bob", id=f"r{number}", message="m0", emoji=emoji)
    told = await _settled(house)
    assert [len(_emoji(message)) for message in told] == list(range(1, 21))


async def test_req_566_the_adapter_knows_the_reactions_of_the_account(house: House) -> None:
    room = await _club(house, "cake?")
    await _join(house, room)
    said = (await _pages(house, room, 10, backwards=False))[0].get("id", "")
    for emoji in (["👍", "🎂"], ["🎂"]):
        listed = "".join(f"<reaction>{each}</reaction>" for each in emoji)
        house.server.send(
            f"<message from='{PHONE}' to='{room}' type='groupchat' id='{len(emoji)}'>"
            f"<reactions xmlns='urn:xmpp:reactions:0' id='{said}'>{listed}</reactions></message>"
        )
        (reflected,) = await _settled(house)
        assert _emoji(reflected) == sorted(emoji)
        (conversation,) = house.query("SELECT id FROM conversation WHERE room IS NOT NULL")[0]
        found = reactions.of_sender(
            house.store.reader, conversation, RemoteMessageId("m0"), RemoteUserId("alice")
        )
        assert sorted(found) == sorted(emoji)


async def test_req_566_a_reaction_that_another_app_makes_meanwhile_is_kept(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network has it already, tells that, and does not say its id in the answer."""
    room = await _club(house, "cake?")
    await _join(house, room)
    said = (await _pages(house, room, 10, backwards=False))[0].get("id", "")

    def react(*_: Any) -> dict[str, str]:
        _tell(house, "reaction", sender="alice", id="elsewhere", message="m0", emoji="👍")
        return {}

    monkeypatch.setattr(type(house.network), "_react", react)
    house.server.send(
        f"<message from='{PHONE}' to='{room}' type='groupchat' id='g1'><reactions"
        f" xmlns='urn:xmpp:reactions:0' id='{said}'><reaction>👍</reaction></reactions></message>"
    )
    assert [_emoji(message) for message in await _settled(house)] == [["👍"]]
    _tell(house, "retraction", id="x1", message="elsewhere", by="alice")
    assert [_emoji(message) for message in await _settled(house)] == [[]]


async def test_req_566_what_the_network_tells_late_changes_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was answered, and the user wants something else since."""
    room = await _club(house, "cake?")
    await _join(house, room)
    said = (await _pages(house, room, 10, backwards=False))[0].get("id", "")
    late: list[dict[str, Any]] = []
    monkeypatch.setattr(type(house.network), "event", lambda *_, **fields: late.append(fields))
    for number, emoji in enumerate(["<reaction>👍</reaction>", ""]):
        house.server.send(
            f"<message from='{PHONE}' to='{room}' type='groupchat' id='g{number}'>"
            f"<reactions xmlns='urn:xmpp:reactions:0' id='{said}'>{emoji}</reactions></message>"
        )
    assert [_emoji(message) for message in await _settled(house)] == [["👍"], []]
    monkeypatch.undo()
    first, second = late
    house.network.event("alice", "room-reaction", **first)
    house.network.event("alice", "room-retraction", **second)
    assert await _settled(house) == []


@pytest.mark.parametrize(
    "payload",
    [
        "<body>one</body>",
        "<body>one</body><replace xmlns='urn:xmpp:message-correct:0' id='g0'/>",
        "<body>one</body><reply xmlns='urn:xmpp:reply:0' id='g0'/>",
        "<reactions xmlns='urn:xmpp:reactions:0' id='g0'><reaction>👍</reaction></reactions>",
        "<retract xmlns='urn:xmpp:message-retract:1' id='g0'/>",
    ],
)
async def test_req_560_what_comes_back_after_the_answer_is_known(
    house: House, monkeypatch: pytest.MonkeyPatch, payload: str
) -> None:
    room = await _club(house)
    await _join(house, room)
    message = f"<message from='{PHONE}' to='{room}' type='groupchat' id='{{}}'>{{}}</message>"
    house.server.send(message.format("g0", "<body>zero</body>"))
    await _settled(house)
    late: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(
        type(house.network), "event", lambda _, __, kind, **fields: late.append((kind, fields))
    )
    house.server.send(message.format("g1", payload))
    reflected = await _settled(house)
    assert reflected[0].get("id") == "g1"
    monkeypatch.undo()
    ((kind, fields),) = late
    house.network.event("alice", kind, **fields)
    assert await _settled(house) == []
    assert not [log for log in house.logs if log["log_level"] in ("warning", "error")]


async def test_req_564_an_edit_of_an_edit_edits_the_message(house: House) -> None:
    """Also while the network has neither."""
    room = await _club(house)
    await _join(house, room)
    house.network.faults = [{"silent": "before"}]
    for id, replaced in (("g1", ""), ("g2", "g1"), ("g3", "g2")):
        replacing = f"<replace xmlns='urn:xmpp:message-correct:0' id='{replaced}'/>"
        house.server.send(
            f"<message from='{PHONE}' to='{room}' type='groupchat' id='{id}'>"
            f"<body>{id}</body>{replacing if replaced else ''}</message>"
        )
    await house.clock.settle()
    await house.clock.advance(125)
    told = [event for event in house.network._events["alice"] if event.get("body")]
    assert [event.get("edits") for event in told] == [None, "m1", "m1"]
    reflected = await _settled(house)
    assert [_replaced(message) for message in reflected] == [None, "g1", "g1"]


async def test_req_565_an_edit_has_as_many_parts_as_it_needs(house: House) -> None:
    """More of them come as new messages; all of them go when the message is taken back."""
    room = await _club(house)
    await _join(house, room)
    long = "x" * MAX_PART_BYTES
    _tell(house, "message", sender="bob", id="a1", body="short")
    (first,) = await _settled(house)
    _tell(house, "message", sender="bob", id="a2", body=f"{long}yy", edits="a1")
    longer, second = await _settled(house)
    assert (_replaced(longer), _replaced(second)) == (first.get("id"), None)
    await house.clock.advance(4)
    _tell(house, "message", sender="bob", id="a3", body=f"{long}zz", edits="a1")
    (corrected,) = await _settled(house)
    assert _replaced(corrected) == second.get("id")
    await house.clock.advance(4)
    _tell(house, "message", sender="bob", id="a4", body="short", edits="a1")
    short, nothing = await _settled(house)
    assert (_replaced(short), _replaced(nothing)) == (first.get("id"), second.get("id"))
    assert nothing.findtext(f"{ACCEPT}body") == "…"
    _tell(house, "retraction", id="x1", message="a1", by="bob")
    taken = [message.find(f"{RETRACT}retract") for message in await _settled(house)]
    assert [one.get("id") for one in taken if one is not None] == [_id(first), _id(second)]
    (count,) = house.query("SELECT count(*) FROM archived WHERE length(payload) > 1000")[0]
    assert count == 0


async def test_req_567_all_parts_of_an_edit_are_taken_back(house: House) -> None:
    """Those that it has changed, and those that the message has not had before."""
    room = await _club(house)
    await _join(house, room)
    long = "x" * MAX_PART_BYTES
    _tell(house, "message", sender="bob", id="a1", body=f"{long}first")
    first, second = await _settled(house)
    _tell(house, "message", sender="bob", id="a2", body=f"{long}secret", edits="a1")
    _tell(house, "retraction", id="x2", message="a2", by="bob")
    edited, undone = await _settled(house)
    assert [_replaced(edited), _replaced(undone)] == [second.get("id")] * 2
    assert undone.findtext(f"{ACCEPT}body") == "first"
    _tell(house, "message", sender="bob", id="a3", body=f"{long}{long}secret", edits="a1")
    _tell(house, "retraction", id="x3", message="a3", by="bob")
    longer, third, undone, gone = await _settled(house)
    assert [_replaced(longer), _replaced(third), _replaced(undone)] == [
        *(second.get("id"), None, second.get("id"))
    ]
    taken = gone.find(f"{RETRACT}retract")
    assert taken is not None
    assert taken.get("id") == _id(third)
    assert house.query("SELECT 1 FROM archived WHERE instr(CAST(payload AS TEXT), 'secret')") == []
    _tell(house, "retraction", id="x1", message="a1", by="bob")
    told = [message.find(f"{RETRACT}retract") for message in await _settled(house)]
    assert [one.get("id") for one in told if one is not None] == [_id(first), _id(second)]


def _replaced(message: Element) -> str | None:
    found = message.find(REPLACE)
    return None if found is None else found.get("id")


@pytest.mark.parametrize(("members", "told"), [(50, 1), (51, 0)])
async def test_req_570_what_others_have_read_is_told_in_small_groups(
    house: House, members: int, told: int
) -> None:
    room = await _club(house, "one")
    await _join(house, room)
    for number in range(members - 2):
        member = {"user": f"p{number}", "name": f"P{number}"}
        house.network.event("alice", "member", room="!club", member=member)
    await _settled(house)
    house.network.event("alice", "room-read", room="!club", reader="bob", up_to="m0")
    marks = [message for message in await _settled(house) if message.find(DISPLAYED) is not None]
    assert len(marks) == told


@pytest.mark.parametrize(
    "payload",
    [
        "<reactions xmlns='urn:xmpp:reactions:0'/>",
        "<reactions xmlns='urn:xmpp:reactions:0' id=''><reaction>x</reaction></reactions>",
        "<retract xmlns='urn:xmpp:message-retract:1'/>",
        "<retract xmlns='urn:xmpp:message-retract:1' id='&#x1F382;'/>",
        f"<retract xmlns='urn:xmpp:message-retract:1' id='{'x' * 10_000}'/>",
    ],
)
async def test_req_564_what_refers_to_nothing_is_refused(house: House, payload: str) -> None:
    room = await _club(house, "one")
    await _join(house, room)
    house.server.send(
        f"<message from='{PHONE}' to='{room}' type='groupchat' id='g1'>{payload}</message>"
    )
    (answer,) = await _settled(house)
    assert (answer.get("type"), answer.get("id")) == ("error", "g1")
    assert answer.find(".//{urn:ietf:params:xml:ns:xmpp-stanzas}item-not-found") is not None
    assert not house.network.sent
    assert not house.network.commands


@pytest.mark.parametrize(
    "payload",
    [
        "<reactions xmlns='urn:xmpp:reactions:0' id='m1'/>",
        "<retract xmlns='urn:xmpp:message-retract:1' id='m1'/>",
        "<body>x</body>",
    ],
)
async def test_req_551_who_is_not_in_is_told(house: House, payload: str) -> None:
    """But who only shows a message is told nothing."""
    room = await _club(house, "one")
    for said in (payload, "<displayed xmlns='urn:xmpp:chat-markers:0' id='m1'/>"):
        house.server.send(
            f"<message from='{PHONE}' to='{room}' type='groupchat' id='g1'>{said}</message>"
        )
    (answer,) = await _settled(house)
    assert answer.find(".//{urn:ietf:params:xml:ns:xmpp-stanzas}not-acceptable") is not None


async def _commit(house: House, events: Sequence[RemoteEvent]) -> None:
    """As an adapter does."""
    account = house.bridge.accounts.of(UserJid(ALICE))
    assert account is not None
    assert account.link is not None
    link, now = account.link, house.clock.now()
    committed = await house.store.write(lambda db: link.intake.unit(db, events, now))
    link.hooks.committed(committed)


async def test_req_577_an_event_that_cannot_be_converted_is_a_line_of_the_room(
    house: House,
) -> None:
    room = await _club(house)
    await _join(house, room)
    event = RemoteUnreadable(
        room=RemoteRoomId("!club"),
        contact=RemoteUserId("bob"),
        id=RemoteMessageId("a1"),
        content="{}",
        reason="KeyError",
    )
    await _commit(house, [event, event])
    (line,) = await _settled(house)
    assert line.get("from") == room
    assert "could not read" in (line.findtext(f"{ACCEPT}body") or "")


@pytest.mark.parametrize("adapter", ["scripted", "plain"])
async def test_req_540_a_room_offers_what_its_network_has(tmp_path: Path, adapter: str) -> None:
    async with House(tmp_path, Options(adapter=adapter)) as house:
        room = await _club(house)
        query = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
        info = (await _ask(house, room, query, "get"))[-1]
        features = {feature.get("var") for feature in info.iter(f"{DISCO}feature")}
        speech = {
            "urn:xmpp:fallback:0",
            "urn:xmpp:message-correct:0",
            "urn:xmpp:message-moderate:1",
            "urn:xmpp:message-retract:1",
            "urn:xmpp:message-retract:1#tombstone",
            "urn:xmpp:reactions:0",
            "urn:xmpp:reply:0",
        }
        assert features & speech == (speech if adapter == "scripted" else set())


async def test_req_124_a_room_says_with_what_one_can_react(tmp_path: Path) -> None:
    async with House(tmp_path, Options(adapter="fussy")) as house:
        room = await _club(house)
        query = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
        info = (await _ask(house, room, query, "get"))[-1]
        values = {
            field.get("var"): [value.text for value in field]
            for form in info.iter("{jabber:x:data}x")
            if form.findtext("*/{jabber:x:data}value") == "urn:xmpp:reactions:0:restrictions"
            for field in form
        }
        assert values["max_reactions_per_user"] == ["2"]
        assert values["allowlist"] == ["👍", "❤️", "🎉"]
