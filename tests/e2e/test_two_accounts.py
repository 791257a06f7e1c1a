# SPDX-License-Identifier: Apache-2.0
"""Two XMPP users with accounts of their own in one group on Matrix: each has a room of their own,
and nobody's trouble is the other's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.two import gone, said, shown, two

if TYPE_CHECKING:
    from tests.e2e.house import House


async def test_each_is_one_occupant_and_is_heard_once(prosody_house: House) -> None:
    """By XMPP and by their other apps, the echo before or after the answer."""
    async with two(prosody_house) as both:
        assert (
            shown(both.alice, both.room) == shown(both.dora, both.room) == {"Alice", "Bob", "Dora"}
        )
        both.says(both.alice, "from alice", "a1")
        await both.hear("from alice")
        both.says(both.dora, "from dora", "d1")
        await both.hear("from dora")
        await both.tablet.send_text(both.group, "from dora's tablet")
        await both.hear("from dora's tablet")
        await both.scene.settled()
        expected = [
            ("Bob", "Welcome."),
            ("Alice", "from alice"),
            ("Dora", "from dora"),
            ("Dora", "from dora's tablet"),
        ]
        assert said(both.alice, both.room) == expected
        assert said(both.dora, both.room) == expected


async def test_a_crash_between_what_they_say_doubles_nothing(prosody_house: House) -> None:
    async with two(prosody_house) as both:
        both.says(both.alice, "before", "a1")
        both.says(both.dora, "before as well", "d1")
        while {"a1", "d1"} - set(both.scene.committed()):
            await both.scene.ping_gateway()
        both.scene.gateway.kill()
        await both.scene.bob.send_text(both.group, "meanwhile")
        await both.scene.gateway.start()
        for text in ("before", "before as well", "meanwhile"):
            await both.hear(text)
        await both.scene.settled()
        for client in (both.alice, both.dora):
            heard = said(client, both.room)
            ids = {
                stanza.id
                for stanza in client.inbox.items
                if (stanza.type, stanza.sender_bare) == ("groupchat", both.room) and stanza.body
            }
            # What was on its way may be repeated, with its id.
            assert len(set(heard)) == len(ids) == 4


async def test_who_logs_out_or_is_kicked_is_nobody_elses_trouble(prosody_house: House) -> None:
    async with two(prosody_house) as both:
        await both.talk.ask("logout", "logged out")
        await both.dora.wait_for(
            lambda stanza: (stanza.type, stanza.sender) == ("unavailable", f"{both.room}/Dora")
        )
        await both.scene.bob.send_text(both.group, "Is anybody there?")
        await both.hear("Is anybody there?", both.alice)
        both.says(both.alice, "I am.", "a1")
        await both.hear("I am.", both.alice)
        await both.scene.settled()
        assert gone(both.alice, both.room) == []  # on Matrix dora is still there
        assert ("Alice", "I am.") not in said(both.dora, both.room)

        await both.kick_dora()
        both.says(both.alice, "And still am.", "a2")
        await both.hear("And still am.", both.alice)


async def test_what_is_ignored_is_ignored_by_one_alone(prosody_house: House) -> None:
    async with two(prosody_house) as both:
        await both.dora_ignores(both.scene.bob.user_id)
        await both.scene.bob.send_text(both.group, "Do you hear me?")
        await both.hear("Do you hear me?", both.alice)
        both.says(both.alice, "I do.", "a1")
        await both.hear("I do.")
        await both.scene.settled()
        assert ("Bob", "Do you hear me?") not in said(both.dora, both.room)


async def test_who_came_late_gets_what_is_theirs(prosody_house: House) -> None:
    """And the archive of each has what each was told."""
    async with two(prosody_house) as both:
        await both.kick_dora()
        await both.scene.bob.send_text(both.group, "Now that she is gone …")
        await both.hear("Now that she is gone …", both.alice)
        await both.dora_comes_back()
        await both.scene.bob.send_text(both.group, "Welcome back.")
        await both.hear("Welcome back.")
        await both.scene.settled()
        assert ("Bob", "Now that she is gone …") in said(both.alice, both.room)
        assert ("Bob", "Now that she is gone …") not in said(both.dora, both.room)
