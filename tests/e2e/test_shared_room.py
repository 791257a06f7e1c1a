# SPDX-License-Identifier: Apache-2.0
"""Two XMPP users with accounts of their own at a homeserver that the admin trusts, in one group:
they share one room."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.e2e.house import PASSWORD
from tests.e2e.two import address, archived, enter, gone, real_jids, said, shown, two
from tests.peers.element import Element

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.e2e.house import House
    from tests.e2e.two import Two

pytestmark = pytest.mark.timeout(120)


@asynccontextmanager
async def _sharing(house: House) -> AsyncIterator[Two]:
    async with two(house, trusted_homeservers=[house.synapse.url]) as both:
        yield both


async def _until(both: Two, sql: str, patience_s: float = 30) -> None:
    """Until the database says yes."""
    async with asyncio.timeout(patience_s):
        while not both.scene.query(sql)[0][0]:  # noqa: ASYNC110  # it does not tell
            await asyncio.sleep(0.05)


async def test_there_is_one_room_and_each_is_one_occupant_of_it(house: House) -> None:
    async with _sharing(house) as both:
        both.says(both.alice, "from alice", "a1")
        await both.hear("from alice")
        both.says(both.dora, "from dora", "d1")
        await both.hear("from dora")
        await both.tablet.send_text(both.group, "from dora's tablet")
        await both.scene.phone.send_text(both.group, "from alice's phone")
        await both.hear("from dora's tablet")
        await both.hear("from alice's phone")
        await both.scene.settled()
        assert both.scene.query("SELECT count(*) FROM room") == [(1,)]
        expected = [
            ("Bob", "Welcome."), ("Alice", "from alice"), ("Dora", "from dora"),
        ]  # fmt: skip
        for client in (both.alice, both.dora):
            assert shown(client, both.room) == {"Alice", "Bob", "Dora"}
            jids = real_jids(client, both.room)
            assert (jids["Alice"], jids["Dora"]) == (
                f"{both.scene.phone.user}@localhost", f"{both.tablet.user}@localhost",
            )  # fmt: skip
            heard = said(client, both.room)
            assert heard[:3] == expected
            assert sorted(heard[3:]) == [
                ("Alice", "from alice's phone"), ("Dora", "from dora's tablet"),
            ]  # fmt: skip
        assert said(both.alice, both.room) == said(both.dora, both.room)
        archive = await archived(both.alice, both.room)
        assert await archived(both.dora, both.room) == archive
        assert [(nick, text) for _, nick, text in archive] == said(both.alice, both.room)


async def test_a_crash_between_what_they_say_doubles_nothing(prosody_house: House) -> None:
    async with _sharing(prosody_house) as both:
        both.says(both.alice, "before", "a1")
        both.says(both.dora, "before as well", "d1")
        while {"a1", "d1"} - set(both.scene.committed()):
            await both.scene.ping_gateway()
        both.scene.gateway.kill()
        await both.scene.bob.send_text(both.group, "meanwhile")
        await both.tablet.send_text(both.group, "by dora's tablet")
        await both.scene.gateway.start()
        for text in ("before", "before as well", "meanwhile", "by dora's tablet"):
            await both.hear(text)
        await both.scene.settled()
        archive = await archived(both.alice, both.room)
        assert len(archive) == len({text for _, _, text in archive}) == 5
        assert await archived(both.dora, both.room) == archive
        for client in (both.alice, both.dora):
            # What was on its way may be repeated, with its id.
            assert len(set(said(client, both.room))) == 5


@pytest.mark.parametrize("first", ["alice", "dora"])
async def test_who_logs_out_is_nobody_elses_trouble(prosody_house: House, first: str) -> None:
    """Be it the one who leads or the other one."""
    async with _sharing(prosody_house) as both:
        leaves, stays = (both.dora, both.alice) if first == "dora" else (both.alice, both.dora)
        talk = both.talk if first == "dora" else both.scene.talk
        nick = first.capitalize()
        since = stays.inbox.mark()
        await talk.ask("logout", "logged out")
        await leaves.wait_for(
            lambda stanza: (stanza.type, stanza.sender) == ("unavailable", f"{both.room}/{nick}")
        )
        await both.scene.bob.send_text(both.group, "Is anybody there?")
        await both.hear("Is anybody there?", stays)
        both.says(stays, "I am.", "s1")
        await both.hear("I am.", stays)
        await both.scene.settled()
        assert not stays.inbox.find(lambda stanza: stanza.type == "error", since=since)
        assert gone(stays, both.room) == []  # on Matrix they are still there
        assert "I am." not in [text for _, text in said(leaves, both.room)]

        # Who comes back finds what was said while they were members.
        await talk.log_in_again(PASSWORD)
        await both.scene.bob.send_text(both.group, "Welcome back.")
        await both.hear("Welcome back.", stays)
        await _until(both, "SELECT count(*) = 2 FROM stay WHERE up_to IS NULL")
        await enter(leaves, both.room, nick)
        assert await archived(leaves, both.room) == await archived(stays, both.room)


async def test_who_is_kicked_hears_no_more(prosody_house: House) -> None:
    async with _sharing(prosody_house) as both:
        await both.kick_dora()
        both.says(both.alice, "And still am.", "a1")
        await both.hear("And still am.", both.alice)
        await both.scene.settled()
        assert "And still am." not in [text for _, text in said(both.dora, both.room)]


@pytest.mark.timeout(240)
async def test_the_session_of_who_leads_is_ended(prosody_house: House) -> None:
    """By the homeserver. What is said is told by the other one at once, and what the room is as
    soon as that one leads."""
    async with _sharing(prosody_house) as both:
        [(leader,)] = both.scene.query(
            "SELECT account.user FROM room JOIN account ON account.id = room.leader"
        )
        is_alice = leader.startswith(f"{both.scene.phone.user}@")
        theirs = both.scene.phone if is_alice else both.tablet
        stays = both.dora if is_alice else both.alice
        devices = (await theirs.request("GET", "devices"))["devices"]
        [device] = [each["device_id"] for each in devices if each["display_name"] == "Dragoman"]
        auth = {
            "type": "m.login.password", "password": PASSWORD,
            "identifier": {"type": "m.id.user", "user": theirs.user},
        }  # fmt: skip
        await theirs.request("POST", "delete_devices", {"devices": [device], "auth": auth})
        await both.scene.bob.send_text(both.group, "Who is there?")
        await both.hear("Who is there?", stays)
        name = f"rooms/{quote(both.group)}/state/m.room.name"
        await both.scene.bob.request("PUT", name, {"name": "Coffee"})
        await _until(both, "SELECT name = 'Coffee' FROM room", patience_s=150)
        await both.scene.settled()
        assert gone(stays, both.room) == []


async def _set_visibility(both: Two, value: str) -> None:
    path = f"rooms/{quote(both.group)}/state/m.room.history_visibility"
    await both.scene.bob.request("PUT", path, {"history_visibility": value})
    shows = int(value in ("shared", "world_readable"))
    await _until(both, f"SELECT shows_past = {shows} FROM room")


async def test_who_comes_late_gets_what_is_theirs(prosody_house: House) -> None:
    async with _sharing(prosody_house) as both:
        await both.kick_dora()
        await both.scene.bob.send_text(both.group, "for everybody to come")
        await both.hear("for everybody to come", both.alice)
        await _set_visibility(both, "joined")
        await both.scene.bob.send_text(both.group, "Now that she is gone …")
        await both.hear("Now that she is gone …", both.alice)
        await both.dora_comes_back()
        await both.scene.bob.send_text(both.group, "Welcome back.")
        await both.hear("Welcome back.")
        await both.scene.settled()
        hers = await archived(both.dora, both.room)
        assert [text for _, _, text in hers] == [
            "Welcome.", "for everybody to come", "Welcome back.",
        ]  # fmt: skip
        alices = await archived(both.alice, both.room)
        assert [one for one in alices if one[2] != "Now that she is gone …"] == hers
        assert len(alices) == 4
        assert "Now that she is gone …" not in [text for _, text in said(both.dora, both.room)]


async def test_each_finds_of_the_past_what_is_theirs(prosody_house: House) -> None:
    """What was said before the gateway knew of the group: dora came later than alice, and the
    homeserver shows her some of it."""
    async with _sharing(prosody_house) as both:
        bob, alice, dora = both.scene.bob, both.scene.phone, both.tablet
        for talk in (both.scene.talk, both.talk):
            await talk.ask("logout", "logged out")
        since = both.alice.inbox.mark()
        group = await bob.create_room(name="Coffee", invite=[alice.user_id])
        await alice.wait_invite(sender=bob.user_id)
        await alice.join(group)
        visibility = f"rooms/{quote(group)}/state/m.room.history_visibility"
        expected: dict[str, list[str]] = {"alice": [], "dora": []}
        for value in ("shared", "joined", "shared"):
            await bob.request("PUT", visibility, {"history_visibility": value})
            for number in range(3):
                text = f"{value} {number} {len(expected['alice'])}"
                await bob.send_text(group, text)
                expected["alice"].append(text)
                expected["dora"] += [text] if value == "shared" else []
        await bob.invite(group, dora.user_id)
        await dora.wait_invite(sender=bob.user_id)
        await dora.join(group)
        await both.scene.talk.log_in_again(PASSWORD)
        room = await address(both.alice, since)
        await _until(both, "SELECT count(*) >= 9 FROM archived")
        await both.talk.log_in_again(PASSWORD)
        await _until(both, "SELECT count(*) = 4 FROM account_room")
        await bob.send_text(group, "now")
        await enter(both.alice, room, "Alice")
        await enter(both.dora, room, "Dora")
        await both.scene.settled()
        for name, client in (("dora", both.dora), ("alice", both.alice), ("dora", both.dora)):
            found = [text for _, _, text in await archived(client, room, back=True) if text]
            assert [text for text in found if text != "now"] == expected[name]


async def test_what_is_ignored_is_ignored_by_one_alone(prosody_house: House) -> None:
    async with _sharing(prosody_house) as both:
        await both.dora_ignores(both.scene.bob.user_id)
        await _until(both, "SELECT count(*) = 1 FROM ignored")
        await both.scene.bob.send_text(both.group, "Do you hear me?")
        await both.hear("Do you hear me?", both.alice)
        both.says(both.alice, "I do.", "a1")
        await both.hear("I do.")
        await both.scene.settled()
        assert ("Bob", "Do you hear me?") not in said(both.dora, both.room)
        assert [nick for _, nick, _ in await archived(both.dora, both.room)] == ["Alice"]
        await both.dora_ignores()
        await _until(both, "SELECT count(*) = 0 FROM ignored")
        await both.scene.bob.send_text(both.group, "And now?")
        await both.hear("And now?")


async def test_what_one_of_them_can_decrypt_the_other_gets(prosody_house: House) -> None:
    """If they were in the room when it was said."""
    async with _sharing(prosody_house) as both:
        user, directory = f"{both.scene.bob.user}-element", prosody_house.directory / "element"
        await prosody_house.synapse.add_user(user, PASSWORD)
        directory.mkdir()
        url = prosody_house.synapse.url
        async with Element(url, user, PASSWORD, directory=directory) as eve:
            await _secrets(both, eve)


async def _secrets(both: Two, eve: Element) -> None:
    since = both.alice.inbox.mark()
    group = await eve.create_room(invite=[both.scene.phone.user_id])
    await both.scene.phone.wait_invite(sender=eve.user_id)
    await both.scene.phone.join(group)
    await eve.wait_member(group, both.scene.phone.user_id)
    room = await address(both.alice, since)
    await _until(both, "SELECT count(*) = 3 FROM account_room")  # that may tell of the invitation
    await enter(both.alice, room, "Alice")
    await eve.send_text(group, "before dora")
    await both.alice.wait_for(lambda stanza: stanza.body == "before dora")
    content = {"msgtype": "m.text", "body": "with dora"}
    made = await eve.encrypt(group, "m.room.message", content)

    since = both.dora.inbox.mark()
    await eve.invite(group, both.tablet.user_id)
    await both.tablet.wait_invite(sender=eve.user_id)
    await both.tablet.join(group)
    assert await address(both.dora, since) == room
    await _until(both, "SELECT count(*) = 4 FROM account_room")
    await enter(both.dora, room, "Dora")
    await eve.send_raw(group, made)
    for client in (both.alice, both.dora):
        await client.wait_for(lambda stanza: stanza.body == "with dora", timeout=30)
    await both.scene.settled()
    assert [text for _, _, text in await archived(both.alice, room)] == [
        "before dora", "with dora",
    ]  # fmt: skip
    assert [text for _, _, text in await archived(both.dora, room)] == ["with dora"]
