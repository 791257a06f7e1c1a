# SPDX-License-Identifier: Apache-2.0
"""What the clients of users can do (XEP-0115): one of each kind is asked, once for all users.

Whoever answers may lie, and the answer counts for clients of others. So it counts for a kind only
if it is what the kind's name was made of, to the letter; else for the one that has said it.
"""

from __future__ import annotations

import base64
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar
from xml.etree.ElementTree import Element

from gateway.adapter import Clock
from gateway.bridge.attendance.devices import Caps
from gateway.xmpp import avatars, disco
from gateway.xmpp.codec.xml import attribute
from gateway.xmpp.stream import Stream

ROSTER_EXCHANGE = "http://jabber.org/protocol/rosterx"
INTERESTS = frozenset((f"{avatars.METADATA}+notify", f"{avatars.NICK}+notify", ROSTER_EXCHANGE))
"""What is remembered of a client."""
Features = frozenset[str]
_Key = tuple[str, str, str]
"""Hash and version, and the address if they say nothing of other clients."""

_T = TypeVar("_T")

_QUERY = f"{{{disco.INFO}}}query"
_DATA = "{jabber:x:data}"
_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_HASHES = {"sha-1": "sha1", "sha-256": "sha256", "sha-512": "sha512"}
_LIMIT_S = 20.0
_SILENT_S = 600.0
"""Who does not answer is not asked again before."""
_KINDS = 5_000
_QUESTIONS = 1_000
"""At once."""
_WAITING = 100
"""Clients, for the answer to one question."""
_EACH = 500
"""Things that one client is to be told once that is known; what is more is not told."""
_PARTS = 2_000
_LONGEST = 65_536


@dataclass(slots=True)
class _Question:
    asked: str
    waiting: dict[str, list[Callable[[Features], None]]] = field(default_factory=dict)
    """By the addresses that say the same of themselves."""


class ClientCaps:
    """What is known of the clients of one component's users."""

    def __init__(self, stream: Callable[[], Stream], clock: Clock) -> None:
        self._stream = stream
        self._clock = clock
        self._known: OrderedDict[_Key, Features] = OrderedDict()
        self._silent: OrderedDict[_Key, float] = OrderedDict()
        self._asking: dict[_Key, _Question] = {}

    def learn(self, jid: str, caps: Caps, then: Callable[[Features], None]) -> None:
        """Tell which of `INTERESTS` a client has, at once if that is known. Never, if it does not
        say it."""
        known = self.known(jid, caps)
        if known is not None:
            then(known)
            return
        key = (caps.hash, caps.ver, "" if caps.hash in _HASHES else jid)
        question = self._asking.get(key)
        if question is not None:
            if jid in question.waiting or len(question.waiting) < _WAITING:
                waiting = question.waiting.setdefault(jid, [])
                if len(waiting) < _EACH:
                    waiting.append(then)
            return
        now = self._clock.monotonic()
        if self._silent.get((*key[:2], jid), 0.0) <= now and len(self._asking) < _QUESTIONS:
            self._asking[key] = _Question(jid, {jid: [then]})
            self._ask(key, jid, caps)

    def known(self, jid: str, caps: Caps) -> Features | None:
        """Which of `INTERESTS` a client has, if that is known."""
        for key in ((caps.hash, caps.ver, ""), (caps.hash, caps.ver, jid)):
            if (known := self._known.get(key)) is not None:
                self._known.move_to_end(key)
                return known
        return None

    def _ask(self, key: _Key, jid: str, caps: Caps) -> None:
        node = attribute(f"{caps.node}#{caps.ver}")
        question = f"<query xmlns='{disco.INFO}' node='{node}'/>"

        def answered(reply: Element | None) -> None:
            query = None
            if reply is not None and reply.get("type") == "result" and reply.get("from") == jid:
                query = reply.find(_QUERY)
            self._answered(key, jid, caps, query)

        self._stream().request(jid, question, answered, _LIMIT_S)

    def _answered(self, key: _Key, jid: str, caps: Caps, query: Element | None) -> None:
        question = self._asking.pop(key, None)
        if question is None:
            return
        features = None if query is None or _is_endless(query) else _features(query)
        if features is None:
            _remember(self._silent, (*key[:2], jid), self._clock.monotonic() + _SILENT_S)
        elif key[2] == "" and query is not None and version(query, caps.hash) == caps.ver:
            _remember(self._known, key, features)
            for waiting in question.waiting.values():
                for then in waiting:
                    then(features)
            return
        else:
            _remember(self._known, (*key[:2], jid), features)
            for then in question.waiting[jid]:
                then(features)
        del question.waiting[jid]  # what it says tells nothing of the others
        for other, waiting in question.waiting.items():
            for then in waiting:
                self.learn(other, caps, then)


def _remember(where: OrderedDict[_Key, _T], key: _Key, value: _T) -> None:
    where[key] = value
    where.move_to_end(key)
    if len(where) > _KINDS:
        where.popitem(last=False)


def _features(query: Element) -> Features:
    found = (child.get("var", "") for child in query.iter(f"{{{disco.INFO}}}feature"))
    return INTERESTS.intersection(found)


def _is_endless(query: Element) -> bool:
    """More than any client has to say."""
    characters = 0
    for parts, element in enumerate(query.iter()):
        characters += len(element.text or "") + sum(map(len, element.attrib.values()))
        if parts > _PARTS or characters > _LONGEST:
            return True
    return False


def version(query: Element, made: str) -> str | None:
    """The name that an answer has (XEP-0115 §5.1); None for one that can have none (§5.4).

    A sign that parts the words within one of them would let two answers have one name. So would
    one of `INTERESTS` that is no feature, but some other word: the name does not say which is
    which.
    """
    words = _words(query)
    if words is None or made not in _HASHES or any("<" in word for word in words):
        return None
    digest = hashlib.new(_HASHES[made], "".join(f"{word}<" for word in words).encode())
    return base64.b64encode(digest.digest()).decode()


def _words(query: Element) -> list[str] | None:
    identities = [
        (child.get("category", ""), child.get("type", ""), child.get(_LANG, ""),
         child.get("name", ""))
        for child in query.iter(f"{{{disco.INFO}}}identity")
    ]  # fmt: skip
    features = [child.get("var", "") for child in query.iter(f"{{{disco.INFO}}}feature")]
    found = list(_forms(query))
    forms = {kind: fields for kind, fields in found if kind}
    is_repeated = (
        len(set(identities)) < len(identities)
        or len(set(features)) < len(features)
        or len(forms) < sum(1 for kind, _ in found if kind != "")
    )
    if is_repeated:
        return None
    others = ["/".join(identity) for identity in sorted(identities)]
    words = [*others, *sorted(features)]
    for kind, fields in sorted(forms.items()):
        said = [kind]
        for name, values in sorted(fields):
            said += [name, *sorted(values)]
        words += said
        others += said
    return None if INTERESTS.intersection(others) else words


def _forms(query: Element) -> Iterator[tuple[str | None, list[tuple[str, list[str]]]]]:
    """Their types, and the fields of each with their values. No type is '', several are None."""
    for form in query.iter(f"{_DATA}x"):
        kinds: set[str] = set()
        fields = []
        for one in form.iter(f"{_DATA}field"):
            values = [value.text or "" for value in one.iter(f"{_DATA}value")]
            if one.get("var") != "FORM_TYPE":
                fields.append((one.get("var", ""), values))
            elif one.get("type") == "hidden":
                kinds.update(values)
        yield None if len(kinds) > 1 else next(iter(kinds), ""), fields
