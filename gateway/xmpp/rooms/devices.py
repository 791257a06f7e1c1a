# SPDX-License-Identifier: Apache-2.0
"""What the client of a user can do, asked by others in a room (REQ-128, XEP-0045 §6.6), mostly by
what its presence says (REQ-503, XEP-0115 §6.2).

The client itself is asked, by the room, so that nobody learns its address. Of its answer is passed
on what belongs into one, and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

from gateway.bridge.accounts import Account
from gateway.store.members import MemberRow
from gateway.store.rooms import RoomRow
from gateway.text.wording import tr
from gateway.xmpp import disco
from gateway.xmpp.asked import LaterAnswer, Request
from gateway.xmpp.codec import errors
from gateway.xmpp.codec.errors import Refused
from gateway.xmpp.codec.xml import attribute, text

if TYPE_CHECKING:
    from gateway.xmpp.component import Component

_QUERY = f"{{{disco.INFO}}}query"
_DATA = "{jabber:x:data}"
_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_LIMIT_S = 20.0
_LONGEST = 32_768
"""Characters of an answer."""
_NO_ANSWER = tr("The client of this person does not answer.")


class DeviceAnswers:
    """All rooms of one component."""

    def __init__(
        self,
        component: Component,
        occupant_of: Callable[[Request], tuple[Account, RoomRow, MemberRow]],
    ) -> None:
        self._component = component
        self._occupant_of = occupant_of

    def answers_later(self, request: Request) -> LaterAnswer | None:
        """How it is answered what a user's client can do; None if that is not asked."""
        node = request.payload.get("node", "")
        if request.key != ("get", _QUERY) or not request.to.resource:
            return None
        try:
            _, room, member = self._occupant_of(request)
        except Refused:
            return None  # and that is said at once
        jid = self._component.network.rooms.sessions.of_caps(room, member.user, node)
        if jid is None:
            return None

        async def answer(request: Request) -> str:
            return await self._ask(jid, self._component.rooms.address(room), node)

        return answer

    async def _ask(self, jid: str, room: str, node: str) -> str:
        answered: asyncio.Future[Element | None] = asyncio.get_running_loop().create_future()
        named = f" node='{attribute(node)}'" if node else ""

        def reply(element: Element | None) -> None:
            if not answered.done():  # as it is when we end
                answered.set_result(element)

        question = f"<query xmlns='{disco.INFO}'{named}/>"
        self._component.stream.request(jid, question, reply, _LIMIT_S, sender=room)
        element = await answered
        query = None if element is None else element.find(_QUERY)
        if element is None or element.get("type") != "result" or query is None:
            raise Refused(errors.UNAVAILABLE, _NO_ANSWER)
        told = "".join(_copied(query))
        if len(told) > _LONGEST:
            raise Refused(errors.NOT_ACCEPTABLE, _NO_ANSWER)
        return f"<query xmlns='{disco.INFO}'{named}>{told}</query>"


def _copied(query: Element) -> Iterator[str]:
    for child in query:
        if child.tag == f"{{{disco.INFO}}}identity":
            lang = child.get(_LANG)
            named = f" xml:lang='{attribute(lang)}'" if lang else ""
            yield f"<identity{_attributes(child, 'category', 'type', 'name')}{named}/>"
        elif child.tag == f"{{{disco.INFO}}}feature":
            yield f"<feature{_attributes(child, 'var')}/>"
        elif child.tag == f"{_DATA}x":
            fields = "".join(map(_field, child.iter(f"{_DATA}field")))
            yield f"<x xmlns='jabber:x:data' type='result'>{fields}</x>"


def _field(field: Element) -> str:
    values = "".join(
        f"<value>{text(value.text or '')}</value>" for value in field.iter(f"{_DATA}value")
    )
    return f"<field{_attributes(field, 'var', 'type')}>{values}</field>"


def _attributes(element: Element, *names: str) -> str:
    said = ((name, element.get(name)) for name in names)
    return "".join(f" {name}='{attribute(value)}'" for name, value in said if value)
