# SPDX-License-Identifier: Apache-2.0
"""Calls, which this gateway carries to no network: declined at once, with a word (REQ-472).

The offer to open a session itself (XEP-0166 §6) is an IQ that no puppet answers.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from gateway.bridge.accounts import Account
from gateway.bridge.splitting import in_line
from gateway.events import Through
from gateway.ids import RemoteUserId
from gateway.text.wording import Words, tr
from gateway.xmpp.codec.incoming import CALL_INVITES, IncomingMessage
from gateway.xmpp.codec.outgoing import STORE
from gateway.xmpp.codec.xml import Stanza, attribute
from gateway.xmpp.rooms import private

if TYPE_CHECKING:
    from gateway.xmpp.component import Component

_JINGLE_MESSAGE = "urn:xmpp:jingle-message:0"
_BUSY = "<reason xmlns='urn:xmpp:jingle:1'><busy/></reason>"


def decline(
    component: Component,
    message: IncomingMessage,
    account: Account,
    contact: RemoteUserId,
    through: Through | None = None,
) -> None:
    """Somebody calls a contact, or that occupant of a room: their client stops ringing, and they
    are told how to call."""
    if message.call == CALL_INVITES:  # XEP-0482 §3.2
        rejected = f"<reject xmlns='{CALL_INVITES}' id='{attribute(message.call_id)}'/>"
    else:  # XEP-0353 §3.5
        rejected = (
            f"<reject xmlns='{_JINGLE_MESSAGE}' id='{attribute(message.call_id)}'>{_BUSY}</reject>"
        )
    adapter, answer = component.network.adapter, f"{rejected}{STORE}"
    if through is None:
        sender = f"{component.puppet(contact)}/{component.resource}"
        called = in_line(component.network.contacts.look_ups.name(account, contact) or contact)
        page = adapter.page_of(contact)
    else:  # who they are on the network, a channel tells nobody (REQ-521)
        sender = component.rooms.occupant(through.room, through.nick)
        answer += private.marks(through)
        called, page = in_line(through.nick), None
    told = Stanza("message", sender, message.sender, "chat", str(uuid.uuid4()), answer)
    component.stream.send(told)
    component.console.say(account.user, _hint(called, adapter.display_name, page))


def _hint(name: str, network: str, page: str | None) -> Words:
    if page:
        return tr(
            "Calls do not go through this gateway. To call {name}, use an app of {network}: "
            "{page}",
            name=name,
            network=network,
            page=page,
        )
    return tr(
        "Calls do not go through this gateway. To call {name}, use an app of {network}.",
        name=name,
        network=network,
    )
