# SPDX-License-Identifier: Apache-2.0
"""What puppets answer to IQs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.bridge.accounts import Account
from gateway.ids import RemoteUserId
from gateway.xmpp import avatars, disco
from gateway.xmpp.asked import Answer, LaterAnswer, Request, version
from gateway.xmpp.codec import errors
from gateway.xmpp.codec.errors import Refused
from gateway.xmpp.codec.outgoing import nick
from gateway.xmpp.jid import Address

if TYPE_CHECKING:
    from gateway.xmpp.component import Component

NICK = "http://jabber.org/protocol/nick"
_PUBSUB = "{http://jabber.org/protocol/pubsub}"
_CARD = ("get", "{vcard-temp}vCard")


class PuppetAnswers:
    """All puppets of one component. ``now`` has what they answer."""

    def __init__(self, component: Component) -> None:
        self._component = component
        self._network = component.network
        adapter = component.network.adapter
        self._network_name = adapter.display_name
        self.entity = disco.puppet_client(adapter.display_name, adapter.capabilities)
        self.now: dict[tuple[str, str], Answer] = {
            ("get", f"{{{disco.INFO}}}query"): self._info,
            ("get", f"{{{disco.ITEMS}}}query"): self._items,
            ("get", "{urn:xmpp:ping}ping"): self._ping,
            ("get", "{jabber:iq:version}query"): self._version,
            ("get", f"{_PUBSUB}pubsub"): self._pep,
            ("set", f"{_PUBSUB}pubsub"): forbidden,
            ("get", "{http://jabber.org/protocol/pubsub#owner}pubsub"): forbidden,
            ("set", "{http://jabber.org/protocol/pubsub#owner}pubsub"): forbidden,
            _CARD: self._card,
        }

    def unknown(self, to: Address) -> str:
        """Why there is nobody at this address, in words."""
        return f"There is no {self._network_name} contact of this name."

    def needs_lookup(self, request: Request) -> bool:
        """The network has to be asked first: nobody has seen the contact yet (REQ-119)."""
        return (
            request.account is not None
            and request.contact is not None
            and request.payload.tag == f"{{{disco.INFO}}}query"
            and not self._network.contacts.is_known(request.account, request.contact)
        )

    def answers_later(self, request: Request) -> LaterAnswer | None:
        """How a request for a card is answered whose picture is being fetched, as in rooms."""
        account, contact = request.account, request.contact
        if account is None or contact is None or request.key != _CARD:
            return None
        coming = self._network.rooms.avatars.coming_of_person(account, contact)
        if coming is None:
            return None

        async def answer(request: Request) -> str:
            await self._network.rooms.avatars.come(account, *coming)
            return self._card(request)

        return answer

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
        return entity.of_node(node)

    def _items(self, request: Request) -> str:
        node = request.payload.get("node", "")
        if node not in ("", disco.COMMANDS):
            raise Refused(errors.ITEM_NOT_FOUND)
        return disco.items(node)

    def _version(self, _: Request) -> str:
        return version(self._network_name)

    def _ping(self, request: Request) -> str:
        """Whom the asker does not know is not there (REQ-132)."""
        account, contact = request.account, request.contact
        if (
            account is None
            or contact is None
            or not self._network.contacts.is_known(account, contact)
        ):
            raise Refused(errors.SERVICE_UNAVAILABLE)
        return ""

    def _pep(self, request: Request) -> str:
        account, contact = self._require_known(request)
        query = request.payload.find(f"{_PUBSUB}items")
        node = query.get("node", "") if query is not None else ""
        name = self._network.contacts.name(account, contact)
        if query is None or node != NICK or not name:
            raise Refused(errors.ITEM_NOT_FOUND)
        return name_item(name)

    def _card(self, request: Request) -> str:
        account, contact = self._require_known(request)
        name = self._network.contacts.name(account, contact) or contact
        return avatars.card(name, self._network.rooms.avatars.of_person(account, contact))


def name_item(name: str) -> str:
    """What is published of a name (XEP-0172 §4.3)."""
    return (
        "<pubsub xmlns='http://jabber.org/protocol/pubsub'>"
        f"<items node='{NICK}'><item id='current'>{nick(name)}</item></items></pubsub>"
    )


def forbidden(_: Request) -> str:
    """Nobody but the gateway publishes."""
    raise Refused(errors.FORBIDDEN)
