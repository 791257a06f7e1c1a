# SPDX-License-Identifier: Apache-2.0
"""Commands about linked groups, and what is told of these (DESIGN §6)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest
import pytest_asyncio

from gateway.ids import UserJid
from gateway.store import portals
from tests.scenario.house import GATEWAY, HOME, RELAY, House, Options
from tests.scenario.portal import ERIN, FRED, Portal, codes, there
from tests.scenario.test_commands import C, Client, form
from tests.scenario.test_rooms import MUC_USER, _received

ALICE, ADMIN = f"alice@{HOME}", "admin@elsewhere.example"
DATA = "{jabber:x:data}"
ITEMS = "{http://jabber.org/protocol/disco#items}"
LINKING = {"link-group", "linked-groups", "open-group", "unlink-group"}


class Manager(Client):
    """One who gives commands, at the gateway or at a room."""

    def __init__(self, house: House, user: str, at: str = GATEWAY) -> None:
        super().__init__(house, f"{user}/phone")
        self.at = at

    def send(self, inner: str) -> None:
        self.ask("set", inner)

    def ask(self, kind: str, inner: str) -> None:
        self.house.server.send(
            f"<iq type='{kind}' id='c' from='{self.jid}' to='{self.at}'>{inner}</iq>"
        )

    async def listed(self, node: str = "http://jabber.org/protocol/commands") -> set[str | None]:
        """What disco#items has: nodes of commands, or addresses."""
        asked = f" node='{node}'" if node else ""
        self.ask("get", f"<query xmlns='http://jabber.org/protocol/disco#items'{asked}/>")
        await self.house.clock.settle()
        reply = await self.reply()
        return {each.get("node" if node else "jid") for each in reply.iter(f"{ITEMS}item")}

    async def does(self, node: str, *forms: dict[str, str]) -> str:
        """Give a command and answer its forms; the notes at the end."""
        reply, session = await self.give(node), ""
        for answers in forms:
            command = reply.find(f"{C}command")
            assert command is not None, reply.attrib
            assert command.get("status") == "executing", _notes(reply)
            session = command.get("sessionid", "")
            reply = await self.give(node, session, inner=form(**answers))
        return _notes(reply)


def _notes(reply: Element) -> str:
    return "\n".join(note.text or "" for note in reply.iter(f"{C}note"))


def _table(reply: Element) -> list[list[str]]:
    return [
        [value.text or "" for value in item.iter(f"{DATA}value")]
        for item in reply.iter(f"{DATA}item")
    ]


def _said(stanzas: list[Element]) -> list[str]:
    """What the gateway tells somebody in the chat."""
    return [
        each.findtext("{jabber:component:accept}body") or ""
        for each in stanzas
        if each.get("from", "").startswith(GATEWAY) and each.get("type") == "chat"
    ]


async def _kept(house: House, user: str) -> list[str]:
    """Where the database has somebody, when what was told long ago is forgotten."""
    await house.clock.advance(7200)
    _received(house)
    found: set[str] = set()
    for (table,) in house.query("SELECT name FROM sqlite_master WHERE type = 'table'"):
        rows = house.query(f"SELECT * FROM {table}")
        if any(user in str(value) for values in rows for value in values):
            found.add(table)
    return sorted(found)


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with House(tmp_path, Options(house=True)) as one:
        yield one


@pytest_asyncio.fixture
async def portal(house: House) -> Portal:
    return await Portal(house).begin()


# --- linking ------------------------------------------------------------------------------------


async def test_what_is_offered_depends_on_what_there_is(house: House) -> None:
    portal = Portal(house)
    await house.start()
    await house.connected()
    erin, fred = Manager(house, ERIN), Manager(house, FRED)
    assert LINKING & await erin.listed() == {"link-group"}
    await portal.link(by=ERIN, members_only=True)
    await portal.describe()
    assert LINKING & await erin.listed() == LINKING
    assert LINKING & await fred.listed() == {"link-group"}
    await erin.does("open-group", {"group": portal.room, "who": "everybody"})
    assert LINKING & await fred.listed() == {"link-group", "linked-groups"}


async def test_without_an_account_of_the_house_nothing_is_linked(tmp_path: Path) -> None:
    async with House(tmp_path, Options()) as house:
        await house.start()
        await house.connected()
        erin = Manager(house, ERIN)
        assert not LINKING & await erin.listed()
        assert "no account of its own" in await erin.does("link-group")


