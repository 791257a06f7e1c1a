# SPDX-License-Identifier: Apache-2.0
"""The stanzas and the people of the benchmarks: what clients send today."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast
from xml.etree.ElementTree import Element, XMLPullParser

SERVER = "example.org"
COMPONENT = "net.example.org"
SECRET = "bench"
BODY = "See you at the station at ten past six, & bring the <blue> umbrella please."
ESCAPED_BODY = (
    "See you at the station at ten past six, &amp; bring the &lt;blue&gt; umbrella please."
)
_READ = 64 * 1024
"""As much as comes with one read of a busy socket."""

OPENING = (
    "<stream:stream xmlns='jabber:component:accept'"
    " xmlns:stream='http://etherx.jabber.org/streams' id='1'"
    f" from='{COMPONENT}'>"
).encode()
HANDSHAKE = b"<handshake/>"


def user(number: int) -> str:
    """Bare JID of a local user."""
    return f"{person(number)}@{SERVER}"


def person(number: int) -> str:
    """The user's id on the network."""
    return f"user{number}"


def contact(number: int) -> str:
    """The id of a contact of user ``number``; in lower case, so it is the localpart too."""
    return f"friend{number}"


def contacts(number: int, count: int) -> list[str]:
    """The ids of ``count`` contacts of user ``number``."""
    first = contact(number)
    return [first, *(f"{first}.{more}" for more in range(1, count))]


def probe(number: int, name: str) -> str:
    """A user's server asks for the presence of a contact."""
    return f"<presence from='{user(number)}' to='{name}@{COMPONENT}' type='probe'/>"


def chat(number: int, message: str) -> str:
    """A message as Conversations or Gajim send it: five extensions. No text comes twice, or it
    would be taken for a program's and refused."""
    text = f"{ESCAPED_BODY} {message}"
    return (
        f"<message from='{user(number)}/phone.a1b2' to='{contact(number)}@{COMPONENT}'"
        f" type='chat' id='{message}'><body>{text}</body>"
        "<active xmlns='http://jabber.org/protocol/chatstates'/>"
        "<request xmlns='urn:xmpp:receipts'/><markable xmlns='urn:xmpp:chat-markers:0'/>"
        f"<origin-id xmlns='urn:xmpp:sid:0' id='{message}'/></message>"
    )


def info_request(number: int, request: str) -> str:
    """What every client asks of every contact's device."""
    return (
        f"<iq from='{user(number)}/phone.a1b2' to='{contact(number)}@{COMPONENT}/scripted'"
        f" type='get' id='{request}'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>"
    )


def presence(number: int, stanza: str) -> str:
    """A user's client becomes available."""
    return (
        f"<presence from='{user(number)}/phone.a1b2' to='{contact(number)}@{COMPONENT}'"
        f" id='{stanza}'><show>away</show><priority>5</priority>"
        "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://example.net'"
        " ver='QgayPKawpkPSDYmwT/WM94uAlu0='/></presence>"
    )


def mixed(number: int, stanza: str) -> str:
    """Eight messages to one request and one presence."""
    kind = {8: info_request, 9: presence}.get(int(stanza.rpartition("-")[2], 16) % 10, chat)
    return kind(number, stanza)


def reads(stanzas: Iterable[str]) -> Iterator[bytes]:
    """The bytes of a stream, cut where a socket would."""
    data = "".join(stanzas).encode()
    for start in range(0, len(data), _READ):
        yield data[start : start + _READ]


def events(parser: XMLPullParser[Any]) -> Iterator[tuple[str, Element]]:
    """What a parser of start and end events has read."""
    return cast("Iterator[tuple[str, Element]]", parser.read_events())
