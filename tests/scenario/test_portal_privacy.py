# SPDX-License-Identifier: Apache-2.0
"""What linked groups tell of people, and to whom (REQ-521, REQ-552, REQ-592, REQ-709)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from xml.etree.ElementTree import Element, tostring

import pytest
import pytest_asyncio

from gateway.config.tree import Limits
from gateway.config.values import Rate
from tests.scenario.house import GATEWAY, HOME, RELAY, House, Options
from tests.scenario.portal import ADMIN, ERIN, FRED, Portal, bodies, error, rule, there
from tests.scenario.test_rooms import MUC_USER, _received

ALICE = f"alice@{HOME}"


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with House(tmp_path, Options(house=True)) as one:
        yield one


@pytest_asyncio.fixture
async def portal(house: House) -> Portal:
    return await Portal(house).begin()


def _mentions(stanzas: list[Element], address: str) -> list[str]:
    return [text for text in map(_written, stanzas) if address in text]


def _written(stanza: Element) -> str:
    return tostring(stanza, encoding="unicode")


async def test_nobody_learns_the_address_of_others_where_anybody_comes_in(portal: Portal) -> None:
    """But for who moderates it: Alice does not."""
    await portal.join("erin")
    await portal.join("fred")
    found = await portal.join("alice")
    for item in ("affiliation='owner'", "affiliation='admin'", "role='participant'"):
        asked = f"<query xmlns='{ADMIN}'><item {item}/></query>"
        found += await portal.ask("alice", "get", asked)
    for element in (
        "<vCard xmlns='vcard-temp'/>",
        "<vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'/>",
        "<query xmlns='jabber:iq:version'/>",
        "<query xmlns='jabber:iq:last'/>",
        "<query xmlns='http://jabber.org/protocol/disco#info'/>",
        "<query xmlns='http://jabber.org/protocol/disco#items'/>",
        "<ping xmlns='urn:xmpp:ping'/>",
    ):
        found += await portal.ask("alice", "get", element, f"{portal.room}/Fred")
        found += await portal.ask("alice", "get", element)
    for name in ("erin", "fred"):
        await portal.speak(name, f"I am {name}", f"{name}1")
        found += (await portal.leave(name))["alice"]
    found += await portal.ask("alice", "set", "<query xmlns='urn:xmpp:mam:2'/>")
    assert len(found) > 20
    assert not _mentions(found, FRED.partition("@")[0] + "@")
    assert not _mentions(found, ERIN)


async def test_an_invitation_does_not_tell_the_address_of_who_invites(portal: Portal) -> None:
    """But where all know one another."""
    await portal.join("alice")
    portal.send(
        f"<message from='{ALICE}/phone' to='{portal.room}'>"
        f"<x xmlns='http://jabber.org/protocol/muc#user'><invite to='{FRED}'/></x></message>"
    )
    (invitation,) = (await portal.settle())["fred"]
    (by,) = invitation.iter(f"{MUC_USER}invite")
    assert by.get("from") == f"{portal.room}/Alice"
    assert not _mentions([invitation], ALICE)


@pytest.mark.parametrize("guest", ["mallory@evil.example", "spam@victim.example"])
async def test_nobody_is_invited_who_may_not_use_the_gateway(portal: Portal, guest: str) -> None:
    await portal.join("alice")
    portal.send(
        f"<message id='i' from='{ALICE}/phone' to='{portal.room}'>"
        f"<x xmlns='http://jabber.org/protocol/muc#user'><invite to='{guest}'/></x></message>"
    )
    told = await portal.settle()
    assert error(told["alice"]) == "not-acceptable"
    assert guest.partition("@")[0] not in told


async def test_others_invite_nobody_who_was_banned(portal: Portal) -> None:
    await portal.join("erin")
    await portal.join("alice")
    await rule(portal, "erin", f"affiliation='outcast' jid='{FRED}'")
    invite = (
        "<message id='i' from='{who}/phone' to='{room}'>"
        f"<x xmlns='http://jabber.org/protocol/muc#user'><invite to='{FRED}'/></x></message>"
    )
    portal.send(invite.format(who=ALICE, room=portal.room))
    told = await portal.settle()
    assert error(told["alice"]) == "forbidden"
    assert not told["fred"]
    portal.send(invite.format(who=ERIN, room=portal.room))
    assert (await portal.settle())["fred"]
    assert there(await portal.join("fred"))[-1] == "Fred"


async def test_nothing_is_sent_to_the_gateway_itself(portal: Portal) -> None:
    """Whose account the house is."""
    network = portal.house.network
    await portal.describe(
        members=[
            {"user": "relay", "name": "Relay", "affiliation": "owner"},
            {"user": "bob", "name": "Bob"},
        ]
    )
    network.event(RELAY, "typing", contact="bob", active=True)
    network.event(RELAY, "presence", contact="bob", show="available")
    network.event(RELAY, "message", contact="bob", id="p1", body="psst")
    network.event(RELAY, "room-knock", room="!tea", id="k1", user="eve", name="Eve")
    network.event(RELAY, "room-invite", room="!tea", id="i1", name="Tea", inviter="bob")
    network.event(RELAY, "member-gone", room="!tea", user="relay", how="kicked")
    network.event(RELAY, "room-invite", room="!tea", id="i2", name="Tea", inviter="bob")
    await portal.house.clock.advance(5)
    sent = [each for each in _received(portal.house) if each.get("to", "").endswith(GATEWAY)]
    assert not sent


@pytest.mark.parametrize("nick", ["Bob", "b\u043eb", "B0B", "bob.", "Dragoman", "Dragornan"])
async def test_nobody_is_called_like_somebody_else_or_the_gateway(
    portal: Portal, nick: str
) -> None:
    await portal.join("fred")
    portal.send(
        f"<presence from='{ERIN}/phone' to='{portal.room}/{nick}'>"
        "<x xmlns='http://jabber.org/protocol/muc'/></presence>"
    )
    await portal.settle()
    await portal.speak("erin", "hello", "e1")
    author = portal.house.network.sent[-1].about["author"]
    assert author["name"] == f"{nick} (2)"
    portal.send(f"<presence from='{FRED}/phone' to='{portal.room}/{nick}'/>")
    await portal.settle()
    await portal.speak("fred", "hello", "f1")
    assert portal.house.network.sent[-1].about["author"]["name"] == f"{nick} (3)"


async def test_what_anybody_has_read_is_not_said_by_the_house(portal: Portal) -> None:
    await portal.join("erin")
    told = await portal.says("bob", "read this", "b1")
    (said,) = [each for each in told["erin"] if each.get("type") == "groupchat"]
    (sid,) = said.iter("{urn:xmpp:sid:0}stanza-id")
    portal.send(
        f"<message type='groupchat' from='{ERIN}/phone' to='{portal.room}'>"
        f"<displayed xmlns='urn:xmpp:chat-markers:0' id='{sid.get('id')}'/></message>"
    )
    await portal.house.clock.advance(5)
    ops = {each["op"] for each in portal.house.network.commands}
    assert "read-room" not in ops


@pytest.mark.parametrize("adapter", ["scripted", "trusted"])
async def test_whom_the_network_has_banned_does_not_come_back_by_the_house(
    tmp_path: Path, adapter: str
) -> None:
    """With an account of their own, they are in a group by that alone, and out of it as well."""
    async with House(tmp_path, Options(house=True, adapter=adapter)) as house:
        portal = Portal(house)
        await house.start()
        await house.connected()
        await house.link(ALICE, "alice")
        await portal.link()
        await portal.describe()
        portal.members.append("alice")
        assert there(await portal.join("alice"))[-1] == "Alice"
        mine = [{"user": "alice", "name": "Alice"}, {"user": "bob", "name": "Bob"}]
        house.network.event("alice", "room", room="!tea", name="Tea", members=mine)
        told = await portal.settle()
        assert [each.get("type") for each in told["alice"] if "presence" in each.tag] == [
            "unavailable"
        ]
        seen = set(there(await portal.join("alice")))
        assert seen == {"Alice", "Bob", *(("Eve", "Relay") if adapter == "trusted" else ())}
        told = await portal.says("bob", "once", "b1")
        house.network.event("alice", "room-message", room="!tea", sender="bob", id="b1", body="x")
        house.network.event("alice", "member-gone", room="!tea", user="alice", how="banned")
        told = await portal.settle()
        assert not [each for each in bodies(told["alice"]) if each[1] == "once"]
        assert error(await portal.join("alice")) == "forbidden"


async def test_of_a_group_into_which_they_may_not_come_strangers_learn_no_name(
    house: House,
) -> None:
    portal = await Portal(house).begin(members_only=True)
    info = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
    (answer,) = await portal.ask("fred", "get", info)
    assert not _mentions([answer], "'Tea'") + _mentions([answer], '"Tea"')
    (answer,) = await portal.ask("erin", "get", info)
    assert _mentions([answer], '"Tea"')


async def test_invitations_are_counted(tmp_path: Path) -> None:
    """One message may have many (REQ-711)."""
    limits = Limits(joins=Rate((10, 600)))
    async with House(tmp_path, Options(house=True, limits=limits)) as house:
        portal = await Portal(house).begin()
        await portal.join("alice")
        guests = "".join(f"<invite to='u{number}@far.example'/>" for number in range(30))
        portal.send(
            f"<message id='i' from='{ALICE}/phone' to='{portal.room}'>"
            f"<x xmlns='http://jabber.org/protocol/muc#user'>{guests}</x></message>"
        )
        told = await portal.settle()
        assert error(told["alice"]) == "resource-constraint"
        assert not [name for name in told if name.startswith("u")]
