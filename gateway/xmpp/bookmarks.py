# SPDX-License-Identifier: Apache-2.0
"""New groups among the user's bookmarks (XEP-0402), where our server lets us put them there in the
user's name (XEP-0356; REQ-590, REQ-1009). Their clients join them then by themselves.

What is there already is the user's own choice, and stays as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

import structlog

from gateway.events import RoomInvitation
from gateway.ids import RowId, UserJid
from gateway.store.journal import InboundRow
from gateway.xmpp.codec.xml import attribute, text
from gateway.xmpp.jid import split
from gateway.xmpp.privilege import PUBSUB

if TYPE_CHECKING:
    from gateway.xmpp.component import Component

log = structlog.get_logger("bookmarks")

_NODE = "urn:xmpp:bookmarks:1"
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Bookmark:
    """One to set."""

    user: UserJid
    room: str
    name: str
    nick: str

    def published(self, *, with_options: bool) -> str:
        """XEP-0402 §3.3."""
        named = f" name='{attribute(self.name)}'" if self.name else ""
        options = _options() if with_options else ""
        return (
            f"<publish node='{_NODE}'><item id='{attribute(self.room)}'>"
            f"<conference xmlns='{_NODE}'{named} autojoin='true'>"
            f"<nick>{text(self.nick)}</nick></conference></item></publish>{options}"
        )


def _options() -> str:
    fields = "".join(
        f"<field var='{name}'><value>{value}</value></field>" for name, value in _OPTIONS.items()
    )
    return (
        "<publish-options><x xmlns='jabber:x:data' type='submit'>"
        "<field var='FORM_TYPE' type='hidden'>"
        f"<value>{PUBSUB}#publish-options</value></field>{fields}</x></publish-options>"
    )


class Bookmarks:
    """Of the users of one component."""

    def __init__(self, component: Component, otherwise: Callable[[InboundRow], None]) -> None:
        self._component = component
        self._otherwise = otherwise
        """What is done with a row whose room cannot be put there."""
        self._waiting: dict[RowId, object] = {}
        """The attempts that count. Rows are written again after the stream has broken."""
        self._silent: Counter[str] = Counter()

    def takes(self, row: InboundRow) -> bool:
        """Whether what a row tells of a new group is told by a bookmark."""
        component = self._component
        if not isinstance(row.delivery, RoomInvitation) or row.delivery.waiting is not None:
            return False
        self._waiting.pop(row.id, None)
        if not component.privileges.may_use_pubsub(row.user):
            return False
        account = component.network.accounts.of(row.user)
        address = component.puppet(row.contact)
        room = component.network.rooms.find(account, split(address).local) if account else None
        me = component.network.rooms.me(account, room) if account and room else None
        if room is None or me is None:
            return False
        bookmark = Bookmark(user=row.user, room=address, name=room.name, nick=me.nick)
        attempt = self._waiting[row.id] = object()
        self._read(bookmark, lambda is_there: self._done(row, attempt, is_there=is_there))
        return True

    def _done(self, row: InboundRow, attempt: object, *, is_there: bool) -> None:
        if self._waiting.get(row.id) is not attempt:
            return  # it was written again since
        del self._waiting[row.id]
        if is_there:
            self._component.network.delivery.taken_over([row])
        else:
            self._otherwise(row)

    def _read(self, bookmark: Bookmark, done: Callable[[bool], None]) -> None:
        item = f"<items node='{_NODE}'><item id='{attribute(bookmark.room)}'/></items>"

        def read(answer: Element | None, condition: str) -> None:
            items = answer.iter(f"{{{PUBSUB}}}item") if answer is not None else ()
            if any(found.get("id") == bookmark.room for found in items):
                done(True)
            elif answer is not None or condition in _NOTHING_THERE:
                self._publish(bookmark, done, with_options=True)
            else:
                done(False)

        self._ask(bookmark.user, "get", item, read)

    def _publish(
        self, bookmark: Bookmark, done: Callable[[bool], None], *, with_options: bool
    ) -> None:
        """A node of other options stays as it is."""

        def published(answer: Element | None, condition: str) -> None:
            if answer is None and condition and with_options:
                self._publish(bookmark, done, with_options=False)
                return
            if answer is None:
                domain = split(bookmark.user).domain
                log.warning("bookmark_not_set", domain=domain, condition=condition)
            done(answer is not None)

        inner = bookmark.published(with_options=with_options)
        self._ask(bookmark.user, "set", inner, published)

    def _ask(
        self, user: UserJid, kind: str, inner: str, answered: Callable[[Element | None, str], None]
    ) -> None:
        """In the user's name. ``answered`` gets the result, or None with the condition of the
        error, which is empty if nothing has come."""
        domain = split(user).domain
        payload = (
            f"<privileged_iq xmlns='{_PRIVILEGE}'>"
            f"<iq xmlns='jabber:client' type='{kind}' id='bookmark' to='{attribute(user)}'>"
            f"<pubsub xmlns='{PUBSUB}'>{inner}</pubsub></iq></privileged_iq>"
        )

        def take(reply: Element | None) -> None:
            if reply is None or split(reply.get("from", "")).bare not in (user, domain):
                self._is_silent(domain)
                answered(None, "")
                return
            self._silent.pop(domain, None)
            wrapped = reply.find(f"{{{_PRIVILEGE}}}privilege/{{{_FORWARD}}}forwarded/*")
            answer = reply if wrapped is None else wrapped
            if answer.get("type") == "result" and wrapped is not None:
                answered(answer, "")
                return
            condition = _condition(answer)
            if wrapped is None and condition == "forbidden":
                self._component.privileges.pubsub_withdrawn(domain)
            answered(None, condition)

        self._component.stream.request(user, payload, take, _LIMIT_S, kind)

    def _is_silent(self, domain: str) -> None:
        self._silent[domain] += 1
        if self._silent[domain] >= _SILENT:
            del self._silent[domain]
            self._component.privileges.pubsub_withdrawn(domain)


def _condition(answer: Element) -> str:
    for child in answer:
        if child.tag.endswith("}error"):
            for condition in child:
                return condition.tag.rpartition("}")[2]
    return "undefined-condition"
