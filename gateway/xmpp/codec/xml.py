# SPDX-License-Identifier: Apache-2.0
"""Writing XML as text. Whatever comes from outside passes `text` or `attribute`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from gateway.locale import ENGLISH
from gateway.text import clean

_SPECIAL_IN_ATTRIBUTE = re.compile("[&<>'\"\t\n\r]")
_REMEMBERED_LENGTH = 128
"""Ids are attributes too, and strangers choose them."""
_ESCAPES = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    "'": "&apos;",
    '"': "&quot;",
    "\t": "&#9;",
    "\n": "&#10;",
    "\r": "&#13;",
}


def _escape(match: re.Match[str]) -> str:
    return _ESCAPES[match[0]]


def text(value: str) -> str:
    """Character data. Characters that XML cannot carry become U+FFFD."""
    value = clean(value).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return value.replace("\r", "&#13;")


def attribute(value: str) -> str:
    """An attribute's value, for either kind of quotes. The same addresses come again and again."""
    return _remembered(value) if len(value) <= _REMEMBERED_LENGTH else _escaped(value)


def speaking(language: str) -> str:
    """The attribute of an element in which people are spoken to (RFC 6120 §8.1.5); English needs
    none."""
    return "" if language == ENGLISH else f" xml:lang='{language}'"


def _escaped(value: str) -> str:
    return _SPECIAL_IN_ATTRIBUTE.sub(_escape, clean(value))


_remembered = lru_cache(maxsize=16_384)(_escaped)


@dataclass(slots=True)
class Stanza:
    """A stanza of ours, ready for the single exit."""

    kind: str
    """``message``, ``presence`` or ``iq``."""
    sender: str
    to: str
    type: str = ""
    id: str = ""
    inner: str = ""
    """Its children as XML, escaped where it was built."""
    language: str = ""
    """Of the texts in it (RFC 6120 §8.1.5); empty if they are English, or not ours."""

    def __str__(self) -> str:
        kind_type = f" type='{self.type}'" if self.type else ""
        stanza_id = f" id='{attribute(self.id)}'" if self.id else ""
        language = f" xml:lang='{self.language}'" if self.language else ""
        return (
            f"<{self.kind} from='{attribute(self.sender)}' to='{attribute(self.to)}'"
            f"{kind_type}{stanza_id}{language}>{self.inner}</{self.kind}>"
        )
