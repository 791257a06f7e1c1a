# SPDX-License-Identifier: Apache-2.0
"""Nodes of users (XEP-0163), read and set in their name where our server lets us (XEP-0356)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

from gateway.ids import UserJid
from gateway.xmpp.as_user import Refused, ask_in_their_name, condition_of, conditions_of
from gateway.xmpp.codec.xml import attribute
from gateway.xmpp.privilege import PUBSUB, Permission

if TYPE_CHECKING:
    from gateway.xmpp.component import Component

_NOTHING_THERE = frozenset({"item-not-found", "internal-server-error"})
"""The last is Prosody's word for any error within."""
_IS_OTHERWISE = "precondition-not-met"
"""XEP-0060 §7.1.5: the node is there, with other options."""
_OPTIONS = {
    "pubsub#persist_items": "true",
    "pubsub#max_items": "max",
    "pubsub#send_last_published_item": "never",
    "pubsub#access_model": "whitelist",
}
"""Of nodes that are for the user's own clients alone (XEP-0402 §3.3, XEP-0490 §4.2)."""


class UserNodes:
    """Of the users of one component. Each raises `Refused`."""

    def __init__(self, component: Component) -> None:
        self._component = component

    def are_ours(self, user: UserJid) -> bool:
        """Whether our server lets us."""
        return self._component.privileges.may(user, Permission.PUBSUB)

    async def item(self, user: UserJid, node: str, id: str) -> Element | None:
        """One item, if it is there."""
        asked = f"<items node='{node}'><item id='{attribute(id)}'/></items>"
        try:
            answer = await self._ask(user, "get", asked)
        except Refused as refused:
            if refused.condition in _NOTHING_THERE:
                return None
            raise
        found = answer.iter(f"{{{PUBSUB}}}item")
        return next((item for item in found if item.get("id") == id), None)

    async def get(self, user: UserJid, asked: str) -> Element:
        """The answer to a question about items."""
        return await self._ask(user, "get", asked)

    async def publish(self, user: UserJid, node: str, id: str, payload: str) -> None:
        """Set an item. A node of other options stays as it is; none is made without ours, since by
        itself a node is open to all contacts (XEP-0163 §5)."""
        item = f"<publish node='{node}'><item id='{attribute(id)}'>{payload}</item></publish>"
        try:
            await self._ask(user, "set", item + _options())
        except Refused as refused:
            if _IS_OTHERWISE not in refused.details:
                raise
            await self._ask(user, "set", item)

    async def _ask(self, user: UserJid, kind: str, inner: str) -> Element:
        asked = f"<pubsub xmlns='{PUBSUB}'>{inner}</pubsub>"
        answer = await ask_in_their_name(
            self._component, Permission.PUBSUB, user, kind, user, asked
        )
        if answer.get("type") != "result":
            raise Refused(condition_of(answer), conditions_of(answer))
        return answer


def _options() -> str:
    fields = "".join(
        f"<field var='{name}'><value>{value}</value></field>" for name, value in _OPTIONS.items()
    )
    return (
        "<publish-options><x xmlns='jabber:x:data' type='submit'>"
        "<field var='FORM_TYPE' type='hidden'>"
        f"<value>{PUBSUB}#publish-options</value></field>{fields}</x></publish-options>"
    )
