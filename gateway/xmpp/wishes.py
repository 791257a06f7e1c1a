# SPDX-License-Identifier: Apache-2.0
"""What a message wants, in a chat and in a room."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from gateway.bridge.accounts import Account
from gateway.bridge.addresses import Addresses
from gateway.bridge.outbound.wanted import IncomingReactions, IncomingRetraction, IncomingText
from gateway.bridge.quotes import without_fallback
from gateway.events import Mention, Through
from gateway.ids import RemoteUserId, StanzaId
from gateway.xmpp.codec.incoming import IncomingMessage, Reference
from gateway.xmpp.jid import Address, split


def wish(
    message: IncomingMessage, through: Through | None = None, people: tuple[Mention, ...] = ()
) -> IncomingText | IncomingReactions | IncomingRetraction | None:
    """A retraction, reactions or a text; None if it is none of them. The bodies of the first two
    stand in for them, and are no texts. ``people``: as in `IncomingText`."""
    about = of(message, through)
    if message.retracts is not None:
        return IncomingRetraction(**about, message=StanzaId(message.retracts))
    if message.reacts_to is not None:
        target, emoji = StanzaId(message.reacts_to), message.reactions
        return IncomingReactions(**about, message=target, emoji=emoji)
    attention = message.wants_attention
    if message.body is None and not attention:
        return None
    return IncomingText(**about, **text(message), people=people, attention=attention)


def of(message: IncomingMessage, through: Through | None = None) -> dict[str, Any]:
    """Whose it is, and how it is answered. An error or a receipt needs an id to refer to; a
    message without one gets none of both, and one to a room no receipt."""
    wants_receipt = message.wants_receipt and message.type != "groupchat"
    return {
        "id": StanzaId(message.id),
        "origin_id": StanzaId(message.origin_id) if message.origin_id else None,
        "sender": message.sender,
        "receipt": wants_receipt and bool(message.id),
        "through": through,
        "hint": StanzaId(message.server_id) if message.server_id else None,
    }


def text(message: IncomingMessage) -> dict[str, Any]:
    """What it says, and of which other one."""
    body, sharing = message.body or "", message.sharing
    return {
        "body": body,
        "replaces": StanzaId(message.replaces) if message.replaces else None,
        "reply_to": StanzaId(message.reply_to) if message.reply_to else None,
        "thread": message.thread,
        "unquoted": without_fallback(body, message.reply_parts),
        "spans": message.spans,
        "previews": tuple(message.previews),
        "files": sharing.files,
        "stand_ins": sharing.stand_ins,
    }


def named(message: IncomingMessage, account: Account, addresses: Addresses) -> tuple[Mention, ...]:
    """Whom a client names in a chat, as far as these have an address of the network."""
    found = ((each, person(addressed(each), account, addresses)) for each in message.references)
    return tuple(
        Mention(user=user, begin=each.begin, end=each.end, notify=each.notify)
        for each, user in found
        if user is not None
    )


def addressed(reference: Reference) -> Address:
    """The address that it is to; the empty one if it is to something else."""
    uri = reference.uri
    return split(unquote(uri.removeprefix("xmpp:")) if uri.startswith("xmpp:") else "")


def person(address: Address, account: Account, addresses: Addresses) -> RemoteUserId | None:
    """Who that is on the network; None if it is nobody there."""
    if address.bare == account.user:
        return account.remote_id
    return addresses.contact(address.local) if address.domain == addresses.domain else None
