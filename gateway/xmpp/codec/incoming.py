# SPDX-License-Identifier: Apache-2.0
"""Reading messages: one pass over the children of a parsed element."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from xml.etree.ElementTree import Element

ACCEPT = "{jabber:component:accept}"
_STANZAS = "{urn:ietf:params:xml:ns:xmpp-stanzas}"
_CHAT_STATES = "{http://jabber.org/protocol/chatstates}"


@dataclass(slots=True)
class IncomingMessage:
    """What the gateway understands of a ``<message/>``. Unknown payloads are left out."""

    sender: str
    to: str
    type: str
    id: str
    body: str | None = None
    subject: str | None = None
    """Empty if there is to be none."""
    origin_id: str = ""
    wants_receipt: bool = False
    received: str = ""
    displayed: str = ""
    chat_state: str = ""
    encrypted: bool = False
    condition: str = ""
    """Of an error,"""
    error_type: str = ""
    """and its type."""
    privilege: Element | None = None


def _body(message: IncomingMessage, child: Element) -> None:
    if message.body is None:  # further languages are translations of the first
        message.body = child.text or None


def _subject(message: IncomingMessage, child: Element) -> None:
    if message.subject is None:
        message.subject = child.text or ""


def _origin_id(message: IncomingMessage, child: Element) -> None:
    message.origin_id = child.get("id", "")


def _request(message: IncomingMessage, _: Element) -> None:
    message.wants_receipt = True


def _received(message: IncomingMessage, child: Element) -> None:
    message.received = child.get("id", "")


def _displayed(message: IncomingMessage, child: Element) -> None:
    message.displayed = child.get("id", "")


def _encrypted(message: IncomingMessage, _: Element) -> None:
    message.encrypted = True


def _chat_state(message: IncomingMessage, child: Element) -> None:
    message.chat_state = child.tag.rpartition("}")[2]


def _error(message: IncomingMessage, child: Element) -> None:
    message.error_type = child.get("type", "")
    for condition in child:
        if condition.tag.startswith(_STANZAS) and not condition.tag.endswith("}text"):
            message.condition = condition.tag[len(_STANZAS) :]


def _privilege(message: IncomingMessage, child: Element) -> None:
    message.privilege = child


_READERS: dict[str, Callable[[IncomingMessage, Element], None]] = {
    f"{ACCEPT}body": _body,
    f"{ACCEPT}subject": _subject,
    f"{ACCEPT}error": _error,
    "{jabber:client}error": _error,
    "{urn:xmpp:sid:0}origin-id": _origin_id,
    "{urn:xmpp:receipts}request": _request,
    "{urn:xmpp:receipts}received": _received,
    "{urn:xmpp:chat-markers:0}displayed": _displayed,
    "{eu.siacs.conversations.axolotl}encrypted": _encrypted,
    "{urn:xmpp:omemo:2}encrypted": _encrypted,
    "{urn:xmpp:omemo:1}encrypted": _encrypted,
    "{urn:xmpp:eme:0}encryption": _encrypted,
    "{urn:xmpp:openpgp:0}openpgp": _encrypted,
    "{jabber:x:encrypted}x": _encrypted,
    "{urn:xmpp:privilege:1}privilege": _privilege,
    "{urn:xmpp:privilege:2}privilege": _privilege,
    **{
        f"{_CHAT_STATES}{state}": _chat_state
        for state in ("active", "composing", "paused", "inactive", "gone")
    },
}


def read_message(element: Element) -> IncomingMessage:
    """Read a ``<message/>``. Never raises, whatever it holds."""
    get = element.get
    message = IncomingMessage(get("from", ""), get("to", ""), get("type", "normal"), get("id", ""))
    for child in element:
        reader = _READERS.get(child.tag)
        if reader is not None:
            reader(message, child)
    return message
