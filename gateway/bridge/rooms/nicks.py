# SPDX-License-Identifier: Apache-2.0
"""Nicks of members (REQ-269)."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from itertools import count

from gateway.ids import RemoteUserId

_CHARS, _BYTES = 60, 200
_INVISIBLE = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
"""Categories that a server's stringprep refuses, or that let one name look like another."""


def nick(name: str, user: RemoteUserId, is_taken: Callable[[str], bool]) -> str:
    """What a member is called in a room. ``is_taken`` knows the nicks of others as `fold` makes
    them."""
    base = _legible(name) or _legible(user) or "somebody"
    if not is_taken(fold(base)):
        return base
    for number in count(2):
        mark = f" ({number})"
        tried = _cut(base, _CHARS - len(mark), _BYTES - len(mark)) + mark
        if not is_taken(fold(tried)):
            return tried
    raise AssertionError("numbers do not end")


def fold(nick: str) -> str:
    """Two nicks that are the same by this are one: as servers compare them (RFC 3920,
    resourceprep), and in any case."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", nick).casefold())


def _legible(name: str) -> str:
    text = unicodedata.normalize("NFC", name[: 10 * _CHARS])
    kept = (char for char in text if char.isspace() or _is_visible(char))
    return _cut(" ".join("".join(kept).split()), _CHARS, _BYTES)


def _is_visible(char: str) -> bool:
    # Stringprep is about Unicode 3.2: to a server what came later is not assigned.
    return (
        unicodedata.category(char) not in _INVISIBLE
        and unicodedata.ucd_3_2_0.category(char) not in _INVISIBLE
    )


def _cut(text: str, chars: int, octets: int) -> str:
    return text[:chars].encode()[:octets].decode("utf-8", "ignore").strip()
