# SPDX-License-Identifier: Apache-2.0
"""What owners, admins and others may do in linked groups: the network would do for the house
whatever it may, so it is decided here (REQ-547, REQ-549, REQ-567)."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.scenario.house import HOME, House, Options
from tests.scenario.portal import ERIN, FRED, Portal, error, rule, there
from tests.scenario.test_rooms import MUC_USER

ALICE = f"alice@{HOME}"
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
FORM = (
    "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'>"
    "<field var='{var}'><value>{value}</value></field></x></query>"
)


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with House(tmp_path, Options(house=True)) as one:
        yield one


@pytest_asyncio.fixture
async def portal(house: House) -> Portal:
    """Erin owns it; Fred, an admin, and Alice are there."""
    portal = await Portal(house).begin()
    await portal.join("erin")
    await rule(portal, "erin", f"affiliation='admin' jid='{FRED}'")
    await portal.join("fred")
    await portal.join("alice")
    return portal


def _asked_of_network(portal: Portal) -> list[str]:
    return [each["do"] for each in portal.house.network.commands if each["op"] == "manage"]


@pytest.mark.parametrize(
    "item",
    [
        f"affiliation='outcast' jid='{ERIN}'",
        f"affiliation='none' jid='{ERIN}'",
        f"affiliation='member' jid='{ERIN}'",
        f"affiliation='owner' jid='{FRED}'",
        f"affiliation='owner' jid='{ALICE}'",
        f"affiliation='admin' jid='{ALICE}'",
        "affiliation='owner' nick='Bob'",
        "affiliation='admin' nick='Bob'",
        "role='none' nick='Erin'",
    ],
)
@pytest.mark.parametrize("is_there", [True, False])
async def test_admins_decide_nothing_about_owners_and_make_no_admins(
    portal: Portal, item: str, *, is_there: bool
) -> None:
    if not is_there:
        await portal.leave("erin")
        await portal.leave("alice")
    assert (await rule(portal, "fred", item)).get("type") == "error"
    assert not _asked_of_network(portal)
    known = portal.house.query("SELECT user, affiliation FROM portal_user ORDER BY user")
    assert known == [(ERIN, "owner"), (FRED, "admin")]


async def test_admins_ban_others_and_lift_that(portal: Portal) -> None:
    assert (await rule(portal, "fred", f"affiliation='outcast' jid='{ALICE}'")).get(
        "type"
    ) == "result"
    assert error(await portal.join("alice")) == "forbidden"
    await rule(portal, "fred", f"affiliation='none' jid='{ALICE}'")
    assert there(await portal.join("alice"))[-1] == "Alice"


@pytest.mark.parametrize("wanted", ["none", "member", "admin", "outcast"])
@pytest.mark.parametrize("is_there", [True, False])
async def test_one_owner_is_left(portal: Portal, wanted: str, *, is_there: bool) -> None:
    """Also where it is another owner who wants that, at the same time."""
    answer = await rule(portal, "erin", f"affiliation='{wanted}' jid='{ERIN}'")
    assert answer.get("type") == "error"
    await rule(portal, "erin", f"affiliation='owner' jid='{ALICE}'")
    if not is_there:
        await portal.leave("erin")
    answer = await rule(portal, "alice", f"affiliation='{wanted}' jid='{ERIN}'")
    assert answer.get("type") == "result"
    owners = portal.house.query("SELECT user FROM portal_user WHERE affiliation = 'owner'")
    assert owners == [(ALICE,)]


@pytest.mark.parametrize("who", ["alice", "fred"])
@pytest.mark.parametrize(
    "inner",
    [
        FORM.format(var="muc#roomconfig_roomname", value="Mine"),
        FORM.format(var="muc#roomconfig_membersonly", value="1"),
        "<query xmlns='http://jabber.org/protocol/muc#owner'><destroy/></query>",
    ],
)
async def test_only_owners_say_what_the_group_is(portal: Portal, who: str, inner: str) -> None:
    assert error(await portal.ask(who, "set", inner)) == "forbidden"
    assert not _asked_of_network(portal)


async def test_others_change_neither_topic_nor_picture(portal: Portal) -> None:
    card = (
        f"<vCard xmlns='vcard-temp'><PHOTO><TYPE>image/png</TYPE><BINVAL>{PNG}</BINVAL></PHOTO>"
        "</vCard>"
    )
    portal.send(
        f"<message type='groupchat' id='t' from='{ALICE}/phone' to='{portal.room}'>"
        "<subject>Mine</subject></message>"
    )
    assert error((await portal.settle())["alice"]) == "forbidden"
    asked = await portal.ask("alice", "set", "<vCard xmlns='vcard-temp'/>")
    assert error(asked) == "forbidden"
    assert error(await portal.ask("alice", "set", card)) in ("forbidden", "not-acceptable")
    assert not _asked_of_network(portal)


async def test_what_somebody_becomes_is_seen_at_once(portal: Portal) -> None:
    await rule(portal, "erin", f"affiliation='none' jid='{FRED}'")
    assert (await rule(portal, "fred", "role='none' nick='Bob'")).get("type") == "error"
    portal.send(
        f"<iq type='set' id='q' from='{ERIN}/phone' to='{portal.room}'><query "
        f"xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='admin' jid='{ALICE}'/>"
        "</query></iq>"
    )
    told = await portal.settle()
    items = [each.find(f".//{MUC_USER}item") for each in told["alice"]]
    assert [(item.get("affiliation"), item.get("role")) for item in items if item is not None] == [
        ("admin", "moderator")
    ]
