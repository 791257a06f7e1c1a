# SPDX-License-Identifier: Apache-2.0
"""Places for files at the upload service of our own server (XEP-0363), asked for by the component,
or in the name of a user where their server lets us (XEP-0356 §6.3).

Prosody and ejabberd give them to a component that their access rules name.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

from gateway.bridge.ports import Slot, SlotRefused, WantedSlot
from gateway.ids import UserJid
from gateway.xmpp.as_user import Refused, ask_in_their_name, condition_of
from gateway.xmpp.codec.xml import attribute
from gateway.xmpp.privilege import UPLOAD, Permission

if TYPE_CHECKING:
    from gateway.xmpp.component import Component
    from gateway.xmpp.stream import Stream

_LIMIT_S = 10.0
_HEADERS = frozenset({"authorization", "cookie", "expires"})
"""All others are to be ignored (XEP-0363 §4)."""

_AWAY = frozenset({"service-unavailable", "remote-server-timeout", "internal-server-error"})
"""So servers speak of a service that is just being started, whatever type they give it."""
_FULL = "resource-constraint"
"""A quota. Prosody (0.12) has them by the day, and does not say when there is room again."""


async def request_slot(
    component: Component, service: str, wanted: WantedSlot, user: UserJid | None
) -> Slot:
    """See `gateway.bridge.ports.XmppPort.slot`."""
    request = (
        f"<request xmlns='{UPLOAD}' filename='{attribute(wanted.name)}' size='{wanted.size}'"
        f" content-type='{attribute(wanted.media_type)}'/>"
    )
    if user is None:
        reply = await _ask(component.stream, service, request)
    else:
        reply = await _ask_as(component, user, service, request)
    if reply is None or reply.get("from") != service:
        raise SlotRefused("no answer", 0.0)
    if reply.get("type") != "result":
        raise _refusal(reply)
    return _slot(reply)


async def _ask(stream: Stream, service: str, request: str) -> Element | None:
    answered: asyncio.Future[Element | None] = asyncio.get_running_loop().create_future()

    def take(reply: Element | None) -> None:
        if not answered.done():
            answered.set_result(reply)

    stream.request(service, request, take, _LIMIT_S)
    return await answered


async def _ask_as(component: Component, user: UserJid, service: str, request: str) -> Element:
    if not component.privileges.may(user, Permission.UPLOAD):
        raise SlotRefused("not granted", None)
    try:
        return await ask_in_their_name(component, Permission.UPLOAD, user, "get", service, request)
    except Refused as refused:
        raise SlotRefused(str(refused), 0.0) from None


def _slot(reply: Element) -> Slot:
    put = reply.find(f"{{{UPLOAD}}}slot/{{{UPLOAD}}}put")
    get = reply.find(f"{{{UPLOAD}}}slot/{{{UPLOAD}}}get")
    if put is None or get is None:
        raise SlotRefused("an answer without a place", None)
    headers = (
        (header.get("name", ""), "".join((header.text or "").splitlines()))
        for header in put.iter(f"{{{UPLOAD}}}header")
    )
    return Slot(
        put=put.get("url", ""),
        headers=tuple(each for each in headers if each[0].lower() in _HEADERS),
        get=get.get("url", ""),
    )


def _refusal(reply: Element) -> SlotRefused:
    """XEP-0363 §5: what is temporary may say when it is over."""
    condition = condition_of(reply)
    if reply.find(f".//{{{UPLOAD}}}file-too-large") is not None:
        return SlotRefused("file-too-large", None)
    retry = reply.find(f".//{{{UPLOAD}}}retry")
    if retry is not None:
        return SlotRefused(condition, _time(retry.get("stamp", "")))
    error = next((child for child in reply if child.tag.endswith("}error")), None)
    waits = error is not None and error.get("type") == "wait" and condition != _FULL
    return SlotRefused(condition, 0.0 if waits or condition in _AWAY else None)


def _time(stamp: str) -> float:
    try:
        return datetime.fromisoformat(stamp).timestamp()
    except ValueError:
        return 0.0
