# SPDX-License-Identifier: Apache-2.0
"""What the gateway itself answers to IQs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gateway.bridge.splitting import brief
from gateway.errors import AdapterError, NotFound
from gateway.locale import in_language
from gateway.text.wording import tr
from gateway.xmpp import avatars, disco, usersearch
from gateway.xmpp.asked import Answer, LaterAnswer, Request, empty, version
from gateway.xmpp.codec import errors
from gateway.xmpp.codec.errors import Refused
from gateway.xmpp.codec.xml import speaking, text
from gateway.xmpp.console import register
from gateway.xmpp.jid import split
from gateway.xmpp.own_profiles import FEATURES
from gateway.xmpp.profiles import Profile, published
from gateway.xmpp.puppet_answers import forbidden
from gateway.xmpp.rooms import listing
from gateway.xmpp.rooms.searching import SEARCH, ChannelSearch
from gateway.xmpp.rooms.stanzas import MUC
from gateway.xmpp.rosters import ROSTER

if TYPE_CHECKING:
    from gateway.xmpp.component import Component


_PUBSUB = "{http://jabber.org/protocol/pubsub}"


class GatewayAnswers:
    """The gateway of one component. ``now`` and ``later`` have what it answers."""

    def __init__(self, component: Component) -> None:
        self._component = component
        self._adapter = component.network.adapter
        capabilities = self._adapter.capabilities
        more = [
            *([MUC] if capabilities.rooms else ()),
            *([SEARCH] if capabilities.room_search else ()),
            *([usersearch.SEARCH] if capabilities.people_search else ()),
            *(FEATURES if capabilities.profile else ()),
        ]
        self.entity = disco.gateway_entity(
            component.kind, component.name, component.addresses, more, has_rooms=capabilities.rooms
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
            ("get", "{vcard-temp}vCard"): lambda _: self._profile.card(),
            ("set", "{vcard-temp}vCard"): _not_allowed,
            ("get", f"{{{avatars.VCARD4}}}vcard"): lambda _: self._profile.card4(),
            ("set", f"{{{avatars.VCARD4}}}vcard"): _not_allowed,
            ("get", f"{_PUBSUB}pubsub"): lambda request: published(self._profile, request),
            ("set", f"{_PUBSUB}pubsub"): forbidden,
            ("get", f"{{{register.NS}}}query"): self._registration,
            ("set", f"{{{ROSTER}}}query"): component.rosters.pushed,
        }
        self.later: dict[tuple[str, str], LaterAnswer] = {
            ("set", f"{{{disco.COMMANDS}}}command"): self._command,
            ("set", f"{{{register.NS}}}query"): self._register,
            ("set", "{jabber:iq:gateway}query"): self._address_for,
            **ChannelSearch(component).later,
            **usersearch.UserSearch(component).later,
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
        """REQ-111: the asker's own and those that they may come into, and nobody else's."""
        component, user = self._component, split(request.sender).bare
        network, account = component.network, request.account
        linked = network.portals.seen_by(user) if component.access.permits(user) else ()
        found = [*map(network.people.room, linked)]
        found += [] if account is None else network.rooms.of(account)
        return {component.rooms.address(room): room.name for room in found if room is not None}

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

    def _prompt(self, request: Request) -> str:
        language = self._component.language_of(request.sender)
        name = self._adapter.display_name
        how = tr("Enter the {name} address of the person you want to talk with.", name=name)
        asked = tr("{name} address", name=name)
        return (
            f"<query xmlns='jabber:iq:gateway'{speaking(language)}>"
            f"<desc>{text(in_language(how, language))}</desc>"
            f"<prompt>{text(in_language(asked, language))}</prompt></query>"
        )

    async def _address_for(self, request: Request) -> str:
        typed = request.payload.findtext("{jabber:iq:gateway}prompt") or ""
        contact = self._component.contact_at(typed)
        if contact is None:
            raise Refused(
                errors.NOT_ACCEPTABLE,
                tr(
                    "“{brief}” is not a {display_name} address.",
                    brief=brief(typed),
                    display_name=self._adapter.display_name,
                ),
            )
        if request.account is not None:
            try:
                await self._component.network.contacts.look_ups.find(request.account, contact)
            except NotFound as error:
                raise Refused(errors.ITEM_NOT_FOUND, brief(error.text)) from None
            except AdapterError:  # nobody can tell now; who writes there learns it
                pass
        jid = text(self._component.puppet(contact))
        return f"<query xmlns='jabber:iq:gateway'><jid>{jid}</jid><prompt>{jid}</prompt></query>"

    @property
    def _profile(self) -> Profile:
        return self._component.profiles.gateway


def _not_allowed(_: Request) -> str:
    raise Refused(errors.NOT_ALLOWED)
