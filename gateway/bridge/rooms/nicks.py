# SPDX-License-Identifier: Apache-2.0
"""Nicks of members (REQ-269): what every server's resourceprep (RFC 3920) takes as it is.

A nick is a part of the address of all that a member says. One that a server refuses would cost not
the member alone: nobody could join the room.
"""

from __future__ import annotations

import stringprep
import unicodedata
from collections.abc import Callable
from itertools import dropwhile

from gateway.ids import RemoteUserId

_CHARS, _BYTES = 60, 200
_PREPARED = unicodedata.ucd_3_2_0
"""To a server's stringprep what came later is not assigned."""
_INVISIBLE = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
"""Categories that let one name look like another."""
_BLANK = frozenset("\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Letters and signs of which nothing is seen, so that they do the same."""
_REFUSED = (
    stringprep.in_table_a1,
    stringprep.in_table_b1,
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)
_LEFT, _RIGHT = {"R", "AL"}, {"L"}
"""Directions (UAX #9) of letters that go to the left, and to the right."""
_MAQAF = "\u05be"
"""A hyphen that is written from right to left."""
_NEXT = 8
"""So many numbers are tried one after the other; thousands may share a name."""


def nick(name: str, user: RemoteUserId, is_taken: Callable[[str], bool]) -> str:
    """What a member is called in a room. ``is_taken`` knows the nicks of others as `fold` makes
    them."""
    base = _legible(name) or _legible(user) or "somebody"

    def numbered(number: int) -> str:
        mark = f" ({number})" if number > 1 else ""
        return _framed(_cut(base, _CHARS - len(mark), _BYTES - len(mark)) + mark)

    def is_free(number: int) -> bool:
        return not is_taken(fold(numbered(number)))

    taken, free = 0, 1
    while not is_free(free):
        taken, free = free, free + 1 if free < _NEXT else 2 * free
    while free - taken > 1:
        middle = (taken + free) // 2
        if is_free(middle):
            free = middle
        else:
            taken = middle
    return numbered(free)


def fold(nick: str) -> str:
    """Two nicks that are the same by this are one: as servers compare them (RFC 3920,
    resourceprep), and in any case."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", nick).casefold())


def _legible(name: str) -> str:
    text = name[: 10 * _CHARS]
    if text.isascii() and text.isprintable():
        return _cut(" ".join(text.split()), _CHARS, _BYTES)
    while (tidy := _tidied(text)) != text:  # what was left out may have kept others apart
        text = tidy
    return text


def _tidied(text: str) -> str:
    kept = "".join(char for char in text if char.isspace() or _is_visible(char))
    prepared = _PREPARED.normalize("NFKC", " ".join(kept.split()))
    visible = "".join(char for char in prepared if char == " " or _is_visible(char))
    begun = "".join(dropwhile(_is_mark, _of_one_direction(visible).lstrip()))
    return _cut(" ".join(begun.split()), _CHARS, _BYTES)


def _is_mark(char: str) -> bool:
    """It would be seen at what stands before the name."""
    return unicodedata.category(char).startswith("M")


def _is_visible(char: str) -> bool:
    is_seen = char not in _BLANK and unicodedata.category(char) not in _INVISIBLE
    return is_seen and not any(refuses(char) for refuses in _REFUSED)


def _of_one_direction(text: str) -> str:
    """RFC 3454 §6: letters that go to the right and such that go to the left cannot be in one
    string. Those remain that go where the first one goes."""
    directed = (char for char in text if _RIGHT & _directions(char) or _LEFT & _directions(char))
    unwanted = _RIGHT if _LEFT & _directions(next(directed, "a")) else _LEFT
    return "".join(char for char in text if not unwanted & _directions(char))


def _directions(char: str) -> set[str]:
    """By the old tables and by the new ones: servers go by either."""
    return {_PREPARED.bidirectional(char), unicodedata.bidirectional(char)}


def _framed(text: str) -> str:
    """RFC 3454 §6: what goes to the left must begin and end with what does."""
    if text.isascii() or not any(_LEFT & _directions(char) for char in text):
        return text
    before = "" if _directions(text[0]) <= _LEFT else _MAQAF
    after = "" if _directions(text[-1]) <= _LEFT else _MAQAF
    return f"{before}{text}{after}"


def _cut(text: str, chars: int, octets: int) -> str:
    return text[:chars].encode()[:octets].decode("utf-8", "ignore").strip()
