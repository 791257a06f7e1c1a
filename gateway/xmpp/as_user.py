# SPDX-License-Identifier: Apache-2.0
"""IQs about what belongs to a user, where our server lets us (XEP-0356)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

from gateway.ids import UserJid
from gateway.xmpp.codec.xml import attribute
from gateway.xmpp.jid import split
from gateway.xmpp.privilege import Permission

if TYPE_CHECKING:
    from gateway.xmpp.component import Component

_LIMIT_S = 20.0
_PRIVILEGE, _FORWARD = "urn:xmpp:privilege:2", "urn:xmpp:forward:0"


class Refused(Exception):
    """It was not done. ``condition``: of the error, empty if nothing has come. ``details``: what
    else it is called, in any namespace."""

    def __init__(self, condition: str, details: Sequence[str] = ()) -> None:
        super().__init__(condition or "no answer")
        self.condition = condition
        self.details = details


async def ask(
    component: Component,
    permission: Permission,
    user: UserJid,
    kind: str,
    payload: str,
    *,
    is_long: bool = False,
) -> Element:
    """The answer to an IQ, which may be an error. Raises `Refused` if there is none.

    ``is_long``: the answer may be. That nothing comes often enough in a row is a refusal of the
    permission (REQ-1011).
    """
    answered: asyncio.Future[Element | None] = asyncio.get_running_loop().create_future()

    def take(reply: Element | None) -> None:
        if not answered.done():
            answered.set_result(reply)

    stream = component.privileges.stream
    silences = component.privileges.silences(user, permission)
    component.stream.request(user, payload, take, _LIMIT_S, kind, is_long=is_long)
    reply, domain = await answered, split(user).domain
    if reply is None or split(reply.get("from", "")).bare not in (user, domain):
        if stream == component.privileges.stream:
            component.privileges.is_silent(user, permission, silences)
        raise Refused("")
    component.privileges.speaks(domain, permission)
    return reply


async def ask_in_their_name(
    component: Component, permission: Permission, user: UserJid, kind: str, to: str, payload: str
) -> Element:
    """The answer of somebody else, or of the user's own account, to an IQ of the user (XEP-0356
    §6.3); it may be an error. Raises `Refused` if their server does not pass it on."""
    wrapped = (
        f"<privileged_iq xmlns='{_PRIVILEGE}'>"
        f"<iq xmlns='jabber:client' type='{kind}' id='as-user' to='{attribute(to)}'>"
        f"{payload}</iq></privileged_iq>"
    )
    reply = await ask(component, permission, user, kind, wrapped)
    answer = reply.find(f"{{{_PRIVILEGE}}}privilege/{{{_FORWARD}}}forwarded/*")
    if answer is None:
        raise refusal(component, permission, user, reply)
    return answer


def refusal(
    component: Component, permission: Permission, user: UserJid, answer: Element
) -> Refused:
    """What an error of our own server says; a permission that it denies is not used again."""
    condition = condition_of(answer)
    if condition == "forbidden":
        component.privileges.withdrawn(split(user).domain, permission, condition)
    return Refused(condition)


def condition_of(answer: Element) -> str:
    """Of an error."""
    return next(iter(conditions_of(answer)), "undefined-condition")


def conditions_of(answer: Element) -> list[str]:
    """All that an error says of itself: its condition, and what specifications add to that."""
    errors = (child for child in answer if child.tag.endswith("}error"))
    return [each.tag.rpartition("}")[2] for each in next(errors, ())]
