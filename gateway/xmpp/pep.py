# SPDX-License-Identifier: Apache-2.0
"""Nodes of users (XEP-0163), read and set in their name where our server lets us (XEP-0356)."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

from gateway.ids import UserJid
from gateway.xmpp.codec.xml import attribute
from gateway.xmpp.jid import split
from gateway.xmpp.privilege import PUBSUB

if TYPE_CHECKING:
    from gateway.xmpp.component import Component

_LIMIT_S = 20.0
_SILENT = 3
"""So often nothing comes back: ejabberd says nothing to what it does not allow (REQ-1011)."""
_PRIVILEGE, _FORWARD = "urn:xmpp:privilege:2", "urn:xmpp:forward:0"
_NOTHING_THERE = frozenset({"item-not-found", "internal-server-error"})
"""The last is Prosody's word for any error within."""
_OPTIONS = {
    "pubsub#persist_items": "true",
    "pubsub#max_items": "max",
    "pubsub#send_last_published_item": "never",
    "pubsub#access_model": "whitelist",
}
"""Of nodes that are for the user's own clients alone (XEP-0402 §3.3, XEP-0490 §4.2)."""


class Refused(Exception):
    """It was not done. ``condition``: of the error, empty if nothing has come."""

    def __init__(self, condition: str) -> None:
        super().__init__(condition or "no answer")
        self.condition = condition


class UserNodes:
    """Of the users of one component. Each raises `Refused`."""

    def __init__(self, component: Component) -> None:
        self._component = component
        self._silent: Counter[str] = Counter()

    def are_ours(self, user: UserJid) -> bool:
        """Whether our server lets us."""
        return self._component.privileges.may_use_pubsub(user)

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

    async def publish(self, user: UserJid, node: str, id: str, payload: str) -> None:
        """Set an item. A node of other options stays as it is."""
        item = f"<publish node='{node}'><item id='{attribute(id)}'>{payload}</item></publish>"
        try:
            await self._ask(user, "set", item + _options())
        except Refused as refused:
            if not refused.condition:
                raise
            await self._ask(user, "set", item)

    async def _ask(self, user: UserJid, kind: str, inner: str) -> Element:
        payload = (
            f"<privileged_iq xmlns='{_PRIVILEGE}'>"
            f"<iq xmlns='jabber:client' type='{kind}' id='pep' to='{attribute(user)}'>"
            f"<pubsub xmlns='{PUBSUB}'>{inner}</pubsub></iq></privileged_iq>"
        )
        answered: asyncio.Future[Element | None] = asyncio.get_running_loop().create_future()

        def take(reply: Element | None) -> None:
            if not answered.done():
                answered.set_result(reply)

        self._component.stream.request(user, payload, take, _LIMIT_S, kind)
        return self._result(user, await answered)

    def _result(self, user: UserJid, reply: Element | None) -> Element:
        domain = split(user).domain
        if reply is None or split(reply.get("from", "")).bare not in (user, domain):
            self._is_silent(domain)
            raise Refused("")
        self._silent.pop(domain, None)
        wrapped = reply.find(f"{{{_PRIVILEGE}}}privilege/{{{_FORWARD}}}forwarded/*")
        answer = reply if wrapped is None else wrapped
        if answer.get("type") == "result" and wrapped is not None:
            return answer
        condition = _condition(answer)
        if wrapped is None and condition == "forbidden":
            self._component.privileges.pubsub_withdrawn(domain)
        raise Refused(condition)

    def _is_silent(self, domain: str) -> None:
        self._silent[domain] += 1
        if self._silent[domain] >= _SILENT:
            del self._silent[domain]
            self._component.privileges.pubsub_withdrawn(domain)


def _options() -> str:
    fields = "".join(
        f"<field var='{name}'><value>{value}</value></field>" for name, value in _OPTIONS.items()
    )
    return (
        "<publish-options><x xmlns='jabber:x:data' type='submit'>"
        "<field var='FORM_TYPE' type='hidden'>"
        f"<value>{PUBSUB}#publish-options</value></field>{fields}</x></publish-options>"
    )


def _condition(answer: Element) -> str:
    for child in answer:
        if child.tag.endswith("}error"):
            for condition in child:
                return condition.tag.rpartition("}")[2]
    return "undefined-condition"