async def test_admins_link_what_others_own(tmp_path: Path) -> None:
    """Also those who may have no account here themselves; nobody else does who may not."""
    async with House(tmp_path, Options(house=True, admins=(ADMIN,))) as house:
        await house.start()
        await house.connected()
        stranger = await Manager(house, "mallory@elsewhere.example").give("link-group")
        assert stranger.get("type") == "error"
        admin = Manager(house, ADMIN)
        said = await admin.does("link-group", {"who": "everybody"})
        assert "Any admin of the group may do that." in said
        code = said.partition("/link ")[2].split()[0]
        house.network.event(RELAY, "link", room="!tea", code=code, is_owner=False)
        await house.clock.settle()
        portal = Portal(house)
        await portal.describe()
        (row,) = _table(await admin.give("linked-groups"))
        assert row[0] == "Tea"
        assert row[2:] == ["Everybody who may use this gateway", ADMIN]
        erin = Manager(house, ERIN)
        (row,) = _table(await erin.give("linked-groups"))
        assert row == ["Tea", row[1], "Everybody who may use this gateway"]
        assert await erin.listed("") == {portal.room}


# --- what is told -------------------------------------------------------------------------------


async def test_the_address_is_told_after_a_restart(house: House) -> None:
    """To the account of whoever has one, and once."""
    await house.start()
    await house.connected()
    await house.link(ALICE, "alice")
    portal = Portal(house)
    await portal.link(by=ALICE)
    await house.kill()
    await house.start()
    await house.connected()
    await portal.settle()
    members = [{"user": name, "name": name.title()} for name in portal.members]
    house.network.event(RELAY, "room", room="!tea", name="Tea", members=members)
    (said,) = _said((await portal.settle())["alice"])
    assert said.startswith("The group “Tea” is linked. To join it here: xmpp:%23tea-")
    assert house.bridge.accounts.virtual(UserJid(ALICE)) is None
    await house.stop()
    await house.start()
    await house.connected()
    house.network.event(RELAY, "room", room="!tea", name="Tea", members=members)
    assert not _said((await portal.settle())["alice"])


async def test_who_has_linked_it_is_told_that_it_ends(portal: Portal) -> None:
    await portal.join("fred")
    portal.house.network.event(RELAY, "unlink", room="!tea")
    told = await portal.settle()
    (said,) = _said(told["erin"])
    assert said == "The group “Tea” is not linked any more. Nobody is in it from here."
    assert not _said(told["fred"])


# --- ruling -------------------------------------------------------------------------------------


async def test_commands_are_also_given_in_the_room(portal: Portal) -> None:
    await portal.join("erin")
    await portal.join("fred")
    erin = Manager(portal.house, ERIN, portal.room)
    assert LINKING & await erin.listed() == {"open-group", "unlink-group"}
    assert not LINKING & await Manager(portal.house, FRED, portal.room).listed()
    assert "named" in await erin.does("open-group", {"who": "named"})
    (found,) = portal.house.bridge.portals.seen_by(UserJid(ERIN))
    assert found.members_only
    assert "Nothing was changed." in await erin.does("unlink-group", {"sure": "0"})
    assert "is not linked any more" in await erin.does("unlink-group", {"sure": "1"})
    assert not portal.house.bridge.portals.rooms


@pytest.mark.parametrize(
    ("node", "answers"),
    [("unlink-group", {"sure": "1"}), ("open-group", {"who": "named"})],
)
async def test_req_219_who_owns_it_no_longer_changes_nothing(
    portal: Portal, node: str, answers: dict[str, str]
) -> None:
    house = portal.house
    erin = Manager(house, ERIN)
    await portal.join("erin")
    erin.at = portal.room
    session = await erin.begin(node)
    (room,) = house.bridge.portals.rooms
    await house.store.write(
        lambda db: portals.set_affiliation(db, house.bridge.name, room, UserJid(ERIN), "")
    )
    reply = await erin.give(node, session, inner=form(**answers))
    assert "No linked group of yours has this name" in _notes(reply)
    (found,) = house.bridge.portals.seen_by(UserJid(ERIN))
    assert not found.members_only


async def test_who_may_come_in_changes_what_the_room_is(portal: Portal) -> None:
    """Where only who is named comes in, all know who the others are: nobody else stays. Whoever is
    there is told so, and strangers learn no addresses (XEP-0045 §10.2)."""
    await portal.join("erin")
    await portal.join("fred")
    erin = Manager(portal.house, ERIN, portal.room)
    portal.house.server.send(await _changes(erin, "named"))
    told = await portal.settle()
    assert {"104", "172"} <= codes(told["erin"])
    assert {"110", "321"} <= codes(told["fred"])
    portal.house.server.send(await _changes(erin, "everybody"))
    told = await portal.settle()
    assert {"104", "173"} <= codes(told["erin"])
    joined = await portal.join("fred")
    assert "Erin" in there(joined)
    shown = [item.get("jid") for each in joined for item in each.iter(f"{MUC_USER}item")]
    assert ERIN not in str(shown)


async def _changes(erin: Manager, who: str) -> str:
    """The last answer to ``open-group``, as a stanza that is still to be sent."""
    session = await erin.begin("open-group")
    return (
        f"<iq type='set' id='o' from='{erin.jid}' to='{erin.at}'><command node='open-group'"
        f" xmlns='http://jabber.org/protocol/commands' sessionid='{session}'>{form(who=who)}"
        "</command></iq>"
    )


