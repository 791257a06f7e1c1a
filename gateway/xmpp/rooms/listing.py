# SPDX-License-Identifier: Apache-2.0
"""The rooms of a user, as the gateway lists them (XEP-0030 §4, XEP-0059; REQ-111)."""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree.ElementTree import Element

from gateway.xmpp import disco
from gateway.xmpp.codec import errors
from gateway.xmpp.codec.errors import Refused
from gateway.xmpp.codec.xml import attribute, text

RSM = "http://jabber.org/protocol/rsm"
_MOST = 200
"""A stanza has to stay small (REQ-105)."""


def items(query: Element, rooms: Mapping[str, str]) -> str:
    """``rooms``: names by address. Whoever asks for no page gets the first one."""
    listed = sorted(rooms)
    page = query.find(f"{{{RSM}}}set")
    places = _places(page, listed)
    shown = [listed[place] for place in places]
    named = "".join(
        f"<item jid='{attribute(address)}' name='{attribute(rooms[address] or address)}'/>"
        for address in shown
    )
    if page is None and len(listed) <= _MOST:
        return f"<query xmlns='{disco.ITEMS}'>{named}</query>"
    ends = ""
    if shown:
        first, last = text(shown[0]), text(shown[-1])
        ends = f"<first index='{places[0]}'>{first}</first><last>{last}</last>"
    counted = f"<set xmlns='{RSM}'>{ends}<count>{len(listed)}</count></set>"
    return f"<query xmlns='{disco.ITEMS}'>{named}{counted}</query>"


def _places(page: Element | None, listed: list[str]) -> range:
    """Of the items that are wanted. Raises `Refused`."""
    most = _most(said(page, "max"))
    after, before = said(page, "after"), said(page, "before")
    if before is not None:
        end = listed.index(before) if before in listed else len(listed)
        if before and before not in listed:
            raise Refused(errors.ITEM_NOT_FOUND)
        return range(max(0, end - most), end)
    start = 0
    if after is not None:
        if after not in listed:
            raise Refused(errors.ITEM_NOT_FOUND)
        start = listed.index(after) + 1
    return range(start, min(start + most, len(listed)))


def _most(wanted: str | None) -> int:
    if wanted is None or not (wanted.isascii() and wanted.isdigit()):
        return _MOST
    return min(int(wanted[:9]), _MOST)


def said(page: Element | None, name: str) -> str | None:
    """What a page is asked for by."""
    found = page.find(f"{{{RSM}}}{name}") if page is not None else None
    return None if found is None else (found.text or "")
