# SPDX-License-Identifier: Apache-2.0
"""Service discovery (XEP-0030) and entity capabilities (XEP-0115): who we say we are.

Only what is answered is advertised, and the same asker gets the same answer (REQ-116).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from gateway.adapter import Capabilities
from gateway.xmpp.codec import errors
from gateway.xmpp.codec.errors import Refused
from gateway.xmpp.codec.incoming import ATTENTION, REACTIONS, REPLY, RETRACT
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
    "urn:ietf:params:xml:ns:vcard-4.0",
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


@dataclass(frozen=True, slots=True)
class Form:
    """More that an address says of itself (XEP-0128)."""

    kind: str
    fields: tuple[tuple[str, tuple[str, ...]], ...]
    """Name and values."""
    field_type: str = ""

    def xml(self) -> str:
        """As it is written."""
        typed = f" type='{self.field_type}'" if self.field_type else ""
        fields = "".join(
            f"<field var='{name}'{typed}>"
            + "".join(f"<value>{text(value)}</value>" for value in values)
            + "</field>"
            for name, values in self.fields
        )
        return (
            "<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'>"
            f"<value>{self.kind}</value></field>{fields}</x>"
        )


@dataclass(frozen=True, kw_only=True)
class Entity:
    """What an address says of itself. Everybody asks, so the answer is made once."""

    identities: tuple[Identity, ...]
    features: tuple[str, ...]
    forms: tuple[Form, ...] = ()

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
        forms = "".join(form.xml() for form in self.forms)
        return f"{identities}{features}{forms}"

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
        for form in sorted(self.forms, key=lambda form: form.kind):
            parts.append(f"{form.kind}<")
            for field, values in sorted(form.fields):
                parts.append(f"{field}<")
                parts += [f"{value}<" for value in sorted(values)]
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
    addresses: Mapping[str, Sequence[str]],
    more: Iterable[str] = (),
    *,
    has_rooms: bool,
) -> Entity:
    """The gateway itself (REQ-108). The order of identities matters to clients: what is a gateway
    first is not taken by them for the place where to make rooms of their own. ``addresses`` are
    URIs of those who run it, by what for."""
    rooms = Identity(category="conference", type="text", name=name)
    return Entity(
        identities=(
            Identity(category="gateway", type=network_type, name=name),
            Identity(category="account", type="registered", name=name),
            *((rooms,) if has_rooms else ()),
        ),
        features=(*_GATEWAY_FEATURES, *more),
        forms=_contact_addresses(addresses),
    )


def _contact_addresses(addresses: Mapping[str, Sequence[str]]) -> tuple[Form, ...]:
    """XEP-0157 §2; what there is none of is left out."""
    fields = tuple((f"{what}-addresses", tuple(uris)) for what, uris in addresses.items() if uris)
    return (Form("http://jabber.org/network/serverinfo", fields, "list-multi"),) if fields else ()


PUPPET_ACCOUNT = Entity(
    identities=(
        Identity(category="account", type="registered"),
        Identity(category="pubsub", type="pep"),
    ),
    features=(
        COMMANDS,
        INFO,
        "http://jabber.org/protocol/pubsub",
        "http://jabber.org/protocol/pubsub#retrieve-items",
        "urn:ietf:params:xml:ns:vcard-4.0",
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
    features += about_messages(capabilities)
    if capabilities.typing:
        features.append("http://jabber.org/protocol/chatstates")
    if capabilities.read_marks:
        features.append("urn:xmpp:chat-markers:0")
    if capabilities.attention:
        features.append(ATTENTION)
    return Entity(
        identities=(Identity(category="client", type="pc", name=network_type),),
        features=tuple(sorted(features)),
        forms=restrictions(capabilities),
    )


def about_messages(capabilities: Capabilities) -> Iterator[str]:
    """What can be said about what was said."""
    if capabilities.edits:
        yield "urn:xmpp:message-correct:0"
    if capabilities.replies:
        yield from (REPLY, "urn:xmpp:fallback:0")
    if capabilities.reactions:
        yield REACTIONS
    if capabilities.retractions:
        yield RETRACT


def restrictions(capabilities: Capabilities) -> tuple[Form, ...]:
    """With what one can react, and how often (XEP-0444 §2.2; REQ-124)."""
    most, allowed = capabilities.reactions_per_message, capabilities.reactions_allowed
    fields: list[tuple[str, tuple[str, ...]]] = []
    if most is not None:
        fields.append(("max_reactions_per_user", (str(most),)))
    if allowed:
        fields.append(("allowlist", allowed))
    if not capabilities.reactions or not fields:
        return ()
    return (Form(f"{REACTIONS}:restrictions", tuple(fields)),)


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
