# SPDX-License-Identifier: Apache-2.0
"""A grammar of stanzas: right, nearly right and wrong, but well-formed as servers pass them."""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

from gateway.text import clean
from tests.fuzz import files
from tests.fuzz.choices import Choices
from tests.scenario.house import GATEWAY, HOME

USERS = (f"alice@{HOME}", f"carol@{HOME}", "dave@far.example", f"nobody@{HOME}", "x@else.example")
"""Linked, linked, linked and remote, admitted without an account, not admitted."""
_RESOURCES = ("/phone", "/phone", "/tablet", "", "/\U0001f4a9", "/a/b@c", "/ ")
_LOCALS = (
    "bob",
    "bob",
    "eve",
    "",
    "",
    "nobody",
    "bob%net",
    "#room",
    "BOB",
    "\U0001f600",
    "a" * 1023,
)
_KINDS = ("message", "message", "message", "message", "iq", "iq", "presence")
_TYPES = {
    "message": ("chat", "chat", "chat", "normal", None, "headline", "groupchat", "error", "x"),
    "iq": ("get", "get", "set", "result", "error", None, "x"),
    "presence": (
        *(None, "subscribe", "subscribed", "unsubscribe", "unsubscribed", "probe"),
        *("unavailable", "error", "x"),
    ),
}
_NAMESPACES = (
    *("jabber:component:accept", "urn:xmpp:receipts", "urn:xmpp:chat-markers:0", "urn:xmpp:sid:0"),
    *("http://jabber.org/protocol/chatstates", "urn:xmpp:privilege:2", "urn:xmpp:forward:0"),
    *("http://jabber.org/protocol/disco#info", "http://jabber.org/protocol/disco#items"),
    *("http://jabber.org/protocol/pubsub", "http://jabber.org/protocol/pubsub#owner"),
    *("urn:xmpp:ping", "vcard-temp", "jabber:iq:version", "jabber:iq:last", "urn:xmpp:time"),
    *("jabber:iq:gateway", "jabber:iq:register", "jabber:x:data", "urn:xmpp:mam:2"),
    *("http://jabber.org/protocol/commands", "http://jabber.org/protocol/caps", "jabber:client"),
    *("urn:xmpp:eme:0", "eu.siacs.conversations.axolotl", "urn:xmpp:message-correct:0"),
    *(
        "urn:xmpp:reactions:0",
        "urn:xmpp:reply:0",
        "http://jabber.org/protocol/muc",
        "urn:xmpp:hints",
    ),
    *("urn:ietf:params:xml:ns:xmpp-stanzas", "urn:xmpp:carbons:2", "urn:xmpp:idle:1", "urn:x"),
)
_NAMES = (
    *("body", "query", "ping", "time", "vCard", "pubsub", "items", "item", "publish", "error"),
    *("received", "request", "displayed", "active", "composing", "paused", "gone", "origin-id"),
    *("privilege", "perm", "forwarded", "message", "x", "field", "value", "command", "prompt"),
    *("show", "status", "priority", "c", "idle", "encrypted", "replace", "reactions", "text"),
    *("item-not-found", "remote-server-timeout", "service-unavailable", "subject", "nick"),
)
_ATTRIBUTES = (
    "id",
    "node",
    "ver",
    "type",
    "access",
    "from",
    "to",
    "stamp",
    "since",
    "var",
    "action",
)
_PUBSUB = "<pubsub xmlns='http://jabber.org/protocol/pubsub'>"
_STANZAS = "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'"
_KNOWN = (
    "<query xmlns='http://jabber.org/protocol/disco#info'/>",
    "<query xmlns='http://jabber.org/protocol/disco#items'/>",
    "<ping xmlns='urn:xmpp:ping'/>",
    "<vCard xmlns='vcard-temp'/>",
    "<query xmlns='jabber:iq:version'/>",
    "<query xmlns='jabber:iq:last'/>",
    "<time xmlns='urn:xmpp:time'/>",
    "<query xmlns='jabber:iq:gateway'/>",
    "<query xmlns='jabber:iq:gateway'><prompt>bob</prompt></query>",
    "<query xmlns='jabber:iq:register'/>",
    "<query xmlns='jabber:iq:register'><remove/></query>",
    "<command xmlns='http://jabber.org/protocol/commands' node='login' action='execute'/>",
    "<query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='owner'/></query>",
    "<query xmlns='http://jabber.org/protocol/muc#admin'><item nick='Bob' role='none'/></query>",
    "<query xmlns='http://jabber.org/protocol/muc#owner'/>",
    "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data'/></query>",
    "<query xmlns='urn:xmpp:mam:2'><x xmlns='jabber:x:data' type='submit'/></query>",
    f"{_PUBSUB}<items node='http://jabber.org/protocol/nick'/></pubsub>",
    f"{_PUBSUB}<items node='urn:xmpp:avatar:metadata'/></pubsub>",
    f"<error type='wait'><remote-server-timeout {_STANZAS}/></error>",
    f"<error type='cancel'><gone {_STANZAS}/></error>",
    "<privilege xmlns='urn:xmpp:privilege:2'><perm access='message' type='outgoing'/></privilege>",
    "<privilege xmlns='urn:xmpp:privilege:2'/>",
    "<received xmlns='urn:xmpp:receipts' id='m1'/>",
    "<request xmlns='urn:xmpp:receipts'/>",
    "<displayed xmlns='urn:xmpp:chat-markers:0' id='m1'/>",
    "<composing xmlns='http://jabber.org/protocol/chatstates'/>",
    "<active xmlns='http://jabber.org/protocol/chatstates'/>",
    "<encryption xmlns='urn:xmpp:eme:0' namespace='urn:xmpp:omemo:2'/>",
    "<show>away</show><priority>5</priority>",
    "<idle xmlns='urn:xmpp:idle:1' since='2025-12-31T00:00:00Z'/>",
)
_WORDS = (
    "help",
    "login",
    "status",
    "logout",
    "unregister",
    "yes",
    "cancel",
    "alice",
    "user-secret",
)


