# SPDX-License-Identifier: Apache-2.0
"""Splitting text that is too long for one stanza."""

from __future__ import annotations

import re

from gateway.text import clean

MAX_PART_BYTES = 48 * 1024
"""Escaped as XML this stays below 256 KiB (REQ-105), whatever characters it has."""

NAME_CHARS = 200
"""Names go into stanzas together with texts, which may not grow too large by them (REQ-105)."""

_TURNS = re.compile("[\u202a-\u202e\u2066-\u2069]")
"""What turns around the direction of what follows, which then looks like something else
(REQ-732)."""


def split_text(text: str) -> list[str]:
    """Cut a text into parts of at most `MAX_PART_BYTES`, at line ends or spaces if possible."""
    parts = []
    start = 0
    while len(text) - start > MAX_PART_BYTES or _bytes(text[start:]) > MAX_PART_BYTES:
        end = start + _cut(text[start : start + MAX_PART_BYTES])
        parts.append(text[start:end])
        start = end
    parts.append(text[start:])
    return parts


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


def brief(text: str, limit: int = 1000) -> str:
    """A name, or a sentence of the network: legal, and short enough to stand beside others."""
    text = clean(text[: limit + 1])  # the rest is cut off, however long it is
    if not text.isprintable():
        text = _TURNS.sub("", text)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def in_line(text: str) -> str:
    """Words of a stranger within a sentence of ours: they cannot begin a line as if it were ours
    too, and what is written as a link is none (REQ-732)."""
    return " ".join(text.split()).replace("://", ":/ /")


def one_line(text: str, limit: int = NAME_CHARS) -> str:
    """A name, or the like: within sentences and lists of the gateway it begins no line as if that
    were the gateway's too (REQ-732)."""
    return brief(" ".join(text[: 2 * limit].split()), limit)


def _cut(text: str) -> int:
    """Where to cut a head of a text that is longer than a part."""
    head = text.encode("utf-8", "replace")[:MAX_PART_BYTES]
    longest = len(head.decode("utf-8", "ignore"))
    for separator in ("\n", " "):
        found = text.rfind(separator, longest // 2, longest)
        if found > 0:
            return found + 1
    return longest
