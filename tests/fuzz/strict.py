# SPDX-License-Identifier: Apache-2.0
"""A server that takes the rules of RFC 6120 and XEP-0114 literally."""

from __future__ import annotations

import asyncio
from xml.etree.ElementTree import Element, tostring

from tests.scenario.patterns import ACCEPT, shown
from tests.scenario.server import FakeServer

_STANZAS = "{urn:ietf:params:xml:ns:xmpp-stanzas}"
_TYPES = {
    "message": ("", "chat", "error", "groupchat", "headline", "normal"),
    "iq": ("get", "set", "result", "error"),
    "presence": (
        *("", "error", "probe", "unavailable"),
        *("subscribe", "subscribed", "unsubscribe", "unsubscribed"),
    ),
}
_MAX_BYTES = 256 * 1024


class StrictServer(FakeServer):
    """Notes as a violation whatever some server could end the stream for, or not deliver."""

    def _judge(self, element: Element, writer: asyncio.StreamWriter) -> None:
        super()._judge(element, writer)
        why = self._objection(element)
        if why:
            self.violations.append(f"{why}: {shown(element)[:500]}")

    def _objection(self, element: Element) -> str:
        kind = element.tag.removeprefix(ACCEPT)
        stanza_type = element.get("type", "")
        if kind not in _TYPES:
            return "no stanza"
        if stanza_type not in _TYPES[kind]:
            return "unknown type"
        if any(child.tag.startswith("{jabber:client}") for child in element):
            return "a payload of another stream"
        if len(tostring(element, "unicode").encode()) > _MAX_BYTES:
            return "too large"
        if kind == "iq" and stanza_type in ("get", "set") and len(element) != 1:
            return "a request without one payload"
        if kind == "presence" and stanza_type.removeprefix("un") in ("subscribe", "subscribed"):
            return "a full JID" if "/" in element.get("to", "") + element.get("from", "") else ""
        return self._fault_of_error(element) if stanza_type == "error" else ""

    def _fault_of_error(self, element: Element) -> str:
        errors = element.findall(f"{ACCEPT}error")
        if len(errors) != 1 or not errors[0].get("type"):
            return "an error that says nothing"
        conditions = [c for c in errors[0] if c.tag.startswith(_STANZAS)]
        named = [c for c in conditions if c.tag != f"{_STANZAS}text"]
        return "" if len(named) == 1 else "an error without one condition"
