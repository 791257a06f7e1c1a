# SPDX-License-Identifier: Apache-2.0
"""Looking for people of the network by a client's own dialogue (XEP-0055; REQ-228)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

from gateway.errors import AdapterError
from gateway.events import FoundPerson, SearchPeople
from gateway.locale import in_language
from gateway.text.wording import tr
from gateway.xmpp.asked import LaterAnswer, Request
from gateway.xmpp.codec import errors
from gateway.xmpp.codec.errors import Refused
from gateway.xmpp.codec.xml import attribute, speaking, text
from gateway.xmpp.console import forms
from gateway.xmpp.jid import split
from gateway.xmpp.rooms.refusals import refused

if TYPE_CHECKING:
    from gateway.bridge.accounts import Account
    from gateway.xmpp.component import Component

SEARCH = "jabber:iq:search"
_Q = f"{{{SEARCH}}}"
_MOST_CHARS = 200
_HOW = tr("Enter a name, or a part of one.")
_TITLE, _NAME, _ADDRESS = tr("Search for people"), tr("Name"), tr("Address")
_KIND = f"<field var='FORM_TYPE' type='hidden'><value>{SEARCH}</value></field>"


class UserSearch:
    """Of one component."""

    def __init__(self, component: Component) -> None:
        self._component = component
        self._people = component.network.contacts.people
        self.later: dict[tuple[str, str], LaterAnswer] = {}
        if self._people.can_search:
            self.later["get", f"{_Q}query"] = self._form
            self.later["set", f"{_Q}query"] = self._search

    def _account(self, request: Request) -> Account:
        if request.account is None:
            raise Refused(errors.REGISTRATION_REQUIRED, tr("You have no account here."))
        return request.account

    async def _form(self, request: Request) -> str:
        self._account(request)
        language = self._component.language_of(request.sender)
        how, title = text(in_language(_HOW, language)), text(in_language(_TITLE, language))
        name = attribute(in_language(_NAME, language))
        words = f"<field var='q' type='text-single' label='{name}'><required/></field>"
        return (
            f"<query xmlns='{SEARCH}'{speaking(language)}>"
            f"<instructions>{how}</instructions><nick/>"
            f"<x xmlns='{forms.DATA}' type='form'><title>{title}</title>"
            f"<instructions>{how}</instructions>{_KIND}{words}</x></query>"
        )

    async def _search(self, request: Request) -> str:
        account = self._account(request)
        submitted = forms.find(request.payload)
        words = _words(request.payload, submitted[0] if submitted else None)
        if not words:
            raise Refused(errors.NOT_ACCEPTABLE, _HOW)
        if not self._component.may_search(split(request.sender).bare):
            raise Refused(errors.RESOURCE_CONSTRAINT, tr("You are searching too often."))
        try:
            found = await self._people.search(account, SearchPeople(words=words))
        except AdapterError as error:
            raise refused(error) from error
        language = self._component.language_of(request.sender)
        listed = self._as_form(found, language) if submitted else self._as_items(found)
        return f"<query xmlns='{SEARCH}'{speaking(language)}>{listed}</query>"

    def _as_items(self, found: Sequence[FoundPerson]) -> str:
        """For clients that know no forms (XEP-0055 §2)."""
        return "".join(
            f"<item jid='{attribute(self._component.puppet(one.user))}'>"
            f"<first/><last/><nick>{text(one.name)}</nick><email/></item>"
            for one in found
        )

    def _as_form(self, found: Sequence[FoundPerson], language: str) -> str:
        items = "".join(
            f"<item><field var='jid'><value>{text(self._component.puppet(one.user))}</value>"
            f"</field><field var='nick'><value>{text(one.name)}</value></field></item>"
            for one in found
        )
        address, name = (attribute(in_language(one, language)) for one in (_ADDRESS, _NAME))
        reported = (
            f"<reported><field var='jid' label='{address}' type='jid-single'/>"
            f"<field var='nick' label='{name}' type='text-single'/></reported>"
        )
        return f"<x xmlns='{forms.DATA}' type='result'>{_KIND}{reported}{items}</x>"


def _words(query: Element, submitted: forms.Submitted | None) -> str:
    """What is looked for. Of several fields that clients of old fill in, all of them."""
    if submitted is not None:
        said = [submitted.values.get(name, "") for name in ("q", "nick", "first", "last")]
    else:
        said = [query.findtext(f"{_Q}{name}") or "" for name in ("nick", "first", "last")]
    return " ".join(" ".join(said).split())[:_MOST_CHARS]
