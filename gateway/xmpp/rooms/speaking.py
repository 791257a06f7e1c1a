# SPDX-License-Identifier: Apache-2.0
"""What the sessions in rooms say there. Nothing of a stanza goes on but what is read here
(REQ-563)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import unquote

from gateway.bridge.accounts import Account
from gateway.bridge.rooms.addressing import Pointer
from gateway.bridge.rooms.replies import without_fallback
from gateway.bridge.rooms.wishes import IncomingReactions, IncomingRetraction, IncomingSpeech
from gateway.ids import StanzaId
from gateway.store.rooms import RoomRow
from gateway.xmpp.codec.incoming import CHANNEL, IncomingMessage, Reference
from gateway.xmpp.jid import split

if TYPE_CHECKING:
    from gateway.xmpp.component import Component


class Speaking:
    """In the rooms of one component."""

    def __init__(self, component: Component) -> None:
        self._component = component
        self._wishes = component.network.rooms.wishes

    def take(self, account: Account, room: RoomRow, message: IncomingMessage) -> None:
        """A retraction, reactions or a text. The bodies of the first two stand in for them."""
        id = StanzaId(message.id)
        origin_id = StanzaId(message.origin_id) if message.origin_id else None
        sender = message.sender
        if message.retracts is not None:
            taken = StanzaId(message.retracts)
            self._wishes.retract(
                account,
                room,
                IncomingRetraction(id=id, origin_id=origin_id, sender=sender, message=taken),
            )
        elif message.reacts_to is not None:
            self._wishes.react(
                account,
                room,
                IncomingReactions(
                    id=id,
                    origin_id=origin_id,
                    sender=sender,
                    message=StanzaId(message.reacts_to),
                    emoji=message.reactions,
                ),
            )
        else:
            self._say(account, room, message, origin_id)

    def _say(
        self,
        account: Account,
        room: RoomRow,
        message: IncomingMessage,
        origin_id: StanzaId | None,
    ) -> None:
        self._component.network.rooms.typing(account, room, active=False)
        body = message.body or ""
        self._wishes.say(
            account,
            room,
            IncomingSpeech(
                id=StanzaId(message.id),
                origin_id=origin_id,
                sender=message.sender,
                body=body,
                replaces=StanzaId(message.replaces) if message.replaces else None,
                reply_to=StanzaId(message.reply_to) if message.reply_to else None,
                unquoted=without_fallback(body, message.reply_parts),
                pointers=tuple(self._pointers(account, message)),
                thread=message.thread,
                enclosed=message.enclosed,
            ),
        )

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
        if not found.uri.startswith("xmpp:"):
            return None
        address = split(unquote(found.uri.removeprefix("xmpp:")))
        if address.bare == split(room).bare:
            return Pointer(nick=address.resource) if address.resource else None
        if address.bare == account.user:
            return Pointer(user=account.remote_id)
        if address.domain != self._component.domain:
            return None
        user = self._component.network.addresses.contact(address.local)
        return None if user is None else Pointer(user=user)

    def signals(self, account: Account, room: RoomRow, message: IncomingMessage) -> None:
        """What nobody waits for."""
        if message.displayed and message.type == "groupchat":
            shown = StanzaId(message.displayed)
            self._wishes.displayed(account, room, shown, message.sender)
        if message.chat_state and message.type == "groupchat":
            is_typing = message.chat_state == "composing"
            self._component.network.rooms.typing(account, room, is_typing)
