# SPDX-License-Identifier: Apache-2.0
"""Messages of ours that came back as errors: whose trouble that is (REQ-461, REQ-557)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.ids import StanzaId
from gateway.xmpp.codec import errors
from gateway.xmpp.codec.incoming import IncomingMessage
from gateway.xmpp.jid import Address
from gateway.xmpp.privilege import Permission

if TYPE_CHECKING:
    from gateway.xmpp.component import Component


def take(component: Component, message: IncomingMessage, sender: Address, to: Address) -> None:
    """An error has come for a message from ``to``, a room, a contact or the gateway itself."""
    network = component.network
    if to.local.startswith("#"):
        network.rooms.private_messages.came_back(
            sender.bare,
            message.sender,
            StanzaId(message.id),
            temporary=message.condition in errors.TEMPORARY,
        )
        component.rooms.unreachable(message.sender, sender, to, message.condition)
        return
    if not sender.local:
        component.privileges.withdrawn(sender.domain, Permission.MESSAGES, message.condition)
        network.delivery.not_in_their_name(sender.domain, StanzaId(message.id))
        return
    if (
        message.condition in errors.GONE
        and not sender.resource
        and network.suspension.came_back(sender.bare, StanzaId(message.id))
    ):
        return
    network.delivery.bounced(
        sender.bare,
        StanzaId(message.id),
        temporary=message.condition in errors.TEMPORARY,
        # A client's errors come from a resource: it says nothing of its server.
        unreachable=not sender.resource
        and (message.error_type, message.condition) in errors.SERVER_AWAY,
    )
