# SPDX-License-Identifier: Apache-2.0
"""Presence: of users' devices, read; of puppets, written."""

from __future__ import annotations

from datetime import UTC, datetime
from xml.etree.ElementTree import Element

from gateway.bridge.attendance.devices import Caps, Device
from gateway.events import Availability, Presence
from gateway.store.sessions import Shown
from gateway.xmpp import avatars
from gateway.xmpp.codec.incoming import ACCEPT
from gateway.xmpp.codec.xml import Stanza, text

_SHOWS = {
    "away": Availability.AWAY,
    "xa": Availability.XA,
    "dnd": Availability.DND,
}
_STATUS_CHARS = 1000
_CAPS_CHARS = 256
CAPS = "http://jabber.org/protocol/caps"
_CAPS = f"{{{CAPS}}}c"
_SHOW, _STATUS, _PRIORITY = f"{ACCEPT}show", f"{ACCEPT}status", f"{ACCEPT}priority"
_STANZAS = "{urn:ietf:params:xml:ns:xmpp-stanzas"


def read_device(element: Element) -> Device:
    """An available presence of a user. Never raises, whatever it holds."""
    availability, status, priority = Availability.AVAILABLE, "", 0
    caps = None
    for child in element:
        tag = child.tag
        if tag == _SHOW:
            availability = _SHOWS.get((child.text or "").strip(), Availability.AVAILABLE)
        elif tag == _STATUS:
            status = status or (child.text or "")[:_STATUS_CHARS]
        elif tag == _PRIORITY:
            priority = _priority((child.text or "").strip())
        elif tag == _CAPS:
            caps = _caps(child)
    return Device(
        presence=Presence(availability=availability, status=status),
        priority=priority,
        caps=caps,
    )


def _caps(child: Element) -> Caps | None:
    node, ver, made = (child.get(name, "")[:_CAPS_CHARS] for name in ("node", "ver", "hash"))
    return Caps(node=node, ver=ver, hash=made) if node and ver else None


def read_shown(element: Element) -> Shown:
    """The same of a presence to a room. Never raises either."""
    presence, caps = read_device(element).presence, element.find(_CAPS)
    said = [] if caps is None else [caps.get(name, "") for name in ("hash", "node", "ver")]
    is_whole = bool(said) and all(
        part and len(part) <= _CAPS_CHARS and " " not in part for part in said
    )
    return Shown(
        availability=presence.availability,
        status=presence.status,
        caps=" ".join(said) if is_whole else "",
    )


def show(availability: Availability) -> str:
    """How somebody can be reached (RFC 6121 §4.7.2.1)."""
    return "" if availability is Availability.AVAILABLE else f"<show>{availability}</show>"


def _priority(value: str) -> int:
    try:
        return max(-128, min(127, int(value[:5])))
    except ValueError:
        return 0


def puppet_presence(
    sender: str, user: str, presence: Presence, caps: str, picture: str | None, now: float
) -> Stanza:
    """RFC 6121 §4.7. A puppet's priority is 0, which need not be said (REQ-310). ``picture``: as
    in `gateway.xmpp.avatars.update`."""
    status = f"<status>{text(presence.status)}</status>" if presence.status else ""
    if presence.availability is Availability.UNAVAILABLE:
        return Stanza("presence", sender, user, "unavailable", inner=status)
    idle = _idle(presence.idle_since, now)
    inner = f"{show(presence.availability)}{status}{idle}{caps}{avatars.update(picture)}"
    return Stanza("presence", sender, user, inner=inner)


def _idle(since: float | None, now: float) -> str:
    """XEP-0319 §2.1. What lies in the future, or before all networks, is no time (REQ-311)."""
    if since is None or not 0 < since <= now:
        return ""
    when = datetime.fromtimestamp(since, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"<idle xmlns='urn:xmpp:idle:1' since='{when}'/>"


def error_of(element: Element) -> str:
    """The defined condition of a presence of type error; '' if it has none."""
    for child in element:
        if child.tag.rpartition("}")[2] == "error":
            for condition in child:
                namespace, _, name = condition.tag.rpartition("}")
                if namespace == _STANZAS and name != "text":
                    return name
    return ""
