# SPDX-License-Identifier: Apache-2.0
"""Two XMPP users with accounts of their own in one group on Matrix: each has a room of their own,
and nobody's trouble is the other's."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from tests.demo.login import Talk, befriend_gateway
from tests.e2e.house import PASSWORD, House, Scene

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.peers.matrix_client import MatrixClient
    from tests.peers.xmpp_client import Stanza, XmppClient

_MUC = "http://jabber.org/protocol/muc"
_IGNORED = "m.ignored_user_list"


def _in_room(room: str, body: str) -> Callable[[Stanza], bool]:
    return lambda stanza: (
        (stanza.kind, stanza.type, stanza.sender_bare) == ("message", "groupchat", room)
        and stanza.body == body
    )


def _said(client: XmppClient, room: str) -> list[tuple[str, str]]:
    """All that a client was told in a room: nick and text."""
    return [
        (stanza.sender.partition("/")[2], stanza.body or "")
        for stanza in client.inbox.items
        if (stanza.type, stanza.sender_bare) == ("groupchat", room) and stanza.body
    ]


def _gone(client: XmppClient, room: str) -> list[str]:
    """Who was seen to leave a room."""
    return [
        stanza.sender.partition("/")[2]
        for stanza in client.inbox.items
        if (stanza.kind, stanza.type, stanza.sender_bare) == ("presence", "unavailable", room)
    ]


def _shown(client: XmppClient, room: str) -> set[str]:
    """Who was seen to be in a room."""
    return {
        stanza.sender.partition("/")[2]
        for stanza in client.inbox.items
        if (stanza.kind, stanza.type, stanza.sender_bare) == ("presence", "available", room)
    }


@dataclass
class Two:
    """Alice and dora, both in bob's group, each in the room by a client of theirs."""

    scene: Scene
    dora: XmppClient
    tablet: MatrixClient
    """Dora's other client on Matrix."""
    talk: Talk
    """Of dora with the gateway."""
    group: str
    room: str

    @property
    def alice(self) -> XmppClient:
        """The first user."""
        return self.scene.alice

    def says(self, client: XmppClient, text: str, message: str) -> None:
        """A user says something in the room, by XMPP."""
        client.send_raw(
            f"<message to='{self.room}' type='groupchat' id='{message}'>"
            f"<body>{text}</body></message>"
        )

    async def hear(self, text: str, *clients: XmppClient) -> None:
        """Wait until these users, or both, are told a text."""
        for client in clients or (self.alice, self.dora):
            await client.wait_for(_in_room(self.room, text), timeout=30)


async def _enter(client: XmppClient, room: str, nick: str) -> None:
    since = client.inbox.mark()
    client.send_raw(f"<presence to='{room}/{nick}'><x xmlns='{_MUC}'/></presence>")
    await client.wait_for(
        lambda stanza: (
            (stanza.kind, stanza.sender_bare) == ("message", room)
            and stanza.child("jabber:client", "subject") is not None
        ),
        since=since,
    )


async def _address(client: XmppClient, since: int = 0) -> str:
    """Of the room that a user is told to be in."""
    invitation = await client.wait_for(
        lambda stanza: stanza.child("jabber:x:conference", "x") is not None, since=since
    )
    x = invitation.child("jabber:x:conference", "x")
    assert x is not None
    return x.get("jid", "")


@asynccontextmanager
async def _two(house: House) -> AsyncIterator[Two]:
    async with AsyncExitStack() as stack:
        scene = await stack.enter_async_context(house.linked())
        number = scene.bob.user.removeprefix("bob")
        dora = await stack.enter_async_context(house.xmpp_client(f"dora{number}"))
        tablet = await stack.enter_async_context(await house.matrix_client(f"dora{number}"))
        await tablet.set_displayname("Dora")
        await scene.phone.set_displayname("Alice")
        await scene.bob.set_displayname("Bob")
        talk = Talk(dora, house.domain)
        await talk.log_in(house.synapse.url, tablet.user, PASSWORD)
        await befriend_gateway(dora, talk.gateway)
        guests = scene.phone, tablet
        group = await scene.bob.create_room(name="Tea", invite=[one.user_id for one in guests])
        for guest in guests:
            await guest.wait_invite(sender=scene.bob.user_id)
            await guest.join(group)
        room = await _address(scene.alice)
        assert await _address(dora) == room
        two = Two(scene, dora, tablet, talk, group, room)
        await _enter(scene.alice, room, "Alice")
        await _enter(dora, room, "Dora")
        await scene.bob.send_text(group, "Welcome.")
        await two.hear("Welcome.")
        yield two


