# SPDX-License-Identifier: Apache-2.0
"""Names and pictures of rooms and their occupants, and how the picture of a room is changed.

What is told of an occupant is what the network shows of them in the room, whoever they are: also
of the users themselves nothing else is told, so no address is (REQ-552, REQ-709).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

from gateway.bridge.accounts import Account
from gateway.errors import AdapterError
from gateway.events import SetRoomAvatar
from gateway.media.images import BadPicture
from gateway.store.avatars import PictureRow
from gateway.store.members import MemberRow
from gateway.store.rooms import RoomRow
from gateway.text.wording import tr
from gateway.xmpp import avatars
from gateway.xmpp.asked import Answer, LaterAnswer, Request
from gateway.xmpp.codec import errors
from gateway.xmpp.codec.errors import Refused
from gateway.xmpp.puppet_answers import forbidden
from gateway.xmpp.rooms.refusals import refused

if TYPE_CHECKING:
    from gateway.xmpp.component import Component

_TEMP = "{vcard-temp}"
_PUBSUB = "{http://jabber.org/protocol/pubsub}"
_OF_CARDS = (("get", f"{_TEMP}vCard"), ("get", f"{{{avatars.VCARD4}}}vcard"))
_NO_PICTURES = tr("Pictures of groups cannot be set in this network.")
_NO_SUCH_PICTURE = tr(
    "This is no picture that can be shown to everybody. Please take a PNG or JPEG.",
)


class Cards:
    """All rooms of one component."""

    def __init__(
        self,
        component: Component,
        room_of: Callable[[Request], tuple[Account, RoomRow]],
        occupant_of: Callable[[Request], tuple[Account, RoomRow, MemberRow]],
    ) -> None:
        self._avatars = component.network.rooms.avatars
        self._management = component.network.rooms.management
        self._room_of, self._occupant_of = room_of, occupant_of
        self.now: dict[tuple[str, str], Answer] = {
            ("get", f"{_TEMP}vCard"): self._card,
            ("get", f"{{{avatars.VCARD4}}}vcard"): self._card4,
            ("get", f"{_PUBSUB}pubsub"): self._published,
            ("set", f"{_PUBSUB}pubsub"): forbidden,
        }
        self.later: dict[tuple[str, str], LaterAnswer] = {("set", f"{_TEMP}vCard"): self._set}

    def when_there(self, request: Request) -> LaterAnswer | None:
        """How a request for a card is answered whose picture is being fetched; None if at once.
        There are clients that never ask again, such as Converse.js."""
        if request.key not in _OF_CARDS:
            return None
        try:
            account, room, shown = self._shown(request)
        except Refused:
            return None  # and that is said at once
        if not self._avatars.is_coming(account, room.id, shown.avatar):
            return None

        async def answer(request: Request) -> str:
            await self._avatars.come(account, room.id, shown.avatar)
            return self.now[request.key](request)

        return answer

    def _shown(self, request: Request) -> tuple[Account, RoomRow, MemberRow | RoomRow]:
        if request.to.resource:
            return self._occupant_of(request)
        account, room = self._room_of(request)
        return account, room, room

    def _whose(self, request: Request) -> tuple[str, PictureRow | None]:
        """Name and picture."""
        shown = self._shown(request)[2]
        name = shown.name or (shown.nick if isinstance(shown, MemberRow) else "")
        return name, self._avatars.picture(shown.picture)

    def _card(self, request: Request) -> str:
        name, picture = self._whose(request)
        if not name and picture is None:
            raise Refused(errors.ITEM_NOT_FOUND)
        return avatars.card(name, picture)

    def _card4(self, request: Request) -> str:
        name, picture = self._whose(request)
        return avatars.card4(name, "individual" if request.to.resource else "group", picture)

    def _published(self, request: Request) -> str:
        """Of occupants. Of an avatar only what is the picture now."""
        if not request.to.resource:
            raise Refused(errors.ITEM_NOT_FOUND)
        name, picture = self._whose(request)
        found = avatars.published(request.payload, name, picture, lambda: self._card4(request))
        if found is None:
            raise Refused(errors.ITEM_NOT_FOUND)
        return found

    async def _set(self, request: Request) -> str:
        """XEP-0486 §3.2. Whether they may is for the network to say; it tells of the change too.
        A card without a picture takes it away."""
        if request.to.resource:
            raise Refused(errors.FORBIDDEN)
        account, room = self._room_of(request)
        if not self._management.is_possible(SetRoomAvatar):
            raise Refused(errors.SERVICE_UNAVAILABLE, _NO_PICTURES)
        sent = _sent(request.payload)
        action = SetRoomAvatar(room=room.remote_id)
        if sent:
            try:
                shown = await self._avatars.images.shrink(sent, user=account.user, is_awaited=True)
            except BadPicture as error:
                raise Refused(errors.NOT_ACCEPTABLE, _NO_SUCH_PICTURE) from error
            action = SetRoomAvatar(room=room.remote_id, data=shown.data, media_type=shown.type)
        try:
            await self._management.do(account, action)
        except AdapterError as error:
            raise refused(error) from error
        return ""


def _sent(card: Element) -> bytes:
    """Clients fold the lines as they like."""
    coded = card.findtext(f"{_TEMP}PHOTO/{_TEMP}BINVAL") or ""
    try:
        return base64.b64decode("".join(coded.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refused(errors.BAD_REQUEST, tr("The picture is not in Base64.")) from error
