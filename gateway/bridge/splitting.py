# SPDX-License-Identifier: Apache-2.0
"""Splitting text that is too long for one stanza."""

from __future__ import annotations

from collections.abc import Sequence

import regex

from gateway.text import Span, clean, tree, within
from gateway.text.direction import unturned
from gateway.text.wording import Words

MAX_PART_BYTES = 48 * 1024
"""Escaped as XML this stays below 256 KiB (REQ-105), whatever characters it has."""

NAME_CHARS = 200
"""Names go into stanzas together with texts, which may not grow too large by them (REQ-105)."""

_CHARACTER = regex.compile(r"\X", regex.DOTALL)
_LONGEST_CHARACTER = 256
"""Code points. Of more nobody could see what they are."""

_REFERENCE_CHARS = 2_000


def split_text(text: str, limit: int = MAX_PART_BYTES) -> list[str]:
    """Cut a text into parts of at most ``limit`` bytes, between paragraphs, at line ends or spaces
    if possible, and never within what is seen as one character (REQ-459)."""
    parts = []
    start = 0
    while len(text) - start > limit or _bytes(text[start:]) > limit:
        end = start + _cut(text[start : start + limit], limit)
        parts.append(text[start:end])
        start = end
    parts.append(text[start:])
    return parts


def split_styled(
    text: str, spans: Sequence[Span], limit: int = MAX_PART_BYTES
) -> list[tuple[str, tuple[Span, ...]]]:
    """The same, each part with its share of the spans."""
    whole = tree(spans, len(text))
    parts, begin = [], 0
    for part in split_text(text, limit):
        parts.append((part, within(whole, begin, begin + len(part))))
        begin += len(part)
    return parts


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


def brief(text: str, limit: int = 1000) -> str:
    """A name, or a sentence of the network: legal, and short enough to stand beside others."""
    if isinstance(text, Words) and len(text) <= limit and text.isprintable():
        return text
    text = clean(text[: limit + 1])  # the rest is cut off, however long it is
    if not text.isprintable():
        text = unturned(text)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def in_line(text: str) -> str:
    """Words of a stranger within a sentence of ours: they cannot begin a line as if it were ours
    too, and what is written as a link is none (REQ-732)."""
    return " ".join(text.split()).replace("://", ":/ /")


def one_line(text: str, limit: int = NAME_CHARS) -> str:
    """A name, or the like: within sentences and lists of the gateway it begins no line as if that
    were the gateway's too (REQ-732)."""
    return brief(" ".join(text[: 2 * limit].split()), limit)


def _cut(text: str, limit: int) -> int:
    """Where to cut a head of a text that is longer than a part."""
    head = text.encode("utf-8", "replace")[:limit]
    longest = len(head.decode("utf-8", "ignore"))
    for separator in ("\n\n", "\n", " "):
        found = text.rfind(separator, longest // 2, longest)
        end = found + len(separator)
        if found > 0 and _is_boundary(text, end):
            return end
    return _boundary(text, longest)


def _is_boundary(text: str, at: int) -> bool:
    return _boundary(text, at) == at


def _boundary(text: str, at: int) -> int:
    """The last place up to this one that is between two characters, as people see them. Within one
    that is endless any place is as good."""
    near = max(0, at - _LONGEST_CHARACTER)
    last = 0
    for character in _CHARACTER.finditer(text[near : at + _LONGEST_CHARACTER]):
        if near + character.end() > at:
            break
        last = character.end()
    return near + last if last else at


def reference(called: str) -> str:
    """What the network calls a picture or a call. What is very long names none."""
    return called if len(called) <= _REFERENCE_CHARS else ""
