# SPDX-License-Identifier: Apache-2.0
"""Contact lists of users, read and written where our server lets us (XEP-0356 §4.3; REQ-1007)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from itertools import starmap
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

from gateway.bridge.attendance.devices import Caps
from gateway.bridge.ports import RosterItem, RosterRefused
from gateway.ids import RemoteUserId, UserJid
from gateway.xmpp.as_user import Refused, ask, refusal
from gateway.xmpp.client_caps import ROSTER_EXCHANGE
from gateway.xmpp.codec import errors
from gateway.xmpp.codec.xml import Stanza, attribute, text
from gateway.xmpp.jid import split
from gateway.xmpp.privilege import Permission

if TYPE_CHECKING:
    from gateway.xmpp.asked import Request
    from gateway.xmpp.component import Component

ROSTER = "jabber:iq:roster"
_AT_ONCE = 100
_OFFERED = 100
"""Contacts in one message (REQ-232)."""


class UserRosters:
    """Those of the users of one component. Implements `gateway.bridge.ports.RosterPort`."""

    def __init__(self, component: Component) -> None:
        self._component = component
        self.label = component.name

    def is_open(self, user: UserJid) -> bool:
        """See `RosterPort.is_open`."""
        return self._component.privileges.may(user, Permission.ROSTER)

    async def read(self, user: UserJid) -> Mapping[RemoteUserId, RosterItem]:
        """See `RosterPort.read`."""
        answer = await self._ask(user, "get", "")
        found: dict[RemoteUserId, RosterItem] = {}
        query = answer.find(f"{{{ROSTER}}}query")
        if query is None:
            raise RosterRefused("no list in the answer")
        for number, element in enumerate(query.iterfind(f"{{{ROSTER}}}item")):
            if number % _AT_ONCE == _AT_ONCE - 1:
                await asyncio.sleep(0)  # others have their turn
            address = split(element.get("jid", ""))
            if address.domain != self._component.domain or address.resource:
                continue
            contact = self._component.network.addresses.contact(address.local)
            if contact is not None:
                found[contact] = _item(element)
        return found

    async def set(self, user: UserJid, contact: RemoteUserId, item: RosterItem) -> None:
        """See `RosterPort.set`."""
        name = f" name='{attribute(item.name)}'" if item.name else ""
        approved = " approved='true'" if item.is_approved else ""
        groups = "".join(f"<group>{text(label)}</group>" for label in sorted(item.labels))
        jid = attribute(self._component.puppet(contact))
        written = (
            f"<item jid='{jid}'{name} subscription='{_subscription(item)}'{approved}>"
            f"{groups}</item>"
        )
        await self._ask(user, "set", written)

    def offer(self, user: UserJid, people: Mapping[RemoteUserId, str]) -> bool:
        """See `RosterPort.offer`. From the gateway, which is in the list already (REQ-232)."""
        account = self._component.network.accounts.of(user)
        devices = [] if account is None else [*account.devices]
        able = [
            resource
            for resource, device in devices
            if device.caps is not None and self._exchanges(f"{user}/{resource}", device.caps)
        ]
        found = list(people.items())
        for start in range(0, len(found), _OFFERED):
            items = "".join(starmap(self._offered, found[start : start + _OFFERED]))
            inner = f"<x xmlns='{ROSTER_EXCHANGE}'>{items}</x>"
            for resource in able:
                message = Stanza(
                    "message", self._component.domain, f"{user}/{resource}", inner=inner
                )
                self._component.stream.send(message)
        return bool(able)

    def _exchanges(self, jid: str, caps: Caps) -> bool:
        return ROSTER_EXCHANGE in (self._component.caps.known(jid, caps) or ())

    def _offered(self, contact: RemoteUserId, name: str) -> str:
        jid, named = attribute(self._component.puppet(contact)), attribute(name)
        group = f"<group>{text(self.label)}</group>"
        return f"<item action='add' jid='{jid}' name='{named}'>{group}</item>"

    async def remove(self, user: UserJid, contact: RemoteUserId) -> None:
        """See `RosterPort.remove`."""
        jid = attribute(self._component.puppet(contact))
        await self._ask(user, "set", f"<item jid='{jid}' subscription='remove'/>")

    def pushed(self, request: Request) -> str:
        """A server tells of a change (XEP-0356 §4.4). Taken from nobody else (REQ-1012)."""
        user = split(request.sender).bare
        if request.account is None or request.sender != user or not self.is_open(user):
            raise errors.Refused(errors.SERVICE_UNAVAILABLE)
        self._component.network.contacts.roster.look(request.account)
        return ""

    async def _ask(self, user: UserJid, kind: str, items: str) -> Element:
        payload = f"<query xmlns='{ROSTER}'>{items}</query>"
        try:
            answer = await ask(
                self._component, Permission.ROSTER, user, kind, payload, is_long=kind == "get"
            )
        except Refused as refused:
            raise RosterRefused(str(refused)) from None
        if answer.get("type") != "result":
            raise RosterRefused(str(refusal(self._component, Permission.ROSTER, user, answer)))
        return answer


def _item(element: Element) -> RosterItem:
    subscription = element.get("subscription", "")
    groups = (group.text or "" for group in element.iterfind(f"{{{ROSTER}}}group"))
    return RosterItem(
        name=element.get("name", ""),
        labels=frozenset(group for group in groups if group),
        to_user=subscription in ("to", "both"),
        from_user=subscription in ("from", "both"),
        is_approved=element.get("approved") in ("true", "1"),
    )


def _subscription(item: RosterItem) -> str:
    if item.to_user:
        return "both" if item.from_user else "to"
    return "from" if item.from_user else "none"
