# SPDX-License-Identifier: Apache-2.0
"""Splitting text that is too long for one stanza."""

from __future__ import annotations

from gateway.text import clean

MAX_PART_BYTES = 48 * 1024
"""Escaped as XML this stays below 256 KiB (REQ-105), whatever characters it has."""

NAME_CHARS = 200
"""Names go into stanzas together with texts, which may not grow too large by them (REQ-105)."""


def split_text(text: str) -> list[str]:
    """Cut a text into parts of at most `MAX_PART_BYTES`, at line ends or spaces if possible."""
    parts = []
    while len(text) > MAX_PART_BYTES or len(text.encode("utf-8", "replace")) > MAX_PART_BYTES:
        cut = _cut(text)
        parts.append(text[:cut])
        text = text[cut:]
    parts.append(text)
    return parts


def brief(text: str, limit: int = 1000) -> str:
    """A name, or a sentence of the network: legal, and short enough to stand beside others."""
    text = clean(text)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _cut(text: str) -> int:
    head = text[:MAX_PART_BYTES].encode("utf-8", "replace")[:MAX_PART_BYTES]
    longest = len(head.decode("utf-8", "ignore"))
    for separator in ("\n", " "):
        found = text.rfind(separator, longest // 2, longest)
        if found > 0:
            return found + 1
    return longest
