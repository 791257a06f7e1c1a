# SPDX-License-Identifier: Apache-2.0
"""What users publish of themselves, shown on the network to those who wish that (REQ-349)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.scenario.house import GATEWAY, House, Options
from tests.scenario.test_presence import CAROL
from tests.scenario.test_room_avatars import png
from tests.scenario.test_rooms import _received
from tests.scenario.test_stream import ALICE, events, running

METADATA, DATA = "urn:xmpp:avatar:metadata", "urn:xmpp:avatar:data"
NICK = "http://jabber.org/protocol/nick"
_PUBSUB = "http://jabber.org/protocol/pubsub"
FACE = png("navy", 8)
HASH = hashlib.sha1(FACE).hexdigest()


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """With a network that has pictures."""
    async with House(tmp_path, Options(adapter="illustrated")) as house:
        yield house


def _said(house: House, user: str, node: str, item: str) -> None:
    """The user's server tells the gateway."""
    house.server.send(
        f"<message type='headline' from='{user}' to='{GATEWAY}'>"
        f"<event xmlns='{_PUBSUB}#event'><items node='{node}'>{item}</items></event></message>"
    )


def _nick(name: str) -> str:
    return f"<item id='current'><nick xmlns='{NICK}'>{name}</nick></item>"


def _info(id: str, more: str = "") -> str:
    info = f"<info id='{id}' bytes='9' type='image/png'{more}/>"
    return f"<item id='{id}'><metadata xmlns='{METADATA}'>{info}</metadata></item>"


def _told(house: House) -> list[dict[str, Any]]:
    """What the network was told, in order."""
    return [command for command in house.network.commands if command["op"] == "profile"]


async def _answers(house: House, data: bytes, id: str = HASH) -> int:
    """The user's server answers what it is asked; returns how many questions there were."""
    asked = [one for one in _received(house) if one.tag.endswith("iq")]
    for one in asked:
        coded = base64.b64encode(data).decode()
        item = f"<item id='{id}'><data xmlns='{DATA}'>{coded}</data></item>"
        house.server.send(
            f"<iq type='result' from='{one.get('to')}' to='{GATEWAY}' id='{one.get('id')}'>"
            f"<pubsub xmlns='{_PUBSUB}'><items node='{DATA}'>{item}</items></pubsub></iq>"
        )
    await house.clock.settle()
    return len(asked)


async def _wishes(house: House, user: str = ALICE) -> None:
    """The user shows a picture; nobody has one yet."""
    _said(house, user, METADATA, f"<item id='x'><metadata xmlns='{METADATA}'/></item>")
    await house.change_setting(user, "publish_picture", "true")
    await house.clock.advance(3)
    _received(house)


@pytest.mark.parametrize(
    "data",
    [b"", FACE + b"x", b"not a picture", png("navy", 9)],
    ids=["empty", "longer", "text", "another"],
)
async def test_req_349_only_the_picture_that_was_named_counts(house: House, data: bytes) -> None:
    await running(house)
    await _wishes(house)
    _said(house, ALICE, METADATA, _info(HASH))
    await house.clock.advance(3)
    assert await _answers(house, data) == 1
    await house.clock.advance(3)
    assert _told(house) == []
    assert "profile_not_read" in events(house)


async def test_req_349_what_is_no_picture_is_left_out(house: House) -> None:
    await running(house)
    await _wishes(house)
    bad = b"<svg xmlns='http://www.w3.org/2000/svg'/>"
    id = hashlib.sha1(bad).hexdigest()
    _said(house, ALICE, METADATA, _info(id))
    await house.clock.advance(3)
    assert await _answers(house, bad, id) == 1
    assert _told(house) == []
    assert "picture_left_out" in events(house)


@pytest.mark.parametrize(
    "item",
    [
        _info(HASH, " url='https://far.example/x.png'"),
        _info("../../etc/passwd"),
        _info("A" * 5_000),
        _info("0" * 40).replace("0" * 40, HASH, 1),
        f"<item id='{HASH}'/>",
        f"<retract id='{HASH}'/>",
        "",
    ],
    ids=["elsewhere", "path", "endless", "another", "bare", "retracted", "nothing"],
)
async def test_req_349_odd_words_of_a_picture_are_none(house: House, item: str) -> None:
    await running(house)
    await _wishes(house)
    _said(house, ALICE, METADATA, item)
    await house.clock.advance(3)
    assert await _answers(house, FACE) == 0
    assert _told(house) == []


async def test_req_349_what_the_network_has_stays_until_there_is_one_here(house: House) -> None:
    await running(house)
    await _wishes(house)
    await house.change_setting(ALICE, "publish_name", "true")
    _said(house, ALICE, NICK, _nick(""))
    await house.clock.advance(3)
    assert _told(house) == []


