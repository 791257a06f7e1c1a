# SPDX-License-Identifier: Apache-2.0
"""What the devices of users show in rooms, and what they can do: as others see it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest
import pytest_asyncio

from tests.scenario.house import House, Options
from tests.scenario.patterns import ACCEPT
from tests.scenario.test_shared_rooms import USERS, Town

_CAPS = "{http://jabber.org/protocol/caps}c"
_INFO = "http://jabber.org/protocol/disco#info"
_SAID = "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='http://client' ver='v='/>"


@pytest_asyncio.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with House(tmp_path, Options(adapter="trusted")) as house:
        yield await Town(house).begin()


def _shows(town: Town, name: str, inner: str, device: str = "phone") -> None:
    town.house.server.send(
        f"<presence from='{USERS[name]}/{device}' to='{town.room}/{name.title()}'>"
        f"{inner}</presence>"
    )


def _joins(town: Town, name: str, inner: str, device: str = "phone") -> None:
    _shows(town, name, f"<x xmlns='http://jabber.org/protocol/muc'/>{inner}", device)


def _of(stanzas: list[Element], nick: str) -> list[Element]:
    return [
        one
        for one in stanzas
        if one.tag == f"{ACCEPT}presence" and one.get("from", "").endswith(f"/{nick}")
    ]


def _show(presence: Element) -> str:
    return presence.findtext(f"{ACCEPT}show", "")


async def test_req_506_others_are_told_once(town: Town) -> None:
    await town.both_join()
    for show in ("away", "dnd", "xa", "away"):
        _shows(town, "alice", f"<show>{show}</show>")
    assert not any((await town.settle()).values())
    await town.house.clock.advance(1)
    told = await town.settle()
    assert [_show(one) for one in _of(told["carol"], "Alice")] == ["away"]
    assert [_show(one) for one in _of(told["alice"], "Alice")] == ["away"]
    # The same again is no news.
    _shows(town, "alice", "<show>away</show>")
    await town.house.clock.advance(1)
    assert not any((await town.settle()).values())
    # And whoever comes now sees it too.
    (seen,) = _of(await town.join("carol", "laptop"), "Alice")
    assert _show(seen) == "away"


async def test_req_506_the_device_that_is_best_reached_speaks(town: Town) -> None:
    await town.both_join()
    _joins(town, "alice", "<show>away</show>", "laptop")
    assert not (await town.settle())["carol"]
    _shows(town, "alice", "<show>xa</show>")
    await town.house.clock.advance(1)
    assert [_show(one) for one in (await town.settle())["carol"]] == ["away"]
    gone = f"<presence from='{USERS['alice']}/laptop' to='{town.room}/Alice' type='unavailable'/>"
    town.house.server.send(gone)
    assert [_show(one) for one in (await town.settle())["carol"]] == ["xa"]


@pytest.mark.parametrize(("members", "is_shown"), [(100, True), (101, False)])
async def test_req_555_not_in_large_groups(town: Town, members: int, is_shown: bool) -> None:
    town.members += [f"m{number}" for number in range(members - len(town.members))]
    town.describe("alice")
    await town.settle()
    await town.both_join()
    _shows(town, "alice", f"<show>away</show>{_SAID}")
    await town.house.clock.advance(1)
    told = await town.settle()
    assert [_show(one) for one in told["carol"]] == (["away"] if is_shown else [])
    (seen,) = _of(await town.join("carol", "laptop"), "Alice")
    assert _show(seen) == ("away" if is_shown else "")
    caps = seen.find(_CAPS)
    assert caps is not None
    assert caps.get("ver") == "v="


async def test_req_506_outlives_a_restart(town: Town) -> None:
    await town.both_join()
    _shows(town, "alice", "<show>dnd</show><status>busy</status>")
    await town.house.clock.advance(1)
    await town.settle()
    await town.house.stop()
    await town.house.start()
    await town.house.connected()
    assert not any((await town.settle()).values())
    (seen,) = _of(await town.join("carol", "laptop"), "Alice")
    assert (_show(seen), seen.findtext(f"{ACCEPT}status")) == ("dnd", "busy")


async def test_req_503_what_a_client_can_do_is_told_and_can_be_asked(town: Town) -> None:
    _joins(town, "alice", _SAID)
    (own,) = _of((await town.settle())["alice"], "Alice")
    (seen,) = _of(await town.join("carol"), "Alice")
    for presence in (own, seen):
        caps = presence.find(_CAPS)
        assert caps is not None
        assert dict(caps.attrib) == {"hash": "sha-1", "node": "http://client", "ver": "v="}
    answer = await _asks(town, "http://client#v=")
    form = (
        "<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'>"
        "<value>urn:xmpp:dataforms:softwareinfo</value></field></x>"
    )
    answer(
        "result",
        f"<query xmlns='{_INFO}' node='http://client#v='>"
        "<identity category='client' type='phone' name='C &amp; D'/><feature var='urn:xmpp:ping'/>"
        f"{form}<secret xmlns='x'>alice@home.example</secret></query>",
    )
    (told,) = (await town.settle())["carol"]
    assert told.get("type") == "result"
    (query,) = told
    assert query.get("node") == "http://client#v="
    assert [child.tag.rpartition("}")[2] for child in query] == ["identity", "feature", "x"]
    assert query[0].get("name") == "C & D"
    assert query.findtext("{jabber:x:data}x/{jabber:x:data}field/{jabber:x:data}value") == (
        "urn:xmpp:dataforms:softwareinfo"
    )


async def test_req_128_the_device_that_is_best_reached_is_asked(town: Town) -> None:
    """By who asks without caps; and its answer is no news of who it is."""
    _joins(town, "alice", "<show>xa</show>", "laptop")
    _joins(town, "alice", "")
    _joins(town, "alice", "<show>away</show>", "tablet")
    await town.join("carol")
    answer = await _asks(town, "")
    answer("result", f"<query xmlns='{_INFO}'><feature var='urn:xmpp:ping'/></query>")
    (reply,) = (await town.settle())["carol"]
    assert (reply.get("type"), reply.get("from")) == ("result", f"{town.room}/Alice")
    (query,) = reply
    assert query.attrib == {}
    assert [one.get("var") for one in query] == ["urn:xmpp:ping"]
    # Nobody is asked for those of the network.
    _ask(town, "carol", "", "Bob")
    told = await town.settle()
    assert not told["alice"]
    ((answered,),) = told["carol"]
    assert len(answered) > 1


@pytest.mark.parametrize("kind", ["error", "silence", "long"])
async def test_req_503_a_client_that_does_not_tell(town: Town, kind: str) -> None:
    """There is one answer all the same."""
    _joins(town, "alice", _SAID)
    await town.join("carol")
    answer = await _asks(town, "http://client#v=")
    if kind == "error":
        answer("error", "<error type='cancel'><item-not-found/></error>")
    elif kind == "long":
        answer("result", f"<query xmlns='{_INFO}'><feature var='{'x' * 40_000}'/></query>")
    else:
        await town.house.clock.advance(25)
    (told,) = (await town.settle())["carol"]
    assert (told.get("type"), told.get("id")) == ("error", "d1")


async def test_req_503_nobody_is_asked_what_they_have_not_said(town: Town) -> None:
    _joins(town, "alice", _SAID)
    await town.join("carol")
    for node in ("http://client#other", "v="):
        _ask(town, "carol", node)
        told = await town.settle()
        assert not told["alice"]
        assert [one.get("type") for one in told["carol"]] == ["error"]
    _ask(town, "dave", "http://client#v=")  # who is not in the room
    assert not (await town.settle())["alice"]


def _ask(town: Town, name: str, node: str, whom: str = "Alice") -> None:
    named = f" node='{node}'" if node else ""
    town.house.server.send(
        f"<iq type='get' id='d1' from='{USERS[name]}/phone' to='{town.room}/{whom}'>"
        f"<query xmlns='{_INFO}'{named}/></iq>"
    )


async def _asks(town: Town, node: str) -> Callable[[str, str], None]:
    """Carol asks what Alice's client can do. Returns how that answers."""
    _ask(town, "carol", node)
    told = await town.settle()
    assert not told["carol"]
    (question,) = told["alice"]
    assert (question.get("from"), question.get("to")) == (town.room, f"{USERS['alice']}/phone")

    def answer(kind: str, inner: str) -> None:
        town.house.server.send(
            f"<iq type='{kind}' id='{question.get('id')}' from='{question.get('to')}'"
            f" to='{town.room}'>{inner}</iq>"
        )

    return answer
