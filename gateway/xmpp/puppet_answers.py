# SPDX-License-Identifier: Apache-2.0
"""What puppets answer to IQs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.bridge.accounts import Account
from gateway.ids import RemoteUserId
from gateway.text.wording import tr
from gateway.xmpp import avatars, disco
from gateway.xmpp.asked import Answer, LaterAnswer, Request, version
from gateway.xmpp.codec import errors
from gateway.xmpp.codec.errors import Refused
from gateway.xmpp.console.model import Target
from gateway.xmpp.jid import Address, split
from gateway.xmpp.profiles import Profile, published

if TYPE_CHECKING:
    from gateway.xmpp.component import Component

_PUBSUB = "{http://jabber.org/protocol/pubsub}"
_CARDS = ("get", "{vcard-temp}vCard"), ("get", f"{{{avatars.VCARD4}}}vcard")
_PUBLISHED = ("get", f"{_PUBSUB}pubsub")
_PICTURED = (avatars.METADATA, avatars.DATA, avatars.VCARD4_NODE)
"""Nodes that tell of the picture."""


class PuppetAnswers:
    """All puppets of one component. ``now`` has what they answer."""

    def __init__(self, component: Component) -> None:
        self._component = component
        self._network = component.network
        adapter = component.network.adapter
        self._network_name = adapter.display_name
        more = [disco.COMMANDS]
        self.entity = disco.puppet_client(adapter.display_name, adapter.capabilities, more)
        self.now: dict[tuple[str, str], Answer] = {
            ("get", f"{{{disco.INFO}}}query"): self._info,
            ("get", f"{{{disco.ITEMS}}}query"): self._items,
            ("get", "{urn:xmpp:ping}ping"): self._ping,
            ("get", "{jabber:iq:version}query"): self._version,
            _PUBLISHED: self._pep,
            ("set", f"{_PUBSUB}pubsub"): forbidden,
            ("get", "{http://jabber.org/protocol/pubsub#owner}pubsub"): forbidden,
            ("set", "{http://jabber.org/protocol/pubsub#owner}pubsub"): forbidden,
            ("get", "{vcard-temp}vCard"): self._card,
            ("set", "{vcard-temp}vCard"): forbidden,
            ("get", f"{{{avatars.VCARD4}}}vcard"): self._card4,
            ("set", f"{{{avatars.VCARD4}}}vcard"): forbidden,
        }

    def unknown(self, to: Address) -> str:
        """Why there is nobody at this address, in words."""
        return tr(
            "There is no {network_name} contact of this name.", network_name=self._network_name
        )

    def needs_lookup(self, request: Request) -> bool:
        """The network has to be asked first: nobody has seen the contact yet (REQ-119)."""
        return (
            request.account is not None
            and request.contact is not None
            and request.payload.tag == f"{{{disco.INFO}}}query"
            and not self._network.contacts.look_ups.is_known(request.account, request.contact)
        )

    def answers_later(self, request: Request) -> LaterAnswer | None:
        """Commands; and a request for a picture that is being fetched, as in rooms."""
        account, contact = request.account, request.contact
        if request.key == ("set", f"{{{disco.COMMANDS}}}command"):
            return self._command
        if account is None or contact is None or not _is_of_picture(request):
            return None
        coming = self._network.rooms.avatars.coming_of_person(account, contact)
        if coming is None:
            return None

        async def answer(request: Request) -> str:
            await self._network.rooms.avatars.come(account, *coming)
            return self.now[request.key](request)

        return answer

    def _target(self, request: Request) -> Target:
        """Whom commands are about that are given here (REQ-220)."""
        _, contact = self._require_known(request)
        return Target(address=self._component.puppet(contact), contact=contact)

    async def _command(self, request: Request) -> str:
        target = self._target(request)
        return await self._component.commands.take(request.sender, request.payload, target)

    def _require_known(self, request: Request) -> tuple[Account, RemoteUserId]:
        """Nothing is told of contacts to people without an account (REQ-118, REQ-307)."""
        if request.account is None or request.contact is None:
            raise Refused(errors.ITEM_NOT_FOUND, self.unknown(request.to))
        return request.account, request.contact

    def _info(self, request: Request) -> str:
        self._require_known(request)
        node = request.payload.get("node", "")
        entity = self.entity if request.to.resource else disco.PUPPET_ACCOUNT
        if request.to.resource not in ("", self._component.resource):
            raise Refused(errors.ITEM_NOT_FOUND)
        user, target = split(request.sender).bare, self._target(request)
        return self._component.commands.info(node, user, target) or entity.of_node(node)

    def _items(self, request: Request) -> str:
        node = request.payload.get("node", "")
        if node not in ("", disco.COMMANDS):
            raise Refused(errors.ITEM_NOT_FOUND)
        if not node:
            return disco.items(node)
        return self._component.commands.items(split(request.sender).bare, self._target(request))

    def _version(self, _: Request) -> str:
        return version(self._network_name)

    def _ping(self, request: Request) -> str:
        """Whom the asker does not know is not there (REQ-132)."""
        account, contact = request.account, request.contact
        if (
            account is None
            or contact is None
            or not self._network.contacts.look_ups.is_known(account, contact)
        ):
            raise Refused(errors.SERVICE_UNAVAILABLE)
        return ""

    def _pep(self, request: Request) -> str:
        """What a puppet publishes (REQ-136), and at once that it publishes no keys (REQ-135)."""
        return published(self._profile(request), request)

    def _profile(self, request: Request) -> Profile:
        return self._component.profiles.of(*self._require_known(request))

    def _card(self, request: Request) -> str:
        return self._profile(request).card()

    def _card4(self, request: Request) -> str:
        return self._profile(request).card4()


def _is_of_picture(request: Request) -> bool:
    if request.key == _PUBLISHED:
        return avatars.asked(request.payload)[0] in _PICTURED
    return request.key in _CARDS


def forbidden(_: Request) -> str:
    """Nobody but the gateway publishes."""
    raise Refused(errors.FORBIDDEN)