async def test_req_349_a_network_that_fails_is_told_again(house: House) -> None:
    await running(house)
    await house.change_setting(ALICE, "publish_name", "true")
    house.network.faults += [
        {"error": "rate", "text": "slowly", "retry_after_s": 50},
        {"error": "transient", "text": "not now"},
    ]
    _said(house, ALICE, NICK, _nick("Alice"))
    await house.clock.advance(40)
    assert _told(house) == []
    await house.clock.advance(200)
    assert [told["name"] for told in _told(house)] == ["Alice"]
    _said(house, ALICE, NICK, _nick("Alice"))
    await house.clock.advance(200)
    assert len(_told(house)) == 1


async def test_req_349_each_user_for_themselves(house: House) -> None:
    await running(house)
    await house.link(CAROL, "carol")
    await house.change_setting(ALICE, "publish_name", "true")
    for user, name in ((ALICE, "Alice A"), (CAROL, "Carol C")):
        _said(house, user, NICK, _nick(name))
    await house.clock.advance(5)
    assert [told["name"] for told in _told(house)] == ["Alice A"]


async def test_req_349_many_changes_are_one(house: House) -> None:
    await running(house)
    await house.change_setting(ALICE, "publish_name", "true")
    for number in range(50):
        _said(house, ALICE, NICK, _nick(f"Alice {number}"))
    await house.clock.advance(30)
    assert [told["name"] for told in _told(house)] == ["Alice 49"]


async def test_req_349_a_server_that_does_not_answer_is_not_asked_for_ever(house: House) -> None:
    await running(house)
    await house.change_setting(ALICE, "publish_picture", "true")
    await house.clock.advance(600)
    asked = [one for one in _received(house) if one.tag.endswith("iq")]
    assert len([one for one in asked if one.get("to") == ALICE]) == 1
    assert _told(house) == []


ELSEWHERE = _info(HASH, " url='https://far.example/x.png'")
STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas"


async def _shows(house: House) -> None:
    """The user's picture is on the network."""
    await _wishes(house)
    _said(house, ALICE, METADATA, _info(HASH))
    await house.clock.advance(3)
    assert await _answers(house, FACE) == 1
    await house.clock.advance(3)
    assert [told["picture"] for told in _told(house)] == ["image/png"]


@pytest.mark.parametrize(
    "event",
    [
        f"<configuration node='{METADATA}'/>",
        f"<subscription node='{METADATA}' jid='{GATEWAY}' subscription='subscribed'/>",
        f"<items node='{METADATA}'><retract id='{HASH}'/></items>",
        f"<items node='{METADATA}'><item id='{HASH}'/></items>",
        f"<items node='{METADATA}'>{ELSEWHERE}</items>",
        f"<items node='{METADATA}'>{_info('0' * 40).replace('0' * 40, HASH, 1)}</items>",
        f"<items node='{DATA}'><item id='{HASH}'/></items><delete node='{DATA}'/>",
    ],
    ids=["set up", "seen", "retracted", "bare", "elsewhere", "another", "data"],
)
async def test_req_349_a_picture_stays_unless_the_user_takes_it_away(
    house: House, event: str
) -> None:
    await running(house)
    await _shows(house)
    house.server.send(
        f"<message type='headline' from='{ALICE}' to='{GATEWAY}'>"
        f"<event xmlns='{_PUBSUB}#event'>{event}</event></message>"
    )
    await house.clock.advance(5)
    assert len(_told(house)) == 1


@pytest.mark.parametrize("kind", ["delete", "purge"])
async def test_req_349_a_node_that_is_emptied_is_a_picture_taken_away(
    house: House, kind: str
) -> None:
    await running(house)
    await _shows(house)
    house.server.send(
        f"<message type='headline' from='{ALICE}' to='{GATEWAY}'><event xmlns='{_PUBSUB}#event'>"
        f"<configuration node='{METADATA}'/><{kind} node='{METADATA}'/></event></message>"
    )
    await house.clock.advance(5)
    assert [told["picture"] for told in _told(house)] == ["image/png", ""]


@pytest.mark.parametrize(
    "inner",
    [
        f"<error type='cancel'><item-not-found xmlns='{STANZAS}'/></error>",
        f"<pubsub xmlns='{_PUBSUB}'><items node='{METADATA}'/></pubsub>",
        f"<pubsub xmlns='{_PUBSUB}'><items node='{METADATA}'>{ELSEWHERE}</items></pubsub>",
    ],
    ids=["no node", "no item", "elsewhere"],
)
async def test_req_349_after_a_restart_what_is_not_found_takes_nothing_away(
    house: House, inner: str
) -> None:
    await running(house)
    await _shows(house)
    await house.stop()
    await house.start()
    await house.connected()
    await house.clock.advance(5)
    asked = [one for one in _received(house) if one.tag.endswith("iq") and one.get("to") == ALICE]
    assert len(asked) == 1
    kind = "error" if "<error" in inner else "result"
    house.server.send(
        f"<iq type='{kind}' from='{ALICE}' to='{GATEWAY}' id='{asked[0].get('id')}'>{inner}</iq>"
    )
    await house.clock.advance(60)
    assert len(_told(house)) == 1
