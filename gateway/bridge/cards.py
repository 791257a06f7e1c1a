# SPDX-License-Identifier: Apache-2.0
"""People whom somebody tells of, in words and as files for address books (REQ-454).

Whoever is on the network has an address here, which a client offers to add to the contacts when it
is clicked (XEP-0147 §2, ``?roster``; RFC 5122). Runs inside the writer's transaction.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from urllib.parse import quote

from msgspec import structs

from gateway.bridge.addresses import Addresses
from gateway.bridge.put_before import M, put_before
from gateway.bridge.splitting import one_line
from gateway.events import ContactCard, RemoteFile
from gateway.store import Transaction
from gateway.text import clean

_MOST = 50
"""Cards of one message, and numbers or addresses of one card."""
_LONGEST = 100
"""Of what is said of somebody in one line of a file."""
_FOLDED_BYTES = 75
_NO_PATH = re.compile(r"[/\\]")
_SPECIAL = re.compile(r"([\\,;])")


def told(db: Transaction, addresses: Addresses, event: M, *, as_files: bool) -> M:
    """The message with its cards as lines before its own words and, if there are addresses for
    such, as files."""
    if not event.cards:
        return event
    known = [(card, _address(db, addresses, card)) for card in event.cards[:_MOST]]
    files = list(event.files)
    if as_files:
        files += [_file(card, at) for card, at in known if card != ContactCard()]
    words = "\n\n".join(_in_words(card, at) for card, at in known)
    return put_before(structs.replace(event, cards=(), files=tuple(files)), words)


def _address(db: Transaction, addresses: Addresses, card: ContactCard) -> str:
    """Of the puppet; empty if they are not on the network."""
    return quote(addresses.bare(db, card.user), safe="@.-_~") if card.user else ""


def _in_words(card: ContactCard, address: str) -> str:
    """Everything that somebody has said of them is in a line of its own."""
    name = one_line(card.name)
    lines = [one_line(each) for each in (*card.phones[:_MOST], *card.mails[:_MOST])]
    if address:
        query = f"?roster;name={quote(name, safe='')}" if name else "?roster"
        lines.append(f"xmpp:{address}{query}")
    return "\n".join(filter(None, [f"👤 {name}".rstrip(), *lines]))


def _file(card: ContactCard, address: str) -> RemoteFile:
    content = "".join(f"{_folded(line)}\r\n" for line in _vcard(card, address)).encode()
    return RemoteFile(
        reference=f"card:{hashlib.sha256(content).hexdigest()}",
        name=f"{_NO_PATH.sub('_', one_line(card.name)) or 'contact'}.vcf",
        media_type="text/vcard",
        size=len(content),
        content=content,
    )


def _vcard(card: ContactCard, address: str) -> Iterator[str]:
    """vCard 3.0, which all address books read (RFC 2426; for ``IMPP`` RFC 4770)."""
    name = _value(card.name) or next(map(_value, (*card.phones, *card.mails)), address)
    yield from ("BEGIN:VCARD", "VERSION:3.0", f"FN:{name}", f"N:{name};;;;")
    for phone in card.phones[:_MOST]:
        yield f"TEL:{_value(phone)}"
    for mail in card.mails[:_MOST]:
        yield f"EMAIL:{_value(mail)}"
    if address:
        yield f"IMPP:xmpp:{address}"
    yield "END:VCARD"


def _value(said: str) -> str:
    """Nobody begins a line of their own (RFC 2426 §4)."""
    return _SPECIAL.sub(r"\\\1", one_line(clean(said), _LONGEST))


def _folded(line: str) -> str:
    """RFC 2426 §2.6: no line has more than 75 bytes; what goes on begins with a space."""
    lines, length = [""], 0
    for sign in line:
        length += len(sign.encode())
        if length > _FOLDED_BYTES:
            lines.append(" ")
            length = 1 + len(sign.encode())
        lines[-1] += sign
    return "\r\n".join(lines)
