# SPDX-License-Identifier: Apache-2.0
"""What users of one gateway learn of each other in a room that they share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from xml.etree.ElementTree import tostring

import pytest
import pytest_asyncio

from tests.scenario.house import GATEWAY, House, Options
from tests.scenario.test_shared_rooms import CAROL, Town
from tests.scenario.test_stream import ALICE


@pytest_asyncio.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    """Alice and Carol are in a room of a homeserver that the admin trusts."""
    async with House(tmp_path, Options(adapter="trusted")) as house:
        yield await Town(house).begin()


@pytest.mark.parametrize("rank", ["member", "admin"])
async def test_req_521_552_709_in_a_channel_nobody_learns_the_address_of_another_user(
    town: Town, rank: str
) -> None:
    """Whatever they are, and ask, of whomever, and whoever comes, speaks and goes."""
    members = [{"user": "alice", "name": "Alice", "affiliation": rank}, {"user": "bob"}]
    members.append({"user": "carol", "name": "Carol", "affiliation": "owner"})
    for account in ("alice", "carol"):
        town.describe(account, is_private=False, members=members)
    await town.both_join()
    seen = await town.join("alice", "laptop")
    town.says(("alice", "carol"), "carol", "hi", "m1")
    town.send("carol", "mine", "c1")
    house, admin = town.house, "http://jabber.org/protocol/muc#admin"
    asked = [
        "<vCard xmlns='vcard-temp'/>",
        "<vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'/>",
        "<query xmlns='jabber:iq:version'/>",
        "<query xmlns='jabber:iq:last'/>",
        "<query xmlns='http://jabber.org/protocol/disco#info'/>",
        "<query xmlns='http://jabber.org/protocol/disco#items'/>",
    ]
    lists = [f"affiliation='{one}'" for one in ("owner", "admin", "member", "outcast", "none")]
    lists += [f"role='{one}'" for one in ("moderator", "participant", "visitor")]
    asked += [f"<query xmlns='{admin}'><item {one}/></query>" for one in lists]
    for to in (town.room, f"{town.room}/Carol", f"carol@{GATEWAY}", f"carol@{GATEWAY}/trusted"):
        for number, one in enumerate(asked):
            house.server.send(
                f"<iq type='get' id='q{number}' from='{ALICE}/phone' to='{to}'>{one}</iq>"
            )
    for sender in ("", CAROL, f"carol@{GATEWAY}", f"{town.room}/Carol"):
        form = f"<field var='with'><value>{sender}</value></field>"
        house.server.send(
            f"<iq type='set' id='mam' from='{ALICE}/phone' to='{town.room}'>"
            f"<query xmlns='urn:xmpp:mam:2'><x xmlns='jabber:x:data' type='submit'>{form}</x>"
            "</query></iq>"
        )
    ban = f"<item affiliation='outcast' jid='{CAROL}'/>"
    house.server.send(
        f"<iq type='set' id='ban' from='{ALICE}/phone' to='{town.room}'>"
        f"<query xmlns='{admin}'>{ban}</query></iq>"
    )
    house.server.send(
        f"<message type='chat' id='p1' from='{ALICE}/phone' to='{town.room}/Carol'>"
        "<body>psst</body></message>"
    )
    seen += (await town.settle())["alice"]
    for account in ("alice", "carol"):
        town.tell(account, "member-gone", user="carol", how="kicked", actor="bob")
    seen += (await town.settle())["alice"]
    assert len(seen) > 4 * len(asked)
    told = [one for one in seen if one.get("id") != "ban"]  # which repeats the address
    assert len(told) == len(seen) - 1
    assert CAROL not in "".join(tostring(one, encoding="unicode") for one in told)


async def test_req_575_two_users_write_privately_and_each_has_one_window(town: Town) -> None:
    """By the network, which knows both. Who was written to answers where they were written to."""
    await town.both_join()
    house = town.house
    house.network.people |= {"alice": "Alice", "carol": "Carol"}

    def writes(sender: str, to: str, body: str) -> None:
        house.server.send(
            f"<message type='chat' id='{body}' from='{sender}/phone' to='{to}'>"
            f"<body>{body}</body></message>"
        )

    writes(ALICE, f"{town.room}/Carol", "psst")
    await town.settle()
    house.network.says("carol", "alice", "psst")
    told = await town.settle()
    assert [(each.get("from"), each.get("to")) for each in told["carol"]] == [
        (f"alice@{GATEWAY}/trusted", CAROL)
    ]
    writes(CAROL, f"alice@{GATEWAY}", "yes?")
    await town.settle()
    house.network.says("alice", "carol", "yes?")
    told = await town.settle()
    assert [(each.get("from"), each.get("to")) for each in told["alice"]] == [
        (f"{town.room}/Carol", f"{ALICE}/phone")
    ]
    assert [text.body for text in house.network.sent] == ["psst", "yes?"]


async def test_req_709_the_secret_of_a_room_is_its_own_and_in_no_log(town: Town) -> None:
    town.house.network.event("alice", "room", room="!pub", name="Pub", members=[{"user": "alice"}])
    await town.both_join()
    secrets = [secret for (secret,) in town.house.query("SELECT secret FROM room")]
    assert len(set(secrets)) == len(secrets) == 2
    assert min(map(len, secrets)) >= 16
    logs = repr(town.house.logs)
    for secret in secrets:
        assert repr(secret)[2:-1] not in logs
        assert secret.hex() not in logs
