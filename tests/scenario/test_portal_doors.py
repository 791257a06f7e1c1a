# SPDX-License-Identifier: Apache-2.0
"""Who comes into linked groups, who may not, and what is for them (DESIGN §6)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest
import pytest_asyncio

from gateway.ids import UserJid
from tests.scenario.house import GATEWAY, HOME, RELAY, House, Options
from tests.scenario.portal import ERIN, FRED, Portal, bodies, codes, error, read, rule, there
from tests.scenario.test_rooms import MUC_USER

INFO = "http://jabber.org/protocol/disco#info"


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with House(tmp_path, Options(house=True)) as one:
        yield one


@pytest_asyncio.fixture
async def portal(house: House) -> Portal:
    return await Portal(house).begin()


def _features(answer: Element) -> set[str]:
    return {each.get("var", "") for each in answer.iter(f"{{{INFO}}}feature")}


async def test_a_group_that_is_private_on_the_network_is_not_opened(house: House) -> None:
    portal = await Portal(house).begin(is_private=True)  # though who has linked it wants that
    assert error(await portal.join("fred")) == "registration-required"
    assert there(await portal.join("erin"))[-1] == "Erin"
    (answer,) = await portal.ask("fred", "get", f"<query xmlns='{INFO}'/>")
    assert "muc_membersonly" in _features(answer)
    (identity,) = answer.iter(f"{{{INFO}}}identity")
    assert identity.get("name") is None
    assert (await rule(portal, "erin", f"affiliation='member' jid='{FRED}'")).get(
        "type"
    ) != "error"
    assert there(await portal.join("fred"))[-1] == "Fred"


async def test_a_group_that_becomes_private_puts_out_who_was_not_named(portal: Portal) -> None:
    await portal.join("erin")
    await portal.join("fred")
    await portal.describe(is_private=True, shows_past=False, members=None)
    told = await portal.says("bob", "among us", "b1")
    assert bodies(told["erin"]) == [("Bob", "among us")]
    assert not bodies(told["fred"])
    assert error(await portal.join("fred")) == "registration-required"
    await portal.describe(is_private=False, shows_past=False, members=None)
    assert "among us" not in str(bodies(await portal.join("fred")))


@pytest.mark.parametrize("is_private", [False, True])
async def test_owners_decide_who_comes_in_as_far_as_the_network_leaves_it_open(
    house: House, *, is_private: bool
) -> None:
    portal = await Portal(house).begin(is_private=is_private)
    await portal.join("erin")
    portals = house.bridge.portals
    await portals.open_up(next(iter(portals.rooms)), members_only=True)
    await portal.settle()
    assert error(await portal.join("fred")) == "registration-required"
    (answer,) = await portal.ask("erin", "get", f"<query xmlns='{INFO}'/>")
    assert "muc_membersonly" in _features(answer)
    form = (
        "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' "
        "type='submit'><field var='muc#roomconfig_membersonly'><value>0</value></field>"
        "<field var='muc#roomconfig_whois'><value>moderators</value></field></x></query>"
    )
    answers = await portal.ask("erin", "set", form)
    (answer,) = [each for each in answers if each.tag.endswith("}iq")]
    assert answer.get("type") == ("error" if is_private else "result")
    joined = await portal.join("fred")
    if is_private:
        assert error(joined) == "registration-required"
    else:
        assert there(joined)[-1] == "Fred"


async def test_who_is_in_is_put_out_when_only_who_is_named_comes_in(portal: Portal) -> None:
    await portal.join("erin")
    await portal.join("fred")
    portals = portal.house.bridge.portals
    await portals.open_up(next(iter(portals.rooms)), members_only=True)
    told = await portal.settle()
    assert codes(told["fred"]) >= {"110", "321"}
    assert [each.get("from") for each in told["erin"] if each.get("type") == "unavailable"] == [
        f"{portal.room}/Fred"
    ]
    assert "104" in codes(told["erin"])


@pytest.mark.parametrize("item", ["affiliation='outcast'", "affiliation='none'"])
async def test_what_was_said_while_somebody_might_not_come_in_is_not_for_them(
    house: House, item: str
) -> None:
    portal = await Portal(house).begin(members_only="none" in item)
    await portal.join("erin")
    await portal.describe(shows_past=False, members=None)
    await rule(portal, "erin", f"affiliation='member' jid='{FRED}'")
    await portal.join("fred")
    await portal.says("bob", "before", "b1")
    await rule(portal, "erin", f"{item} jid='{FRED}'")
    await portal.says("bob", "behind his back", "b2")
    await rule(portal, "erin", f"affiliation='member' jid='{FRED}'")
    assert ("Bob", "behind his back") not in bodies(await portal.join("fred"))
    await portal.says("bob", "after", "b3")
    assert await read(portal, "fred") == ["before", "after"]


async def test_who_is_banned_while_away_reads_nothing_of_that_time(portal: Portal) -> None:
    await portal.describe(shows_past=False, members=None)
    await portal.join("erin")
    await portal.join("fred")
    await portal.leave("fred")
    await rule(portal, "erin", f"affiliation='outcast' jid='{FRED}'")
    await portal.says("bob", "behind his back", "b2")
    await rule(portal, "erin", f"affiliation='none' jid='{FRED}'")
    assert not bodies(await portal.join("fred"))
    assert not await read(portal, "fred")


async def test_who_is_not_admitted_any_more_hears_nothing_and_may_leave(house: House) -> None:
    portal = await Portal(house).begin()
    await portal.join("erin")
    await portal.join("fred")
    await house.stop()
    house.options = replace(house.options, allow=(HOME,))
    await house.start()
    await house.connected()
    told = await portal.settle()
    assert codes(told["fred"]) == {"110", "333"}
    assert [each.get("from") for each in told["erin"]] == [f"{portal.room}/Fred"]
    await portal.describe()
    assert not (await portal.says("bob", "among us", "b1"))["fred"]
    told = await portal.leave("fred")
    assert [each.get("type") for each in told["fred"]] == ["unavailable"]
    assert error(await portal.join("fred")) == "forbidden"


async def test_admins_take_back_that_somebody_is_admitted(tmp_path: Path) -> None:
    options = Options(house=True, allow=(HOME,), ask=("far.example",), admins=(ERIN,))
    async with House(tmp_path, options) as house:
        portal = await Portal(house).begin()
        approvals = house.component.approvals
        assert error(await portal.join("fred")) == "forbidden"
        await approvals.decide(UserJid(FRED), admitted=True)
        await portal.join("erin")
        assert there(await portal.join("fred"))[-1] == "Fred"
        await approvals.decide(UserJid(FRED), admitted=False)
        told = await portal.settle()
        assert codes(told["fred"]) == {"110", "333"}
        assert not (await portal.says("bob", "among us", "b1"))["fred"]


async def test_without_an_account_of_the_house_nobody_is_in(house: House) -> None:
    portal = await Portal(house).begin()
    await portal.join("erin")
    await house.stop()
    house.options = replace(house.options, house=False)
    await house.start()
    await house.connected()
    told = await portal.settle()
    assert codes(told["erin"]) == {"110", "333"}
    assert error(await portal.join("erin")) == "remote-server-timeout"
    await house.stop()
    house.options = replace(house.options, house=True)
    await house.start()
    await house.connected()
    assert there(await portal.join("erin"))[-1] == "Erin"


async def test_a_linked_group_that_goes_on_elsewhere_is_linked_there(portal: Portal) -> None:
    await portal.join("erin")
    await rule(portal, "erin", "affiliation='outcast' jid='mallory@far.example'")
    portal.house.network.event(RELAY, "room-moved", room="!tea", to="!tea2")
    told = await portal.settle()
    (gone,) = [each for each in told["erin"] if each.get("type") == "unavailable"]
    (destroyed,) = gone.iter(f"{MUC_USER}destroy")
    portal.room = destroyed.get("jid", "")
    portal.house.network.event(
        RELAY,
        "room",
        room="!tea2",
        name="Tea",
        is_private=False,
        members=[{"user": "relay", "name": "Relay"}, {"user": "bob", "name": "Bob"}],
    )
    await portal.settle()
    assert there(await portal.join("erin"))[-1] == "Erin"
    assert portal.room.endswith(GATEWAY)
    answer = await rule(portal, "erin", "affiliation='owner' jid='fred@far.example'")
    assert answer.get("type") == "result"
