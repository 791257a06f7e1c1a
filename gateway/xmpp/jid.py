# SPDX-License-Identifier: Apache-2.0
"""JIDs: lenient in, strict out (REQ-104, REQ-270).

Servers let through addresses that a strict library refuses, such as emoji in resources. What comes
in is therefore split by the letter and echoed as it came; what we make ourselves passes `make`.
"""

from __future__ import annotations

import string
from functools import lru_cache
from typing import NamedTuple

from slixmpp import JID, InvalidJID

from gateway.errors import StanzaRefused
from gateway.ids import UserJid

_ASCII_LOWER = {ord(letter): letter.lower() for letter in string.ascii_uppercase}
_REMEMBERED_LENGTH = 128
"""Of addresses that are remembered in parts; strangers choose theirs."""


class Address(NamedTuple):
    """A JID as it came, in parts. Parts that are missing are empty."""

    local: str
    domain: str
    resource: str
    bare: UserJid
    """Without the resource."""


def split(jid: str) -> Address:
    """Take a received JID apart (RFC 7622 §3.2). Never raises; only ASCII letters are folded."""
    return _remembered_parts(jid) if len(jid) <= _REMEMBERED_LENGTH else _parts(jid)


def _parts(jid: str) -> Address:
    account, _, resource = jid.partition("/")
    local, _, domain = account.rpartition("@")
    local, domain = _folded(local), _folded(domain).rstrip(".")
    return Address(local, domain, resource, UserJid(f"{local}@{domain}" if local else domain))


def _folded(part: str) -> str:
    """Other letters were folded by the server that sent it, or are not ours to take for equal."""
    return part.lower() if part.isascii() else part.translate(_ASCII_LOWER)


_remembered_parts = lru_cache(maxsize=16_384)(_parts)


def make(local: str, domain: str, resource: str = "") -> str:
    """A JID of ours. Raises `StanzaRefused` if a server's stringprep could refuse it."""
    if len(local) + len(domain) + len(resource) <= _REMEMBERED_LENGTH:
        return _remembered_made(local, domain, resource)
    return _made(local, domain, resource)


def _made(local: str, domain: str, resource: str) -> str:
    text = f"{local}@{domain}" if local else domain
    if resource:
        text = f"{text}/{resource}"
    try:
        parsed = JID(text)
    except InvalidJID:
        raise StanzaRefused(f"not a valid JID: {text!r}") from None
    if (parsed.local, parsed.domain) != (local, domain):
        raise StanzaRefused(f"not a normalised JID: {text!r}")
    return str(parsed)


_remembered_made = lru_cache(maxsize=16_384)(_made)
