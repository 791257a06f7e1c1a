# SPDX-License-Identifier: Apache-2.0
"""Joins of linked groups by people without an account of their own in them (DESIGN §6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

from gateway.bridge.accounts import Account
from gateway.bridge.portals.people import Refusal
from gateway.bridge.rooms.rooms import Asked
from gateway.errors import AdapterError, StoreUnavailable
from gateway.store.portals import Portal
from gateway.text.wording import tr
from gateway.xmpp.codec import errors
from gateway.xmpp.codec.errors import StanzaError
from gateway.xmpp.jid import Address, split
from gateway.xmpp.limits import Kind
from gateway.xmpp.rooms.doors import NO_ROOM
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
    Refusal.UNLINKED: (errors.ITEM_NOT_FOUND, NO_ROOM),
}
_TOO_MANY = tr("You are joining too often. Please wait a minute.")
_STORE = tr("The gateway cannot store anything at the moment. Please try again later.")

Refuse = Callable[[Element, StanzaError, str], None]


class Visits:
    """Of one component."""

    def __init__(self, component: Component, refuse: Refuse) -> None:
        self._component = component
        self._refuse = refuse
        self._coming: dict[tuple[str, str], Element] = {}
        """Sessions for whose users an account is being made, and the rooms they want to come into:
        each with how it was asked for last."""

    def come(self, portal: Portal, element: Element, sender: Address, asked: Asked) -> None:
        """A session wants to come in, for whose user the house speaks."""
        component, people = self._component, self._component.network.people
        now = component.network.adapter.context.clock.monotonic()
        standing = component.standing(sender.bare)
        account = component.network.accounts.virtual(sender.bare)
        if not component.access.permits(sender.bare):  # REQ-705
            said = component.not_admitted(sender.bare)
            self._refuse(element, errors.FORBIDDEN, said)
        elif not component.limits.takes(Kind.JOINS, sender.bare, standing, now):
            self._refuse(element, errors.RESOURCE_CONSTRAINT, _TOO_MANY)
        elif (refusal := people.refusal(sender.bare, portal.room)) is not None:
            self._refuse(element, *_REFUSALS[refusal])
        elif account is not None:
            self._join(account, portal, element, asked)
        else:
            visit = _visit(element)
            self._coming[visit] = element
            component.asked.spawn(self._come(portal, element, sender, asked), "visit")

    def gives_up(self, session: str, local: str) -> bool:
        """A session does not want to come in any more. False if it did not."""
        return self._coming.pop((session, local), None) is not None

    async def _come(self, portal: Portal, element: Element, sender: Address, asked: Asked) -> None:
        """The first time something is stored for them."""
        try:
            account = await self._component.network.people.account_for(sender.bare)
            is_wanted = self._coming.get(_visit(element)) is element
        except AdapterError as error:
            failed = refused(error)
            self._refuse(element, failed.error, failed.said)
            return
        except StoreUnavailable:
            self._refuse(element, errors.RESOURCE_CONSTRAINT, _STORE)
            return
        finally:
            if self._coming.get(_visit(element)) is element:
                del self._coming[_visit(element)]
        if is_wanted:
            self._join(account, portal, element, asked)

    def _join(self, account: Account, portal: Portal, element: Element, asked: Asked) -> None:
        people = self._component.network.people
        room = people.room(portal)
        if room is None:
            self._refuse(element, *_REFUSALS[Refusal.AWAY])
            return
        people.join(
            account,
            room,
            element.get("from", ""),
            asked,
            lambda refusal: self._refuse(element, *_REFUSALS[refusal]),
        )


def _visit(element: Element) -> tuple[str, str]:
    return element.get("from", ""), split(element.get("to", "")).local
