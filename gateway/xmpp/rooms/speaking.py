# SPDX-License-Identifier: Apache-2.0
"""What the sessions in rooms say there. Nothing of a stanza goes on but what is read here
(REQ-563)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from gateway.bridge.accounts import Account
from gateway.bridge.outbound.wanted import IncomingReactions, IncomingRetraction
from gateway.bridge.rooms.addressing import Pointer
from gateway.bridge.rooms.wishes import IncomingSpeech
from gateway.ids import StanzaId
from gateway.store.rooms import RoomRow
from gateway.xmpp import wishes
from gateway.xmpp.codec import errors
from gateway.xmpp.codec.incoming import CHANNEL, IncomingMessage, Reference
from gateway.xmpp.jid import split
from gateway.xmpp.limits import TOO_MANY_FILES

if TYPE_CHECKING:
    from gateway.xmpp.component import Component


class Speaking:
    """In the rooms of one component."""

    def __init__(self, component: Component) -> None:
        self._component = component
        self._wishes = component.network.rooms.wishes

    def take(
        self,
        account: Account,
        room: RoomRow,
        message: IncomingMessage,
        refuse: Callable[[errors.StanzaError, str], None],
    ) -> None:
        """A retraction, reactions or a text."""
        wanted = wishes.wish(message)
        if isinstance(wanted, IncomingRetraction):
            self._wishes.retract(account, room, wanted)
        elif isinstance(wanted, IncomingReactions):
            self._wishes.react(account, room, wanted)
        elif wanted is not None and not self._component.may_send(account.user, wanted.files):
            refuse(errors.RESOURCE_CONSTRAINT, TOO_MANY_FILES)
        else:
            self._say(account, room, message)

    def _say(self, account: Account, room: RoomRow, message: IncomingMessage) -> None:
        self._component.network.rooms.typing(account, room, active=False)
        said = IncomingSpeech(
            **wishes.of(message),
            **wishes.text(message),
            pointers=tuple(self._pointers(account, message)),
            enclosed=message.enclosed,
        )
        self._wishes.say(account, room, said)

    def _pointers(self, account: Account, message: IncomingMessage) -> Iterator[Pointer]:
        """Whom the client means, as far as that can be somebody of the room."""
        for found in message.references:
            about = self._about(account, message.to, found)
            if about is not None:
                yield replace(about, begin=found.begin, end=found.end, notify=found.notify)

    def _about(self, account: Account, room: str, found: Reference) -> Pointer | None:
        if found.group:
            return Pointer(is_everybody=True) if found.group == CHANNEL else None
        if found.occupant:
            return Pointer(occupant=found.occupant)
        address = wishes.addressed(found)
        if address.bare == split(room).bare:
            return Pointer(nick=address.resource) if address.resource else None
        user = wishes.person(address, account, self._component.network.addresses)
        return None if user is None else Pointer(user=user)

    def signals(self, account: Account, room: RoomRow, message: IncomingMessage) -> None:
        """What nobody waits for."""
        if message.displayed and message.type == "groupchat":
            shown = StanzaId(message.displayed)
            self._wishes.displayed(account, room, shown, message.sender)
        if message.chat_state and message.type == "groupchat":
            is_typing = message.chat_state == "composing"
            self._component.network.rooms.typing(account, room, is_typing)
