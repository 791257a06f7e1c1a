# SPDX-License-Identifier: Apache-2.0
"""The components of this process, which are all at one server: what comes by another's stream.

ejabberd, as it comes, makes each connection a route to all hosts of its listener, and gives a
stanza for one of them to any connection. It is handed over to the component whose it is, which
takes it as if it had come by its own stream and answers by that one. Only a server that both are
connected to can do this, and it may say anything for both (REQ-701).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from xml.etree.ElementTree import Element

import structlog

from gateway.adapter import Clock
from gateway.xmpp.jid import split
from gateway.xmpp.limits import Rarely

log = structlog.get_logger("neighbours")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """Where a component takes what the server sends."""

    stanza: Callable[[Element], None]
    excessive: Callable[[Element], None]
    """A stanza without its children: it had too many (REQ-713)."""


class Neighbours:
    """The entrances of all components, by domain."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rarely = Rarely()
        self._entrances: dict[str, Entrance] = {}

    def add(self, domain: str, entrance: Entrance) -> None:
        """A component of this process."""
        self._entrances[domain] = entrance

    def hand_over(self, element: Element, *, excessive: bool = False) -> None:
        """What came by the stream of a component that it is not for.

        Nothing is said to senders about what a server sends us by mistake (REQ-702).
        """
        entrance = self._entrances.get(split(element.get("to", "")).domain)
        event = "not_for_us" if entrance is None else "by_another_stream"
        if (unsaid := self._rarely.unsaid(event, self._clock.monotonic())) is not None:
            warn = log.warning if entrance is None else log.info
            warn(event, to=element.get("to", ""), unsaid=unsaid)
        if entrance is not None:
            (entrance.excessive if excessive else entrance.stanza)(element)
