# SPDX-License-Identifier: Apache-2.0
"""Joins of rooms in which the user's account is not: it comes in first, where it may (REQ-514,
REQ-590). A session that joins an address is the user's wish to be there.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

import structlog

from gateway.bridge.accounts import Account
from gateway.bridge.rooms.rooms import Asked
from gateway.errors import AdapterError, Banned, Forbidden, StoreUnavailable
from gateway.events import Departure
from gateway.ids import UserJid
from gateway.store.accounts import AccountStatus
from gateway.store.rooms import RoomRow
from gateway.tasks import is_cancelled
from gateway.text.wording import tr
from gateway.xmpp.codec import errors
from gateway.xmpp.codec.errors import Refused, StanzaError
from gateway.xmpp.jid import Address
from gateway.xmpp.rooms.refusals import refused
from gateway.xmpp.rooms.stanzas import uri

if TYPE_CHECKING:
    from gateway.xmpp.component import Component

log = structlog.get_logger("doors")

Refuse = Callable[[Element, StanzaError, str], None]
Enter = Callable[[Account, RoomRow, str, Asked, Element], None]
NO_ROOM = tr("There is no group at this address, or you are not in it.")
NOT_TOLD_YET = tr(
    "The network has not told yet which groups you are in. Please try again later.",
)
_LEFT = tr("You are not in this group any more. Send “join” to {gateway} to come back.")
_BANNED = tr(
    "You are banned from this group. If that was lifted, send “join” to {gateway} to come back.",
)
_DESTROYED = tr("This group is no more.")
_LOGGED_OUT = tr("You are logged out of the network. Please log in again, then join again.")
_TOO_MANY = tr("Too many of your joins wait for the network. Please try again later.")
_STORE = tr("The gateway cannot store anything at the moment. Please try again later.")
_FAILED = tr("The gateway could not let you in. Please try again later.")
_MOVED = tr("This group goes on at another address.")
_MOST = 20
"""Joins of one user that wait."""

_Door = tuple[str, str]
"""Full JID of a session, and localpart of a room."""


class Doors:
    """Sessions that wait until their user's account is in a room."""

    def __init__(self, component: Component, refuse: Refuse, enter: Enter) -> None:
        self._component = component
        self._coming = component.network.rooms.coming
        self._rooms = component.network.rooms
        self._refuse = refuse
        self._enter = enter
        self._waiting: dict[_Door, tuple[Element, Asked]] = {}
        """The last request of each session."""
        self._open: Counter[UserJid] = Counter()

    def moved(self, account: Account, local: str) -> str | None:
        """The address at which a room of the account goes on."""
        room = self._rooms.find(account, local)
        if room is None or room.moved_to is None:
            return None
        return uri(self._component.rooms.address_of(room.moved_to))

    def has_door(self, account: Account, local: str) -> bool:
        """Whether the account may come in here, as far as is known."""
        if self._coming.invitation(account, local) is not None:
            return True
        # Who has left a room on the network does not want to come back with each start of a
        # client that has a bookmark.
        was_in = self._rooms.find(account, local) is not None
        return not was_in and self._component.network.addresses.room_address(local) is not None

    def _is_unsure(self, account: Account) -> bool:
        """Whether the network has still to tell which rooms there are: after a login, and after
        each absence. Clients forget a room of which they are told that it is none (REQ-825)."""
        session = account.link.session if account.link is not None else None
        return account.status is AccountStatus.LINKED and session is None

    def knock(self, account: Account, to: Address, asked: Asked, element: Element) -> None:
        """A session wants to join a room in which its account is not."""
        moved = self.moved(account, to.local) is not None
        if moved or not self.has_door(account, to.local):
            self._refuse(element, *self.absence(account, to.local))
        elif account.status is not AccountStatus.LINKED:
            self._refuse(element, errors.UNAVAILABLE, _LOGGED_OUT)
        else:
            self._wait(account, to, asked, element)

    def absence(self, account: Account, local: str) -> tuple[StanzaError, str]:
        """Why there is no way into a room (REQ-513)."""
        moved, room = self.moved(account, local), self._rooms.find(account, local)
        if moved is not None:
            return errors.gone(moved), _MOVED
        if room is None and self._is_unsure(account):
            return errors.UNAVAILABLE, NOT_TOLD_YET
        if room is None:
            return errors.ITEM_NOT_FOUND, NO_ROOM
        gateway = self._component.domain
        match self._rooms.gone(account, room):
            case Departure.BANNED:
                return errors.FORBIDDEN, _BANNED.format(gateway=gateway)
            case Departure.DESTROYED:
                return errors.gone(), _DESTROYED
        return errors.REGISTRATION_REQUIRED, _LEFT.format(gateway=gateway)

    def _wait(self, account: Account, to: Address, asked: Asked, element: Element) -> None:
        door = element.get("from", ""), to.local
        if door not in self._waiting:
            if self._open[account.user] >= _MOST:
                self._refuse(element, errors.RESOURCE_CONSTRAINT, _TOO_MANY)
                return
            self._open[account.user] += 1
            self._component.asked.spawn(
                self._come_in(account, to, door),
                "join",
                done=partial(self._closed, account.user),
            )
        self._waiting[door] = element, asked

    def _closed(self, user: UserJid) -> None:
        self._open[user] -= 1
        if not self._open[user]:
            del self._open[user]

    def gives_up(self, session: str, local: str) -> bool:
        """A session does not want to join any more. False if it did not wait."""
        return self._waiting.pop((session, local), None) is not None

    async def _come_in(self, account: Account, to: Address, door: _Door) -> None:
        """Let the account in, then the session, if it still waits."""
        room, failed = None, Refused(errors.INTERNAL, _FAILED)
        try:
            room = await self._room(account, to.local)
        except Banned as error:
            failed = Refused(errors.FORBIDDEN, error.text)
        except Forbidden as error:  # as of somebody who is not a member
            failed = Refused(errors.REGISTRATION_REQUIRED, error.text)
        except AdapterError as error:
            failed = refused(error)
        except StoreUnavailable:
            failed = Refused(errors.RESOURCE_CONSTRAINT, _STORE)
        except (asyncio.CancelledError, Exception):
            if is_cancelled():
                self._tell_stopping(door)
                raise
            log.exception("join_failed", account=account.id)
        waited = self._waiting.pop(door, None)
        if waited is None:
            return
        element, asked = waited
        if room is None:
            self._refuse(element, failed.error, failed.said)
        elif (address := self._component.rooms.address(room)) != to.bare:
            self._refuse(element, errors.gone(uri(address)), _MOVED)
        else:
            self._enter(account, room, door[0], asked, element)

    def _tell_stopping(self, door: _Door) -> None:
        """Else a client waits for ever: it is not in, and so no ping tells it that it is out."""
        waited = self._waiting.pop(door, None)
        if waited is not None:
            self._refuse(waited[0], errors.UNAVAILABLE, errors.STOPPING)

    async def _room(self, account: Account, local: str) -> RoomRow:
        invitation = self._coming.invitation(account, local)
        if invitation is not None:
            return await self._coming.accept(account, invitation)
        return await self._coming.come_to(account, local)
