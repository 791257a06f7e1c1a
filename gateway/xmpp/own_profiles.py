# SPDX-License-Identifier: Apache-2.0
"""The name and the picture that users publish with their own server, for those who wish to show
them on the network (REQ-349; XEP-0084, XEP-0172).

Their servers tell the gateway of both, because it says that it wants to know, and it alone: not
its thousands of puppets. What is read is asked of the user's own account, in the user's name where
our server lets us, else as anybody who sees the user may.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import re
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

from gateway.bridge.ports import Unanswered
from gateway.ids import UserJid
from gateway.xmpp import avatars
from gateway.xmpp.as_user import Refused, condition_of
from gateway.xmpp.codec.xml import attribute
from gateway.xmpp.jid import Address

if TYPE_CHECKING:
    from gateway.xmpp.component import Component

FEATURES = (f"{avatars.METADATA}+notify", f"{avatars.NICK}+notify")
"""What the gateway says of itself, so that servers tell it."""
_PUBSUB = "http://jabber.org/protocol/pubsub"
_EVENT = f"{{{_PUBSUB}#event}}"
_GONE = frozenset((f"{_EVENT}delete", f"{_EVENT}purge"))
"""All that a node had is gone. Of single items (`<retract/>`) nothing follows: what takes their
place is told too; and of how a node is set up, or who may see it, still less."""
_HASH = re.compile("[0-9a-f]{40}")
_LIMIT_S = 20.0


class UserProfiles:
    """Of the users of one component. Implements `gateway.bridge.ports.OwnProfilePort`."""

    def __init__(self, component: Component) -> None:
        self._component = component

    def take(self, element: Element, sender: Address) -> None:
        """An event that came to the gateway. Of nobody but the account itself."""
        account = self._component.account_of(sender.bare)
        event = element.find(f"{_EVENT}event")
        if account is None or sender.resource or event is None:
            return
        own = self._component.network.own_profiles
        for told in event:
            is_gone = told.tag in _GONE
            item = told.find(f"{_EVENT}item") if told.tag == f"{_EVENT}items" else None
            if told.get("node") == avatars.METADATA:
                picture = "" if is_gone else _picture(item)
                if picture is not None:
                    own.pictured(account, picture)
            elif told.get("node") == avatars.NICK and (is_gone or item is not None):
                own.named(account, _name(item))

    async def name(self, user: UserJid) -> str:
        """See `OwnProfilePort.name`."""
        return _name(await self._item(user, avatars.NICK))

    async def picture(self, user: UserJid) -> str | None:
        """See `OwnProfilePort.picture`."""
        return _picture(await self._item(user, avatars.METADATA))

    async def picture_data(self, user: UserJid, picture: str) -> bytes:
        """See `OwnProfilePort.picture_data`."""
        item = await self._item(user, avatars.DATA, picture)
        coded = "" if item is None else item.findtext(f"{{{avatars.DATA}}}data") or ""
        try:
            data = base64.b64decode("".join(coded.split()), validate=True)
        except (binascii.Error, ValueError) as error:
            raise Unanswered("the picture is not in Base64") from error
        if hashlib.sha1(data, usedforsecurity=False).hexdigest() != picture:
            raise Unanswered("it is another picture")
        return data

    async def _item(self, user: UserJid, node: str, id: str = "") -> Element | None:
        """One item of a node, or the newest. None if there is none. Raises `Unanswered`."""
        which = f"><item id='{attribute(id)}'/></items>" if id else " max_items='1'/>"
        asked = f"<items node='{node}'{which}"
        nodes = self._component.nodes
        try:
            if nodes.are_ours(user):
                answer = await nodes.get(user, asked)
            else:
                answer = await self._ask(user, asked)
        except Refused as refused:
            if refused.condition == "item-not-found":
                return None
            raise Unanswered(str(refused)) from refused
        items = answer.iter(f"{{{_PUBSUB}}}item")
        return next((item for item in items if id in ("", item.get("id"))), None)

    async def _ask(self, user: UserJid, asked: str) -> Element:
        answered: asyncio.Future[Element | None] = asyncio.get_running_loop().create_future()

        def take(reply: Element | None) -> None:
            if not answered.done():
                answered.set_result(reply)

        payload = f"<pubsub xmlns='{_PUBSUB}'>{asked}</pubsub>"
        self._component.stream.request(user, payload, take, _LIMIT_S)
        reply = await answered
        if reply is None or reply.get("from") != user:
            raise Refused("")
        if reply.get("type") != "result":
            raise Refused(condition_of(reply))
        return reply


def _name(item: Element | None) -> str:
    return "" if item is None else item.findtext(f"{{{avatars.NICK}}}nick") or ""


def _picture(item: Element | None) -> str | None:
    """What is called like the item, and lies with it. Empty for what says that there is none
    (XEP-0084 §3.5), None for anything else: for nothing at all, and for one that lies elsewhere
    (§4.2.1)."""
    metadata = None if item is None else item.find(f"{{{avatars.METADATA}}}metadata")
    if item is None or metadata is None:
        return None
    if not len(metadata):
        return ""
    id = item.get("id", "").lower()
    infos = metadata.iter(f"{{{avatars.METADATA}}}info")
    is_there = any(one.get("id", "").lower() == id and not one.get("url") for one in infos)
    return id if is_there and _HASH.fullmatch(id) else None
