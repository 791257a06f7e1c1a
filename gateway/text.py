# SPDX-License-Identifier: Apache-2.0
"""Text, as all sides can carry it."""

from __future__ import annotations

import re

# XML 1.0 §2.2. One such character ends a stream for everybody (REQ-106), and a lone surrogate can
# be neither encoded nor stored. Networks deliver both.
ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def is_clean(text: str) -> bool:
    """Whether XML can carry all of it."""
    # What is printable is legal; most text is that, and it is known twice as fast.
    return text.isprintable() or ILLEGAL.search(text) is None


def clean(text: str) -> str:
    """Replace what XML cannot carry by U+FFFD."""
    return text if is_clean(text) else ILLEGAL.sub("\ufffd", text)


def find_word(text: str, word: str, start: int = 0) -> int:
    """Where a word, or several, is in a text and no part of another one; -1 if nowhere."""
    found = text.find(word, start) if word else -1
    while found >= 0 and _is_part(text, found, found + len(word)):
        found = text.find(word, found + 1)
    return found


def _is_part(text: str, begin: int, end: int) -> bool:
    is_begun = begin > 0 and text[begin - 1].isalnum() and text[begin].isalnum()
    return is_begun or (end < len(text) and text[end - 1].isalnum() and text[end].isalnum())
