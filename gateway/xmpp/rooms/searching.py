# SPDX-License-Identifier: Apache-2.0
"""Looking for rooms of the network from a client's own dialogue (XEP-0433; REQ-228).

Rooms that have no address here are left out: the command ``search`` says how these are joined.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

from gateway.errors import AdapterError
from gateway.events import FoundRoom, FoundRooms, SearchRooms
from gateway.ids import RemoteUserId
from gateway.locale import in_language
from gateway.text.wording import tr
from gateway.xmpp.asked import LaterAnswer, Request
from gateway.xmpp.codec import errors
from gateway.xmpp.codec.errors import Refused
from gateway.xmpp.codec.xml import attribute, speaking, text
from gateway.xmpp.console import forms
from gateway.xmpp.jid import split
from gateway.xmpp.rooms.listing import RSM, said
from gateway.xmpp.rooms.refusals import refused

if TYPE_CHECKING:
    from gateway.bridge.accounts import Account
    from gateway.xmpp.component import Component

_BASE = "urn:xmpp:channel-search:0"
SEARCH = f"{_BASE}:search"
_BY_USERS = f"{{{_BASE}:order}}nusers"
_MOST = 50
_MOST_CHARS = 200
_END = "end"
"""In place of the page after the last one."""
_TRUE = ("1", "true")


class ChannelSearch:
    """Of one component."""

    def __init__(self, component: Component) -> None:
        self._component = component
        self._network = component.network
        self.later: dict[tuple[str, str], LaterAnswer] = {}
        if self._network.rooms.management.can_search:
            self.later["get", f"{{{SEARCH}}}search"] = self._search

    async def _search(self, request: Request) -> str:
        account = request.account
        if account is None:
            raise Refused(errors.REGISTRATION_REQUIRED, tr("You have no account here."))
        submitted = forms.find(request.payload)
        if not submitted:
            return _form(self._component.language_of(request.sender))
        words = _words(submitted[0])
        page = request.payload.find(f"{{{RSM}}}set")
        if said(page, "before") is not None:
            raise Refused(errors.NOT_IMPLEMENTED, tr("Pages are told from the first one on."))
        after = said(page, "after") or ""
        if after == _END:
            return _result(())
        if not self._component.may_search(split(request.sender).bare):
            detail = f"<rate-limit xmlns='{_BASE}:error'/>"
            raise Refused(errors.RESOURCE_CONSTRAINT, tr("You are searching too often."), detail)
        wanted = SearchRooms(words=words, page=after, most=_most(page))
        try:
            found = await self._network.rooms.management.search(account, wanted)
        except AdapterError as error:
            raise refused(error) from error
        return self._found(account, found)

    def _found(self, account: Account, found: FoundRooms) -> str:
        addressed = ((self._address(account, room), room) for room in found.rooms)
        listed = [_item(address, room) for address, room in addressed if address]
        return _result(listed, found.next or _END)

    def _address(self, account: Account, found: FoundRoom) -> str | None:
        """The room that the account is in already has one."""
        rooms = self._network.rooms
        room = rooms.known(account, found.room)
        if room is not None and rooms.me(account, room) is not None:
            return self._component.puppet(RemoteUserId(found.room))
        return self._component.room_called(found.address) if found.address else None


def _form(language: str) -> str:
    words, every, order, members = (
        attribute(in_language(one, language))
        for one in (tr("Search for"), tr("All that can be found"), tr("Sort by"), tr("Members"))
    )
    kind = f"<field var='FORM_TYPE' type='hidden'><value>{_BASE}:search-params</value></field>"
    fields = (
        f"<field var='q' type='text-single' label='{words}'/>"
        f"<field var='all' type='boolean' label='{every}'><value>0</value></field>"
        f"<field var='key' type='list-single' label='{order}'><value>{_BY_USERS}</value>"
        f"<option label='{members}'><value>{_BY_USERS}</value></option></field>"
    )
    form = f"<x xmlns='{forms.DATA}' type='form'>{kind}{fields}</x>"
    return f"<search xmlns='{SEARCH}'{speaking(language)}>{form}</search>"


def _words(submitted: forms.Submitted) -> str:
    """What is looked for; empty: all. Raises `Refused`."""
    values = submitted.values
    if values.get("key", _BY_USERS) != _BY_USERS:
        sort = f"<invalid-sort-key xmlns='{_BASE}:error'/>"
        error = errors.StanzaError("modify", "feature-not-implemented")
        raise Refused(error, tr("Rooms are sorted by their members."), sort)
    words, wants_all = values.get("q", "").strip(), values.get("all", "") in _TRUE
    if bool(words) == wants_all:
        name = "conflicting-fields" if words else "no-search-conditions"
        wanted = tr("Say what you look for, or that you want to see all.")
        raise Refused(errors.BAD_REQUEST, wanted, f"<{name} xmlns='{_BASE}:error'/>")
    return words[:_MOST_CHARS]


def _most(page: Element | None) -> int:
    wanted = said(page, "max") or ""
    is_number = wanted.isascii() and wanted.isdigit()
    return max(1, min(int(wanted[:9]), _MOST)) if is_number else _MOST


def _item(address: str, found: FoundRoom) -> str:
    about = f"<description>{text(found.topic)}</description>" if found.topic else ""
    return (
        f"<item address='{attribute(address)}'><name>{text(found.name or found.address)}</name>"
        f"{about}<nusers>{found.members}</nusers><service-type>xep-0045</service-type>"
        f"<is-open>{'true' if found.is_open else 'false'}</is-open></item>"
    )


def _result(listed: list[str] | tuple[str, ...], after: str = _END) -> str:
    last = f"<last>{text(after)}</last>"
    pages = f"<set xmlns='{RSM}'>{last}<max>{_MOST}</max></set>"
    return f"<result xmlns='{SEARCH}'>{''.join(listed)}{pages}</result>"
