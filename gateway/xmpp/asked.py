# SPDX-License-Identifier: Apache-2.0
"""What is asked by IQ, and answers that the gateway and its puppets have in common."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from gateway import __version__
from gateway.bridge.accounts import Account
from gateway.ids import RemoteUserId
from gateway.xmpp.codec.xml import text
from gateway.xmpp.jid import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An IQ get or set."""

    type: str
    payload: Element
    sender: str
    """The asker's full JID, as it came."""
    to: Address
    account: Account | None
    """The asker's."""
    contact: RemoteUserId | None
    """Whose puppet is asked; None if it is the gateway."""

    @property
    def key(self) -> tuple[str, str]:
        """What is asked: get or set, and the payload's qualified name."""
        return self.type, self.payload.tag


Answer = Callable[[Request], str]
"""The payload of the result. Raises `Refused`."""
LaterAnswer = Callable[[Request], Awaitable[str]]


def empty(_: Request) -> str:
    """Yes."""
    return ""


def version(name: str) -> str:
    """XEP-0092."""
    return (
        f"<query xmlns='jabber:iq:version'><name>{text(name)}</name>"
        f"<version>{__version__}</version></query>"
    )