class Address:
    """Who sends, and to whom."""

    def __init__(self, choices: Choices) -> None:
        self.user = choices.pick(USERS)
        self.sender = self.user + choices.pick(_RESOURCES)
        local = choices.text() if choices.one_in(12) else choices.pick(_LOCALS)
        self.local = _plain(local)
        domain = GATEWAY if not choices.one_in(40) else choices.pick((HOME, "", "sub." + GATEWAY))
        resource = choices.pick(_RESOURCES) if choices.one_in(4) else ""
        if choices.one_in(60):
            self.sender = choices.pick((HOME, "far.example", GATEWAY, f"bob@{GATEWAY}"))
        self.to = f"{self.local}@{domain}{resource}" if self.local else domain + resource


def _plain(local: str) -> str:
    """A server would not let a sign of the address's own grammar through inside a part."""
    return "".join(c for c in clean(local) if c not in "@/ \t\r\n\x85\u2028&'\"<>:")[:1023]


def attribute(value: str) -> str:
    """Quoted, with what XML cannot carry replaced."""
    return quoteattr(clean(value))


def stanza(choices: Choices, number: int) -> tuple[str, dict[str, str]]:
    """Its text, and its attributes with ``kind``, and the ``body`` if there is one."""
    kind = choices.pick(_KINDS)
    address = Address(choices)
    said: dict[str, str] = {"kind": kind, "from": address.sender, "to": address.to}
    stanza_type = choices.pick(_TYPES[kind])
    if stanza_type is not None:
        said["type"] = stanza_type
    how = choices.below(8)
    if how < 6:
        said["id"] = f"f{number}"
    elif how == 6:
        said["id"] = clean(choices.text()) if choices.one_in(2) else f"m{choices.below(4)}"
    inner = _payloads(choices, kind)
    if kind == "message" and not choices.one_in(3):
        said["body"] = body = _body(choices, number, address.local)
        inner = f"<body>{escape(clean(body))}</body>{inner}"
        if choices.below(2):
            inner += "<request xmlns='urn:xmpp:receipts'/>"
    elif kind == "message" and choices.one_in(3):
        inner = files.alone(choices) + inner
    fields = "".join(
        f" {name}={attribute(said[name])}" for name in ("from", "to", "type", "id") if name in said
    )
    if choices.one_in(20):
        fields += f" xml:lang={attribute(choices.text())}"
    return f"<{kind}{fields}>{inner}</{kind}>", said


def _body(choices: Choices, number: int, local: str) -> str:
    if not local and not choices.one_in(4):
        return choices.pick(_WORDS)
    return f"n{number} {choices.text()}"


def _payloads(choices: Choices, kind: str) -> str:
    if kind == "iq" and not choices.one_in(6):
        return _payload(choices)
    return "".join(_payload(choices) for _ in range(choices.below(3)))


def _payload(choices: Choices) -> str:
    if choices.one_in(16):
        return files.element(choices)
    return choices.pick(_KNOWN) if choices.below(3) else _element(choices, 0)


def _element(choices: Choices, depth: int) -> str:
    """Any element; the deep ones are deeper than anything real."""
    if choices.one_in(120):
        return "<x xmlns='urn:x'>" * 120 + "</x>" * 120
    name, namespace = choices.pick(_NAMES), choices.pick(_NAMESPACES)
    attributes = {choices.pick(_ATTRIBUTES): choices.text() for _ in range(choices.below(3))}
    fields = "".join(f" {key}={attribute(value)}" for key, value in attributes.items())
    inner = escape(clean(choices.text())) if choices.below(2) else ""
    if depth < 3:
        inner += "".join(_element(choices, depth + 1) for _ in range(choices.below(3)))
    return f"<{name} xmlns='{namespace}'{fields}>{inner}</{name}>"
