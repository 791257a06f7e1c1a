# SPDX-License-Identifier: Apache-2.0
"""A group that is linked for people without an account, as tests see it from both sides."""

from __future__ import annotations

from typing import Any, Self
from xml.etree.ElementTree import Element

from gateway.ids import UserJid
from tests.scenario.house import GATEWAY, HOME, RELAY, House
from tests.scenario.test_rooms import MAM, MUC_USER, _received

ERIN, FRED = f"erin@{HOME}", "fred@far.example"
USERS = {"erin": ERIN, "fred": FRED, "alice": f"alice@{HOME}"}
STANZAS = "{urn:ietf:params:xml:ns:xmpp-stanzas}"


class Portal:
    """A group with Bob and Eve in it, of which the house is told."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.members = ["relay", "bob", "eve"]
        self.room = ""
        self.is_private = False

    async def begin(
        self, *, members_only: bool = False, by: str = ERIN, is_private: bool = False
    ) -> Self:
        """``is_private``: on the network."""
        await self.house.start()
        await self.house.connected()
        await self.house.clock.settle()
        await self.link(members_only=members_only, by=by)
        self.is_private = is_private
        await self.describe()
        return self

    async def link(self, *, members_only: bool = False, by: str = ERIN) -> None:
        portals = self.house.bridge.portals
        code = await portals.new_code(UserJid(by), by_admin=False, members_only=members_only)
        self.house.network.event(RELAY, "link", room="!tea", code=code.code, is_owner=True)
        await self.house.clock.settle()

    async def describe(self, **fields: Any) -> None:
        """The session of the house tells the whole group."""
        members = [{"user": name, "name": name.title()} for name in self.members]
        fields = {"name": "Tea", "members": members, "may": [], "shows_past": True, **fields}
        fields.setdefault("is_private", self.is_private)
        self.house.network.event(RELAY, "room", room="!tea", **fields)
        await self.settle()
        ((address,),) = self.house.query("SELECT localpart FROM address WHERE remote_id='!tea'")
        self.room = f"{address}@{GATEWAY}"

    async def says(self, sender: str, body: str, id: str, **more: Any) -> dict[str, list[Element]]:
        """Somebody of the network does."""
        now = self.house.clock.now()
        fields = {"sender": sender, "id": id, "body": body, "sent_at": now, **more}
        self.house.network.event(RELAY, "room-message", room="!tea", **fields)
        return await self.settle()

    async def settle(self) -> dict[str, list[Element]]:
        """What has been sent until now, by the local part of the addressee."""
        await self.house.clock.settle()
        found: dict[str, list[Element]] = {name: [] for name in USERS}
        for element in _received(self.house):
            found.setdefault(element.get("to", "").partition("@")[0], []).append(element)
        return found

    async def join(self, name: str, nick: str = "", device: str = "phone") -> list[Element]:
        self.send(
            f"<presence from='{USERS[name]}/{device}' to='{self.room}/{nick or name.title()}'>"
            "<x xmlns='http://jabber.org/protocol/muc'/></presence>"
        )
        return (await self.settle())[name]

    async def leave(self, name: str, device: str = "phone") -> dict[str, list[Element]]:
        self.send(
            f"<presence type='unavailable' from='{USERS[name]}/{device}' "
            f"to='{self.room}/{name.title()}'/>"
        )
        return await self.settle()

    async def speak(self, name: str, body: str, id: str, inner: str = "") -> dict[str, Any]:
        self.send(
            f"<message type='groupchat' id='{id}' from='{USERS[name]}/phone' to='{self.room}'>"
            f"<body>{body}</body>{inner}</message>"
        )
        return await self.settle()

    async def ask(self, name: str, kind: str, inner: str, to: str = "") -> list[Element]:
        self.send(
            f"<iq type='{kind}' id='q' from='{USERS[name]}/phone' to='{to or self.room}'>"
            f"{inner}</iq>"
        )
        return (await self.settle())[name]

    def send(self, stanza: str) -> None:
        self.house.server.send(stanza)


def bodies(stanzas: list[Element]) -> list[tuple[str, str]]:
    """Who says what."""
    return [
        (each.get("from", "").partition("/")[2], child.text or "")
        for each in stanzas
        if each.get("type") == "groupchat"
        for child in each
        if child.tag.endswith("}body")
    ]


def codes(stanzas: list[Element]) -> set[str | None]:
    return {status.get("code") for each in stanzas for status in each.iter(f"{MUC_USER}status")}


def there(stanzas: list[Element]) -> list[str]:
    return [
        each.get("from", "").partition("/")[2]
        for each in stanzas
        if each.tag.endswith("}presence") and each.get("type") is None
    ]


def error(stanzas: list[Element]) -> str:
    (failed,) = [each for each in stanzas if each.get("type") == "error"]
    (error,) = [child for child in failed if child.tag.endswith("}error")]
    return next(child.tag.removeprefix(STANZAS) for child in error if STANZAS in child.tag)


ADMIN = "http://jabber.org/protocol/muc#admin"


async def read(portal: Portal, name: str) -> list[str]:
    """What somebody finds in the archive."""
    answers = await portal.ask(name, "set", "<query xmlns='urn:xmpp:mam:2'/>")
    return [
        body.text or ""
        for answer in answers
        if (result := answer.find(f"{MAM}result")) is not None
        for body in result.iter("{jabber:client}body")
    ]


async def rule(portal: Portal, name: str, item: str) -> Element:
    """Somebody wants something of a list (XEP-0045 §9); what was answered."""
    asked = f"<query xmlns='{ADMIN}'><item {item}/></query>"
    answers = await portal.ask(name, "set", asked)
    return next(answer for answer in answers if answer.tag.endswith("}iq"))
