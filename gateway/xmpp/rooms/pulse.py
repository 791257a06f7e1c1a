# SPDX-License-Identifier: Apache-2.0
"""Whether a session in a room is still there (REQ-557): a ping (XEP-0199) by the room.

That nobody answers such a thing is said both by a client that does not know it and by a server
that has no such session. A client that says what it can do (XEP-0115) has to tell what that is
when it is asked, so it is.
"""

from __future__ import annotations

from collections.abc import Callable
from xml.etree.ElementTree import Element

from gateway.bridge.ports import Pulse
from gateway.xmpp.codec.presence import error_of
from gateway.xmpp.disco import INFO
from gateway.xmpp.stream import Stream

GHOST = frozenset(
    {
        "gone",
        "internal-server-error",
        "item-not-found",
        "jid-malformed",
        "recipient-unavailable",
        "redirect",
        "remote-server-not-found",
        "remote-server-timeout",
        "service-unavailable",
    }
)
"""Errors that say that a session is no more. In an answer to an IQ the last one may also say that
a client does not know what it is asked."""
UNREACHABLE = "remote-server-timeout"
_NOT_SERVED = "service-unavailable"
_LIMIT_S = 60.0
_PING = "<ping xmlns='urn:xmpp:ping'/>"
_QUESTION = f"<query xmlns='{INFO}'/>"


def feel(
    stream: Stream, room: str, jid: str, answered: Callable[[Pulse], None], *, has_caps: bool
) -> None:
    """Ask a session; tells once what came of it."""

    def told_again(element: Element | None) -> None:
        answered(_pulse(element, is_served=True))

    def told(element: Element | None) -> None:
        if has_caps and element is not None and error_of(element) == _NOT_SERVED:
            stream.request(jid, _QUESTION, told_again, _LIMIT_S, sender=room)
        else:
            answered(_pulse(element, is_served=False))

    stream.request(jid, _PING, told, _LIMIT_S, sender=room)


def _pulse(element: Element | None, *, is_served: bool) -> Pulse:
    """``is_served``: every client would answer that."""
    if element is None:
        return Pulse.SILENT
    error = error_of(element) if element.get("type") == "error" else ""
    if error == UNREACHABLE:
        return Pulse.UNREACHABLE
    if error in GHOST and (is_served or error != _NOT_SERVED):
        return Pulse.GONE
    return Pulse.ALIVE
