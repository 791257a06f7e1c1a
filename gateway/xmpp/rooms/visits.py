# SPDX-License-Identifier: Apache-2.0
"""Joins of linked groups by people without an account of their own in them (DESIGN §6)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

from gateway.bridge.portals.people import Refusal
from gateway.bridge.rooms.rooms import Asked
from gateway.errors import AdapterError, StoreUnavailable
from gateway.store.portals import Portal
from gateway.text.wording import tr
from gateway.xmpp.codec import errors
from gateway.xmpp.codec.errors import StanzaError
from gateway.xmpp.jid import Address
from gateway.xmpp.limits import Kind
from gateway.xmpp.rooms.refusals import refused

if TYPE_CHECKING:
    from gateway.xmpp.component import Component

_REFUSALS: dict[Refusal, tuple[StanzaError, str]] = {
    Refusal.BANNED: (errors.FORBIDDEN, tr("You are banned from this group.")),
    Refusal.NOT_NAMED: (
        errors.REGISTRATION_REQUIRED,
        tr("Only who was named by an owner of this group comes in."),
    ),
    Refusal.AWAY: (
        errors.UNAVAILABLE,
        tr("The gateway is not in this group at the moment. Please try again later."),
    ),
}
_TOO_MANY = tr("You are joining too often. Please wait a minute.")
_STORE = tr("The gateway cannot store anything at the moment. Please try again later.")

Refuse = Callable[[Element, StanzaError, str], None]


class Visits:
    """Of one component."""

    def __init__(self, component: Component, refuse: Refuse) -> None:
        self._component = component
        self._refuse = refuse

    def come(self, portal: Portal, element: Element, sender: Address, asked: Asked) -> None:
        """A session wants to come in, for whose user the house speaks."""
        component, people = self._component, self._component.network.people
        now = component.network.adapter.context.clock.monotonic()
        standing = component.standing(sender.bare)
        if not component.limits.takes(Kind.JOINS, sender.bare, standing, now):
            self._refuse(element, errors.RESOURCE_CONSTRAINT, _TOO_MANY)
        elif (refusal := people.refusal(sender.bare, portal)) is not None:
            self._refuse(element, *_REFUSALS[refusal])
        else:
            coming = partial(self._come, portal, element, sender, asked)
            component.asked.spawn(coming(), "visit")

    async def _come(self, portal: Portal, element: Element, sender: Address, asked: Asked) -> None:
        """The first time something is stored for them."""
        people = self._component.network.people
        try:
            account = await people.account_for(sender.bare)
        except AdapterError as error:
            failed = refused(error)
            self._refuse(element, failed.error, failed.said)
            return
        except StoreUnavailable:
            self._refuse(element, errors.RESOURCE_CONSTRAINT, _STORE)
            return
        room = people.room(portal)
        if room is None:
            self._refuse(element, *_REFUSALS[Refusal.AWAY])
        else:
            people.join(account, room, element.get("from", ""), asked)
