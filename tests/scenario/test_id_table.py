# SPDX-License-Identifier: Apache-2.0
"""REQ-411: by which id messages are referred to, op by op, in chats, rooms, and with occupants of
rooms (REQ-575), after zero, one and two corrections. Clients use different ones, and each of them
means the message: whatever a client names, it is one of the ids with which each op is tried."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import pytest

from tests.scenario.house import House
from tests.scenario.test_rooms import PHONE, _club, _join, _received
from tests.scenario.test_stream import running

BODY = "{jabber:component:accept}body"
ORIGIN_ID = "{urn:xmpp:sid:0}origin-id"
STANZA_ID = "{urn:xmpp:sid:0}stanza-id"
REPLACE = "{urn:xmpp:message-correct:0}replace"
CHAT = "bob@net.example"
REFER = {
    "replace": "<body>other</body><replace xmlns='urn:xmpp:message-correct:0' id='{id}'/>",
    "reaction": (
        "<reactions xmlns='urn:xmpp:reactions:0' id='{id}'><reaction>👍</reaction></reactions>"
    ),
    "reply": "<body>yes</body><reply xmlns='urn:xmpp:reply:0' to='{to}' id='{id}'/>",
    "retraction": "<retract xmlns='urn:xmpp:message-retract:1' id='{id}'/>",
    "marker": "<displayed xmlns='urn:xmpp:chat-markers:0' id='{id}'/>",
}
"""By a client."""
CONTEXTS = ("chat", "room", "private")
OF_OWN = ("replace", "reaction", "reply", "retraction")
OF_OTHERS = ("reaction", "reply", "marker")


@dataclass(slots=True)
class _Said:
    """A message, and all ids by which clients refer to it."""

    remote_id: str
    ids: dict[str, str]


@dataclass(slots=True)
class _Table:
    """One context: a chat, a room, or a chat with an occupant of one."""

    house: House
    to: str
    is_room: bool
    count: int = 0

    def say(self, inner: str, id: str, *, has_type: bool = True) -> None:
        kind = " type='groupchat'" if self.is_room else " type='chat'" if has_type else ""
        self.house.server.send(
            f"<message from='{PHONE}' to='{self.to}'{kind} id='{id}'>{inner}</message>"
        )

    async def send(self, inner: str, id: str) -> list[Element]:
        self.say(inner, id)
        return await self.settled()

    async def settled(self) -> list[Element]:
        await self.house.clock.settle()
        await self.house.clock.advance(10)  # an edit may wait for the next one
        return _received(self.house)

    def tell(self, body: str, **fields: Any) -> None:
        where: dict[str, Any] = {"contact": "bob"}
        if self.is_room:
            where = {"room": "!club", "sender": "bob", "sent_at": self.house.clock.now()}
        kind = "room-message" if self.is_room else "message"
        self.house.network.event("alice", kind, body=body, **where, **fields)

    async def by_user(self, corrections: int, name: str = "", *, is_chain: bool = False) -> _Said:
        """The user says something, and corrects it: by the ``@id`` of the original, or, in a
        chain, by that of what was said last."""
        a, o = f"a{name}", f"o{name}"
        inner = f"<body>0{name}</body><origin-id xmlns='urn:xmpp:sid:0' id='{o}0'/>"
        told = await self.send(inner, f"{a}0")
        said = _Said(self.house.network.sent[-1].id, {"@id": f"{a}0", "origin-id": f"{o}0"})
        self._note(said, told, "")
        for number in range(1, corrections + 1):
            replaced = f"{a}{number - 1 if is_chain else 0}"
            inner = (
                f"<body>{number}{name}</body><origin-id xmlns='urn:xmpp:sid:0' id='{o}{number}'/>"
            )
            replace = f"<replace xmlns='urn:xmpp:message-correct:0' id='{replaced}'/>"
            told = await self.send(inner + replace, f"{a}{number}")
            assert self.house.network.sent[-1].about == {"edits": said.remote_id}
            of = f" of {number}"
            said.ids |= {f"@id{of}": f"{a}{number}", f"origin-id{of}": f"{o}{number}"}
            self._note(said, told, of)
        return said

    async def by_contact(self, corrections: int, name: str = "") -> _Said:
        """The contact does; each correction refers to the original (REQ-420)."""
        remote = f"b{name}0"
        self.tell(f"0{name}", id=remote)
        (first,) = _texts(await self.settled())
        said = _Said(remote, {"@id": first.get("id", "")})
        self._note(said, [first], "")
        for number in range(1, corrections + 1):
            self.tell(f"{number}{name}", id=f"b{name}{number}", edits=remote)
            (edit,) = _texts(await self.settled())
            replaced = edit.find(REPLACE)
            assert replaced is not None
            assert replaced.get("id") == said.ids["@id"], "always the original"
            said.ids[f"@id of {number}"] = edit.get("id", "")
            self._note(said, [edit], f" of {number}")
        return said

    def _note(self, said: _Said, told: list[Element], of: str) -> None:
        for message in told:
            if (origin := message.find(ORIGIN_ID)) is not None:
                said.ids[f"origin-id{of}"] = origin.get("id", "")
            if self.is_room and (own := message.find(STANZA_ID)) is not None:
                said.ids[f"stanza-id{of}"] = own.get("id", "")

    async def refer(self, op: str, by: str, said: _Said) -> None:
        """What a client says by one of its ids is about the message on the network."""
        self.count += 1
        sent, done = len(self.house.network.sent), len(self.house.network.commands)
        inner = REFER[op].format(id=said.ids[by], to=self.to)
        told = await self.send(inner, f"r{self.count}")
        assert not [each for each in told if each.get("type") == "error"], (op, by)
        network = self.house.network
        made = [text.about for text in network.sent[sent:]] + network.commands[done:]
        assert made == [self._expected(op, said)], (op, by)

    def _expected(self, op: str, said: _Said) -> Mapping[str, Any]:
        where = {"room": "!club"} if self.is_room else {"contact": "bob"}
        match op:
            case "replace":
                return {"edits": said.remote_id}
            case "reply":
                return {"reply_to": said.remote_id}
            case "reaction":
                return {"op": "react", **where, "message": said.remote_id, "emoji": ["👍"]}
            case "marker":
                kind = "read-room" if self.is_room else "read"
                return {"op": kind, **where, "up_to": said.remote_id}
        return {"op": "retract", **where, "message": said.remote_id}


def _texts(told: list[Element]) -> list[Element]:
    return [message for message in told if message.find(BODY) is not None]


async def _table(house: House, context: str) -> _Table:
    if context == "chat":
        await running(house)
        table = _Table(house, CHAT, is_room=False)
        table.tell("hello", id="h0")
    else:
        room = await _club(house)
        await _join(house, room)
        table = _Table(house, room, is_room=True)
        if context == "private":
            table = _Table(house, f"{room}/Bob", is_room=False)
            await table.send("<body>hello</body>", "h1")
    await table.settled()
    house.network.commands.clear()
    return table


def _ids(context: str, corrections: int, *, own: bool) -> list[str]:
    """Those that clients know (REQ-409)."""
    kinds = ["@id", "origin-id"] if own or context != "room" else ["@id"]
    if context == "room":
        kinds.append("stanza-id")
    return [
        *kinds,
        *(f"{kind} of {number}" for number in range(1, corrections + 1) for kind in kinds),
    ]


def _groups(op: str, ids: list[str]) -> list[list[str]]:
    """Once only, what can be said once only."""
    is_once = op in ("retraction", "marker")
    return [[by] for by in ids] if is_once else [ids]


@pytest.mark.parametrize("corrections", [0, 1, 2])
@pytest.mark.parametrize("op", OF_OWN)
@pytest.mark.parametrize("context", CONTEXTS)
async def test_req_411_clients_refer_to_what_they_have_said(
    tmp_path: Path, context: str, op: str, corrections: int
) -> None:
    for number, group in enumerate(_groups(op, _ids(context, corrections, own=True))):
        async with House(tmp_path / str(number)) as house:
            table = await _table(house, context)
            said = await table.by_user(corrections)
            await house.stop()  # what is known is known after a restart
            await house.start()
            await house.connected()
            await table.settled()
            for by in group:
                await table.refer(op, by, said)


@pytest.mark.parametrize("corrections", [0, 1, 2])
@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("op", OF_OTHERS)
async def test_req_411_clients_refer_to_what_others_have_said(
    tmp_path: Path, context: str, op: str, corrections: int
) -> None:
    for number, group in enumerate(_groups(op, _ids(context, corrections, own=False))):
        async with House(tmp_path / str(number)) as house:
            table = await _table(house, context)
            said = await table.by_contact(corrections)
            for by in group:
                await table.refer(op, by, said)


# --- where clients have a way of their own ---------------------------------------------------

_ONE = "<retract xmlns='urn:xmpp:message-retract:1' id='{id}'/>"
_TOLD = (
    "<body>I took that back.</body><fallback xmlns='urn:xmpp:fallback:0'"
    f" for='urn:xmpp:message-retract:1'/><store xmlns='urn:xmpp:hints'/>{_ONE}"
)
_ZERO = (
    "<apply-to xmlns='urn:xmpp:fasten:0' id='{id}'>"
    "<retract xmlns='urn:xmpp:message-retract:0'/></apply-to>"
)
RETRACTING = {
    "Cheogram, Monal, Movim": (_TOLD, "first"),
    "Converse": (_TOLD, "origin-id of the last"),
    "Dino": (_ONE, "first"),
    "Gajim": (_TOLD, "each"),
    "Siskin, Gajim 1": (_ZERO, "origin-id of the first"),
}
"""What they send, and which revisions they name. Conversations, Profanity and poezio take nothing
back."""


def _named(ids: dict[str, str], which: str, *, is_room: bool) -> list[str]:
    """By its ids of a message, the oldest first."""
    kind = "origin-id" if which.startswith("origin-id") else "stanza-id" if is_room else "@id"
    of_kind = [id for by, id in ids.items() if by.partition(" ")[0] == kind]
    if which == "each":
        return of_kind
    return of_kind[-1:] if which.endswith("last") else of_kind[:1]


@pytest.mark.parametrize("client", RETRACTING)
@pytest.mark.parametrize("context", CONTEXTS)
async def test_req_411_427_as_each_client_takes_back(
    house: House, context: str, client: str
) -> None:
    """After no, one and two corrections; the network is told once, and there is no error."""
    form, which = RETRACTING[client]
    table = await _table(house, context)
    for corrections in range(3):
        said = await table.by_user(corrections, f"{corrections}-")
        done = len(house.network.commands)
        for id in _named(said.ids, which, is_room=table.is_room):  # all at once
            table.count += 1
            table.say(form.format(id=id), f"r{table.count}", has_type=client != "Dino")
        told = await table.settled()
        assert [each for each in told if each.get("type") == "error"] == []
        assert house.network.commands[done:] == [table._expected("retraction", said)]


@pytest.mark.parametrize("context", CONTEXTS)
async def test_req_411_424_as_profanity_corrects_what_it_has_corrected(
    house: House, context: str
) -> None:
    """It names what it has said last, be that a correction."""
    table = await _table(house, context)
    said = await table.by_user(3, is_chain=True)
    for by in ("@id", "@id of 3"):
        await table.refer("replace", by, said)


async def test_req_411_568_as_each_client_moderates(house: House) -> None:
    """By the stanza-id of the first or the last revision, or, as Conversations, by all of them at
    once; after no, one and two corrections."""
    table = await _table(house, "room")
    for corrections in range(3):
        for which in ("first", "last", "each"):
            said = await table.by_contact(corrections, f"{corrections}{which}")
            done = len(house.network.commands)
            ids = [id for by, id in said.ids.items() if by.startswith("stanza-id")]
            named = {"first": ids[:1], "last": ids[-1:], "each": ids}[which]
            for number, id in enumerate(named):
                house.server.send(
                    f"<iq type='set' id='q{number}' from='{PHONE}' to='{table.to}'>"
                    f"<moderate xmlns='urn:xmpp:message-moderate:1' id='{id}'>"
                    "<retract xmlns='urn:xmpp:message-retract:1'/></moderate></iq>"
                )
            answers = await table.settled()
            assert [each.get("type") for each in answers] == ["result"] * len(named)
            (made,) = house.network.commands[done:]
            assert (made["do"], made["message"]) == ("ModerateMessage", said.remote_id)


# --- what we refer to ---------------------------------------------------------------------------

OF_PEOPLE = ("chat", "private")
NETWORK_REFERS = {
    "replace": ("message", {"body": "other", "edits": "{id}"}),
    "reaction": ("reaction", {"emoji": "👍", "message": "{id}"}),
    "reply": ("message", {"body": "yes", "reply_to": "{id}"}),
    "retraction": ("retraction", {"message": "{id}"}),
    "marker": ("read", {}),
}
OURS = {
    "replace": REPLACE,
    "reaction": "{urn:xmpp:reactions:0}reactions",
    "reply": "{urn:xmpp:reply:0}reply",
    "retraction": "{urn:xmpp:message-retract:1}retract",
    "marker": "{urn:xmpp:chat-markers:0}displayed",
}


def _event(op: str, by: str, id: str) -> tuple[str, dict[str, Any]]:
    kind, fields = NETWORK_REFERS[op]
    about = {name: value.format(id=by) for name, value in fields.items()}
    if op == "marker":
        return kind, {"id": by}
    return kind, {"id": id, **about}


async def _we_refer(table: _Table, op: str, by: str, **fields: Any) -> str | None:
    """The network says something about one of its ids; the id in what the user is told."""
    table.count += 1
    kind, about = _event(op, by, f"n{table.count}")
    table.house.network.event("alice", kind, contact="bob", **about, **fields)
    found = [told for told in await table.settled() if told.find(OURS[op]) is not None]
    assert len(found) == 1, (op, by)
    assert found[0].get("from", "").startswith(table.to), "by the way by which it came"
    named = found[0].find(OURS[op])
    return None if named is None else named.get("id")


@pytest.mark.parametrize("corrections", [0, 1, 2])
@pytest.mark.parametrize("op", ["replace", "reaction", "reply", "retraction"])
@pytest.mark.parametrize("context", OF_PEOPLE)
async def test_req_411_we_refer_to_what_the_contact_has_said(
    tmp_path: Path, context: str, op: str, corrections: int
) -> None:
    """Always to the original, whichever of its ids the network names."""
    names = ["b0", *(f"b{number}" for number in range(1, corrections + 1))]
    for name in names if op != "retraction" else names[:1]:
        async with House(tmp_path / name) as house:
            table = await _table(house, context)
            said = await table.by_contact(corrections)
            assert await _we_refer(table, op, name) == said.ids["@id"]


@pytest.mark.parametrize("corrections", [1, 2])
@pytest.mark.parametrize("context", OF_PEOPLE)
async def test_req_411_an_edit_taken_back_takes_back_no_message(
    tmp_path: Path, context: str, corrections: int
) -> None:
    """A retraction that names an edit is of that alone."""
    for number in range(1, corrections + 1):
        async with House(tmp_path / str(number)) as house:
            table = await _table(house, context)
            said = await table.by_contact(corrections)
            house.network.event("alice", "retraction", contact="bob", id="t", message=f"b{number}")
            assert [
                each for each in await table.settled() if each.find(OURS["retraction"]) is not None
            ] == []
            assert await _we_refer(table, "reaction", "b0") == said.ids["@id"], "it is still there"


@pytest.mark.parametrize("corrections", [0, 1, 2])
@pytest.mark.parametrize("op", ["reaction", "reply", "marker"])
@pytest.mark.parametrize("context", OF_PEOPLE)
async def test_req_411_we_refer_to_what_the_user_has_said(
    tmp_path: Path, context: str, op: str, corrections: int
) -> None:
    """By the origin-id, and in marks by the ``@id``, of the original, whichever of its ids the
    network names."""
    for number in range(corrections + 1):
        async with House(tmp_path / str(number)) as house:
            table = await _table(house, context)
            said = await table.by_user(corrections)
            name = house.network.sent[number - corrections - 1].id
            expected = said.ids["@id" if op == "marker" else "origin-id"]
            assert await _we_refer(table, op, name) == expected
