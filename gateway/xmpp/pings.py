# SPDX-License-Identifier: Apache-2.0
"""Pings of other servers: whether they answer, and for how long they have been up (REQ-905)."""

from __future__ import annotations

from collections.abc import Callable
from xml.etree.ElementTree import Element

from gateway.bridge.ports import Ping, Pong
from gateway.xmpp.jid import split
from gateway.xmpp.stream import Stream

_LIMIT_S = 30.0
_LAST = "jabber:iq:last"


def ping(stream: Stream, domain: str, answered: Callable[[Pong], None]) -> None:
    """Ping another server; tells once what came of it. Errors are answers, unless they are ours.

    The question is for how long it has been up (XEP-0012, section 5): a server that was started
    anew answers as if nothing had happened, but has lost what it had not stored.
    """

    def reply(element: Element | None) -> None:
        if element is None or split(element.get("from", "")).domain != domain:
            answered(Pong(Ping.SILENT))
        elif any("remote-server" in child.tag for child in element.iter()):
            answered(Pong(Ping.UNREACHABLE))
        else:
            answered(Pong(Ping.ANSWERED, _uptime(element)))

    stream.request(domain, f"<query xmlns='{_LAST}'/>", reply, _LIMIT_S)


def _uptime(answer: Element) -> int | None:
    query = answer.find(f"{{{_LAST}}}query")
    seconds = query.get("seconds", "") if query is not None else ""
    return int(seconds) if seconds.isdecimal() and len(seconds) < 12 else None
