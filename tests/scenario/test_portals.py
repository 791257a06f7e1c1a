# SPDX-License-Identifier: Apache-2.0
"""Groups that are linked for people without an account: the house speaks for them (DESIGN §6)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import unquote

import pytest_asyncio

from gateway.adapter import AUTHOR_BYTES
from gateway.ids import UserJid
from gateway.text.wording import tr
from tests.scenario.house import GATEWAY, RELAY, House, Options
from tests.scenario.portal import ERIN, FRED, Portal, bodies, codes, error, there
from tests.scenario.test_rooms import MAM, MUC_USER


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with House(tmp_path, Options(house=True)) as one:
        yield one


@pytest_asyncio.fixture
async def portal(house: House) -> Portal:
    return await Portal(house).begin()


async def test_anybody_who_is_permitted_comes_in_and_is_seen(portal: Portal) -> None:
    assert there(await portal.join("erin"))[-1] == "Erin"
    told = await portal.join("fred")
    assert set(there(told)) == {"Relay", "Bob", "Eve", "Erin", "Fred"}


async def test_what_they_say_is_said_by_the_house_and_reflected(portal: Portal) -> None:
    await portal.join("erin")
    await portal.join("fred")
    told = await portal.speak("erin", "hello", "e1")
    assert bodies(told["erin"]) == bodies(told["fred"]) == [("Erin", "hello")]
    assert told["erin"][0].get("id") == "e1"
    (text,) = portal.house.network.sent
    assert (text.to, text.body) == ("!tea", "hello")
    assert text.about["author"] == {"user": f"xmpp:{ERIN}", "name": "Erin"}


async def test_what_the_network_says_reaches_all(portal: Portal) -> None:
    await portal.join("erin")
    await portal.join("fred")
    told = await portal.says("bob", "tea?", "b1")
    assert bodies(told["erin"]) == bodies(told["fred"]) == [("Bob", "tea?")]


async def test_who_leaves_is_gone_for_others_and_reads_later_what_was_missed(
    portal: Portal,
) -> None:
    await portal.join("erin")
    await portal.join("fred")
    told = await portal.leave("erin")
    (gone,) = [each for each in told["fred"] if each.get("type") == "unavailable"]
    assert gone.get("from") == f"{portal.room}/Erin"
    await portal.says("bob", "while she was away", "b1")
    told = {"erin": await portal.join("erin")}
    assert ("Bob", "while she was away") in bodies(told["erin"])
    answers = await portal.ask("erin", "set", "<query xmlns='urn:xmpp:mam:2'/>")
    found = [
        body.text
        for answer in answers
        if (result := answer.find(f"{MAM}result")) is not None
        for body in result.iter("{jabber:client}body")
    ]
    assert found == ["while she was away"]


async def test_a_restart_is_not_seen(portal: Portal) -> None:
    await portal.join("erin")
    await portal.join("fred")
    await portal.house.stop()
    await portal.house.start()
    await portal.house.connected()
    told = await portal.settle()
    assert not told["erin"]
    assert not told["fred"]
    await portal.describe()
    told = await portal.speak("erin", "still here", "e1")
    assert bodies(told["fred"]) == [("Erin", "still here")]


async def test_who_leaves_and_comes_at_once_is_in(portal: Portal) -> None:
    await portal.join("erin")
    for device in ("phone", "laptop"):
        await portal.join("fred", device=device)
    await portal.leave("fred", "laptop")
    portal.send(
        f"<presence type='unavailable' from='{FRED}/phone' to='{portal.room}/Fred'/>"
        f"<presence from='{FRED}/phone' to='{portal.room}/Fred'>"
        "<x xmlns='http://jabber.org/protocol/muc'/></presence>"
    )
    told = await portal.settle()
    assert there(told["fred"])[-1] == "Fred"
    assert there(told["erin"]) == ["Fred"]  # whether or not she is told that he was gone


async def test_only_who_is_named_comes_in_where_it_is_so(house: House) -> None:
    portal = await Portal(house).begin(members_only=True)
    assert there(await portal.join("erin"))[-1] == "Erin"
    assert error(await portal.join("fred")) == "registration-required"
    admin = "http://jabber.org/protocol/muc#admin"
    named = f"<query xmlns='{admin}'><item affiliation='member' jid='{FRED}'/></query>"
    (answer,) = await portal.ask("erin", "set", named)
    assert answer.get("type") == "result"
    assert there(await portal.join("fred"))[-1] == "Fred"


async def test_owners_put_people_on_xmpp_out_and_ban_them(portal: Portal) -> None:
    await portal.join("erin")
    await portal.join("fred")
    admin = "http://jabber.org/protocol/muc#admin"
    kick = f"<query xmlns='{admin}'><item role='none' nick='Fred'/></query>"
    portal.send(f"<iq type='set' id='k' from='{ERIN}/phone' to='{portal.room}'>{kick}</iq>")
    told = await portal.settle()
    codes = [
        status.get("code") for each in told["fred"] for status in each.iter(f"{MUC_USER}status")
    ]
    assert "307" in codes
    assert error((await portal.speak("fred", "may I?", "f1"))["fred"]) == "not-acceptable"
    assert there(await portal.join("fred"))[-1] == "Fred"
    ban = f"<query xmlns='{admin}'><item affiliation='outcast' jid='{FRED}'/></query>"
    await portal.ask("erin", "set", ban)
    assert error(await portal.join("fred")) == "forbidden"
    listed = f"<query xmlns='{admin}'><item affiliation='outcast'/></query>"
    (answer,) = await portal.ask("erin", "get", listed)
    assert [item.get("jid") for item in answer.iter(f"{{{admin}}}item")] == [FRED]


async def test_others_rule_nothing(portal: Portal) -> None:
    await portal.join("erin")
    await portal.join("fred")
    admin = "http://jabber.org/protocol/muc#admin"
    for item in ("role='none' nick='Bob'", "affiliation='outcast' jid='erin@home.example'"):
        asked = f"<query xmlns='{admin}'><item {item}/></query>"
        (answer,) = await portal.ask("fred", "set", asked)
        assert answer.get("type") == "error"
    assert not [each for each in portal.house.network.commands if each["op"] == "manage"]


async def test_the_house_is_put_out_and_comes_back(portal: Portal) -> None:
    await portal.join("erin")
    portal.house.network.event(RELAY, "member-gone", room="!tea", user="relay", how="kicked")
    told = await portal.settle()
    codes = [
        status.get("code") for each in told["erin"] for status in each.iter(f"{MUC_USER}status")
    ]
    assert set(codes) == {"110", "333"}
    assert error(await portal.join("erin")) == "remote-server-timeout"
    await portal.describe()
    assert there(await portal.join("erin"))[-1] == "Erin"


async def test_a_group_that_is_unlinked_is_no_more(portal: Portal) -> None:
    await portal.join("erin")
    portal.house.network.event(RELAY, "unlink", room="!tea")
    told = await portal.settle()
    (gone,) = [each for each in told["erin"] if each.get("type") == "unavailable"]
    assert gone.find(f".//{MUC_USER}destroy") is not None
    assert error(await portal.join("erin")) == "registration-required"
    assert not (await portal.says("bob", "alone", "b9"))["erin"]


async def test_groups_that_are_not_linked_are_not_heard_of(portal: Portal) -> None:
    members = [{"user": "relay"}, {"user": "bob"}]
    portal.house.network.event(RELAY, "room", room="!other", name="Other", members=members)
    await portal.settle()
    assert not portal.house.query("SELECT 1 FROM address WHERE remote_id = '!other'")


async def test_a_code_of_a_user_is_for_the_owner_of_the_group(house: House) -> None:
    portal = Portal(house)
    await house.start()
    await house.connected()
    portals = house.bridge.portals
    code = await portals.new_code(UserJid(ERIN), by_admin=False, members_only=False)
    house.network.event(RELAY, "link", room="!tea", code=code.code, is_owner=False)
    await portal.settle()
    assert not portals.rooms
    house.network.event(RELAY, "link", room="!tea", code=code.code.lower(), is_owner=True)
    await portal.settle()
    assert portals.rooms == {"!tea"}


async def test_edits_and_reactions_say_for_whom_they_are(portal: Portal) -> None:
    await portal.join("erin")
    await portal.join("fred")
    await portal.speak("erin", "helo", "e1")
    edit = "<replace xmlns='urn:xmpp:message-correct:0' id='e1'/>"
    told = await portal.speak("erin", "hello", "e2", edit)
    assert bodies(told["fred"]) == [("Erin", "hello")]
    assert portal.house.network.sent[-1].about["author"]["name"] == "Erin"
    reactions = (
        "<reactions xmlns='urn:xmpp:reactions:0' id='e1'><reaction>👍</reaction></reactions>"
    )
    portal.send(
        f"<message type='groupchat' id='f1' from='{FRED}/phone' to='{portal.room}'>{reactions}"
        "</message>"
    )
    await portal.settle()
    (reaction,) = [each for each in portal.house.network.commands if each["op"] == "react"]
    assert reaction["author"] == {"user": f"xmpp:{FRED}", "name": "Fred"}


async def test_long_texts_leave_room_for_whose_they_are(tmp_path: Path) -> None:
    """Where a message of the network has 500 bytes, the account of somebody has all of them."""
    async with House(tmp_path, Options(house=True, adapter="brief")) as house:
        portal = await Portal(house).begin()
        await portal.join("erin")
        told = await portal.speak("erin", "x" * 300, "e1")
        assert bodies(told["erin"]) == [("Erin", "x" * 300)]
    said = [(text.body, text.about["author"]["name"]) for text in house.network.sent]
    room = 500 - AUTHOR_BYTES
    assert said == [("x" * room, "Erin"), ("x" * (300 - room), "Erin")]


async def test_people_of_the_network_are_spoken_to_in_the_language_of_the_gateway(
    tmp_path: Path,
) -> None:
    async with House(tmp_path, Options(house=True, language="de")) as house:
        await house.start()
        account = house.bridge.accounts.house
        assert account is not None
        assert account.link is not None
        said = account.link.aside().worded(tr("This group is linked already."))
    assert said == "Diese Gruppe ist schon verbunden."


async def test_req_424_nobody_edits_what_others_say_through_the_same_house(
    portal: Portal,
) -> None:
    await portal.join("erin")
    await portal.join("fred")
    await portal.speak("erin", "mine", "e1")
    edit = "<replace xmlns='urn:xmpp:message-correct:0' id='e1'/>"
    told = await portal.speak("fred", "not yours", "f1", edit)
    assert error(told["fred"]) == "forbidden"
    assert not bodies(told["erin"])
    taken = "<retract xmlns='urn:xmpp:message-retract:1' id='e1'/>"
    portal.send(
        f"<message type='groupchat' id='f2' from='{FRED}/phone' to='{portal.room}'>{taken}"
        "</message>"
    )
    assert error((await portal.settle())["fred"]) == "forbidden"


async def test_nobody_moderates_by_the_rights_of_the_house(portal: Portal) -> None:
    await portal.join("erin")
    await portal.join("fred")
    told = await portal.says("bob", "rude", "b1")
    (said,) = [each for each in told["fred"] if each.get("type") == "groupchat"]
    (sid,) = said.iter("{urn:xmpp:sid:0}stanza-id")
    moderate = (
        f"<moderate xmlns='urn:xmpp:message-moderate:1' id='{sid.get('id')}'>"
        "<retract xmlns='urn:xmpp:message-retract:1'/></moderate>"
    )
    (answer,) = await portal.ask("fred", "set", moderate)
    assert answer.get("type") == "error"
    assert not [each for each in portal.house.network.commands if each["op"] == "manage"]
    (answer,) = await portal.ask("erin", "set", moderate)  # she has linked the group
    assert answer.get("type") == "result"
    (asked,) = [each for each in portal.house.network.commands if each["op"] == "manage"]
    assert asked["do"] == "ModerateMessage"


async def test_one_may_be_called_otherwise_and_not_as_the_gateway(portal: Portal) -> None:
    await portal.join("erin")
    await portal.join("fred")
    portal.send(f"<presence from='{ERIN}/phone' to='{portal.room}/Rin'/>")
    await portal.settle()
    told = await portal.speak("erin", "new name", "e1")
    assert bodies(told["fred"]) == [("Rin", "new name")]
    assert portal.house.network.sent[-1].about["author"]["name"] == "Rin"
    told = {"fred": await portal.join("fred", "Bob", "laptop")}
    mine = there(told["fred"])[-1]
    assert mine == "Fred"  # by which his other device is known
    portal.send(f"<presence from='{FRED}/phone' to='{portal.room}/Dragoman'/>")
    await portal.settle()
    told = await portal.speak("fred", "who am I", "f1")
    assert bodies(told["erin"]) == [("Dragoman (2)", "who am I")]


async def test_people_on_xmpp_invite_one_another(portal: Portal) -> None:
    await portal.join("erin")
    portal.send(
        f"<message from='{ERIN}/phone' to='{portal.room}'>"
        f"<x xmlns='http://jabber.org/protocol/muc#user'><invite to='{FRED}'/></x></message>"
    )
    (invitation,) = (await portal.settle())["fred"]
    assert invitation.get("from") == portal.room
    (by,) = invitation.iter(f"{MUC_USER}invite")
    assert by.get("from") == f"{portal.room}/Erin"


async def test_private_messages_are_refused_in_words(portal: Portal) -> None:
    await portal.join("erin")
    portal.send(
        f"<message type='chat' id='p1' from='{ERIN}/phone' to='{portal.room}/Bob'>"
        "<body>psst</body></message>"
    )
    assert error((await portal.settle())["erin"]) == "not-acceptable"


async def test_what_waits_is_said_when_the_house_is_back(portal: Portal) -> None:
    await portal.join("erin")
    portal.house.network.faults.append({"error": "transient", "text": "not now"})
    told = await portal.speak("erin", "once", "e1")
    assert not bodies(told["erin"])
    await portal.house.clock.advance(5)
    told = await portal.settle()
    assert bodies(told["erin"]) == [("Erin", "once")]
    assert [text.body for text in portal.house.network.sent] == ["once"]


async def test_who_is_not_in_is_told_what_it_is(portal: Portal) -> None:
    info = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
    (answer,) = await portal.ask("fred", "get", info)
    (identity,) = answer.iter("{http://jabber.org/protocol/disco#info}identity")
    assert identity.get("name") == "Tea"
    ping = "<ping xmlns='urn:xmpp:ping'/>"
    asked = await portal.ask("fred", "get", ping, f"{portal.room}/Fred")
    assert error(asked) == "not-acceptable"
    assert error(await portal.ask("fred", "set", "<query xmlns='urn:xmpp:mam:2'/>"))


async def test_admins_of_the_network_put_people_on_xmpp_out(portal: Portal) -> None:
    await portal.join("fred")
    await portal.speak("fred", "rude", "f1")
    said = portal.house.network.sent[-1].id

    def decide(how: str, message: str = said) -> None:
        portal.house.network.event(RELAY, "put-out", room="!tea", message=message, how=how)

    decide("kicked")
    assert "307" in codes((await portal.settle())["fred"])
    await portal.join("fred")
    decide("banned")
    assert "301" in codes((await portal.settle())["fred"])
    assert error(await portal.join("fred")) == "forbidden"
    decide("left")
    await portal.settle()
    assert there(await portal.join("fred"))[-1] == "Fred"
    decide("banned", "nothing that was said")
    assert not codes((await portal.settle())["fred"])
    told = [each["text"] for each in portal.house.network.commands if each["op"] == "announce"]
    assert told[-4:] == [
        "Fred is out of the room on XMPP, and may come again.",
        "Fred is banned from the room on XMPP.",
        "Fred may come into the room on XMPP again.",
        "Nobody on XMPP has said this.",
    ]


async def test_what_happens_to_the_house_is_said_in_linked_groups(portal: Portal) -> None:
    await portal.join("erin")
    said = "For two days nothing was fetched."
    portal.house.network.event(RELAY, "notice", contact="", id="gap 1", text=said)
    told = await portal.settle()
    assert bodies(told["erin"]) == [("", said)]
    (line,) = [log for log in portal.house.logs if log["event"] == "house_notice"]
    assert line["said"] == said


async def test_req_521_who_moderates_an_open_group_sees_who_others_are(portal: Portal) -> None:
    """As lists say it, or Converse.js 14 takes them for others; nobody else does."""
    await portal.join("erin")
    told = await portal.join("fred")
    shown = {
        item.get("jid")
        for each in (await portal.settle())["erin"] + (await portal.join("erin", device="pad"))
        for item in each.iter(f"{MUC_USER}item")
    }
    assert shown >= {FRED, f"bob@{GATEWAY}"}
    seen = {item.get("jid") for each in told for item in each.iter(f"{MUC_USER}item")}
    assert seen == {None, f"{FRED}/phone"}


async def test_req_439_people_of_the_network_name_people_on_xmpp_by_their_nicks(
    portal: Portal,
) -> None:
    """At the beginning of what they say, or with a sign before it; nowhere else."""
    reference = "{urn:xmpp:reference:0}reference"
    await portal.join("erin")
    await portal.join("fred")
    for body, uris in (
        ("Fred: tea?", [f"xmpp:{portal.room}/Fred"]),
        ("ask @Fred and @Erin", [f"xmpp:{portal.room}/Fred", f"xmpp:{portal.room}/Erin"]),
        ("I have seen Fred and @Bob", []),
    ):
        told = await portal.says("bob", body, f"of {body}")
        (said,) = [each for each in told["fred"] if each.get("type") == "groupchat"]
        assert bodies([said]) == [("Bob", body)]
        named = [unquote(each.get("uri", "")) for each in said.iter(reference)]
        assert named == uris, body
