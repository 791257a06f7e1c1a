# SPDX-License-Identifier: Apache-2.0
"""Service discovery (XEP-0030) and entity capabilities (XEP-0115): who we say we are.

Only what is answered is advertised, and the same asker gets the same answer (REQ-116).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from gateway.adapter import Capabilities
from gateway.xmpp.codec import errors
from gateway.xmpp.codec.errors import Refused
from gateway.xmpp.codec.xml import attribute, text

INFO = "http://jabber.org/protocol/disco#info"
ITEMS = "http://jabber.org/protocol/disco#items"
COMMANDS = "http://jabber.org/protocol/commands"
_NODE = "urn:x-dragoman"

_GATEWAY_FEATURES = (
    INFO,
    ITEMS,
    COMMANDS,
    "jabber:iq:gateway",
    "jabber:iq:last",
    "jabber:iq:register",
    "jabber:iq:version",
    "jid\\20escaping",
    "urn:xmpp:ping",
    "urn:xmpp:receipts",
    "urn:xmpp:time",
    "vcard-temp",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """XEP-0030 §3."""

    category: str
    type: str
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class Entity:
    """What an address says of itself. Everybody asks, so the answer is made once."""

    identities: tuple[Identity, ...]
    features: tuple[str, ...]
    contact_addresses: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """XEP-0157: field and addresses."""

    def info(self, node: str = "") -> str:
        """The answer to disco#info."""
        named = f" node='{attribute(node)}'" if node else ""
        return f"<query xmlns='{INFO}'{named}>{self._description}</query>"

    def of_node(self, node: str) -> str:
        """The same where a node may be asked for: that of the caps alone. Raises `Refused`."""
        if node not in ("", self.caps_node):
            raise Refused(errors.ITEM_NOT_FOUND)
        return self.info(node)

    @cached_property
    def _description(self) -> str:
        identities = "".join(
            f"<identity category='{identity.category}' type='{attribute(identity.type)}'"
            + (f" name='{attribute(identity.name)}'" if identity.name else "")
            + "/>"
            for identity in self.identities
        )
        features = "".join(f"<feature var='{attribute(feature)}'/>" for feature in self.features)
        return f"{identities}{features}{self._form()}"

    def _form(self) -> str:
        if not self.contact_addresses:
            return ""
        fields = "".join(
            f"<field var='{field}' type='list-multi'>"
            + "".join(f"<value>{text(address)}</value>" for address in addresses)
            + "</field>"
            for field, addresses in self.contact_addresses
        )
        return (
            "<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'>"
            f"<value>http://jabber.org/network/serverinfo</value></field>{fields}</x>"
        )

    @cached_property
    def version(self) -> str:
        """XEP-0115 §5.1: the hash of all that."""
        parts = [
            f"{identity.category}/{identity.type}//{identity.name}<"
            for identity in sorted(
                self.identities, key=lambda identity: (identity.category, identity.type)
            )
        ]
        parts += [f"{feature}<" for feature in sorted(self.features)]
        if self.contact_addresses:
            parts.append("http://jabber.org/network/serverinfo<")
            for field, addresses in sorted(self.contact_addresses):
                parts.append(f"{field}<")
                parts += [f"{address}<" for address in sorted(addresses)]
        digest = hashlib.sha1("".join(parts).encode(), usedforsecurity=False).digest()
        return base64.b64encode(digest).decode()

    @property
    def caps_node(self) -> str:
        """The node by which caps ask for this entity."""
        return f"{_NODE}#{self.version}"

    def caps(self) -> str:
        """The ``<c/>`` of presence."""
        return (
            "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1'"
            f" node='{_NODE}' ver='{self.version}'/>"
        )


def gateway_entity(
    network_type: str,
    name: str,
    admins: Sequence[str],
    more: Iterable[str] = (),
    *,
    has_rooms: bool,
) -> Entity:
    """The gateway itself (REQ-108). The order of identities matters to clients: what is a gateway
    first is not taken by them for the place where to make rooms of their own."""
    addresses = tuple(f"xmpp:{admin}" for admin in admins)
    rooms = Identity(category="conference", type="text", name=name)
    return Entity(
        identities=(
            Identity(category="gateway", type=network_type, name=name),
            Identity(category="account", type="registered", name=name),
            *((rooms,) if has_rooms else ()),
        ),
        features=(*_GATEWAY_FEATURES, *more),
        contact_addresses=(("admin-addresses", addresses),) if addresses else (),
    )


PUPPET_ACCOUNT = Entity(
    identities=(
        Identity(category="account", type="registered"),
        Identity(category="pubsub", type="pep"),
    ),
    features=(
        INFO,
        "http://jabber.org/protocol/pubsub",
        "http://jabber.org/protocol/pubsub#retrieve-items",
        "urn:xmpp:ping",
        "vcard-temp",
    ),
)
"""A puppet's bare JID: what a server would say for an account (REQ-117)."""


def puppet_client(
    network_type: str, capabilities: Capabilities, more: Iterable[str] = ()
) -> Entity:
    """A puppet's full JID: what the network supports, and nothing else (REQ-120, REQ-121)."""
    features = [*more, INFO, "jabber:iq:version", "urn:xmpp:ping", "urn:xmpp:receipts"]
    if capabilities.typing:
        features.append("http://jabber.org/protocol/chatstates")
    if capabilities.read_marks:
        features.append("urn:xmpp:chat-markers:0")
    return Entity(
        identities=(Identity(category="client", type="pc", name=network_type),),
        features=tuple(sorted(features)),
    )


COMMAND_LIST = Entity(
    identities=(Identity(category="automation", type="command-list"),),
    features=(COMMANDS, INFO, ITEMS),
)
"""The node under which ad-hoc commands are listed."""


def command_node(title: str) -> Entity:
    """One ad-hoc command (XEP-0050 §2.3)."""
    return Entity(
        identities=(Identity(category="automation", type="command-node", name=title),),
        features=(COMMANDS, INFO, "jabber:x:data"),
    )


def items(node: str = "") -> str:
    """An empty answer to disco#items."""
    named = f" node='{attribute(node)}'" if node else ""
    return f"<query xmlns='{ITEMS}'{named}/>"
