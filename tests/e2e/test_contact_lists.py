# SPDX-License-Identifier: Apache-2.0
"""Contacts in the lists of real servers (XEP-0356 §4.3), and requests where nobody may write."""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, closing

import pytest

from tests.e2e.house import House, Scene
from tests.peers.ejabberd import Ejabberd

_PEOPLE = 120
_ITEM = "{jabber:iq:roster}group"


async def _until(is_so: Callable[[], Awaitable[bool]], what: str, limit_s: float = 20) -> None:
    deadline = time.monotonic() + limit_s
    while not await is_so():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.2)


async def _entry(scene: Scene) -> tuple[str | None, str | None, list[str | None]] | None:
    """Name, subscription and groups of bob in alice's contact list."""
    item = (await scene.alice.roster()).get(scene.bob_jid)
    if item is None:
        return None
    groups = [group.text for group in item.iterfind(_ITEM)]
    return item.get("name"), item.get("subscription"), groups


@pytest.mark.parametrize("fix_privilege", [False, True], ids=["of Debian", "repaired"])
async def test_req_230_1008_contacts_stand_in_the_users_list(
    prosody_house: House, fix_privilege: bool
) -> None:
    house = prosody_house
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(
            house.own_server(fix_privilege=fix_privilege, bookmarks=True)
        )
        scene = await stack.enter_async_context(house.linked())
        alice, bob = scene.alice, scene.bob
        await scene.gateway.wait_logged("privileges")
        await bob.request("PUT", f"profile/{bob.user_id}/displayname", {"displayname": "Bob"})
        await scene.chat()
        expected = ("Bob", "both", ["Matrix"])

        async def is_listed() -> bool:
            return await _entry(scene) == expected

        await _until(is_listed, "bob is not in the list")
        await alice.wait_presence("available", sender=scene.bob_jid)
        assert not alice.inbox.find(lambda s: (s.type, s.sender) == ("subscribe", scene.bob_jid))

        # A name of the user's stays, whatever the network says.
        jid = scene.bob_jid
        mine = f"<query xmlns='jabber:iq:roster'><item jid='{jid}' name='My Bob'/></query>"
        await alice.iq(None, mine, type="set")
        await bob.request("PUT", f"profile/{bob.user_id}/displayname", {"displayname": "Robert"})
        await scene.gateway.stop()
        await scene.gateway.start()
        theirs = "SELECT count(*) FROM roster_item WHERE state = 3"

        async def is_theirs() -> bool:
            return scene.query(theirs) == [(1,)]

        await _until(is_theirs, "the gateway has not seen the name")
        entry = await _entry(scene)
        assert entry is not None
        assert entry[0] == "My Bob"

        # Whom the user removes stays away.
        gone = f"<query xmlns='jabber:iq:roster'><item jid='{jid}' subscription='remove'/></query>"
        await alice.iq(None, gone, type="set")
        await bob.send_text(scene.room, "Still here.")
        await alice.wait_message("Still here.", sender=jid)
        await scene.gateway.stop()
        await scene.gateway.start()

        async def is_removed() -> bool:
            return scene.query("SELECT state FROM roster_item") == [(4,)]

        await _until(is_removed, "the gateway has not seen that he is gone")
        assert await _entry(scene) is None


async def test_req_231_1002_contacts_ask_where_nobody_writes_lists(house: House) -> None:
    """Prosody without privileges, as for users of other servers; old ejabberd."""
    async with AsyncExitStack() as stack:
        if not isinstance(house.xmpp, Ejabberd):
            await stack.enter_async_context(house.own_server(privileged=False))
        scene = await stack.enter_async_context(house.linked())
        alice = scene.alice
        await scene.chat()
        asked = await alice.wait_presence("subscribe", sender=scene.bob_jid, timeout=20)
        assert asked.text("nick", "http://jabber.org/protocol/nick") == scene.bob.user
        assert asked.text("status") == f"{scene.bob.user} writes to you on Matrix."
        alice.approve(scene.bob_jid)
        alice.subscribe(scene.bob_jid)
        await alice.wait_presence("available", sender=scene.bob_jid)

        async def is_both() -> bool:
            entry = await _entry(scene)
            return entry is not None and entry[1] == "both"

        await _until(is_both, "the subscription is not complete")
        await scene.bob.send_text(scene.room, "Thank you.")
        await alice.wait_message("Thank you.", sender=scene.bob_jid)
        await scene.settled()
        asks = alice.inbox.find(lambda s: (s.type, s.sender) == ("subscribe", scene.bob_jid))
        assert len(asks) == 1


async def test_req_229_many_contacts_come_in_time(prosody_house: House) -> None:
    """As if taken over while the gateway was stopped: people of whom Synapse knows nothing."""
    house = prosody_house
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(house.own_server())
        scene = await stack.enter_async_context(house.linked())
        await scene.gateway.stop()
        people = [(f"@p{n}:localhost", f"p{n}%localhost", f"Person {n}") for n in range(_PEOPLE)]
        with closing(sqlite3.connect(scene.gateway.database)) as database, database:
            for remote, localpart, name in people:
                database.execute(
                    "INSERT INTO address VALUES ('matrix', ?, ?)", (localpart, remote)
                )
                database.execute(
                    "INSERT INTO contact (account, remote_id, name) VALUES (1, ?, ?)",
                    (remote, name),
                )
                database.execute(
                    "INSERT INTO roster_item (account, contact, state) VALUES (1, ?, 0)", (remote,)
                )
        began = time.monotonic()
        await scene.gateway.start()

        async def are_listed() -> bool:
            listed = await scene.alice.roster()
            return all(f"{localpart}@{house.domain}" in listed for _, localpart, _ in people)

        await _until(are_listed, "not all of them are in the list", 120)
        took = time.monotonic() - began
        assert took < 120 * _PEOPLE / 500 + 5, f"{took:.1f} s"
        listed = await scene.alice.roster()
        item = listed[f"p7%localhost@{house.domain}"]
        assert (item.get("name"), item.get("subscription")) == ("Person 7", "both")


async def test_req_137_229_taking_over_and_blocking(prosody_house: House) -> None:
    async with prosody_house.linked() as scene:
        alice, bob = scene.alice, scene.bob
        await scene.live()
        await scene.chat()
        await scene.talk.ask("import", "You have 1 contact on the network.")
        await scene.talk.ask("1", "Nothing was changed.")
        await scene.talk.ask(f"block {scene.bob_jid}", "is blocked")
        await bob.send_text(scene.room, "Can you hear me?")
        alice.send_message(scene.bob_jid, "Can you?", id="m1")
        refused = await alice.wait_error("m1", timeout=20)
        assert "You have blocked this contact." in str(refused)
        ignored = await scene.phone.request(
            "GET", f"user/{scene.phone.user_id}/account_data/m.ignored_user_list"
        )
        assert ignored == {"ignored_users": {bob.user_id: {}}}
        await scene.settled()
        assert [stanza.body for stanza in scene.from_bob()] == ["Here I am."]
        await scene.talk.ask(f"unblock {scene.bob_jid}", "is not blocked any more")
        await bob.send_text(scene.room, "And now?")
        await alice.wait_message("And now?", sender=scene.bob_jid)
        # Synapse tells the room anew to whoever hears somebody again, so nothing is lost.
        await alice.wait_message("Can you hear me?", sender=scene.bob_jid)
        await scene.settled()
        texts = [stanza.body for stanza in scene.from_bob()]
        assert sorted(filter(None, texts)) == ["And now?", "Can you hear me?", "Here I am."]
