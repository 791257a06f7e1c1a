# SPDX-License-Identifier: Apache-2.0
"""What the gateway itself answers to IQs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gateway.bridge.splitting import brief
from gateway.xmpp import avatars, disco
from gateway.xmpp.asked import Answer, LaterAnswer, Request, empty, version
from gateway.xmpp.codec import errors
from gateway.xmpp.codec.errors import Refused
from gateway.xmpp.codec.xml import text
from gateway.xmpp.console import register
from gateway.xmpp.jid import split
from gateway.xmpp.rooms import listing
from gateway.xmpp.rooms.searching import SEARCH, ChannelSearch
from gateway.xmpp.rooms.stanzas import MUC

if TYPE_CHECKING:
    from gateway.xmpp.component import Component


class GatewayAnswers:
    """The gateway of one component. ``now`` and ``later`` have what it answers."""

    def __init__(self, component: Component) -> None:
        self._component = component
        self._adapter = component.network.adapter
        capabilities = self._adapter.capabilities
        more = [
            *([MUC] if capabilities.rooms else ()),
            *([SEARCH] if capabilities.room_search else ()),
        ]
        self.entity = disco.gateway_entity(
            component.kind, component.name, component.admins, more, has_rooms=capabilities.rooms
        )
        self._started = self._adapter.context.clock.now()
        self.now: dict[tuple[str, str], Answer] = {
            ("get", f"{{{disco.INFO}}}query"): self._info,
            ("get", f"{{{disco.ITEMS}}}query"): self._items,
            ("get", "{urn:xmpp:ping}ping"): empty,
            ("get", "{jabber:iq:version}query"): self._version,
            ("get", "{jabber:iq:last}query"): self._uptime,
            ("get", "{urn:xmpp:time}time"): self._time,
            ("get", "{jabber:iq:gateway}query"): self._prompt,
            ("set", "{jabber:iq:gateway}query"): self._address_for,
            ("get", "{vcard-temp}vCard"): self._card,
            ("get", f"{{{register.NS}}}query"): self._registration,
        }
        self.later: dict[tuple[str, str], LaterAnswer] = {
            ("set", f"{{{disco.COMMANDS}}}command"): self._command,
            ("set", f"{{{register.NS}}}query"): self._register,
            **ChannelSearch(component).later,
        }

    def _info(self, request: Request) -> str:
        node = request.payload.get("node", "")
        if node in ("", self.entity.caps_node):
            return self.entity.info(node)
        info = self._component.commands.info(node, split(request.sender).bare)
        if info is None:
            raise Refused(errors.ITEM_NOT_FOUND)
        return info

    def _registration(self, request: Request) -> str:
        return self._component.registration.get(request.sender)

    async def _register(self, request: Request) -> str:
        return await self._component.registration.set(request.sender, request.payload)

    async def _command(self, request: Request) -> str:
        return await self._component.commands.take(request.sender, request.payload)

    def _items(self, request: Request) -> str:
        node = request.payload.get("node", "")
        if node == disco.COMMANDS:
            return self._component.commands.items(split(request.sender).bare)
        if node:
            raise Refused(errors.ITEM_NOT_FOUND)
        return listing.items(request.payload, self._rooms_of(request))

    def _rooms_of(self, request: Request) -> dict[str, str]:
        """REQ-111: the asker's own, and nobody else's."""
        account, rooms = request.account, self._component.rooms
        if account is None:
            return {}
        found = self._component.network.rooms.of(account)
        return {rooms.address(room): room.name for room in found}

    def _version(self, _: Request) -> str:
        return version("Dragoman")

    def _uptime(self, _: Request) -> str:
        seconds = self._adapter.context.clock.now() - self._started
        return f"<query xmlns='jabber:iq:last' seconds='{max(0, round(seconds))}'/>"

    def _time(self, _: Request) -> str:
        now = datetime.fromtimestamp(self._adapter.context.clock.now(), UTC)
        return (
            "<time xmlns='urn:xmpp:time'><tzo>+00:00</tzo>"
            f"<utc>{now.strftime('%Y-%m-%dT%H:%M:%SZ')}</utc></time>"
        )

    def _prompt(self, _: Request) -> str:
        name = text(self._adapter.display_name)
        return (
            "<query xmlns='jabber:iq:gateway'>"
            f"<desc>Enter the {name} address of the person you want to talk with.</desc>"
            f"<prompt>{name} address</prompt></query>"
        )

    def _address_for(self, request: Request) -> str:
        typed = request.payload.findtext("{jabber:iq:gateway}prompt") or ""
        contact = self._component.network.addresses.parse(typed)
        if contact is None:
            raise Refused(
                errors.NOT_ACCEPTABLE,
                f"“{brief(typed)}” is not a {self._adapter.display_name} address.",
            )
        jid = text(self._component.puppet(contact))
        return f"<query xmlns='jabber:iq:gateway'><jid>{jid}</jid><prompt>{jid}</prompt></query>"

    def _card(self, _: Request) -> str:
        return avatars.card(self._component.name)