async def test_each_is_one_occupant_and_is_heard_once(prosody_house: House) -> None:
    """By XMPP and by their other apps, the echo before or after the answer."""
    async with _two(prosody_house) as two:
        assert (
            _shown(two.alice, two.room) == _shown(two.dora, two.room) == {"Alice", "Bob", "Dora"}
        )
        two.says(two.alice, "from alice", "a1")
        await two.hear("from alice")
        two.says(two.dora, "from dora", "d1")
        await two.hear("from dora")
        await two.tablet.send_text(two.group, "from dora's tablet")
        await two.hear("from dora's tablet")
        await two.scene.settled()
        expected = [
            ("Bob", "Welcome."),
            ("Alice", "from alice"),
            ("Dora", "from dora"),
            ("Dora", "from dora's tablet"),
        ]
        assert _said(two.alice, two.room) == expected
        assert _said(two.dora, two.room) == expected


async def test_a_crash_between_what_they_say_doubles_nothing(prosody_house: House) -> None:
    async with _two(prosody_house) as two:
        two.says(two.alice, "before", "a1")
        two.says(two.dora, "before as well", "d1")
        while {"a1", "d1"} - set(two.scene.committed()):
            await two.scene.ping_gateway()
        two.scene.gateway.kill()
        await two.scene.bob.send_text(two.group, "meanwhile")
        await two.scene.gateway.start()
        for text in ("before", "before as well", "meanwhile"):
            await two.hear(text)
        await two.scene.settled()
        for client in (two.alice, two.dora):
            said = _said(client, two.room)
            ids = {
                stanza.id
                for stanza in client.inbox.items
                if (stanza.type, stanza.sender_bare) == ("groupchat", two.room) and stanza.body
            }
            # What was on its way may be repeated, with its id.
            assert len(set(said)) == len(ids) == 4


async def test_who_logs_out_or_is_kicked_is_nobody_elses_trouble(prosody_house: House) -> None:
    async with _two(prosody_house) as two:
        await two.talk.ask("logout", "logged out")
        await two.dora.wait_for(
            lambda stanza: (stanza.type, stanza.sender) == ("unavailable", f"{two.room}/Dora")
        )
        await two.scene.bob.send_text(two.group, "Is anybody there?")
        await two.hear("Is anybody there?", two.alice)
        two.says(two.alice, "I am.", "a1")
        await two.hear("I am.", two.alice)
        await two.scene.settled()
        assert _gone(two.alice, two.room) == []  # on Matrix dora is still there
        assert ("Alice", "I am.") not in _said(two.dora, two.room)

        path, body = f"rooms/{quote(two.group)}/kick", {"user_id": two.tablet.user_id}
        await two.scene.bob.request("POST", path, body)
        await two.alice.wait_for(
            lambda stanza: (stanza.type, stanza.sender) == ("unavailable", f"{two.room}/Dora")
        )
        two.says(two.alice, "And still am.", "a2")
        await two.hear("And still am.", two.alice)


async def test_what_is_ignored_is_ignored_by_one_alone(prosody_house: House) -> None:
    async with _two(prosody_house) as two:
        path = f"user/{quote(two.tablet.user_id)}/account_data/{_IGNORED}"
        bob: dict[str, object] = {two.scene.bob.user_id: {}}
        await two.tablet.request("PUT", path, {"ignored_users": bob})
        await two.scene.bob.send_text(two.group, "Do you hear me?")
        await two.hear("Do you hear me?", two.alice)
        two.says(two.alice, "I do.", "a1")
        await two.hear("I do.")
        await two.scene.settled()
        assert ("Bob", "Do you hear me?") not in _said(two.dora, two.room)


async def test_who_came_late_gets_what_is_theirs(prosody_house: House) -> None:
    """And the archive of each has what each was told."""
    async with _two(prosody_house) as two:
        path, body = f"rooms/{quote(two.group)}/kick", {"user_id": two.tablet.user_id}
        await two.scene.bob.request("POST", path, body)
        await two.dora.wait_for(
            lambda stanza: (stanza.type, stanza.sender) == ("unavailable", f"{two.room}/Dora")
        )
        await two.scene.bob.send_text(two.group, "Now that she is gone …")
        await two.hear("Now that she is gone …", two.alice)
        since = two.dora.inbox.mark()
        await two.scene.bob.invite(two.group, two.tablet.user_id)
        await two.tablet.wait_invite(sender=two.scene.bob.user_id)
        await two.tablet.join(two.group)
        assert await _address(two.dora, since) == two.room
        await _enter(two.dora, two.room, "Dora")
        await two.scene.bob.send_text(two.group, "Welcome back.")
        await two.hear("Welcome back.")
        await two.scene.settled()
        assert ("Bob", "Now that she is gone …") in _said(two.alice, two.room)
        assert ("Bob", "Now that she is gone …") not in _said(two.dora, two.room)