async def test_nobody_is_told_of_groups_that_they_may_not_come_into(portal: Portal) -> None:
    house = portal.house
    fred, stranger = Manager(house, FRED), Manager(house, "mallory@elsewhere.example")
    assert await fred.listed("") == {portal.room}
    assert await stranger.listed("") == set()
    await house.store.write(
        lambda db: portals.set_affiliation(
            db,
            house.bridge.name,
            next(iter(house.bridge.portals.rooms)),
            UserJid(FRED),
            portals.OUTCAST,
        )
    )
    assert await fred.listed("") == set()
    assert _table(await fred.give("linked-groups")) == []


@pytest.mark.parametrize("is_away", [False, True])
async def test_a_group_that_cannot_be_told_is_unlinked_all_the_same(
    portal: Portal, is_away: bool
) -> None:
    house = portal.house
    house.network.faults.append({"error": "forbidden", "text": "The bot may not write here."})
    if is_away:
        await house.network.stop()
        await house.clock.settle()
    erin = Manager(house, ERIN)
    answers = {"group": portal.room}, {"sure": "1"}
    assert "is not linked any more" in await erin.does("unlink-group", *answers)
    assert not house.bridge.portals.rooms
    (told,) = [log for log in house.logs if log["event"] == "group_not_told"]
    why = "not connected" if is_away else "The bot may not write here."
    assert told["reason"] == why
    assert not house.network.sent


# --- leaving ------------------------------------------------------------------------------------


async def test_req_209_unregister_without_an_account(portal: Portal) -> None:
    """All that is kept goes, but for what was said; others see them go."""
    await portal.join("erin")
    await portal.join("fred")
    await portal.speak("fred", "I was here", "f1")
    assert await _kept(portal.house, FRED)
    fred = Manager(portal.house, FRED)
    assert "unregister" in await fred.listed()
    session = await fred.begin("unregister")
    fred.send(
        f"<command xmlns='http://jabber.org/protocol/commands' node='unregister'"
        f" sessionid='{session}'>{form(sure='1')}</command>"
    )
    told = await portal.settle()
    assert {"110", "333"} <= codes(told["fred"])
    await portal.house.clock.advance(2)
    gone = [
        each
        for each in [*told["erin"], *(await portal.settle())["erin"]]
        if each.get("from") == f"{portal.room}/Fred" and each.get("type") == "unavailable"
    ]
    assert len(gone) == 1
    # What they have said is in the archive of the room, and is still known as theirs there.
    assert await _kept(portal.house, FRED) == ["archived"]
    assert "unregister" not in await fred.listed()


async def test_req_209_both_accounts_go(portal: Portal) -> None:
    """And by a form (XEP-0077) as well."""
    house = portal.house
    await house.link(ALICE, "alice")
    await portal.join("alice")
    assert house.bridge.accounts.virtual(UserJid(ALICE)) is not None
    await portal.settle()
    house.server.send(
        f"<iq type='set' id='r' from='{ALICE}/phone' to='{GATEWAY}'>"
        "<query xmlns='jabber:iq:register'><remove/></query></iq>"
    )
    told = (await portal.settle())["alice"]
    assert [each.get("type") for each in told if each.get("id") == "r"] == ["result"]
    assert house.bridge.accounts.virtual(UserJid(ALICE)) is None
    assert await _kept(house, ALICE) == []


async def test_req_209_a_form_ends_it_without_an_account_too(portal: Portal) -> None:
    await portal.join("fred")
    portal.send(
        f"<iq type='set' id='r' from='{FRED}/phone' to='{GATEWAY}'>"
        "<query xmlns='jabber:iq:register'><remove/></query></iq>"
    )
    told = (await portal.settle())["fred"]
    assert [each.get("type") for each in told if each.get("id") == "r"] == ["result"]
    assert await _kept(portal.house, FRED) == []


async def test_what_somebody_has_linked_outlives_them(portal: Portal) -> None:
    """So does that they may not come in."""
    await portal.join("fred")
    await Manager(portal.house, ERIN).does("link-group", {"who": "named"})
    await Manager(portal.house, ERIN).does("unregister", {"sure": "1"})
    await portal.settle()
    assert portal.house.bridge.portals.rooms
    assert await _kept(portal.house, ERIN) == []
    (found,) = portal.house.bridge.portals.seen_by(UserJid(FRED))
    assert found.linked_by == ""
    await portal.house.store.write(
        lambda db: portals.set_affiliation(
            db,
            portal.house.bridge.name,
            next(iter(portal.house.bridge.portals.rooms)),
            UserJid(FRED),
            portals.OUTCAST,
        )
    )
    await Manager(portal.house, FRED).does("unregister", {"sure": "1"})
    assert await _kept(portal.house, FRED) == ["portal_user"]
    portal.house.network.event(RELAY, "unlink", room="!tea")
    told = await portal.settle()
    assert not _said(told["erin"])
    assert portal.house.query("SELECT count(*) FROM account WHERE kind = 'virtual'") == [(0,)]
