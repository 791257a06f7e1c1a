# SPDX-License-Identifier: Apache-2.0
"""Threads of rooms, in both directions."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import pytest

from tests.scenario.house import House, Options
from tests.scenario.patterns import ACCEPT
from tests.scenario.test_room_enclosures import _archived, _say
from tests.scenario.test_room_history import _back, _before
from tests.scenario.test_room_speech import CLIENT, _id, _settled, _tell
from tests.scenario.test_rooms import PHONE, _club, _join
from tests.scenario.test_shared_rooms import Town, _groupchat

THREAD = f"{ACCEPT}thread"
_BODY = f"{ACCEPT}body"
_REPLY = "{urn:xmpp:reply:0}reply"


def _bob_says(house: House, id: str, body: str, **about: Any) -> None:
    _tell(house, "message", sender="bob", id=id, body=body, **about)


async def _heard(house: House, id: str, body: str, **about: Any) -> Element:
    _bob_says(house, id, body, **about)
    (told,) = await _settled(house)
    return told


async def _says(house: House, room: str, id: str, body: str, beside: str = "") -> Element:
    """Something that alice says, as it comes back."""
    _say(house, room, id, body, beside)
    (told,) = await _settled(house)
    assert told.get("type") == "groupchat"
    return told


def _thread(name: str) -> str:
    return f"<thread>{name}</thread>"


def _answering(message: Element) -> str:
    return f"<reply xmlns='urn:xmpp:reply:0' to='{message.get('from')}' id='{_id(message)}'/>"


async def test_req_578_a_thread_of_the_network_has_one_id(house: House) -> None:
    """Live, in the archive, after a restart, and for an edit too; others have others."""
    room = await _club(house)
    await _join(house, room)
    first = await _heard(house, "r1", "tea?")
    assert first.find(THREAD) is None
    told = [await _heard(house, "r2", "green", thread="r1", thread_after="r1")]
    told.append(await _heard(house, "r3", "black", thread="r1", thread_after="r2"))
    told.append(await _heard(house, "r4", "black!", edits="r3"))
    (name,) = {each.findtext(THREAD) for each in told}
    assert name
    other = await _heard(house, "r5", "cake", thread="r0")
    assert other.findtext(THREAD) not in (None, name)
    await house.kill()
    await house.start()
    await house.connected()
    await _settled(house)  # what was not proved comes again
    assert (await _heard(house, "r6", "white", thread="r1")).findtext(THREAD) == name
    archived = [each.findtext(f"{CLIENT}thread") for each in await _archived(house, room)]
    assert archived == [None, name, name, name, other.findtext(THREAD), name]


async def test_req_578_clients_without_threads_see_what_was_said_before(house: House) -> None:
    room = await _club(house)
    await _join(house, room)
    first = await _heard(house, "r1", "tea?")
    second = await _heard(house, "r2", "green", thread="r1", thread_after="r1")
    third = await _heard(house, "r3", "black", thread="r1")
    for each in (second, third):
        reply = each.find(_REPLY)
        assert reply is not None
        assert reply.get("id") == _id(first)
    fourth = await _heard(house, "r4", "yes", thread="r1", reply_to="r2")
    reply = fourth.find(_REPLY)
    assert reply is not None
    assert reply.get("id") == _id(second)


async def test_req_578_577_a_line_of_a_thread_is_a_message_there(house: House) -> None:
    """Clients without threads see what follows as an answer to it, such as the name of a topic;
    who answers it says something in the thread."""
    room = await _club(house)
    await _join(house, room)
    lines = []
    for _ in range(2):  # what is told twice is one line
        _tell(house, "notice", id="r1", text="Topic “Tea”.", thread="r1")
        lines += await _settled(house)
    (line,) = lines
    assert (line.get("from"), line.findtext(_BODY)) == (room, "Topic “Tea”.")
    said = await _heard(house, "r2", "green", thread="r1", thread_after="r1")
    assert line.findtext(THREAD) == said.findtext(THREAD)
    reply = said.find(_REPLY)
    assert reply is not None
    assert (reply.get("id"), reply.get("to")) == (_id(line), room)
    assert said.findtext(_BODY) == "> Topic “Tea”.\ngreen"
    back = await _says(house, room, "g1", "black", _answering(line))
    assert house.network.sent[-1].about["thread"] == "r1"
    assert back.findtext(THREAD) == said.findtext(THREAD)
    _tell(house, "notice", id="r3", text="A message was pinned.")
    (other,) = await _settled(house)
    assert other.find(THREAD) is None


async def test_req_578_what_is_said_in_a_thread_goes_into_it(house: House) -> None:
    room = await _club(house)
    await _join(house, room)
    await _heard(house, "r1", "tea?")
    told = await _heard(house, "r2", "green", thread="r1", thread_after="r1")
    name = told.findtext(THREAD) or ""
    back = await _says(house, room, "g1", "black", _thread(name))
    mine = house.network.sent[-1]
    assert mine.about == {"thread": "r1", "thread_after": "r2"}
    assert (back.findtext(THREAD), back.find(_REPLY)) == (name, None)
    await _says(house, room, "g2", "white", _thread(f" {name} "))
    assert house.network.sent[-1].about == {"thread": "r1", "thread_after": mine.id}
    replace = "<replace xmlns='urn:xmpp:message-correct:0' id='g2'/>"
    edited = await _says(house, room, "g3", "white!", replace + _thread("another"))
    assert set(house.network.sent[-1].about) == {"edits"}
    assert edited.findtext(THREAD) == name


async def test_req_578_an_answer_to_what_is_in_a_thread_goes_there_too(house: House) -> None:
    """Most clients know no threads. That with which it began is in none."""
    room = await _club(house)
    await _join(house, room)
    root = await _heard(house, "r1", "tea?")
    told = await _heard(house, "r2", "green", thread="r1", thread_after="r1")
    for number, more in enumerate(("", _thread("of-the-client"))):
        back = await _says(house, room, f"g{number}", "yes", _answering(told) + more)
        about = house.network.sent[-1].about
        assert (about["thread"], about["reply_to"]) == ("r1", "r2")
        assert back.findtext(THREAD) == told.findtext(THREAD)
    back = await _says(house, room, "g3", "no", _answering(root))
    assert house.network.sent[-1].about == {"reply_to": "r1"}
    assert back.find(THREAD) is None


@pytest.mark.parametrize(
    "named", ["8d7f6a", "a.b", "cjE.AAAA", "ü.ü", ".", "cjE", "x" * 600, "&lt;t&gt;"]
)
async def test_req_578_563_threads_of_clients_are_theirs(house: House, named: str) -> None:
    """None begins on the network, and other clients are told of them as they are."""
    room = await _club(house)
    await _join(house, room)
    back = await _says(house, room, "g1", "hello", f"<thread parent='p'>{named}</thread>")
    assert house.network.sent[-1].about == {}
    thread = back.find(THREAD)
    assert thread is not None
    assert thread.text == named.replace("&lt;", "<").replace("&gt;", ">")
    assert thread.attrib == {}
    (kept,) = await _archived(house, room)
    assert kept.findtext(f"{CLIENT}thread") == thread.text
    back = await _says(house, room, "g2", "hello", _thread("x" * 601))
    assert back.find(THREAD) is None


async def test_req_578_a_network_without_threads_gets_none(tmp_path: Path) -> None:
    async with House(tmp_path, Options(adapter="plain")) as house:
        room = await _club(house)
        await _join(house, room)
        back = await _says(house, room, "g1", "hello", _thread("t1"))
        assert house.network.sent[-1].about == {}
        assert back.findtext(THREAD) == "t1"


async def test_req_578_in_a_shared_room_it_is_one_thread_for_all(tmp_path: Path) -> None:
    async with House(tmp_path, Options(adapter="trusted")) as house:
        town = await Town(house).begin()
        await town.both_join()
        town.says(("alice", "carol"), "bob", "tea?", "m1")
        town.says(("carol", "alice"), "bob", "green", "m2", thread="m1", thread_after="m1")
        told = await town.settle()
        names = {
            each.findtext(THREAD)
            for who in ("alice", "carol")
            for each in _groupchat(told[who])
            if each.find(THREAD) is not None
        }
        assert len(names) == 1
        _say(house, town.room, "g1", "black", _thread(names.pop() or ""))
        await town.settle()
        assert house.network.sent[-1].about == {"thread": "m1", "thread_after": "m2"}


async def test_req_578_584_threads_of_the_past(house: House) -> None:
    _before(house, "tea?", id="p1")
    _before(house, "green", id="p2", thread="p1", thread_after="p1")
    room = await _club(house)
    first, second = (each.find(f".//{CLIENT}message") for each in await _back(house, room, 10))
    assert first is not None
    assert second is not None
    assert first.find(f"{CLIENT}thread") is None
    name = second.findtext(f"{CLIENT}thread") or ""
    await _join(house, room)
    await _says(house, room, "g1", "black", _thread(name))
    assert house.network.sent[-1].about == {"thread": "p1", "thread_after": "p2"}
    house.server.send(f"<presence type='unavailable' from='{PHONE}' to='{room}/Alice'/>")
