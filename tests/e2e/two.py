# SPDX-License-Identifier: Apache-2.0
"""Two XMPP users with accounts of their own in one group on Matrix."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tests.demo.login import Talk, befriend_gateway
from tests.e2e.house import PASSWORD, House, Scene
from tests.peers.xmpp_client import Stanza

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.peers.matrix_client import MatrixClient
    from tests.peers.xmpp_client import XmppClient

_MUC = "http://jabber.org/protocol/muc"
_MAM = "urn:xmpp:mam:2"
_RSM = "http://jabber.org/protocol/rsm"
_IGNORED = "m.ignored_user_list"


def in_room(room: str, body: str) -> Callable[[Stanza], bool]:
    return lambda stanza: (
        (stanza.kind, stanza.type, stanza.sender_bare) == ("message", "groupchat", room)
        and stanza.body == body
    )


def said(client: XmppClient, room: str) -> list[tuple[str, str]]:
    """All that a client was told in a room: nick and text."""
    return [
        (stanza.sender.partition("/")[2], stanza.body or "")
        for stanza in client.inbox.items
        if (stanza.type, stanza.sender_bare) == ("groupchat", room) and stanza.body
    ]


def gone(client: XmppClient, room: str) -> list[str]:
    """Who was seen to leave a room."""
    return [
        stanza.sender.partition("/")[2]
        for stanza in client.inbox.items
        if (stanza.kind, stanza.type, stanza.sender_bare) == ("presence", "unavailable", room)
    ]


def shown(client: XmppClient, room: str) -> set[str]:
    """Who was seen to be in a room."""
    return {
        stanza.sender.partition("/")[2]
        for stanza in client.inbox.items
        if (stanza.kind, stanza.type, stanza.sender_bare) == ("presence", "available", room)
        and "/" in stanza.sender  # else it is the room
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

    async def kick_dora(self) -> None:
        """By bob; until both have seen it."""
        path, body = f"rooms/{quote(self.group)}/kick", {"user_id": self.tablet.user_id}
        await self.scene.bob.request("POST", path, body)
        for client in (self.alice, self.dora):
            await client.wait_for(
                lambda stanza: (stanza.type, stanza.sender) == ("unavailable", f"{self.room}/Dora")
            )

    async def dora_comes_back(self) -> None:
        """Invited by bob; she accepts by her tablet, and joins the room."""
        since = self.dora.inbox.mark()
        await self.scene.bob.invite(self.group, self.tablet.user_id)
        await self.tablet.wait_invite(sender=self.scene.bob.user_id)
        await self.tablet.join(self.group)
        assert await address(self.dora, since) == self.room
        await enter(self.dora, self.room, "Dora")

    async def dora_ignores(self, *users: str) -> None:
        """By her tablet."""
        path = f"user/{quote(self.tablet.user_id)}/account_data/{_IGNORED}"
        await self.tablet.request("PUT", path, {"ignored_users": {user: {} for user in users}})

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
            await client.wait_for(in_room(self.room, text), timeout=30)


async def enter(client: XmppClient, room: str, nick: str) -> None:
    """Join a room, and have all that this tells."""
    since = client.inbox.mark()
    client.send_raw(f"<presence to='{room}/{nick}'><x xmlns='{_MUC}'/></presence>")
    await client.wait_for(
        lambda stanza: (
            (stanza.kind, stanza.sender_bare) == ("message", room)
            and stanza.child("jabber:client", "subject") is not None
        ),
        since=since,
    )


async def address(client: XmppClient, since: int = 0) -> str:
    """Of the room that a user is told to be in."""
    invitation = await client.wait_for(
        lambda stanza: stanza.child("jabber:x:conference", "x") is not None, since=since
    )
    x = invitation.child("jabber:x:conference", "x")
    assert x is not None
    return x.get("jid", "")


@asynccontextmanager
async def two(house: House, **settings: Any) -> AsyncIterator[Two]:
    """With these settings of the network."""
    settings = {"allow_private_homeservers": True, **settings}
    networks = {"matrix": house.network(house.domain, settings=settings)}
    async with AsyncExitStack() as stack:
        scene = await stack.enter_async_context(house.linked(networks=networks))
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
        room = await address(scene.alice)
        assert await address(dora) == room
        # An invitation is told before the account is in.
        while scene.query("SELECT count(*) FROM account_room") != [(2,)]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        two = Two(scene, dora, tablet, talk, group, room)
        await enter(scene.alice, room, "Alice")
        await enter(dora, room, "Dora")
        await scene.bob.send_text(group, "Welcome.")
        await two.hear("Welcome.")
        yield two


async def archived(
    client: XmppClient, room: str, *, back: bool = False
) -> list[tuple[str, str, str]]:
    """All that a room has archived for a user: the id there, nick and text. ``back``: the user
    looks for the newest, and what was said before."""
    since = client.inbox.mark()
    page = f"<set xmlns='{_RSM}'><before/></set>" if back else ""
    answer = await client.iq(room, f"<query xmlns='{_MAM}'>{page}</query>", type="set")
    assert answer.child(_MAM, "fin") is not None, str(answer)
    path = f"{{{_MAM}}}result/{{urn:xmpp:forward:0}}forwarded/{{jabber:client}}message"
    kept = []
    for stanza in client.inbox.items[since:]:
        message, result = stanza.xml.find(path), stanza.child(_MAM, "result")
        if message is not None and result is not None:
            inner = Stanza(message)
            kept.append((result.get("id", ""), inner.sender.partition("/")[2], inner.body or ""))
    return kept


def real_jids(client: XmppClient, room: str) -> dict[str, str]:
    """Whom the occupants of a room are said to be."""
    found = {}
    for stanza in client.inbox.items:
        x = stanza.child(f"{_MUC}#user", "x")
        item = None if x is None else x.find(f"{{{_MUC}#user}}item")
        shown = (stanza.kind, stanza.type, stanza.sender_bare) == ("presence", "available", room)
        if shown and item is not None:
            found[stanza.sender.partition("/")[2]] = item.get("jid", "").partition("/")[0]
    return found
