# SPDX-License-Identifier: Apache-2.0
"""Presence stanzas from the server: who is there, subscriptions, probes, errors."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

from gateway.store.conversations import GATEWAY
from gateway.text.wording import tr
from gateway.xmpp.codec.errors import GONE
from gateway.xmpp.codec.presence import error_of, read_device
from gateway.xmpp.codec.xml import Stanza
from gateway.xmpp.jid import Address

if TYPE_CHECKING:
    from gateway.xmpp.component import Component

_SUBSCRIPTIONS = ("subscribe", "subscribed", "unsubscribe", "unsubscribed", "probe")
_NO_WAY = frozenset({"remote-server-not-found", "remote-server-timeout"}) | GONE


class PresenceStanzas:
    """The part of the entrance that floods come through."""

    def __init__(self, component: Component) -> None:
        self._component = component
        self._network = component.network

    def take(self, element: Element, sender: Address, to: Address) -> None:
        """Handle one presence stanza."""
        kind = element.get("type", "")
        if kind in _SUBSCRIPTIONS:
            self._subscription(kind, sender, to)
        elif to.local.startswith("#"):
            self._component.rooms.presence(element, sender, to)
        elif kind in ("", "unavailable"):
            self._availability(element, kind, sender, to)
        elif kind == "error" and (condition := error_of(element)) in _NO_WAY:
            self._network.audience.unreachable(sender.bare)
            if condition in GONE and not sender.resource:
                self._network.suspension.is_gone(sender.bare)

    def _availability(self, element: Element, kind: str, sender: Address, to: Address) -> None:
        """One of these for each puppet in the roster: O(1), without the store (REQ-306)."""
        account = self._network.accounts.of(sender.bare)
        if account is None:
            return
        if kind:
            self._network.audience.gone(account, sender.resource, to.local)
        elif sender.resource:
            device = read_device(element)
            self._network.audience.seen(account, sender.resource, to.local, device)

    def _subscription(self, kind: str, sender: Address, to: Address) -> None:
        account = self._component.account_of(sender.bare)
        contact = GATEWAY if not to.local else self._network.addresses.contact(to.local)
        if account is None:
            self._of_stranger(kind, sender, to)
        elif contact is None:
            if kind == "subscribe":
                self._unsubscribed(to, sender)
                said = tr("There is no contact {bare}.", bare=to.bare)
                self._component.console.say(sender.bare, said)
            elif kind == "probe":
                self._unavailable(to, sender)
        else:
            getattr(self._network.contacts.subscriptions, kind)(account, contact)
            if kind == "subscribed":
                self._network.audience.ask(account, contact)
            if kind == "unsubscribed" and contact == GATEWAY:
                self._network.audience.forget_devices(account)
            if kind in ("unsubscribe", "unsubscribed") and contact == GATEWAY:
                self._component.console.welcome.removed(account.user)

    def _of_stranger(self, kind: str, sender: Address, to: Address) -> None:
        """REQ-308, REQ-705, and a first contact with the gateway itself."""
        if not to.local:
            self._component.console.welcome.presence(kind, sender.bare)
        elif kind == "subscribe":
            self._unsubscribed(to, sender)
            self._component.console.welcome.welcome(sender.bare)
        elif kind == "probe":
            # Perhaps our database was lost: "unsubscribed" would empty rosters (REQ-303).
            self._unavailable(to, sender)

    def _unsubscribed(self, to: Address, sender: Address) -> None:
        self._component.stream.send(Stanza("presence", to.bare, sender.bare, "unsubscribed"))

    def _unavailable(self, to: Address, sender: Address) -> None:
        self._component.stream.send(Stanza("presence", to.bare, sender.bare, "unavailable"))
