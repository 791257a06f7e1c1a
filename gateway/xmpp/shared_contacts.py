# SPDX-License-Identifier: Apache-2.0
"""A contact that a user shares (REQ-454): a message that is nothing but the address of a puppet
(RFC 5122, XEP-0147) says what that person is called on the network, where nobody can do anything
with a JID."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

from gateway.xmpp import jid
from gateway.xmpp.codec.incoming import IncomingMessage

if TYPE_CHECKING:
    from gateway.xmpp.component import Component

_SCHEME = "xmpp:"
_LONGEST = 4_096


def name(component: Component, message: IncomingMessage) -> None:
    """Put a link to them, or their id if there are none, into the place of the address."""
    body = (message.body or "").strip()
    if body[: len(_SCHEME)].lower() != _SCHEME or len(body) > _LONGEST or " " in body:
        return
    address = jid.split(unquote(body[len(_SCHEME) :].partition("?")[0]))
    network = component.network
    contact = network.addresses.contact(address.local)
    if address.domain != component.domain or address.resource or contact is None:
        return
    message.body = network.adapter.page_of(contact) or contact
    message.references.clear()  # which were places in the address
