# SPDX-License-Identifier: Apache-2.0
"""People come into linked groups and go, while much else happens at once (REQ-506, REQ-510,
REQ-557)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.config.tree import Limits
from gateway.config.values import Rate
from gateway.ids import UserJid
from tests.scenario.house import GATEWAY, RELAY, House, Options
from tests.scenario.portal import ADMIN, ERIN, FRED, Portal, bodies, codes, error, rule, there
from tests.scripted.adapter import token_of_house

INFO = "http://jabber.org/protocol/disco#info"
JOIN = "<x xmlns='http://jabber.org/protocol/muc'/>"


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with House(tmp_path, Options(house=True)) as one:
        yield one


@pytest_asyncio.fixture
async def portal(house: House) -> Portal:
    return await Portal(house).begin()


def _joins(portal: Portal, user: str, nick: str, device: str = "phone") -> str:
    return f"<presence from='{user}/{device}' to='{portal.room}/{nick}'>{JOIN}</presence>"


def _leaves(portal: Portal, user: str, nick: str, device: str = "phone") -> str:
    return f"<presence type='unavailable' from='{user}/{device}' to='{portal.room}/{nick}'/>"


def _sessions(portal: Portal) -> list[str]:
    return [jid for (jid,) in portal.house.query("SELECT jid FROM occupant ORDER BY jid")]


def _virtual(portal: Portal) -> list[str]:
    found = portal.house.query("SELECT remote_id FROM member WHERE remote_id LIKE 'xmpp:%'")
    return sorted(user.removeprefix("xmpp:") for (user,) in found)


@pytest.mark.parametrize("is_known", [False, True])
async def test_who_leaves_while_coming_in_is_not_in(portal: Portal, *, is_known: bool) -> None:
    if is_known:
        await portal.join("fred")
        await portal.leave("fred")
    portal.send(_joins(portal, FRED, "Fred") + _leaves(portal, FRED, "Fred"))
    told = await portal.settle()
    assert told["fred"][-1].get("type") == "unavailable"
    assert not _sessions(portal)
    assert not _virtual(portal)


async def test_two_devices_that_come_at_once_are_one_person(portal: Portal) -> None:
    portal.send(
        _joins(portal, FRED, "Fred")
        + _joins(portal, FRED, "Freddy", "laptop")
        + _joins(portal, FRED, "Fred")
    )
    await portal.settle()
    assert _sessions(portal) == [f"{FRED}/laptop", f"{FRED}/phone"]
    assert _virtual(portal) == [FRED]
    told = await portal.says("bob", "hello both", "b1")
    assert len(bodies(told["fred"])) == 2


@pytest.mark.parametrize("is_known", [False, True])
async def test_who_comes_while_the_group_is_unlinked_is_not_in(
    portal: Portal, *, is_known: bool
) -> None:
    if is_known:
        await portal.join("fred")
        await portal.leave("fred")
    portals = portal.house.bridge.portals
    unlinking = portal.house.bridge.ground.tasks.spawn(
        portals.unlink(next(iter(portals.rooms))), "unlink"
    )
    portal.send(_joins(portal, FRED, "Fred"))
    await portal.settle()
    await unlinking
    await portal.settle()
    assert not _sessions(portal)
    assert not _virtual(portal)


async def test_who_is_banned_while_coming_in_is_not_in(portal: Portal) -> None:
    await portal.join("erin")
    await portal.join("fred")
    await portal.leave("fred")
    ban = f"<query xmlns='{ADMIN}'><item affiliation='outcast' jid='{FRED}'/></query>"
    portal.send(
        f"<iq type='set' id='q' from='{ERIN}/phone' to='{portal.room}'>{ban}</iq>"
        + _joins(portal, FRED, "Fred")
    )
    told = await portal.settle()
    assert _sessions(portal) == [f"{ERIN}/phone"]
    assert _virtual(portal) == [ERIN]
    assert "301" in codes(told["fred"]) or error(told["fred"]) == "forbidden"


async def test_who_is_called_otherwise_while_they_leave_has_left(portal: Portal) -> None:
    await portal.join("erin")
    await portal.join("fred")
    portal.send(
        _leaves(portal, FRED, "Fred")
        + f"<presence from='{FRED}/phone' to='{portal.room}/Freddy'/>"
    )
    await portal.settle()
    assert _sessions(portal) == [f"{ERIN}/phone"]
    assert _virtual(portal) == [ERIN]


async def test_a_device_that_is_gone_is_out_of_the_group(portal: Portal) -> None:
    """What was sent to it came back."""
    await portal.join("erin")
    await portal.join("fred")
    portal.send(
        f"<message type='error' id='x' from='{FRED}/phone' to='{portal.room}/Bob'><error "
        "type='cancel'><recipient-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
        "</error></message>"
    )
    told = await portal.settle()
    gone = [each for each in told["erin"] if each.get("type") == "unavailable"]
    assert [each.get("from") for each in gone] == [f"{portal.room}/Fred"]
    assert _virtual(portal) == [ERIN]


async def test_restarts_keep_who_was_put_out_out(portal: Portal) -> None:
    await portal.join("erin")
    await portal.join("fred")
    await rule(portal, "erin", f"affiliation='outcast' jid='{FRED}'")
    await portal.house.stop()
    await portal.house.start()
    await portal.house.connected()
    await portal.describe()
    assert not (await portal.says("bob", "among us", "b1"))["fred"]
    assert error(await portal.join("fred")) == "forbidden"


async def test_another_account_of_the_house_is_not_in_the_groups_of_the_first(
    portal: Portal,
) -> None:
    """Until it tells of them."""
    house = portal.house
    await portal.join("erin")
    await house.stop()
    house.network.tokens[token_of_house("other")] = "other"
    house.options = replace(house.options, relay="other")
    await house.start()
    await house.connected()
    told = await portal.settle()
    assert codes(told["erin"]) == {"110", "333"}
    assert error(await portal.join("fred")) == "remote-server-timeout"
    members = [{"user": "other", "name": "Other"}, {"user": "bob", "name": "Bob"}]
    house.network.event("other", "room", room="!tea", members=members, is_private=False)
    await portal.settle()
    assert set(there(await portal.join("erin"))) == {"Other", "Bob", "Erin"}


async def test_private_messages_to_people_on_xmpp_are_refused(portal: Portal) -> None:
    await portal.join("erin")
    await portal.join("fred")
    portal.send(
        f"<message type='chat' id='p1' from='{ERIN}/phone' to='{portal.room}/Fred'>"
        "<body>psst</body></message>"
    )
    told = await portal.settle()
    assert error(told["erin"]) == "not-acceptable"
    assert not told["fred"]


async def test_what_one_says_who_is_refused_touches_nobody_else(portal: Portal) -> None:
    """Each waits alone (DESIGN §5)."""
    await portal.join("erin")
    await portal.join("fred")
    portal.house.network.faults.append({"error": "transient", "text": "not now"})
    portal.send(
        f"<message type='groupchat' id='e1' from='{ERIN}/phone' to='{portal.room}'>"
        "<body>late</body></message>"
    )
    await portal.settle()
    told = await portal.speak("fred", "in time", "f1")
    assert bodies(told["erin"]) == [("Fred", "in time")]
    await portal.house.clock.advance(10)
    assert bodies((await portal.settle())["fred"]) == [("Erin", "late")]


async def test_an_account_of_the_house_that_is_refused_holds_nobody_for_ever(
    portal: Portal,
) -> None:
    """What is said comes back after a while, and nobody comes in (REQ-224, REQ-513)."""
    house = portal.house
    await portal.join("erin")
    house.network.revoke(RELAY)
    await portal.settle()
    told = await portal.speak("erin", "anybody?", "e1")
    assert not told["erin"]
    await house.clock.advance(610)
    told = await portal.settle()
    assert [each.get("id") for each in told["erin"] if each.get("type") == "error"] == ["e1"]
    assert error(await portal.join("fred")) == "remote-server-timeout"


async def test_req_506_a_second_device_is_called_like_the_first(portal: Portal) -> None:
    await portal.join("erin")
    await portal.join("fred")
    told = await portal.join("fred", "Freddy", "laptop")
    assert there(told)[-1] == "Fred"
    assert "210" in codes(told)
    await portal.speak("fred", "me", "f1")
    assert portal.house.network.sent[-1].about["author"]["name"] == "Fred"


async def test_who_changes_their_name_too_often_keeps_it(tmp_path: Path) -> None:
    """All others are told of each (REQ-711)."""
    limits = Limits(joins=Rate((10, 600)))
    async with House(tmp_path, Options(house=True, limits=limits)) as house:
        portal = await Portal(house).begin()
        await portal.join("erin")
        await portal.join("fred")
        renames = "".join(
            f"<presence from='{FRED}/phone' to='{portal.room}/Fred{number}'/>"
            for number in range(100)
        )
        portal.send(renames)
        await house.clock.advance(3)
        told = await portal.settle()
        assert "210" in codes(told["fred"])
        mine = [each for each in told["fred"] if codes([each]) == {"110", "303"}]
        assert 0 < len(mine) < 10
        assert len(there(told["erin"])) == 1


async def test_what_a_group_is_is_told_to_who_is_in_another_one(portal: Portal) -> None:
    await portal.join("fred")
    first = portal.room
    portals, network = portal.house.bridge.portals, portal.house.network
    code = await portals.new_code(UserJid(ERIN), by_admin=False, members_only=False)
    network.event(RELAY, "link", room="!cake", code=code.code, is_owner=True)
    await portal.settle()
    members = [{"user": "relay"}, {"user": "bob", "name": "Bob"}]
    network.event(RELAY, "room", room="!cake", name="Cake", members=members, is_private=False)
    await portal.settle()
    ((address,),) = portal.house.query("SELECT localpart FROM address WHERE remote_id='!cake'")
    portal.room = f"{address}@{GATEWAY}"
    (answer,) = await portal.ask("fred", "get", f"<query xmlns='{INFO}'/>")
    assert [each.get("name") for each in answer.iter(f"{{{INFO}}}identity")] == ["Cake"]
    assert there(await portal.join("fred"))[-1] == "Fred"
    assert {room for (room,) in portal.house.query("SELECT room FROM occupant")} == {1, 2}
    assert first != portal.room
