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


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """Where a component takes what the server sends."""

    stanza: Callable[[Element], None]
    excessive: Callable[[Element], None]
    """A stanza without its children: it had too many (REQ-713)."""


class Neighbours:
    """The entrances of all components, by domain."""

    def __init__(self) -> None:
        self._entrances: dict[str, Entrance] = {}

    def add(self, domain: str, entrance: Entrance) -> None:
        """A component of this process."""
        self._entrances[domain] = entrance

    def of(self, domain: str) -> Entrance | None:
        """Where a stanza to this domain belongs; None if that is not here (REQ-702)."""
        return self._entrances.get(domain)
